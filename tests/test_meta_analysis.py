"Meta-analysis: golden values of R and metafor, what pooling must obey, coverage, sparse events, bad input."
import warnings

import numpy as np
import pandas as pd
import pytest
from comparisons import BCG, COUNTS, calls, check
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.statistics.analyses import TrialWarning
from clintrial.statistics.meta_analysis import between_studies, generalised_q, meta_analysis, meta_events, pooled_rows, study_effects, study_limits, study_means
from clintrial.visualizer import forest_plot


@pytest.mark.parametrize('function, arguments', calls('meta_analysis', 'meta_events'))
def test_golden(function, arguments): check(function, arguments)


studies = st.lists(st.tuples(st.floats(-2, 2), st.floats(.05, 2)), min_size=2, max_size=9)


def framed(rows, **more): return pd.DataFrame(rows, columns=['effect', 'se']).assign(study=[f's{place}' for place in range(len(rows))], **more)


@given(studies, st.floats(-3, 3), st.floats(.2, 5), st.sampled_from(['reml', 'paule-mandel', 'dersimonian-laird']))
@settings(max_examples=20, deadline=None)
def test_pooling_moves_with_origin_and_unit(rows, shift, scale, method):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', TrialWarning)
        first, moved = (meta_analysis(framed(some), tau2=method, interval='modified hartung-knapp') for some in (rows, [(scale*y + shift, scale*s) for y, s in rows]))
    for name in ('estimate', 'low', 'high'): np.testing.assert_allclose(moved.table[name].dropna(), scale*first.table[name].dropna() + shift, rtol=2e-4, atol=2e-4*scale)
    known = first.table.dropna(subset='low')
    assert ((known.low <= known.estimate) & (known.estimate <= known.high)).all() and first.studies.weight.sum() == pytest.approx(1)
    spread = first.heterogeneity.set_index('measure')
    assert spread.low['tau2'] <= spread.estimate['tau2'] <= spread.high['tau2'] and 0 <= spread.estimate['I2'] <= 1


@given(studies)
@settings(max_examples=40, deadline=None)
def test_estimates_of_the_variance_solve_their_equations(rows):
    y, v = np.array(rows)[:, 0], np.array(rows)[:, 1]**2
    mandel = between_studies(y, v, 'paule-mandel')[0]
    if mandel: assert generalised_q(mandel, y, v) == pytest.approx(len(y) - 1, rel=1e-8)
    else: assert generalised_q(0., y, v) <= len(y) - 1
    tau2, converged = between_studies(y, v, 'reml')
    def score(t):
        w = 1/(v + t)
        return ((w*(y - (w*y).sum()/w.sum()))**2).sum() - w.sum() + (w**2).sum()/w.sum()
    if converged and tau2: assert abs(score(tau2)) < 1e-5*(1/(v + tau2)).sum()
    elif converged: assert score(0.) <= 1e-6*(1/v).sum()


def test_hartung_knapp_covers_where_the_normal_interval_does_not():
    rng, hits = np.random.default_rng(6), {'normal': 0, 'hartung-knapp': 0}
    for _ in range(600):
        v = rng.uniform(.02, .3, 5)
        y = rng.normal(.3, np.sqrt(v + .15))
        tau2 = between_studies(y, v, 'reml')[0]
        for interval in hits: hits[interval] += bool((lambda row: row['low'] <= .3 <= row['high'])(pooled_rows(y, v, tau2, interval).iloc[0]))
    assert hits['hartung-knapp']/600 > .92 and hits['normal'] < hits['hartung-knapp']


def test_makers_and_chart():
    vaccine = meta_analysis(study_effects(BCG, **COUNTS))
    chart = forest_plot(vaccine.chart_frame, vaccine.measure, title='BCG')
    assert 'prediction for a new study' in str(chart.to_dict()) and len(vaccine.influence) == 13 and vaccine.assumptions.verdict.eq('in doubt').any()
    assert '预测区间' in vaccine.sentence('zh') and '<table' in vaccine._repr_html_()
    printed = vaccine.studies.rename(columns={'estimate': 'rr', 'low': 'l', 'high': 'h'})
    again = meta_analysis(study_limits(printed, 'study', 'rr', 'l', 'h', 'risk ratio'))
    np.testing.assert_allclose(again.table.estimate, vaccine.table.estimate, rtol=1e-9)
    scores = pd.DataFrame(dict(s=['a', 'b', 'c'], m=[5., 6., 7.], sd=[2., 2., 2.5], n=[30, 40, 50], m0=[4., 6., 6.], sd0=[2., 2.1, 2.], n0=[30, 42, 51]))
    hedges = study_means(scores, 's', 'm', 'sd', 'n', 'm0', 'sd0', 'n0', 'standardised mean difference')
    assert hedges.effect[0] == pytest.approx(.5*(1 - 3/(4*58 - 1))) and study_means(scores, 's', 'm', 'sd', 'n', 'm0', 'sd0', 'n0').effect.tolist() == [1, 0, 1]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=6), st.sampled_from([('odds ratio', 'peto'), ('odds ratio', 'mantel-haenszel'), ('risk ratio', 'mantel-haenszel'), ('risk difference', 'mantel-haenszel')]))
@settings(max_examples=25, deadline=None)
def test_sparse_events_give_numbers_or_named_reasons(events, how):
    frame = pd.DataFrame(events, columns=['x', 'y']).assign(s=[f's{place}' for place in range(len(events))], n=40, m=42)
    with warnings.catch_warnings():
        warnings.simplefilter('error', RuntimeWarning)
        warnings.simplefilter('ignore', TrialWarning)
        try: found = meta_events(frame, 's', 'x', 'n', 'y', 'm', *how)
        except DataError: return
    row = found.table.iloc[0]
    assert row.low <= row.estimate <= row.high and 'nan' not in found.sentence() and forest_plot(found.chart_frame, found.measure).description


def test_bad_input_is_named():
    rows = framed([(.1, .2), (.3, .2), (.2, .1)])
    cases = [(lambda: meta_analysis(rows, measure='beta'), "no measure 'beta'"), (lambda: meta_analysis(rows, model='mixed'), "no model 'mixed'"), (lambda: meta_analysis(rows, interval='exact'), "no interval 'exact'"),
             (lambda: meta_analysis(rows, study='name'), "no column 'name'"), (lambda: meta_analysis(rows.assign(se=0)), 'standard error of 0'), (lambda: meta_events(BCG.assign(tb=0, tb_control=0), **COUNTS), 'no event in any study'),
             (lambda: study_effects(BCG.assign(n=0), **COUNTS), 'more events than patients'), (lambda: study_effects(BCG.assign(tb=-1), **COUNTS), 'below 0')]
    for run, words in cases:
        with pytest.raises(DataError, match=words): run()
    with pytest.warns(TrialWarning, match='few studies'): meta_analysis(rows, interval='normal')
