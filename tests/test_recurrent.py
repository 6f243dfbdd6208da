"""clintrial.statistics.recurrent: golden values from R on the bladder cancer trial, odd data, what must not matter."""
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.statistics import recurrent
from clintrial.statistics.analyses import Analysis, TrialWarning
from clintrial.statistics.hazards import cox
from clintrial.statistics.recurrent import andersen_gill, mean_cumulative_function, negative_binomial

GOLDEN = Path(__file__).parent/'golden'
bladder, values = pd.read_csv(GOLDEN/'bladder_data.csv'), pd.read_csv(GOLDEN/'recurrent.csv')
ROLES = dict(start='start', stop='stop', event='event', patient='id')


@pytest.mark.parametrize('function, arguments', values[['function', 'arguments']].drop_duplicates().to_numpy().tolist())
@pytest.mark.filterwarnings('ignore::clintrial.statistics.analyses.TrialWarning')
def test_golden(function, arguments):
    found = getattr(recurrent, function)(bladder, **ROLES, **json.loads(arguments))
    for row in values[(values.function == function) & (values.arguments == arguments)].itertuples():
        path, _, index = row.name.rstrip(']').partition('[')
        ours = found
        for name in path.split('.'): ours = ours[name] if isinstance(ours, pd.DataFrame) else getattr(ours, name)
        ours = ours if not index else ours[int(index)] if isinstance(ours, tuple) else ours.iloc[int(index)]
        assert abs(ours - row.value) <= row.tolerance*max(1, abs(row.value)), (row.name, ours, row.value, row.source)


def test_published():
    "Therneau & Grambsch 2000: thiotepa −0.465, standard error 0.200, robust 0.266."
    row = andersen_gill(bladder, **ROLES, arm='arm', covariates=['number', 'size']).table.iloc[0]
    assert [round(value, 3) for value in (row.coefficient, row.model_se, row.se)] == [-.465, .2, .266]


def test_one_event_each_is_cox():
    first = bladder[bladder.enum == 1]
    ours, theirs = andersen_gill(first, **ROLES, arm='arm').table, cox(first, 'stop', 'event', arm='arm', robust=True).table
    assert np.allclose(ours[['coefficient', 'se']], theirs[['coefficient', 'se']])


def test_splitting_an_interval_changes_nothing():
    "A row cut in two without an event is the same follow-up."
    long = bladder[bladder.stop - bladder.start > 1]
    middle = (long.start + long.stop)//2
    cut = pd.concat([bladder.drop(long.index), long.assign(stop=middle, event=0), long.assign(start=middle)])
    cut = cut[cut.stop > cut.start]
    for call in (andersen_gill, mean_cumulative_function, negative_binomial):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', TrialWarning)
            one, two = (call(frame.sample(frac=1, random_state=1), **ROLES, arm='arm').table for frame in (bladder, cut))
        assert np.allclose(one[['estimate', 'low', 'high']], two[['estimate', 'low', 'high']], atol=1e-7), call


def test_death_ends_the_events():
    "Ghosh & Lin's mean is never above Nelson's, and equal to it without deaths."
    last = bladder.groupby('id').stop.transform('max') == bladder.stop
    died = bladder.assign(died=(last & (bladder.id % 3 == 0) & (bladder.event == 0)).astype(int))
    plain, ghosh, none = (mean_cumulative_function(died.assign(none=0), **ROLES, arm='arm', terminal=terminal).table for terminal in (None, 'died', 'none'))
    assert (ghosh.estimate[:2] < plain.estimate[:2]).all() and np.allclose(none.estimate, plain.estimate)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 5), st.integers(0, 1)), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_odd_data_gives_numbers_or_named_reasons(rows):
    frame = pd.DataFrame(rows, columns=['id', 'length', 'event'])
    frame['stop'] = frame.groupby('id').length.cumsum()
    frame = frame.assign(start=frame.stop - frame.length, arm=np.where(frame.id % 2, 'a', 'b'))
    for call in (andersen_gill, mean_cumulative_function, negative_binomial):
        with warnings.catch_warnings():
            warnings.simplefilter('error', RuntimeWarning)
            warnings.simplefilter('ignore', TrialWarning)
            try: found = call(frame, **ROLES, arm='arm')
            except DataError: continue
        assert isinstance(found, Analysis) and found.sentence() and found.sentence('zh') and 'nan' not in found.sentence().lower()
        known = found.table.dropna(subset=['estimate', 'low', 'high'])
        assert ((known.low <= known.estimate + 1e-9) & (known.estimate <= known.high + 1e-9)).all()


def test_names_of_errors_and_warnings():
    with pytest.raises(DataError, match="has ended"): andersen_gill(bladder.assign(start=0), **ROLES, arm='arm')
    with pytest.raises(DataError, match='in two arms'): negative_binomial(bladder.assign(arm=np.where(bladder.enum > 1, 'x', 'y')), **ROLES, arm='arm')
    with pytest.raises(DataError, match='has begun'): mean_cumulative_function(bladder.assign(stop=bladder.start), **ROLES)
    with pytest.raises(DataError, match='below 0'): mean_cumulative_function(bladder.assign(stop=-1.), **ROLES)
    with pytest.warns(TrialWarning, match='independent events'): andersen_gill(bladder, **ROLES, arm='arm', robust=False)
    with pytest.warns(TrialWarning, match='no events'): negative_binomial(bladder.assign(event=bladder.event*(bladder.arm == 'placebo')), **ROLES, arm='arm')
