"What a recommendation may never do: overrule a rule, guess where nothing is known, call an association an effect, or lose what it learned on the way to the disk."
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from clintrial.checkpoint import RunError, seal
from clintrial.loading import DataError
from clintrial.narrative import Narrative
from clintrial.recommender import Guard, Recommender, associations, regret
from clintrial.recommender.effects import horseshoe_draws
from clintrial.recommender.guard import EXAMPLE_RULES, example_rules
from clintrial.recommender.policy import ranked
from clintrial.simulate import simulate_trial
from clintrial.statistics.analyses import TrialWarning

COLUMNS = ['age', 'bmi', 'marker', 'sex']
STRONG = {'treatment': -.6, 'treatment:marker': 2., 'treatment:elderly': 0.}


@pytest.fixture(scope='module')
def frame(): return simulate_trial(1500, seed=21, coefficients=STRONG).frame


@pytest.fixture(scope='module')
def recommender(frame):
    rules = pd.DataFrame([('xylomab', 'pregnancy', '', 'refused', 'invented', 'invented')], columns=['drug', 'kind', 'when', 'verdict', 'reason', 'source'])
    return Recommender.fit(frame, 'response', 'arm', COLUMNS, probabilities='equal', event='responder', drugs={'active': 'xylomab', 'placebo': None}, guard=Guard.of(rules), try_it=False)


@pytest.fixture(scope='module')
def new(): return simulate_trial(60, seed=22).frame.set_index('subject').assign(sex='female', pregnant='no')


# -- rules above the score

def test_no_score_overrules_a_rule(recommender, new):
    "The same patients, pregnant: the drug is refused, unranked and never recommended, whatever its estimate."
    free, refused = (recommender.recommend(new.assign(pregnant=word)).table.set_index(['patient', 'drug']) for word in ('no', 'yes'))
    drug = refused.xs('xylomab', level='drug')
    assert free.xs('xylomab', level='drug')['recommended'].any(), 'the test needs patients to whom the drug would be recommended'
    assert (drug['guard'] == 'refused').all() and drug['rank'].isna().all() and not drug['recommended'].any()
    pd.testing.assert_series_equal(drug['net'], free.xs('xylomab', level='drug')['net'])


@given(st.lists(st.sampled_from(EXAMPLE_RULES), min_size=1, max_size=4, unique=True), st.sampled_from(['tamoxifen', 'amoxicillin', 'metformin', 'warfarin', 'ramipril', 'valproate']), st.sampled_from([None, 'yes', 'no']))
@settings(max_examples=10, deadline=None)
def test_a_further_rule_never_makes_a_drug_safer(rules, drug, pregnant):
    "Verdicts only grow harder with each rule, for a drug that the tables know."
    order, patient = ('allowed', 'warning', 'unknown', 'refused'), dict(pregnant=pregnant, allergies='penicillin', medications='warfarin', conditions='deep vein thrombosis', egfr=20)
    known = (drug, 'pregnancy', '', None, None, None, 'warning', 'invented', 'invented') if (drug, 'pregnancy') not in {rule[:2] for rule in EXAMPLE_RULES} else EXAMPLE_RULES[0]
    table = lambda rows: Guard.of(pd.DataFrame(list(dict.fromkeys([known, *rows])), columns=example_rules().columns), pd.DataFrame([(drug, 'penicillins' if drug == 'amoxicillin' else 'ace inhibitors' if drug == 'ramipril' else drug + 's')], columns=['drug', 'class']))
    verdicts = [order.index(table(rules[:place]).check(patient, drug).verdict) for place in range(len(rules) + 1)]
    assert verdicts == sorted(verdicts)


def test_without_rules_it_is_said(frame, new):
    "No guard: the drug may be ranked, and every sentence says that nothing was checked."
    found = Recommender.fit(frame, 'response', 'arm', COLUMNS, probabilities='equal', event='responder', try_it=False).recommend(new.head(3))
    assert (found.table['guard'] == 'not checked').all()
    assert all('No rules were given' in words.en and '未提供规则' in words.zh for words in found.reasons.values())


# -- effects

