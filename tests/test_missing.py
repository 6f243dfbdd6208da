"Missing values: what is observed is never touched, the same seed gives the same tables, counts add up, and pooling keeps its algebra."
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.missing import impute, last_observation_carried_forward, little_mcar_test, missing_pattern, pool
from clintrial.missing.extent import em_normal, is_monotone


@st.composite
def tables(draw, rows=(30, 60)):
    "A table of numbers, classes, flags and ordered grades in which some cells are missing."
    n, seed = draw(st.integers(*rows)), draw(st.integers(0, 10_000))
    rate = draw(st.floats(0, .4))
    rng = np.random.default_rng(seed)
    age = rng.normal(60, 9, n).round(1)
    frame = pd.DataFrame({
        'age': age, 'lab': (age / 10 + rng.normal(size=n)).round(2), 'visits': pd.array(rng.integers(0, 6, n), dtype='Int64'),
        'sex': rng.choice(['f', 'm'], n), 'marker': rng.choice(['low', 'middle', 'high'], n), 'smoker': pd.array(rng.random(n) < .4, dtype='boolean'),
        'grade': pd.Categorical(rng.choice(['mild', 'moderate', 'severe'], n), ['mild', 'moderate', 'severe'], ordered=True), 'arm': rng.choice(['placebo', 'active'], n),
        'note': [f'patient {i} was well' for i in range(n)]})
    for name in draw(st.lists(st.sampled_from(['lab', 'visits', 'sex', 'marker', 'smoker', 'grade']), unique=True)): frame[name] = frame[name].mask(rng.random(n) < rate)
    return frame.set_axis(rng.permutation(n) * 3)


@settings(max_examples=15, deadline=None)
@given(tables(), st.integers(0, 99))
def test_imputation_touches_only_what_is_missing(frame, seed):
    before, state = frame.copy(deep=True), np.random.get_state()[1].copy()
    found = impute(frame, m=2, seed=seed, iterations=2)
    for completed in found:
        assert completed.index.equals(before.index) and completed.dtypes.equals(before.dtypes)
        for name in before:
            seen = before[name].notna()
            assert completed.loc[seen, name].equals(before.loc[seen, name])
            assert completed[name].notna().all()
            assert set(completed[name]) <= set(before[name].dropna())   # matched or drawn from what occurs
    assert frame.equals(before) and (np.random.get_state()[1] == state).all()
    again = impute(frame, m=2, seed=seed, iterations=2)
    assert all(one.equals(other) for one, other in zip(found, again))


@settings(max_examples=40, deadline=None)
@given(tables())
def test_counts_of_missing_add_up(frame):
    found = missing_pattern(frame, by='arm')
    whole = found.table[found.table.arm == 'all'].set_index('column').missing
    assert whole.to_dict() == frame.drop(columns='arm').isna().sum().to_dict()
    assert found.table[found.table.arm != 'all'].groupby('column').missing.sum().to_dict() == whole.to_dict()
    assert found.patterns.n.sum() == len(frame) and ((found.table.low <= found.table.share) & (found.table.share <= found.table.high)).all()
    assert found.complete == frame.notna().all(axis=1).sum()


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8))
def test_monotone_means_nested(rows):
    missing = np.array(rows)
    sets = [frozenset(np.flatnonzero(row)) for row in missing.T]    # rows in which each column is missing
    assert is_monotone(missing) == all(one <= other or other <= one for one in sets for other in sets)


@given(st.integers(2, 30), st.integers(1, 4), st.integers(0, 10_000), st.floats(3, 500))
def test_pooling_keeps_its_algebra(m, terms, seed, df):
    rng = np.random.default_rng(seed)
    estimates, variances = rng.normal(size=(m, terms)), rng.gamma(2, size=(m, terms)) + .01
    table = pool(estimates, variances, df).table
    assert np.allclose(table.se**2, table.within_variance + (1 + 1/m) * table.between_variance)
    assert (table.df <= df + 1e-9).all() and (table.df > 0).all() and table.fmi.between(0, 1).all() and table['lambda'].between(0, 1).all()
    assert ((table.low < table.estimate) & (table.estimate < table.high)).all() and table.p_value.between(0, 1).all()
    moved = pool(estimates * -3 + 1, variances * 9, df).table            # units do not matter
    assert np.allclose(moved.estimate, 1 - 3 * table.estimate) and np.allclose(moved.se, 3 * table.se) and np.allclose(moved.df, table.df)
    shuffled = pool(estimates[::-1], variances[::-1], df).table
    assert np.allclose(shuffled.to_numpy(), table.to_numpy())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(.5, 100), st.floats(-50, 50))
def test_little_does_not_depend_on_units_or_order(seed, scale, offset):
    rng = np.random.default_rng(seed)
    values = rng.multivariate_normal([0, 0, 0], .5 + .5 * np.eye(3), 80)
    values[rng.random((80, 3)) < .2] = np.nan
    frame = pd.DataFrame(values, columns=list('abc')).dropna(how='all')
    first = little_mcar_test(frame)
    other = little_mcar_test((frame * scale + offset)[['c', 'a', 'b']].sample(frac=1, random_state=seed % 100))
    assert first.df == other.df and np.isclose(first.statistic, other.statistic, rtol=1e-4)


def test_em_without_missing_values_is_the_plain_estimate():
    values = np.random.default_rng(0).normal(size=(40, 3))
    mean, covariance, _ = em_normal(values)
    assert np.allclose(mean, values.mean(0)) and np.allclose(covariance, np.cov(values.T, ddof=0))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 4, 8, 24]), st.one_of(st.none(), st.integers(0, 9))), min_size=1, max_size=20, unique_by=lambda row: row[:2]))
def test_carried_values_are_the_last_before(rows):
    frame = pd.DataFrame(rows, columns=['who', 'week', 'score']).astype({'score': float})
    found = last_observation_carried_forward(frame, 'who', 'week', 'score', warn=False)
    known = {(who, week): score for who, week, score in rows if score is not None}
    for row in found.itertuples():
        before = [week for who, week in known if who == row.who and week <= row.week]
        assert np.isnan(row.score) if not before else row.score == known[row.who, max(before)]
        assert row.carried == (bool(before) and max(before) != row.week)


def test_a_message_shows_no_text_of_a_patient():
    frame = pd.DataFrame({'note': [f'Mrs Okafor number {i}' for i in range(30)], 'age': np.arange(30.)})
    with pytest.raises(DataError) as error: impute(frame, columns=('note', 'age'))
    assert 'Okafor' not in str(error.value)


def test_the_old_method_says_what_is_wrong_with_it():
    frame = pd.DataFrame({'who': [1, 1], 'week': [0, 8], 'score': [1., np.nan]})
    with pytest.warns(UserWarning, match='E9'): last_observation_carried_forward(frame, 'who', 'week', 'score')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        last_observation_carried_forward(frame, 'who', 'week', 'score', warn=False)


def test_the_pilot_study_is_carried_forward_to_the_record(real_data):
    adas = pd.read_csv(real_data/'cdisc_pilot'/'adam'/'adqsadas.csv.gz')
    total = adas[(adas.PARAMCD == 'ACTOT') & (adas.ANL01FL == 'Y')]
    made = last_observation_carried_forward(total[total.DTYPE.isna()], 'USUBJID', 'AVISIT', 'AVAL', warn=False)
    both = made.merge(total, on=['USUBJID', 'AVISIT'], how='inner')
    assert len(both) == len(total) and (both.AVAL_x == both.AVAL_y).all() and (both.carried == both.DTYPE.eq('LOCF')).all()
