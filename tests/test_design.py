"The design rooms against published tables and R, and what holds for every design."
import csv
import importlib
import json
import math
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.design import (
    BOIN, CRM, ThreePlusThree, conditional_power, crossing, eligibility_tradeoff, final_analysis, group_sequential, monitor_one_arm, power_means, power_proportions,
    predictive_probability, sample_size_means,
    sample_size_proportions, sample_size_survival, simulate_doses, simulate_survival)
from clintrial.design.dose_finding import isotonic
from clintrial.design.interim import success_from
from clintrial.loading import DataError

GOLDEN = Path(__file__).parent/'golden'
ROOMS = ('boundaries', 'estimation', 'interim', 'sample_size')
ASKED = {   # what the tables ask for under a name of its own
    'crm': lambda skeleton, target, n, toxic: CRM(tuple(skeleton), target).chances([n], [toxic])[0],
    'boin_limits': lambda target: BOIN(target).limits,
    'first_stop': lambda **how: monitor_one_arm(**how).table.drop_duplicates('stop_at_most').set_index('stop_at_most')['patients'].to_dict()}


def golden(*names):
    "Rows of the committed tables."
    for name in names:
        with (GOLDEN/name).open(encoding='utf-8', newline='') as file:
            for number, row in enumerate(csv.DictReader(file)): yield pytest.param(row, id=f"{name.removesuffix('.csv')}-{number}-{row['function']}-{row['name']}")


def called(function: str, arguments: str, known={}):
    "The function's answer, worked out once for each set of arguments."
    if (function, arguments) not in known:
        rooms = [importlib.import_module(f'clintrial.design.{name}') for name in ROOMS]
        answer = ASKED.get(function) or next(getattr(room, function) for room in rooms if function in room.__all__)
        given = json.loads(arguments)
        if 'design' in given: given['design'] = group_sequential(**given['design'])
        known[function, arguments] = answer(**given)
    return known[function, arguments]


def picked(answer, name: str):
    "`total`, `upper[2]`, `table.power[1]`, or the answer itself."
    for part in filter(None, re.split(r'[.\[\]]', name)):
        answer = answer[int(part)] if part.isdigit() else answer[part] if hasattr(answer, 'columns') else getattr(answer, part)
    return float(answer)


@pytest.mark.parametrize('row', list(golden('design.csv', 'design_analysis.csv', 'design_published.csv')))
def test_golden(row):
    "A value of R or of a published table; sizes by their relative error where they are large."
    value, wanted = picked(called(row['function'], row['arguments']), row['name']), float(row['value'])
    assert abs(value - wanted) <= float(row['tolerance'])*max(1., abs(wanted)) + 1e-12, f"{value} is not {wanted}: {row['source']}"


fractions = st.lists(st.floats(.05, 1.), min_size=0, max_size=4).map(lambda gaps: (np.cumsum([*gaps, .3])/sum([*gaps, .3])).tolist()).map(lambda times: [*times[:-1], 1.])
kinds = st.sampled_from(['pocock', 'obrien_fleming', 'wang_tsiatis', 'lan_demets_obrien_fleming', 'lan_demets_pocock', 'kim_demets', 'hwang_shih_decani'])


@settings(max_examples=40, deadline=None)
@given(looks=fractions, bounds=kinds, alpha=st.floats(.005, .1), sided=st.sampled_from([1, 2]), power=st.floats(.5, .97))
def test_every_design_keeps_its_promises(looks, bounds, alpha, sided, power):
    "Level and power are what was asked for, the maximum is at least the fixed size, and a stop saves patients."
    design = group_sequential(looks, bounds, alpha, sided, power)
    null = design.operating(0.)
    assert math.isclose(null[['benefit', 'harm']].to_numpy().sum(), alpha, abs_tol=1e-8)
    assert math.isclose(design.operating()['benefit'].sum(), power, abs_tol=1e-7)
    assert design.inflation >= 1 - 1e-9 and design.expected() <= design.inflation + 1e-9