def test_marker_positive_patients_get_the_drug_and_the_others_do_not(recommender):
    "A strong qualitative interaction is found, and the choice loses far less than one arm for all."
    trial = simulate_trial(1500, seed=23, coefficients=STRONG)
    found = recommender.recommend(trial.frame.set_index('subject').assign(pregnant='no')).table
    first = found[found['rank'] == 1].set_index('patient')['drug'].reindex(trial.frame['subject'])
    lost = regret(trial.truth[['probability_placebo', 'probability_active']].to_numpy(), (first == 'xylomab').to_numpy().astype(int))
    assert lost['share'] < .3
    positive = (trial.frame['marker'] == 'positive').to_numpy()
    assert (first == 'xylomab').to_numpy()[positive].mean() > .9 > .1 > (first == 'xylomab').to_numpy()[~positive].mean()


def test_where_there_is_no_effect_almost_nothing_is_recommended():
    "A drug that does nothing: the sure recommendations stay rare."
    trial = simulate_trial(1500, seed=24, coefficients={'treatment': 0., 'treatment:marker': 0., 'treatment:elderly': 0.})
    fitted = Recommender.fit(trial.frame, 'response', 'arm', COLUMNS, probabilities='equal', event='responder', try_it=False)
    assert fitted.recommend(trial.frame.set_index('subject').head(100)).table['recommended'].mean() < .05


def test_confounding_is_removed_and_said():
    "The sick get the drug: the raw difference is wrong, the doubly robust one holds the truth, and a warning says that nothing was randomised."
    draw = np.random.default_rng(3)
    severity = draw.normal(size=3000)
    took = draw.random(3000) < 1/(1 + np.exp(-severity))
    table = pd.DataFrame({'severity': severity, 'age': draw.normal(60, 9, 3000), 'arm': np.where(took, 'drug', 'control'), 'score': 1.*took - 2*severity + draw.normal(size=3000)})
    with pytest.warns(TrialWarning, match='not randomised'): fitted = Recommender.fit(table, 'score', 'arm', ['severity', 'age'], reference='control', try_it=False)
    raw, average = table.loc[took, 'score'].mean() - table.loc[~took, 'score'].mean(), fitted.average.iloc[0]
    assert raw < .2 and average['low'] < 1 < average['high']
    assert 'not randomised' in fitted.recommend(table.head(1)).sentence()


def test_three_arms_share_one_reference():
    "Each arm's effect is against the reference, and the best arm of three is found."
    draw = np.random.default_rng(5)
    table = pd.DataFrame({'x': draw.normal(size=2400), 'arm': np.tile(['a', 'b', 'c'], 800)})
    table['score'] = table['arm'].map({'a': 0., 'b': .5, 'c': 0.}) + (table['arm'] == 'c')*2*table['x'] + draw.normal(size=2400)
    fitted = Recommender.fit(table, 'score', 'arm', ['x'], probabilities='equal', try_it=False)
    found = fitted.recommend(pd.DataFrame({'x': [-1.5, 1.5]})).table
    assert found.loc[found['rank'] == 1, 'drug'].tolist() == ['b', 'c'] and found.loc[found['rank'] == 1, 'recommended'].all()


@given(st.integers(0, 1000), st.floats(.01, 100.))
@settings(max_examples=5, deadline=None)
def test_the_posterior_knows_no_units(seed, scale):
    "Milligrams or grams: the draws scale with the outcome."
    rng = np.random.default_rng(seed)
    estimate, free, block = rng.normal(size=6), np.arange(6) == 0, np.zeros(6, int)
    one = horseshoe_draws(estimate, np.eye(6)*.04, free, block, np.ones(1), 40, 20, seed)
    other = horseshoe_draws(estimate*scale, np.eye(6)*.04*scale**2, free, block, np.full(1, scale), 40, 20, seed)
    np.testing.assert_allclose(other, one*scale, rtol=1e-3, atol=1e-3*scale)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
@settings(max_examples=8, deadline=None)
def test_only_usable_arms_are_ranked(usable):
    draws = np.random.default_rng(0).normal([[0.], [1.], [2.]], .1, (3, 200))
    found = ranked(draws, np.array(usable))
    assert set(found.order) == {arm for arm in range(3) if usable[arm]} and (len(found.order) > 1 or not found.is_sure)


# -- nothing is guessed

