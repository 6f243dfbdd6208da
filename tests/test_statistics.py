"The statistics rooms against R, published tables and the CDISC pilot study, and what holds for every analysis."
import csv
import inspect
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial import statistics
from clintrial.loading import DataError, read
from clintrial.statistics import (TrialWarning, ae_table, ancova, baseline_table, chi_square, cmh_test, dose_response, fisher, fisher_exact_p, logistic, miettinen_nurminen, mmrm, newcombe, nnt, odds_ratio, ordinal,
                                  risk_difference, risk_ratio, t_test)
from clintrial.statistics.analyses import ASSUMPTION_COLUMNS
from clintrial.statistics.longitudinal import STRUCTURES

GOLDEN = Path(__file__).parent/'golden'
DOSES = ['Placebo', 'Xanomeline Low Dose', 'Xanomeline High Dose']


# -- golden values

def golden(*names):
    "Rows of the committed tables."
    for name in names:
        with (GOLDEN/name).open(encoding='utf-8', newline='') as file:
            for number, row in enumerate(csv.DictReader(file)): yield pytest.param(row, id=f"{name.removesuffix('.csv')}-{number}-{row['function']}")


def frames():
    "The made-up trial: a row a visit, a row a patient, the last visit."
    long = pd.read_csv(GOLDEN/'statistics_trial.csv')
    last = long[long.visit == 4]
    return dict(long=long, last=last, patients=long.drop_duplicates('patient'), high=last[last.arm != 'Low'])


def spread_out(counts, stratum=None):
    "One row a patient from counts, arms by levels; the first arm is 'a'."
    return [(name, level, stratum) for name, row in zip('abcdefg', counts) for level, n in enumerate(row) for _ in range(n)]


def called(function: str, arguments: str, known={}):
    "The function's answer, worked out once for each set of arguments."
    if (function, arguments) not in known:
        given = json.loads(arguments)
        if 'counts' in given: given |= dict(frame=pd.DataFrame(spread_out(given.pop('counts')), columns=['arm', 'outcome', 'stratum']), arm='arm', outcome='outcome', reference='a')
        elif 'tables' in given: given |= dict(frame=pd.DataFrame([row for place, counts in enumerate(given.pop('tables')) for row in spread_out(counts, place)], columns=['arm', 'outcome', 'stratum']), arm='arm', outcome='outcome', strata='stratum', reference='a')
        elif 'frame' in given: given['frame'] = frames()[given['frame']]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', TrialWarning)
            known[function, arguments] = getattr(statistics, function)(**given)
    return known[function, arguments]


def picked(answer, name: str):
    "`table:High - Placebo:se`, `means:High,4:estimate`, `fit:log_likelihood`, `0`."
    if isinstance(answer, tuple): return float(answer[int(name)])
    where, *rest = name.rsplit(':', 1) if name.count(':') < 2 else (name.split(':', 1)[0], *name.split(':', 1)[1].rsplit(':', 1))
    part = getattr(answer, where)
    if not rest: return float(part)
    if isinstance(part, dict): return float(part[rest[0]])
    key, column = rest
    labels = part['alternative'] if 'alternative' in part else part['term'] if 'term' in part else part['arm'].astype(str) + (',' + part['visit'].astype(str) if 'visit' in part else '')
    return float(part.loc[labels == key, column].iloc[0])


@pytest.mark.parametrize('row', list(golden('statistics.csv', 'statistics_published.csv')))
def test_golden(row):
    "A value of R or of a published table."
    answer = called(row['function'], row['arguments'])
    value, wanted = picked(answer, row['name']), float(row['value'])
    if wanted in (float('inf'), float('-inf')): assert value == wanted
    else: assert abs(value - wanted) <= float(row['tolerance'])*max(1., abs(wanted)), f"{value} is not {wanted}: {row['source']}"


# -- the CDISC pilot study, to the printed digit; the rooms' notebooks compare every cell