@settings(max_examples=15, deadline=None)
@given(looks=st.integers(2, 5), binding=st.booleans(), alpha=st.floats(.01, .05), gamma=st.floats(-6, 1))
def test_futility_spends_beta(looks, binding, alpha, gamma):
    "Beta is spent exactly; a bound that need not be obeyed costs no level."
    design = group_sequential(looks, 'hwang_shih_decani', alpha, 1, .85, -4, 'hwang_shih_decani', gamma, binding)
    assert math.isclose(design.operating()['benefit'].sum(), .85, abs_tol=1e-6)
    free = crossing(design.times, [-math.inf]*looks, design.upper)[0].sum()
    assert free >= alpha - 1e-8 if binding else math.isclose(free, alpha, abs_tol=1e-8)


@settings(max_examples=20, deadline=None)
@given(looks=st.integers(2, 4), drift=st.floats(0, 4))
def test_conditional_power_averages_to_power(looks, drift):
    "Over what may be seen at the first look, conditional power has the mean of what is still to come."
    design = group_sequential(looks, 'lan_demets_pocock')
    first = design.times[0]
    z = np.linspace(-8, design.upper[0], 4001)
    density = np.exp(-(z - drift*math.sqrt(first))**2/2)/math.sqrt(2*math.pi)
    mean = np.trapezoid([success_from(design, 1, one, drift)*height for one, height in zip(z[::20], density[::20])], z[::20])
    assert math.isclose(mean, design.operating(drift)['benefit'][1:].sum(), abs_tol=2e-3)


@settings(max_examples=25, deadline=None)
@given(look=st.integers(1, 3), over=st.floats(.01, 2), se=st.floats(.05, 3), mirrored=st.booleans())
def test_final_analysis_is_in_order_and_mirrors(look, over, se, mirrored):
    "The interval holds the estimate, is on the side of the bound that was crossed, and turns round with the sign."
    design = group_sequential(3)
    z = design.upper[look - 1] + over
    table = final_analysis(design, look, (-z if mirrored else z)*se, se, lower_is_better=mirrored).table
    assert table['low'][0] < table['estimate'][0] < table['high'][0] and table['p_value'][0] <= .025 + 1e-9
    assert (table['high'][0] < 1e-9) if mirrored else (table['low'][0] > -1e-9)
    assert abs(table['estimate'][0]) <= abs(table['estimate'][2]) + 1e-7 or look == 3


@settings(max_examples=40, deadline=None)
@given(effect=st.floats(.05, 3), power=st.floats(.3, .99), sided=st.sampled_from([1, 2]), ratio=st.floats(.3, 3))
def test_sizes_give_their_power(effect, power, sided, ratio):
    "Size and power are each other's inverse, before rounding."
    size = sample_size_means(effect, 1., power=power, sided=sided, ratio=ratio)
    assert power_means(size.unrounded, effect, 1., sided=sided, ratio=ratio) >= power - 1e-7
    assert size.unrounded <= 3.001 or math.isclose(power_means(size.unrounded, effect, 1., sided=sided, ratio=ratio), power, abs_tol=1e-6)
    better = min(.95, .3 + effect/5)
    assert math.isclose(power_proportions(sample_size_proportions(better, .3, power=power, sided=sided, ratio=ratio).unrounded, better, .3, sided=sided, ratio=ratio), power,
                        abs_tol=1e-7)


@settings(max_examples=40, deadline=None)
@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=6), seed=st.integers(0, 2**31))
def test_isotonic_is_what_scikit_learn_gives(shares, seed):
    "Pooled shares rise, and are those of the standard algorithm."
    from sklearn.isotonic import IsotonicRegression
    weights = np.random.default_rng(seed).uniform(.1, 5, len(shares))
    assert np.allclose(isotonic(np.array([shares]), weights[None])[0], IsotonicRegression().fit_transform(np.arange(len(shares)), shares, sample_weight=weights), atol=1e-9)