@pytest.mark.parametrize('change, words', [({'marker': 'intermediate'}, 'never seen'), ({'age': 140}, 'outside the range'), ({'age': np.nan}, 'always known before')])
def test_outside_the_data_nothing_is_recommended(recommender, new, change, words):
    found = recommender.recommend(new.assign(**change).head(5))
    assert not found.table['recommended'].any() and words in found.sentence()
    assert '140' not in found.sentence() and 'intermediate' not in found.sentence(), 'a patient’s value must not be quoted'


def test_errors_quote_no_patient(frame):
    "A note with a secret in it stays out of every message."
    secret = frame.assign(narrative='SECRET NAME', age=['x']*len(frame))
    for call in (lambda: Recommender.fit(secret, 'response', 'arm', ['narrative', 'age'], probabilities='equal', event='responder'), lambda: Recommender.fit(secret, 'age', 'arm', ['bmi'], probabilities='equal')):
        with pytest.raises(DataError) as raised: call()
        assert 'SECRET' not in str(raised.value)


# -- kept and told

def test_a_saved_recommender_says_the_same_and_holds_no_patient(frame, new, tmp_path):
    "With a text, a harm, doses and rules: figures and words are the same after reloading, and no note is in the folder."
    fitted = Recommender.fit(frame.head(700), 'response', 'arm', COLUMNS, 'narrative', 'equal', event='responder', harm='event', guard=Guard.of(), doses={'paracetamol': (3, 'g/d')}, drugs={'active': 'paracetamol', 'placebo': None}, try_it=False)
    again = Recommender.load(fitted.save(tmp_path/'kept'))
    first, second = fitted.recommend(new.head(4)), again.recommend(new.head(4))
    pd.testing.assert_frame_equal(first.table, second.table)
    assert first.sentence('zh') == second.sentence('zh')
    kept = (tmp_path/'kept'/'recommender.json').read_text(encoding='utf-8')
    assert frame['narrative'].iloc[0][:30] not in kept and frame['subject'].iloc[0] not in kept


def test_the_embedded_backbone_reads_the_note(frame, new, tmp_path):
    "Frozen vectors in place of words; the backbone itself is not saved, and an empty note is a doubt."
    fitted = Recommender.fit(frame.head(48), 'response', 'arm', ['marker'], 'narrative', 'equal', event='responder', read='minilm', try_it=False)
    again = Recommender.load(fitted.save(tmp_path/'kept'))
    np.testing.assert_allclose(again.recommend(new.head(2)).table['net'], fitted.recommend(new.head(2)).table['net'], atol=1e-5)
    assert sum(file.stat().st_size for file in (tmp_path/'kept').iterdir()) < 2e6
    assert "'narrative' is empty" in again.recommend(new.head(1).assign(narrative='')).sentence()


def test_a_damaged_folder_is_refused(recommender, tmp_path):
    "One changed byte, a missing file, a version of the future."
    folder = recommender.save(tmp_path/'kept')
    told = folder/'recommender.json'
    told.write_text(told.read_text(encoding='utf-8').replace('"version": 1', '"version": 9'))
    with pytest.raises(RunError, match='has changed'): Recommender.load(folder)
    seal(folder)
    with pytest.raises(DataError, match='version'): Recommender.load(folder)
    told.unlink()
    with pytest.raises(DataError, match='holds no recommender'): Recommender.load(folder)


def test_every_number_told_stands_in_a_table(recommender, new):
    found = recommender.recommend(new.head(3))
    assert len(Narrative.of_analysis(found.estimates, 'Expected effects').verify()) == 0


# -- real reviews

def test_druglib_ranks_by_association_only(real_data):
    "Drugs for depression by their reviews: shrunken, with intervals, and never called an effect."
    reviews = pd.read_csv(real_data/'druglib'/'train.tsv', sep='\t', keep_default_na=False)
    with pytest.warns(TrialWarning, match='association only'): found = associations(reviews, 'Depression', 'urlDrugName', 'condition', 'rating')
    assert len(found.table) > 5 and (found.table['n'] >= 5).all() and found.table['estimate'].between(1, 10).all()
    assert found.table['estimate'].std() < found.table['raw_mean'].std()
    assert 'not an effect' in found.sentence() and '非疗效' in found.sentence('zh')
    with pytest.raises(DataError, match='No review'), warnings.catch_warnings(): associations(reviews, 'the plague of Athens', 'urlDrugName', 'condition', 'rating')
