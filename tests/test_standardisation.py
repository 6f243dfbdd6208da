"""clintrial.statistics.standardisation: golden values from R, what must hold whatever the data, odd data."""
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.statistics.analyses import Analysis, TrialWarning
from clintrial.statistics.continuous import ancova
from clintrial.statistics.standardisation import adjusted_rmst, procova, rmst_pseudo_values, standardisation
from clintrial.statistics.survival import rmst

GOLDEN = Path(__file__).parent/'golden'
patients, values = pd.read_csv(GOLDEN/'standardisation_data.csv'), pd.read_csv(GOLDEN/'standardisation.csv')


@pytest.mark.parametrize('function, arguments', values[['function', 'arguments']].drop_duplicates().to_numpy().tolist())
def test_golden(function, arguments):
    found = {'standardisation': standardisation, 'adjusted_rmst': adjusted_rmst}[function](patients, arm='arm', reference='control', **json.loads(arguments))
    for row in values[(values.function == function) & (values.arguments == arguments)].itertuples():
        path, index = row.name.rstrip(']').split('[')
        frame, column = path.split('.')
        ours = getattr(found, frame)[column].iloc[int(index)]
        assert abs(ours - row.value) <= row.tolerance*max(1, abs(row.value)), (row.name, ours, row.value, row.source)


def test_continuous_is_ancova():
    ours, theirs = standardisation(patients, 'change', 'arm', ['base', 'age'], reference='control', variance='ge').table, ancova(patients, 'change', 'arm', ['base', 'age'], reference='control').table
    assert np.allclose(ours[['estimate', 'se', 'p_value']], theirs[['estimate', 'se', 'p_value']])


def test_rmst_without_covariates_is_the_area():
    ours, theirs = adjusted_rmst(patients, 'time', 'died', 'arm', tau=18, reference='control'), rmst(patients, 'time', 'died', 'arm', tau=18, reference='control').table
    assert np.allclose(ours.means.estimate, theirs.estimate[:3]) and np.allclose(ours.means.se, theirs.se[:3], rtol=.03)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=2, max_size=30), st.floats(1, 12))
@settings(max_examples=60, deadline=None)
def test_pseudo_values_average_to_the_area(rows, tau):
    time, event = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    tau = min(tau, time.max())
    at = np.unique(time)
    survival = np.cumprod([1 - ((time == t) & (event > 0)).sum()/(time >= t).sum() for t in at])
    edges = np.minimum(np.concatenate([[0.], at, [tau]]), tau)
    area = (np.diff(edges)*np.concatenate([[1.], survival])).sum()
    assert np.isclose(rmst_pseudo_values(time, event, tau).mean(), area)


def test_a_useful_covariate_pays_and_noise_does_not_cost():
    draw = np.random.default_rng(3)
    frame = patients.assign(noise=draw.normal(size=len(patients)))
    assert standardisation(frame, 'change', 'arm', ['base', 'age'], reference='control').gain.variance_reduction.min() > .2
    assert abs(standardisation(frame, 'change', 'arm', ['noise'], reference='control').gain.variance_reduction).max() < .05
    found = procova(frame.assign(id=range(len(frame)), score=.5*frame.base + .2*frame.age), 'change', 'arm', 'score', trained_on=[-1], subject='id', reference='control')
    assert found.gain.effective_n.min() > 260 and found.assumptions.set_index('assumption').verdict['The model was learned on other data'] == 'holds'
    share = procova(frame.assign(p=1/(1 + np.exp(-.06*(frame.base - 50)))), 'hit', 'arm', 'p', reference='control')
    assert any('logit' in note for note in share.notes) and share.score['low'] < share.score['correlation'] < share.score['high']


@given(st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 1), st.integers(-2, 2), st.integers(1, 6)), min_size=2, max_size=40), st.sampled_from(['difference', 'ratio', 'odds ratio']))
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_odd_data_gives_numbers_or_named_reasons(rows, measure):
    frame = pd.DataFrame(rows, columns=['arm', 'hit', 'x', 'time'])
    for call in (lambda: standardisation(frame, 'hit', 'arm', ['x'], measure=measure), lambda: standardisation(frame, 'time', 'arm', ['x'], kind='count'), lambda: adjusted_rmst(frame, 'time', 'hit', 'arm', ['x']),
                 lambda: procova(frame, 'hit', 'arm', 'x')):
        with warnings.catch_warnings():
            warnings.simplefilter('error', RuntimeWarning)
            warnings.simplefilter('ignore', TrialWarning)
            try: found = call()
            except DataError: continue
        assert isinstance(found, Analysis) and found.sentence() and found.sentence('zh') and 'nan' not in found.sentence().lower()
        known = found.table.dropna(subset=['estimate', 'low', 'high'])
        assert ((known.low <= known.estimate + 1e-9) & (known.estimate <= known.high + 1e-9)).all()


def test_names_of_errors_and_warnings():
    with pytest.raises(DataError, match='no variance'): standardisation(patients, 'hit', 'arm', variance='HC9')
    with pytest.raises(DataError, match='no kind'): standardisation(patients, 'hit', 'arm', kind='ordinal')
    with pytest.raises(DataError, match='the same for all'): procova(patients.assign(score=1), 'hit', 'arm', 'score')
    with pytest.raises(DataError, match='trained on'): procova(patients.assign(id=range(240)), 'hit', 'arm', 'base', trained_on=[1], subject='id')
    with pytest.warns(TrialWarning, match='no events'): standardisation(patients.assign(hit=patients.hit*(patients.arm != 'control')), 'hit', 'arm', measure='ratio')
    with pytest.warns(TrialWarning, match='perfect separation'): standardisation(patients.assign(hit=(patients.base > 50).astype(int)), 'hit', 'arm', ['base'])
    with pytest.warns(TrialWarning, match='score too good'): procova(patients.assign(score=patients.change), 'change', 'arm', 'score')
    before = patients.copy()
    standardisation(patients, 'hit', 'arm', ['base'])
    pd.testing.assert_frame_equal(before, patients)