@pytest.mark.parametrize('design', [BOIN(.25, 24), CRM((.05, .1, .2, .3), .25, 24), ThreePlusThree()], ids=lambda one: type(one).__name__)
def test_nobody_is_lost_in_dose_finding(design):
    "Each trial chooses one dose or none, and treats as many as it may at most."
    table = simulate_doses(design, (.1, .25, .4, .6), .25, trials=500).table
    assert math.isclose(table['estimate'].sum(), 1) and table['patients'].sum() <= 24.001 and (table['toxicities'] <= table['patients']).all()


def test_ten_thousand_survival_trials_within_a_minute():
    "10,000 group-sequential trials of 500 patients; the wanted limit is 60 s on two cores."
    design = group_sequential(3, futility='lan_demets_obrien_fleming')
    start = time.perf_counter()
    run = simulate_survival(design, 500, 350, .7, 12, 24, ramp=6, dropout=.005, trials=10_000)
    assert time.perf_counter() - start < 60 and len(run.trials) == 10_000


def test_simulation_meets_the_formula():
    "Power and level of simulated proportional hazards are those of the boundaries, within three errors of simulation."
    design = group_sequential(4, 'hwang_shih_decani', parameter=-2.)
    size = sample_size_survival(.75, 10, 18, 18, design=design)
    hoped, null = (simulate_survival(design, size.total, math.ceil(size.events), ratio, 10, 18, trials=8000, seed=3).power for ratio in (.75, 1.))
    assert abs(hoped - .9) < .012 and abs(null - .025) < .006


def test_predictive_probability_by_brute_force():
    "Against drawing the rest of the trial many times."
    generator = np.random.default_rng(0)
    rates = generator.beta(1 + 7, 1 + 13, 200_000)
    hits = 7 + generator.binomial(20, rates)
    from scipy.stats import beta
    wins = beta.sf(.2, 1 + np.arange(41), 1 + 40 - np.arange(41))[hits] > .9
    assert abs(predictive_probability(7, 20, 40, .2) - wins.mean()) < .004


def test_criteria_on_a_real_trial(real_gbsg2):
    "GBSG-2: all patients give the published crude hazard ratio of hormonal therapy; nobody is counted twice."
    traded = eligibility_tradeoff(real_gbsg2, {'grade below III': real_gbsg2['tgrade'] != 'III', 'ten nodes or fewer': real_gbsg2['pnodes'] <= 10}, 'time', 'cens', 'horTh',
                                  reference='no', draws=20)
    from lifelines import CoxPHFitter
    fit = CoxPHFitter().fit(real_gbsg2.assign(treated=(real_gbsg2['horTh'] == 'yes')*1.)[['time', 'cens', 'treated']], 'time', 'cens')
    assert abs(math.log(traded['no criteria']['estimate']) - fit.params_['treated']) < 5e-3 and traded['no criteria']['n'] == 686


@pytest.fixture
def real_gbsg2():
    "The trial's table, or a skip."
    import os
    folder = Path(os.environ.get('CLINTRIAL_DATA') or Path(__file__).parent.parent.parent/'shared'/'data')
    found = sorted((folder/'rct_ipd').glob('gbsg2*')) if folder.is_dir() else []
    if not found: pytest.skip('no CLINTRIAL_DATA')
    return pd.read_csv(found[0])


@pytest.mark.parametrize('call', [lambda: group_sequential(3, alpha=2), lambda: group_sequential([.2, .1, 1]), lambda: sample_size_means(1, -1),
                                  lambda: sample_size_survival(-.7, 12, 24, 12),
                                  lambda: conditional_power(group_sequential(2), 3, 1.), lambda: sample_size_means(math.nan, 1.), lambda: group_sequential(2, 'kim_demets',
                                          parameter=-1.)])
def test_bad_input_is_named(call):
    "An error that says what to do, never a number."
    with pytest.raises(DataError): call()