@pytest.fixture(scope='module')
def pilot(real_data):
    "ADaM files of the pilot study."
    folder = real_data/'cdisc_pilot'
    if not folder.is_dir(): pytest.skip('no CLINTRIAL_DATA')
    frames_ = {name: read(folder/'adam'/file) for name, file in (('adsl', 'adsl.xpt'), ('adae', 'adae.xpt'), ('adqs', 'adqsadas.csv.gz'))}
    return folder, {name: getattr(frame, 'frame', frame) for name, frame in frames_.items()}


def test_pilot_adverse_events(pilot):
    "Table 14-5.01, every cell."
    folder, data = pilot
    ours = ae_table(data['adae'].query("TRTEMFL == 'Y'"), data['adsl'].query("SAFFL == 'Y'"), 'TRT01A', arms=DOSES, sort=DOSES[2]).printed(lowest=0).drop(columns=[('', 'level')])
    with (folder/'expected'/'table_14_5_01.csv').open(newline='') as file: published = list(csv.reader(file))[2:]
    assert [[str(cell).strip() for cell in row] for row in ours.to_numpy()] == [[cell.strip() for cell in row] for row in published]


def test_pilot_primary(pilot):
    "Table 14-3.01: differences, standard errors, intervals, p values."
    _, data = pilot
    week24 = data['adqs'].query("PARAMCD == 'ACTOT' and AVISIT == 'Week 24' and EFFFL == 'Y' and ITTFL == 'Y' and ANL01FL == 'Y'")
    week24 = week24.assign(TRTP=pd.Categorical(week24.TRTP, DOSES))
    found = ancova(week24, 'CHG', 'TRTP', ['BASE'], factors=['SITEGR1'], pairs='all').table.set_index('term')
    assert found.p_value.round(3).tolist() == [.569, .233, .520]
    assert found.estimate.round(1).tolist() == [-.5, -1., -.5] and found.se.round(2).tolist() == [.82, .84, .84]
    assert round(dose_response(week24, 'CHG', 'TRTPN', ['BASE'], factors=['SITEGR1']).table.p_value[0], 3) == .245


def test_pilot_repeated_measures(pilot):
    "R 4.2.2, lme4 1.1.31 + pbkrtest 0.5.2, and nlme 3.1.162: lmer/gls(CHG ~ TRTP*AVISIT + SITEGR1 + BASE*AVISIT) on the observed cases."
    _, data = pilot
    seen = data['adqs'].query("PARAMCD == 'ACTOT' and EFFFL == 'Y' and ANL01FL == 'Y' and AVISITN > 0 and DTYPE.isna()")
    how = dict(outcome='CHG', arm='TRTP', visit='AVISIT', subject='USUBJID', by_visit=['BASE'], factors=['SITEGR1'], reference='Placebo')
    symmetric = mmrm(seen, covariance='compound symmetry', **how)['Xanomeline High Dose - Placebo at Week 24']
    np.testing.assert_allclose(symmetric[['estimate', 'se', 'df', 'p_value']].astype(float), [-.74287368864578, .93645660570475, 470.98962404366, .42801328201465], rtol=1e-6)
    assert mmrm(seen, covariance='heterogeneous AR(1)', **how).fit['log_likelihood'] == pytest.approx(-1553.5886878655, abs=1e-6)
    assert mmrm(seen, **how).fit['observations'] == 539


def test_pilot_demographics(pilot):
    "P values of table 14-2.01."
    _, data = pilot
    names = ['AGE', 'SEX', 'MMSETOT', 'DURDIS', 'EDUCLVL', 'WEIGHTBL', 'HEIGHTBL', 'BMIBL', 'AGEGR1', 'BMIBLGR1']
    table = baseline_table(data['adsl'], 'TRT01P', names, arms=DOSES, tests='standard').table.drop_duplicates('variable')
    assert table.p_value.round(4).tolist() == [.5934, .1409, .5947, .1530, .3875, .0030, .1262, .0133, .1439, .2326]


# -- what holds for every analysis

