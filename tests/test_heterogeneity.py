"Subgroups and heterogeneity of effects: golden values of R, honest multiplicity, tests that stay silent where there is nothing."
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from comparisons import calls, check, trial
from scipy.stats import chi2

from clintrial.loading import DataError
from clintrial.statistics.analyses import TrialWarning
from clintrial.statistics.heterogeneity import best_linear_predictor, causal_forest, heterogeneity_test, sorted_groups
from clintrial.statistics.subgroups import adjusted_interactions, gail_simon, subgroup_effects
from clintrial.visualizer import forest_plot


@pytest.mark.parametrize('function, arguments', calls('subgroup_effects'))
def test_golden(function, arguments): check(function, arguments)


def made_up(gain, n=400, seed=1):
    "A randomised trial; `gain` is the slope of the effect on the marker."
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(dict(arm=rng.permutation(np.repeat(['Placebo', 'Drug'], n//2)), marker=rng.normal(0, 1, n), age=rng.normal(60, 9, n)))
    return frame.assign(change=.05*(frame.age - 60) + (1 + gain*frame.marker)*(frame.arm == 'Drug') + rng.normal(0, 1, n))


def test_false_interactions_are_held_down():
    "Six subgroup variables, one effect for all: the adjusted tests find one in at most 5 % of trials, the raw ones far more often."
    tests, raw, adjusted = np.random.default_rng(2).uniform(size=(300, 6)), 0, 0
    for row in tests:
        found = adjusted_interactions(pd.DataFrame(dict(variable=list('abcdef'), test='F', statistic=1., df=1, raw_p_value=row, qualitative_p=1.)), 'hochberg', None)
        raw, adjusted = raw + (row.min() < .05), adjusted + (found.p_value.min() < .05)
    assert adjusted/300 <= .05 + 3*np.sqrt(.05*.95/300) and raw/300 > .2
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({f'v{place}': rng.choice(['a', 'b'], 120) for place in range(4)} | dict(arm=rng.permutation(np.repeat(['A', 'P'], 60)), y=rng.normal(size=120)))
    found = subgroup_effects(frame, [f'v{place}' for place in range(4)], 'arm', 'y', method='bonferroni').interactions
    np.testing.assert_allclose(found.p_value, np.minimum(1, 4*found.raw_p_value))


@pytest.mark.filterwarnings('ignore::clintrial.statistics.analyses.TrialWarning')
def test_subgroups_say_no_p_values_and_fill_the_forest_plot():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', TrialWarning)
        found = subgroup_effects(trial, ['site', 'sex'], 'arm', 'change', covariates=['base'], reference='Placebo', planned=8)
        odds = subgroup_effects(trial, 'sex', 'arm', 'response', 'odds ratio', reference='Placebo')
    assert found.table.p_value[1:].isna().all() and found.table.p_value[0] < 1 and '8 subgroup variables' in found.sentence() and '亚组' in found.sentence('zh')
    chart = forest_plot(found.chart_frame, 'Difference of means', columns=['n'])
    assert 'site, ' in chart.description and 'all patients' in chart.description
    assert forest_plot(odds.chart_frame, 'Odds ratio').to_dict() and (lambda known: (known.low <= known.estimate).all())(odds.table.dropna(subset='low'))
    before = trial.copy()
    subgroup_effects(trial, 'sex', 'arm', 'change')
    pd.testing.assert_frame_equal(before, trial)


def test_qualitative_interaction():
    "Gail & Simon 1985: two subgroups, one p value each by hand."
    assert gail_simon([1., -1.], [.5, .5])[1] == pytest.approx(.5*chi2.sf(4, 1))
    assert gail_simon([1., -1., .5], [.5, .5, .5])[1] == pytest.approx(.5*chi2.sf(4, 1) + .25*chi2.sf(4, 2))


def test_the_best_linear_predictor_is_calibrated():
    "With the true score the slope is 1; with noise it is 0; the groups average to the effect."
    frame = made_up(1., 4000)
    y, w = frame.change.to_numpy(), (frame.arm == 'Drug').to_numpy(float)
    truth, baseline = 1 + frame.marker.to_numpy(), .05*(frame.age.to_numpy() - 60)
    slopes, errors = best_linear_predictor(y, w, .5, truth, baseline)
    assert np.abs((slopes - 1)/errors).max() < 3
    noise, error = best_linear_predictor(y, w, .5, np.random.default_rng(0).normal(size=4000), baseline)
    assert abs(noise[1]/error[1]) < 3
    groups, spread = sorted_groups(y, w, .5, truth, baseline, 4)
    assert groups[:4].mean() == pytest.approx(1, abs=.1) and (np.diff(groups[:4]) > 0).all() and groups[4] == pytest.approx(groups[3] - groups[0])


def test_heterogeneity_is_found_where_it_is_and_not_where_it_is_not():
    there, nowhere = (heterogeneity_test(made_up(gain), 'change', 'arm', ['marker', 'age'], reference='Placebo', splits=4) for gain in (1., 0.))
    assert there.table.p_value[1] < .01 and nowhere.table.p_value[1] > .05 and 'no proof' in nowhere.sentence() and '异质性' in nowhere.sentence('zh')
    assert there.groups.estimate.iloc[3] > there.groups.estimate.iloc[0] and forest_plot(there.chart_frame, 'Difference').to_dict()
    known = heterogeneity_test(made_up(1.), 'change', 'arm', ['marker', 'age'], reference='Placebo', splits=4, learner=lambda x, w, y, seed: lambda new: 1 + new[:, 0])
    assert known.table.low[1] < 1 < known.table.high[1]


def test_causal_forest():
    pytest.importorskip('econml', reason='econml is not installed (extra: causal)')
    frame = made_up(1.)
    found = causal_forest(frame, 'change', 'arm', ['marker', 'age'], reference='Placebo', trees=100)
    assert found.table.p_value[2] < .01 and found.importance.covariate[0] == 'marker' and found.table.low[0] < 1 < found.table.high[0]
    assert (found.patients.low <= found.patients.effect).all() and (found.patients.effect <= found.patients.high).all() and found.patients.index.equals(frame.index)
    assert np.corrcoef(found.patients.effect, frame.marker)[0, 1] > .8 and forest_plot(found.chart_frame, 'Difference').to_dict()
    with pytest.warns(TrialWarning, match='no heterogeneity found'): causal_forest(made_up(0., 300, 100), 'change', 'arm', ['marker', 'age'], trees=40)
    with pytest.raises(DataError, match='multiple of 4'): causal_forest(frame, 'change', 'arm', ['marker'], trees=10)


def test_without_econml_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'econml.grf', None)
    with pytest.raises(ImportError, match=r"clintrial\[causal\]"): causal_forest(made_up(0.), 'change', 'arm', ['marker'])


def test_the_rooms_import_neither_econml_nor_torch():
    import subprocess
    code = "import sys, clintrial.statistics.heterogeneity, clintrial.statistics.subgroups; assert not {'econml', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, '-c', code], check=True)


def test_bad_input_is_named():
    frame = made_up(0., 100)
    cases = [(lambda: heterogeneity_test(frame, 'change', 'arm', ['dose']), "no column 'dose'"), (lambda: heterogeneity_test(frame.assign(arm='A'), 'change', 'arm', ['age']), '1 arm'), (lambda: heterogeneity_test(frame, 'change', 'arm', []), 'no covariate'),
             (lambda: subgroup_effects(frame, [], 'arm', 'change'), 'no subgroup variable'), (lambda: subgroup_effects(frame, 'age', 'arm', 'change'), 'has 100 levels'), (lambda: subgroup_effects(frame.assign(s='x'), 's', 'arm', 'change'), 'one level only')]
    for run, words in cases:
        with pytest.raises(DataError, match=words): run()
    with pytest.warns(TrialWarning, match='empty subgroup'): subgroup_effects(frame.assign(s=['rare']*2 + ['common']*98), 's', 'arm', 'change')
