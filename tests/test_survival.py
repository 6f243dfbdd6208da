"""Survival rooms of clintrial.statistics: golden values from R, published trials, odd data, a second opinion from lifelines."""
import json
import os
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter

from clintrial.loading import DataError
from clintrial.statistics.analyses import Analysis, TrialWarning
from clintrial.statistics.competing import cumulative_incidence, fine_gray
from clintrial.statistics.hazards import cox
from clintrial.statistics.survival import kaplan_meier, log_rank, rmst

GOLDEN = Path(__file__).parent/'golden'
ROOMS = dict(kaplan_meier='survival', log_rank='survival', rmst='survival', cox='hazards', fine_gray='competing', cumulative_incidence='competing',
             andersen_gill='recurrent', mean_cumulative_function='recurrent', negative_binomial='recurrent', adjust='multiplicity')
DATA = Path(os.environ.get('CLINTRIAL_DATA') or Path(__file__).parents[2]/'shared'/'data')/'rct_ipd'
values = pd.read_csv(GOLDEN/'survival.csv')
patients, repeats = pd.read_csv(GOLDEN/'survival_data.csv'), pd.read_csv(GOLDEN/'recurrent_data.csv')


def called(function, arguments):
    "The analysis of one golden call."
    try: call = getattr(import_module(f'clintrial.statistics.{ROOMS[function]}'), function)
    except ModuleNotFoundError: pytest.skip(f'no room {ROOMS[function]}')
    if function == 'adjust': return call(arguments.pop('p_values'), **arguments)
    if ROOMS[function] == 'recurrent': return call(repeats, start='start', stop='stop', event='event', patient='id', **arguments)
    if function == 'fine_gray': return call(patients, 'time', 'status', 1, **arguments)
    return call(patients, 'time', 'status' if function == 'cumulative_incidence' else 'died', **arguments)


@pytest.mark.parametrize('function, arguments', values[['function', 'arguments']].drop_duplicates().to_numpy().tolist())
@pytest.mark.filterwarnings('ignore::clintrial.statistics.analyses.TrialWarning')
def test_golden(function, arguments):
    found = called(function, json.loads(arguments))
    for row in values[(values.function == function) & (values.arguments == arguments)].itertuples():
        path, index = row.name.rstrip(']').split('[')
        frame, column = path.split('.')
        ours = getattr(found, frame)[column].iloc[int(index)]
        if pd.isna(row.value): assert pd.isna(ours), row.name
        else: assert abs(ours - row.value) <= row.tolerance*max(1, abs(row.value)), (row.name, ours, row.value, row.source)


@pytest.mark.skipif(not DATA.is_dir(), reason='no CLINTRIAL_DATA')
def test_published_trials():
    breast, liver = pd.read_csv(DATA/'gbsg2.csv'), pd.read_csv(DATA/'pbc.csv').head(312)
    row = cox(breast, 'time', 'cens', ['age', 'menostat', 'tsize', 'tgrade', 'pnodes', 'progrec', 'estrec'], arm='horTh', reference='no')['horTh[yes]']
    assert [round(row.coefficient, 4), round(row.estimate, 4), round(row.p_value, 4)] == [-.3463, .7073, .0073]
    row = cox(liver, 'time', 'status', arm='trt', event_value=2, reference=2).table.iloc[0]
    assert [round(value, 2) for value in (row.estimate, row.low, row.high)] == [1.06, .75, 1.5]


@given(st.lists(st.tuples(st.sampled_from('ab'), st.integers(0, 6), st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_odd_data_gives_numbers_or_named_reasons(rows):
    frame = pd.DataFrame(rows, columns=['arm', 'time', 'event', 'score'])
    for call in (lambda: kaplan_meier(frame, 'time', 'event', 'arm', times=[1, 9]), lambda: log_rank(frame, 'time', 'event', 'arm'),
                 lambda: rmst(frame, 'time', 'event', 'arm'), lambda: cox(frame, 'time', 'event', ['score'], arm='arm'),
                 lambda: cumulative_incidence(frame.assign(event=frame.event*(1 + (frame.score > 0))), 'time', 'event', 1, 'arm')):
        with warnings.catch_warnings():
            warnings.simplefilter('error', RuntimeWarning)
            warnings.simplefilter('ignore', TrialWarning)
            try: found = call()
            except DataError: continue
        assert isinstance(found, Analysis) and found.sentence() and found.sentence('zh') and 'nan' not in found.sentence().lower()
        known = found.table.dropna(subset=['estimate', 'low', 'high'])
        assert ((known.low <= known.estimate + 1e-9) & (known.estimate <= known.high + 1e-9)).all()


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_cox_agrees_with_lifelines(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(dict(x=rng.normal(size=120), z=rng.integers(0, 2, 120), time=np.ceil(rng.exponential(12, 120)), event=rng.integers(0, 3, 120) > 0))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ours, theirs = cox(frame, 'time', 'event', ['x', 'z']), CoxPHFitter().fit(frame, 'time', 'event', fit_options=dict(precision=1e-12))
    assert np.allclose(ours.table.coefficient, theirs.params_, atol=1e-6) and np.allclose(ours.table.se, theirs.standard_errors_, atol=1e-6)


def test_names_of_warnings_and_errors():
    with pytest.warns(TrialWarning, match='no events'): cox(patients.assign(died=patients.died*(patients.arm == 'drug')), 'time', 'died', arm='arm')
    with pytest.warns(TrialWarning, match='empty stratum'): log_rank(patients.assign(died=patients.died*(patients.site != 'c')), 'time', 'died', 'arm', strata='site')
    with pytest.raises(DataError, match='below 0'): cox(patients.assign(time=-patients.time), 'time', 'died', arm='arm')
    with pytest.raises(DataError, match='holds no event'): log_rank(patients.assign(died=0), 'time', 'died', 'arm')
    before = patients.copy()
    fine_gray(patients, 'time', 'status', 1, arm='arm')
    pd.testing.assert_frame_equal(before, patients)