def every_analysis():
    "One of each, on the made-up trial."
    data = frames()
    long, last, patients, high = (data[name] for name in ('long', 'last', 'patients', 'high'))
    events = pd.DataFrame(dict(patient=[1, 1, 2, 3, 6], soc=['Skin', 'Skin', 'Eye', 'Skin', 'Eye'], pt=['Rash', 'Itch', 'Dry', 'Rash', 'Dry']))
    how = dict(reference='Placebo')
    return {'ancova': lambda: ancova(last, 'change', 'arm', ['base', 'site'], **how), 'dose_response': lambda: dose_response(last, 'change', 'dose'), 't_test': lambda: t_test(high, 'change', 'arm', **how),
            'mmrm': lambda: mmrm(long, 'change', 'arm', 'visit', 'patient', ['base'], **how), 'logistic': lambda: logistic(patients, 'response', 'arm', ['age'], **how), 'ordinal': lambda: ordinal(patients, 'grade', 'arm', ['age'], **how),
            'risk_difference': lambda: risk_difference(patients, 'arm', 'response', **how), 'risk_ratio': lambda: risk_ratio(patients, 'arm', 'response', **how), 'odds_ratio': lambda: odds_ratio(patients, 'arm', 'response', **how),
            'nnt': lambda: nnt(patients, 'arm', 'response', **how), 'fisher': lambda: fisher(patients, 'arm', 'response', **how), 'chi_square': lambda: chi_square(patients, 'arm', 'response', **how),
            'cmh_test': lambda: cmh_test(patients, 'arm', 'response', 'site', **how), 'baseline_table': lambda: baseline_table(patients, 'arm', ['age', 'sex'], **how), 'ae_table': lambda: ae_table(events, patients, 'arm', 'patient', 'soc', 'pt', **how)}


@pytest.mark.parametrize('name', list(every_analysis()))
@pytest.mark.filterwarnings('ignore::clintrial.statistics.analyses.TrialWarning')
def test_every_analysis_is_whole(name):
    "Estimate, interval, p value, estimand, assumptions, chart frame, and a sentence in both languages."
    found = every_analysis()[name]()
    assert {'term', 'estimate', 'low', 'high', 'p_value'} <= set(found.table)
    inside = found.table.dropna(subset=['estimate', 'low', 'high'])
    assert ((inside.low <= inside.estimate) & (inside.estimate <= inside.high)).all()
    assert list(found.assumptions) == ASSUMPTION_COLUMNS and len(found.assumptions) and set(found.assumptions.verdict) <= {'holds', 'in doubt', 'not checked'}
    assert {'label', 'estimate', 'low', 'high'} <= set(found.chart_frame)
    assert found.sentence() and found.sentence('zh') != found.sentence() and any('一' <= letter <= '鿿' for letter in found.sentence('zh'))
    assert 'population' in found.estimand.sentence() and '人群' in found.estimand.sentence('zh')
    assert found.source and found.name in repr(found) and '<table' in found._repr_html_()


@pytest.mark.filterwarnings('ignore::clintrial.statistics.analyses.TrialWarning')
def test_frames_are_never_changed():
    "The caller's frame stays as it was."
    data = frames()['long']
    before = data.copy()
    mmrm(data, 'change', 'arm', 'visit', 'patient', ['base'])
    ancova(data, 'change', 'arm', ['base'])
    pd.testing.assert_frame_equal(data, before)


def test_import_is_light():
    "The package itself imports none of these rooms."
    import subprocess
    import sys
    code = "import sys, clintrial; assert 'clintrial.statistics' not in sys.modules; import clintrial.statistics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, '-c', code], check=True)


counts_of_two = st.tuples(*[st.integers(0, 12)]*4).filter(lambda t: t[0] + t[1] > 0 and t[2] + t[3] > 0)


@given(counts_of_two)
@settings(max_examples=60, deadline=None)
def test_intervals_hold_the_estimate_and_swap_with_the_arms(four):
    "Newcombe and Miettinen-Nurminen: inside the possible, around the estimate, mirrored when arms are exchanged."
    a, b, c, d = four
    for interval in (newcombe, miettinen_nurminen):
        low, high = interval(a, a + b, c, c + d)
        assert -1 <= low <= a/(a + b) - c/(c + d) + 1e-9 and a/(a + b) - c/(c + d) - 1e-9 <= high <= 1
        np.testing.assert_allclose(interval(c, c + d, a, a + b), (-high, -low), atol=1e-7)
    low, high = miettinen_nurminen(a, a + b, c, c + d, 'odds ratio')
    assert 0 <= low <= high
    if a*d and b*c: assert low <= a*d/(b*c)*(1 + 1e-9) and high >= a*d/(b*c)*(1 - 1e-9)


