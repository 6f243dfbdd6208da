"Trends: what must hold for any series, and what a bad file may not do."
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from clintrial.loading import DataError
from clintrial.narrative import Narrative
from clintrial.trends import change_points, count_series, forecast, nowcast, reporting_triangle, reproduction_number, serial_interval, simulate_epidemic, simulate_surveillance
from clintrial.trends.adaptive import METHODS, thresholds
from clintrial.trends.epidemics import infectiousness
from clintrial.trends.evaluation import crps
from clintrial.trends.forecasting import calibrated, quantile_levels, rolling_origin
from clintrial.trends.reproduction import posterior
from clintrial.trends.segments import best_segmentation, segment_costs

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
COUNTS = st.lists(st.integers(0, 400), min_size=30, max_size=80)


@pytest.fixture(scope='module')
def office():
    return simulate_surveillance(weeks=200, changes=((140, 1.8),), correlation=.5, noise=.15, seed=11)


@pytest.fixture(scope='module')
def ahead(office): return forecast(count_series(office.frame, count='count'), horizon=3, last=26)


def weekly(counts):
    return pd.DataFrame({'date': pd.date_range('2020-01-06', periods=len(counts), freq='7D'), 'count': counts})


# -- the series

@FEW
@given(COUNTS, st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(counts, seed):
    "A register is a set of rows: shuffled, it is the same series."
    frame = weekly(counts)
    shuffled = frame.sample(frac=1, random_state=seed % 2**32)
    pd.testing.assert_frame_equal(count_series(frame, count='count').table, count_series(shuffled, count='count').table)


@FEW
@given(st.lists(st.integers(0, 200), min_size=5, max_size=60))
def test_no_case_is_lost_or_doubled(days):
    "A list of cases, counted by day, week or month, sums to its length, unfinished periods included."
    frame = pd.DataFrame({'date': pd.Timestamp('2023-02-27') + pd.to_timedelta(days, unit='D')})
    for every in ('day', 'week', 'month'):
        try: series = count_series(frame, every=every)
        except DataError as error: assert 'is over yet' in str(error)
        else: assert series.table['count'].sum() == len(days)


@pytest.mark.parametrize('zone', ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'])
def test_clock_changes_make_no_gap_and_no_double_day(zone):
    "Hourly stamps over a whole year: every local day is there once, though two of them have no 24 hours."
    stamps = pd.date_range('2024-01-01', '2024-12-31 23:00', freq='h', tz=zone)
    series = count_series(pd.DataFrame({'date': stamps.tz_convert('UTC')}), every='day', timezone=zone)
    assert len(series) == 366 and series.counts.sum() == len(stamps)
    assert set(series.counts) <= {23, 24, 25}


def test_a_gap_is_marked_and_never_scored(office):
    "A filled week is read by models and scored by nobody."
    frame = office.frame.drop(index=[150, 151, 170])
    with pytest.raises(DataError, match='3 of 200 weeks are missing'): count_series(frame, count='count')
    series = count_series(frame, count='count', gaps='fill')
    rolling = rolling_origin(series, horizon=2)
    filled = np.flatnonzero(series.table['mark'] == 'filled')
    assert filled.tolist() == [150, 151, 170]
    places = rolling.origins[:, None] + np.arange(2)
    assert np.isnan(rolling.observed[np.isin(places, filled)]).all()
    assert np.isfinite(calibrated(rolling, 'ensemble')).all()


# -- thresholds and scores

@FEW
@given(st.integers(0, 10**6), st.sampled_from(sorted(METHODS)), st.integers(1, 5))
def test_thresholds_do_not_look_ahead(seed, method, delay):
    "What is seen later changes no earlier threshold, whatever it is."
    rng = np.random.default_rng(seed)
    scores, cut = rng.normal(size=60), int(rng.integers(10, 50))
    other = scores.copy()
    other[cut:] = rng.normal(0, 100, 60 - cut)
    one, two = (thresholds(values, [.05, .5, .95], method, delay) for values in (scores, other))
    np.testing.assert_allclose(one[:cut + delay], two[:cut + delay])


@FEW
@given(st.integers(0, 10**6), st.sampled_from(['aci', 'agaci', 'pid']))
def test_adaptive_intervals_come_back_after_any_jump(seed, method):
    "After a lasting jump of the errors, which is no distribution's tail, the long-run share of misses is the promised one."
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=900) + np.where(np.arange(900) < 100, 0, rng.uniform(-8, 8))
    found = thresholds(scores, [.1, .9], method)
    inside = (scores >= found[:, 0]) & (scores <= found[:, 1])
    assert abs(inside[300:].mean() - .8) < .06


@FEW
@given(st.floats(.5, 50), st.floats(0, 300))
def test_crps_scales_and_is_least_for_the_truth(factor, observed):
    "Twice the cases, twice the score; a sharp forecast of what came scores 0."
    levels = quantile_levels(.9)
    quantiles = np.sort(np.random.default_rng(0).gamma(4, 20, len(levels)))
    assert np.isclose(crps(factor*observed, factor*quantiles, levels), factor*crps(observed, quantiles, levels))
    assert crps(observed, np.full(len(levels), observed), levels) == 0 <= crps(observed, quantiles, levels)


# -- the forecast

def test_wider_levels_give_wider_intervals(office):
    "An 80 % interval lies within the 95 % one, at every step."
    series = count_series(office.frame, count='count')
    narrow, wide = (forecast(series, horizon=2, last=26, level=level).table for level in (.8, .95))
    assert (wide['low'] <= narrow['low']).all() and (narrow['high'] <= wide['high']).all()


def test_quantiles_of_the_fan_are_ordered_and_not_negative(ahead):
    fan = ahead.fan.dropna(subset='q50').filter(like='q').to_numpy()
    assert (np.diff(fan, axis=1) >= 0).all() and (fan >= 0).all()


def test_a_forecast_can_be_told_without_an_unsupported_number(ahead, office):
    "English and Chinese narratives of the main results, verified."
    changes = change_points(count_series(office.frame, count='count'))
    for frame, name in ((ahead.table.drop(columns='horizon'), 'forecast'), (changes.table[['term', 'estimate', 'low', 'high']], 'changes of level'), (ahead.evaluation.table, 'scores')):
        assert Narrative.of_analysis(frame, name).verify().empty
    for result in (ahead, ahead.evaluation, changes): assert result.sentence() != result.sentence('zh')


@pytest.mark.parametrize('frame, words', [
    (weekly([0]*150), 'Every count is 0'), (weekly([5]*60), 'are needed'), (weekly([5]*150).assign(count=2.5), 'a fraction'), (weekly([5]*150).assign(count=-2), 'below 0'), (weekly([5]*3)[['count']], "no column 'date'")])
def test_a_bad_series_is_refused_with_a_remedy(frame, words):
    with pytest.raises(DataError, match=words) as caught: forecast(count_series(frame, count='count'))
    assert caught.value.remedy


# -- change points, nowcast, reproduction number

@FEW
@given(COUNTS, st.floats(1., 8.))
def test_a_cut_more_never_costs_less(counts, penalty):
    "A higher penalty gives no more cuts, and segments keep their shortest length."
    cost = segment_costs(np.asarray(counts, dtype=float), 'negative binomial', .1)
    few, many = (best_segmentation(len(counts), cost, factor*penalty, 6) for factor in (3, 1))
    assert len(few) <= len(many)
    assert all(gap >= 6 for gap in np.diff([0, *many, len(counts)]))


@FEW
@given(st.integers(0, 10**6))
def test_a_nowcast_lies_above_what_is_reported(seed):
    "Nothing is estimated below what is known already; what is complete is left as it is."
    made = simulate_epidemic(days=60, seed=seed, reproduction=((0, 1.1),))
    found = nowcast(reporting_triangle(made.reports, count='count', now=made.frame['date'].iloc[45], longest=15), days=25, n_draws=300).table.dropna(subset='estimate')
    assert (found['low'] >= found['reported'] - 1).all() and (found['estimate'] >= found['reported']).all() and (found['high'] >= found['estimate']).all()
    assert (found['estimate'] == found['reported']).iloc[:9].all()


@FEW
@given(st.floats(1.5, 15), st.floats(.3, 6))
def test_serial_intervals_are_probabilities_with_their_mean(mean, sd):
    weights = serial_interval(mean, sd)
    assert np.isclose(weights.sum(), 1) and (weights >= 0).all()
    assert abs(weights @ np.arange(1, len(weights) + 1) - mean) < .1 + .03*mean


@FEW
@given(st.integers(2, 40), st.floats(.5, 2.5))
def test_exponential_growth_gives_its_reproduction_number(start, R):
    "Cases that follow the renewal equation exactly, without noise, give R back once the prior has no weight."
    weights, cases = serial_interval(4., 2.), [1000.*start]
    for day in range(60): cases.append(R*float(np.dot(weights[:len(cases)], cases[::-1][:len(weights)])))
    cases = np.array(cases)
    shape, rate = posterior(cases, weights, 7, prior=(1, 1e9))
    if cases[-7:].sum() < 100: return
    assert np.isclose(shape[-1]/rate[-1], R, rtol=.02)
    assert np.isclose(infectiousness(cases, weights)[-1]*R, cases[-1])


def test_a_weekday_pattern_is_named():
    "Reports by batches make R's interval too narrow, and a warning says so."
    made = simulate_epidemic(days=120, seed=4, imported=0)
    frame = made.frame.assign(count=(made.frame['count']*np.tile([2, 1, 1, 1, 1, .5, .5], 18)[:120]).round())
    with pytest.warns(UserWarning, match='more spread than Poisson'): found = reproduction_number(count_series(frame, count='count', every='day'))
    assert found.warnings
