"Groups, slices and perturbations: what must hold whatever the data."
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, confusion_matrix

from clintrial.dataset import TrialData
from clintrial.distance import TrainingDistance, training_distance
from clintrial.fairness import fairness, gap_rows, questions_of, ratios_of_question, shuffled_groups
from clintrial.loading import DataError
from clintrial.measures import gather
from clintrial.predictor import Predictor
from clintrial.reliance import error_slices, halves
from clintrial.resampling import gap_of, independent_difference, mean_estimate, share_estimate
from clintrial.robustness import PERTURBATIONS, NumberFormat, OtherTerms, quantities_of, robustness, said_of
from clintrial.simulate import simulate_trial
from clintrial.tasks import Binary, Regression

RESPONSE = Binary('response', classes=('no', 'yes'))
QUICK = dict(n_resamples=60, n_permutations=40)


def a_cohort(seed, n, groups):
    "Outcome, probability and group of n patients."
    draw = np.random.default_rng(seed)
    p = draw.random(n)
    return (draw.random(n) < p).astype(int), np.stack([1 - p, p], 1), pd.Series(draw.choice(list('abcd')[:groups], n), name='group')


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(40, 150), st.integers(2, 4))
def test_rates_are_those_of_sklearn(seed, n, groups):
    "Each group's rates are counted from its confusion matrix, and every interval holds its estimate."
    truth, distribution, group = a_cohort(seed, n, groups)
    found = fairness(RESPONSE, truth, distribution, group, smallest=5, **QUICK)
    for value, rows in found.table.groupby('value'):
        own, rate = (group == value).to_numpy(), rows.set_index('metric')['estimate']
        (tn, fp), (fn, tp) = confusion_matrix(truth[own], distribution[own, 1] > .5, labels=[0, 1])
        for name, top, bottom in [('selection rate', tp + fp, own.sum()), ('sensitivity', tp, tp + fn), ('false positive rate', fp, fp + tn), ('positive predictive value', tp, tp + fp), ('negative predictive value', tn, tn + fn)]:
            if bottom: assert rate[name] == pytest.approx(top/bottom)
            else: assert np.isnan(rate[name])
        assert rate['Brier score'] == pytest.approx(brier_score_loss(truth[own], distribution[own, 1]))
    known = found.table.dropna(subset=['low'])
    assert ((known['low'] <= known['estimate'] + 1e-12) & (known['estimate'] <= known['high'] + 1e-12)).all()
    gaps = found.gaps.dropna(subset=['low'])
    assert ((0 <= gaps['low']) & (gaps['low'] <= gaps['estimate']) & (gaps['estimate'] <= gaps['high'])).all()
    assert gaps['p_value'].between(0, 1).all() and (gaps['p_adjusted'] >= gaps['p_value'] - 1e-12).all()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_gaps_do_not_depend_on_names_or_order(seed):
    "Groups renamed and rows shuffled: the same rates and the same gaps."
    truth, distribution, group = a_cohort(seed, 80, 3)
    order = np.random.default_rng(seed).permutation(80)
    first = fairness(RESPONSE, truth, distribution, group, smallest=5, **QUICK)
    second = fairness(RESPONSE, truth[order], distribution[order], group[order].map({'a': 'z', 'b': 'y', 'c': 'x'}), smallest=5, **QUICK)
    np.testing.assert_allclose(first.gaps['estimate'], second.gaps['estimate'], equal_nan=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 60))
def test_shuffling_keeps_strata(seed, n):
    "Groups change places only within a stratum."
    draw = np.random.default_rng(seed)
    codes, within = draw.integers(0, 3, n), draw.integers(0, 2, n)
    mixed = shuffled_groups(codes, within, 7, draw)
    for row in mixed:
        for stratum in (0, 1): assert sorted(row[within == stratum]) == sorted(codes[within == stratum])


def test_permutation_p_values_are_uniform_where_groups_are_equal():
    "At 5 % no more than some 5 % of equal groups are called unequal."
    found = []
    for seed in range(60):
        truth, distribution, group = a_cohort(seed, 120, 2)
        questions = questions_of(gather(RESPONSE, truth, distribution), None, None)
        rows = gap_rows(ratios_of_question(questions[0]), questions, ['a', 'b'], [np.flatnonzero(group == name) for name in 'ab'], None, 5, .95, 60, 99, np.random.default_rng(seed))
        found.append(pd.DataFrame(rows).set_index('gap').loc[['equalised odds', 'demographic parity'], 'p_value'])
    share = (pd.DataFrame(found) <= .05).mean()
    assert (share <= .15).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=8), st.lists(st.floats(-5, 5), min_size=3, max_size=8))