@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=2, max_size=3))
@settings(max_examples=40, deadline=None)
def test_fisher_by_listing_all_tables(rows):
    "The network gives what listing every table with the same margins gives."
    from itertools import product
    from math import exp, lgamma
    counts = np.array(rows)
    total, across = counts.sum(1), counts.sum(0)

    def logs(values): return sum(lgamma(value + 1) for value in values)

    def probability(table): return exp(logs([*total, *across]) - logs([counts.sum(), *table.ravel()]))

    first_rows = [[row for row in product(range(n + 1), repeat=3) if sum(row) == n] for n in total[:-1]]
    seen, p = probability(counts), 0.
    for chosen in product(*first_rows):
        last = across - np.sum(chosen, axis=0)
        if last.min() >= 0:
            found = probability(np.vstack([chosen, last]))
            p += found if found <= seen*(1 + 1e-7) else 0.
    assert fisher_exact_p(counts) == pytest.approx(min(1., p), abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_repeated_measures_do_not_depend_on_the_order_of_rows_or_on_the_origin(seed):
    "Shuffled rows and a constant added to the outcome change nothing but the means."
    data = frames()['long']
    first = mmrm(data, 'change', 'arm', 'visit', 'patient', ['base'], reference='Placebo', df='satterthwaite')
    moved = mmrm(data.sample(frac=1, random_state=seed).assign(change=lambda rows: rows.change + 100), 'change', 'arm', 'visit', 'patient', ['base'], reference='Placebo', df='satterthwaite')
    np.testing.assert_allclose(moved.table[['estimate', 'se', 'df']].astype(float), first.table[['estimate', 'se', 'df']].astype(float), rtol=1e-6)
    np.testing.assert_allclose(moved.means.estimate, first.means.estimate + 100, rtol=1e-7)


@pytest.mark.parametrize('name', list(STRUCTURES))
def test_no_structure_beats_the_unstructured(name):
    "Every structure is a special case."
    data = frames()['long']
    values = [mmrm(data, 'change', 'arm', 'visit', 'patient', ['base'], covariance=one, reference='Placebo').fit['log_likelihood'] for one in (name, 'unstructured')]
    assert values[0] <= values[1] + 1e-8


# -- bad input: a name, and what to do

def test_separation_zero_cells_and_ties_are_named():
    "Never a silent number."
    trial = pd.DataFrame(dict(arm=['A']*10 + ['B']*10, died=[0]*10 + [1]*4 + [0]*6, marker=[0.]*10 + [1.]*4 + [0.]*6, score=[1.]*20))
    cases = [(lambda: odds_ratio(trial, 'arm', 'died'), 'no events'), (lambda: fisher(trial, 'arm', 'died'), 'zero cell'), (lambda: logistic(trial, 'died', 'arm', ['marker']), 'perfect separation'),
             (lambda: t_test(trial, 'score', 'arm'), 'no variation'), (lambda: chi_square(trial, 'arm', 'died'), 'small expected counts')]
    for run, name in cases:
        with pytest.warns(TrialWarning) as caught: found = run()
        assert name in [one.message.name for one in caught if isinstance(one.message, TrialWarning)]
        assert any(words.startswith(name) for words in found.warnings) and all(one.message.remedy for one in caught if isinstance(one.message, TrialWarning))


@pytest.mark.parametrize('name', list(every_analysis()))
def test_misspelt_columns_are_named(name):
    "A column that is not there is an error with its name."
    function = getattr(statistics, name)
    needed = [one for one, parameter in inspect.signature(function).parameters.items() if parameter.default is inspect.Parameter.empty]
    frame = frames()['last']
    given = {one: frame if one in ('frame', 'events', 'population') else ['nowhere'] if one == 'variables' else 'nowhere' for one in needed}
    with pytest.raises(DataError, match="no column '(nowhere|USUBJID)'"): function(**given)
