"Patients and trials: rules agree with arithmetic in any unit, scores with simulation, real records and notes are read, and no note's words leak."
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.matching.cases import simulate_cases
from clintrial.matching.facts import note_facts
from clintrial.matching.limits import decide, in_one_unit
from clintrial.matching.scoring import by_majority, folds_of, targets_of
from clintrial.matching.search import BM25, fused
from clintrial.matching.trials import attrition, criteria_of, poisson_binomial, scored, trial_score, trials_of

SOME = settings(max_examples=25, deadline=None)


@SOME
@given(st.integers(0, 120), st.integers(1, 110), st.sampled_from(['≥', '>', '≤', '<']))
def test_an_age_is_compared_as_arithmetic_compares_it(age, limit, sign):
    "Whoever trusts one verdict trusts this one: an age against a limit, as demand and as bar."
    holds = {'≥': age >= limit, '>': age > limit, '≤': age <= limit, '<': age < limit}[sign]
    note = f'A {age}-year-old man is seen.'
    assert decide(f'Age {sign} {limit} years', note, 'inclusion').verdict == ('eligible' if holds else 'not')
    assert decide(f'Age {sign} {limit} years', note, 'exclusion').verdict == ('not' if holds else 'eligible')


@SOME
@given(st.floats(4, 19), st.integers(5, 18))
def test_a_verdict_does_not_hang_on_the_unit(value, limit):
    "The same haemoglobin in g/dL and g/L meets the same limit, whichever unit the limit has."
    value = round(value, 1)
    verdicts = {decide(criterion, f'A man, {note}.', 'inclusion').verdict for note in (f'hemoglobin {value} g/dL', f'hemoglobin {10*value:.0f} g/L') for criterion in (f'Hemoglobin ≥ {limit} g/dL', f'Hemoglobin ≥ {10*limit} g/L')}
    assert verdicts == {'eligible' if value >= limit else 'not'}


def test_an_unknown_unit_is_never_guessed():
    "No verdict from numbers whose units cannot be brought together."
    for unit in ('mg/kg', '{ULN}', 'furlongs', None): assert in_one_unit('creatinine', 2., unit) is None
    for note in ('A man, creatinine 1.4.', 'A man, creatinine 1.4 mg/kg.'):
        found = decide('Creatinine ≤ 2 mg/dL', note, 'inclusion')
        assert found.verdict == 'unknown' and found.reason == 'units of note and criterion do not fit'


@SOME
@given(st.text(max_size=300))
def test_any_text_is_a_note(text):
    "Whatever is pasted: facts whose places lie in the text, or a warning; never an error."
    facts = note_facts(text)
    assert all(0 <= start < end <= len(text) for start, end in zip(facts.table['start'], facts.table['end']))
    assert facts.table['sentence'].between(0, max(len(facts.sentences) - 1, 0)).all()
    assert len(facts.table) or any('no fact' in warning for warning in facts.warnings)


def test_an_error_holds_no_word_of_a_note():
    "A refusal names the column and the row, and not what a patient's note says."
    from clintrial.matching.pairs import checked_pairs
    pairs = pd.DataFrame({'patient': ['a', 'b'], 'note': ['secretword', 'secretword'], 'criterion': ['Age > 18', ' '], 'kind': 'inclusion'})
    with pytest.raises(DataError) as caught: checked_pairs(pairs)
    assert 'secretword' not in str(caught.value) and 'row 1' in str(caught.value)
    assert 'secretword' not in repr(note_facts('secretword')) + note_facts('secretword').sentence()


@SOME
@given(st.lists(st.tuples(st.floats(.01, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_a_trial_score_is_a_share_within_its_interval(weights):
    "Between 0 and 1, between its limits or beside them, and no larger than the chance that nothing is failed."
    p = np.array(weights)/np.sum(weights, axis=1, keepdims=True)
    score, low, high, possible = trial_score(pd.DataFrame(p, columns=['p_eligible', 'p_not', 'p_unknown']))
    assert 0 <= low <= high <= 1 and 0 <= score <= possible + 1e-4 <= 1.001
    assert abs(poisson_binomial(p[:, 0]).sum() - 1) < 1e-9


def test_rules_agree_with_the_simulated_truth():
    "Ages, laboratory limits, time windows: where a rule decides it is right, and the simulation asks enough of them."
    cases = simulate_cases(12, 6, seed=21)
    found = [(decide(row.criterion, row.note, row.kind), row.verdict) for row in cases.pairs.itertuples()]
    ruled = [(rule.verdict, truth) for rule, truth in found if rule.decided]
    assert len(ruled) > .3*len(found) and all(said == truth for said, truth in ruled)


def test_patients_never_stand_on_both_sides():
    "Folds are of patients, and a majority is learned from the others."
    patients = np.repeat(list('abcdef'), 5)
    for train, test in folds_of(patients, 4, 0): assert not set(patients[train]) & set(patients[test])
    assert by_majority(np.array(['inclusion']*4), np.array([0, 0, 2, 1]), np.arange(3), np.array([3])).argmax() == 0
    with pytest.raises(DataError, match="Column 'verdict', row 0"): targets_of(pd.DataFrame({'verdict': ['not applicable']}))


def test_attrition_adds_up():
    "Nobody is lost twice, and who is left meets no bar."
    cases = simulate_cases(30, 1, seed=4)
    judged = cases.pairs.assign(p_eligible=.3, p_not=.3, p_unknown=.4, by='rule', abstain=False)
    found = attrition(judged)
    barred = judged[judged['verdict'] == 'not'].groupby('patient').size()
    assert found.table['left'].iloc[-1] == 30 - len(barred) and found.table['alone'].sum() == (barred == 1).sum()
    assert (found.table['low'] <= found.table['share']).all() and (found.table['share'] <= found.table['high']).all()
    assert found.verdicts.sum() == len(scored(judged)) == 30


def test_fusion_keeps_what_both_like():
    "A text that both ways rank first stays first; BM25 finds the rare word."
    assert fused(np.array([9., 5., 1.]), np.array([2., 1., 0.])).argmax() == 0
    assert BM25(['common common', 'common rare', 'common']).scores('rare common').argmax() == 1


def test_registry_records_become_criteria(real_data: Path):
    "Real records, both formats: criteria of both kinds, none empty, ages from the fields."
    trials = trials_of(real_data/'ctgov_records')
    tables = [criteria_of(row) for row in trials.to_dict('records')]
    assert len(tables) == 10 and all(len(table) for table in tables)
    everything = pd.concat(tables)
    assert set(everything['kind']) == {'inclusion', 'exclusion'} and everything['criterion'].str.strip().ne('').all()
    assert (everything['source'] == 'field').any()


def test_rules_on_judged_notes(real_data: Path):
    "Where the rules say met or failed, the experts of TrialGPT agree in nine of ten and more; sentences are numbered as in the notes."
    frame = pd.read_csv(real_data/'trialgpt_criteria'/'dev.csv')
    frame = frame[frame['expert_eligibility'] != 'not applicable']
    truth = frame['expert_eligibility'].map({'included': 'eligible', 'not excluded': 'eligible', 'not included': 'not', 'excluded': 'not', 'not enough information': 'unknown'})
    rules = [decide(row.criterion_text, row.note, row.criterion_type) for row in frame.itertuples()]
    right = [said.verdict == true for said, true in zip(rules, truth) if said.decided and said.verdict != 'unknown']
    assert len(right) >= 50 and np.mean(right) >= .9
    first = note_facts(frame['note'].iloc[0])
    assert len(first.sentences) == frame['note'].iloc[0].count('\n') + 1