def test_range_inequality(first, second):
    "The inequality on which the interval of a largest gap rests."
    n = min(len(first), len(second))
    one, other = (np.array(values[:n])[:, None] for values in (first, second))
    assert abs(gap_of(one) - gap_of(other)) <= gap_of(one - other) + 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.integers(31, 60), st.integers(0, 20), st.integers(21, 50))
def test_difference_is_antisymmetric(a, n, b, m):
    "Groups exchanged: the same interval, turned round."
    one, other = share_estimate(np.arange(n) < a, 'one'), share_estimate(np.arange(m) < b, 'other')
    gap, low, high, p = independent_difference(one, other)
    back = independent_difference(other, one)
    assert (gap, low, high, p) == pytest.approx((-back[0], -back[2], -back[1], back[3])) and low <= gap <= high


@pytest.fixture(scope='module')
def narratives():
    "Simulated notes."
    return simulate_trial(40, seed=5, length=80).frame['narrative'].tolist()


@settings(max_examples=25, deadline=None)
@given(place=st.integers(0, 39), seed=st.integers(0, 1000))
def test_perturbations_keep_what_a_note_says(narratives, place, seed):
    "Numbers keep value and unit, concepts stay the same, dropped sentences add nothing."
    text, draw = narratives[place], lambda: np.random.default_rng(seed)
    assert quantities_of(NumberFormat()(text, draw())) == quantities_of(text)
    assert said_of(OtherTerms()(text, draw())) == said_of(text)
    assert set(PERTURBATIONS['dropped sentences'](text, draw()).split()) <= set(text.split())
    for perturb in PERTURBATIONS.values(): assert perturb(text, draw()) == perturb(text, draw()) != ''


@pytest.fixture(scope='module')
def toy(tiny_backbone, tmp_path_factory):
    "A run of toy patients, its splits and its predictor."
    from conftest import toy_trial, toy_tuner
    run = toy_tuner(tiny_backbone, tmp_path_factory.mktemp('robust')/'run').fit()
    return Predictor(run), toy_trial().split(fractions=(.5, .2, .15, .15), seed=0)


def test_robustness_of_a_run(toy):
    "A real model: nothing changes where no text changes; distances and measures come with intervals."
    predictor, splits = toy
    data = TrialData(pd.concat([splits.test.frame, splits.validation.frame]), splits.test.schema)
    yardstick = training_distance(predictor, splits.train, splits.calibration)
    found = robustness(predictor, data, {'nothing': lambda text, generator: text, 'typing errors': PERTURBATIONS['typing errors'], 'all gone': lambda text, generator: 'Nothing.'}, yardstick, n_resamples=60, progress=False)
    rows = found.table.set_index('perturbation')
    assert rows.loc['nothing', 'changed'] == 0 and rows.loc['all gone', 'changed'] == len(data)
    assert rows.loc['all gone', 'difference'] <= 0
    assert len(found.distance) == 4 and found.unusual.table['p_value'].between(0, 1).all()
    assert found.sentence('en') and found.sentence('zh')
    same = yardstick.measure(splits.calibration).table['distance']
    np.testing.assert_allclose(same, yardstick.calibration, rtol=1e-4)


def test_halves_keep_patients_whole():
    "All rows of a patient fall into one half, in any order of rows."
    frame = pd.DataFrame({'x': range(200)})
    subjects = np.repeat(np.arange(50), 4)
    searched = halves(frame, subjects, 0)
    assert all(len(set(searched[subjects == subject])) == 1 for subject in range(50))


def test_faults():
    "What does not fit is refused with its reason."
    truth, distribution, group = a_cohort(0, 50, 2)
    with pytest.raises(DataError, match='no gap'): fairness(RESPONSE, truth, distribution, group, **QUICK).sentence(gap='honour')
    with pytest.raises(DataError, match='values'): fairness(RESPONSE, np.repeat(truth, 3), np.repeat(distribution, 3, 0), pd.Series(range(150)), **QUICK)
    with pytest.raises(DataError): error_slices(['a'], ['a', 'b'], pd.DataFrame({'x': [1]}))
    with pytest.raises(DataError): TrainingDistance.from_vectors(np.zeros((5, 2)), np.zeros((0, 2)))
    assert mean_estimate([np.nan], 'x').n == 0
    number = fairness(Regression('score'), np.arange(50.), np.stack([np.arange(50.), np.ones(50)], 1), group, smallest=5, **QUICK)
    assert number.gaps.set_index('gap').loc['mean absolute error', 'estimate'] == 0
