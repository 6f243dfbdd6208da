"""Do the intervals of `clintrial.trends` keep their level, and do its alarms mean something? Everything on simulated series whose truth is known.

1. Forecasts: weekly series with serial dependence, a yearly season and a change of level after the first two years. Coverage of nominal 90 % intervals by method (adaptive, plain split conformal,
   the model's own), the worst half-year, MASE and CRPS beside seasonal naive and exponential smoothing, paired by series.
2. Reproduction number: coverage of 95 % credible intervals, with Poisson counts and with superspreading.
3. Nowcasts: coverage of 90 % intervals of the last ten days, with delays as assumed and with more spread.
4. Change points: recall within four weeks by size of the change, and false alarms per 1,000 series-weeks on series without a change.

    python bench/trends.py [--quick] [--series 200] [--parts 'change_points,reproduction,nowcast,chosen,forecasts']
"""
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, describe_machine, finish, progress

from clintrial.trends import change_points, count_series, forecast, nowcast, reporting_triangle, reproduction_number, simulate_epidemic, simulate_surveillance, window_truth
from clintrial.trends.evaluation import losses
from clintrial.trends.forecasting import calibrated, rolling_origin

LEVEL, HORIZON, WARM, HALF_YEAR = .9, 4, 26, 26
INTERVALS = ('model', 'split', 'aci', 'agaci', 'pid')


def over_series(values, seed=0) -> tuple:
    "Mean over series with its 95 % bootstrap interval (series are independent)."
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    means = values[np.random.default_rng(seed).integers(0, len(values), (2000, len(values)))].mean(1)
    return [float(values.mean()), *np.quantile(means, [.025, .975]).tolist()]


def surveillance(seed, change=True):
    "One series: five to six years, a change of level of a factor 1.6–2.6 up or down in the fourth or fifth year."
    rng = np.random.default_rng([7, seed])
    factor = float(rng.uniform(1.6, 2.6))**(1 if rng.random() < .5 else -1)
    return simulate_surveillance(weeks=300, level=float(rng.uniform(25, 120)), changes=((int(rng.integers(165, 230)), factor),) if change else (), wave=float(rng.uniform(.3, .8)),
        correlation=float(rng.uniform(.5, .9)), noise=float(rng.uniform(.1, .35)), dispersion=float(rng.uniform(.005, .05)), seed=seed)


def forecast_rows(seed) -> list:
    "One series: coverage and scores, means over its origins, by candidate and kind of interval."
    rolling, rows = rolling_origin(count_series(surveillance(seed).frame, count='count'), HORIZON, LEVEL), []
    for candidate in rolling.quantiles:
        for method in INTERVALS if candidate in ('exponential smoothing', 'ensemble') else ('model', 'agaci'):
            found = losses(rolling.observed, calibrated(rolling, candidate, method), rolling.levels, rolling.scale, LEVEL)
            inside = found['coverage'][WARM:]
            rows.append({'series': seed, 'candidate': candidate, 'method': method, 'coverage': np.nanmean(inside), 'worst': pd.Series(inside).rolling(HALF_YEAR).mean().min(), 'MASE': np.nanmean(found['MASE'][WARM:]), 'CRPS': np.nanmean(found['CRPS'][WARM:])})
    return rows


def forecast_figures(rows) -> dict:
    "Means over series with their intervals, and paired differences."
    frame, said, paired = pd.DataFrame(rows), {}, {}
    for (candidate, method), part in frame.groupby(['candidate', 'method'], sort=False):
        said[f'{candidate}, {method}'] = {name: over_series(part[name]) for name in ('coverage', 'worst', 'MASE', 'CRPS')}
    wide = frame.pivot(index='series', columns=['candidate', 'method'], values='CRPS')
    for candidate in ('exponential smoothing', 'autoregression', 'ensemble'):
        for other in (('seasonal naive', 'model'), ('exponential smoothing', 'model')):
            paired[f'{candidate}, agaci minus {other[0]}, {other[1]}: relative CRPS'] = over_series((wide[(candidate, 'agaci')] - wide[other])/wide[other])
    held = {f'share of series with coverage of at least .85: ensemble, {method}': over_series(frame[(frame['candidate'] == 'ensemble') & (frame['method'] == method)]['coverage'] >= .85) for method in INTERVALS}
    return {'series': frame['series'].nunique(), 'by_candidate_and_method': said, 'paired': paired, 'held': held}


def forecasts(n) -> dict:
    "All candidates and intervals on `n` series."
    rows = []
    for seed in range(n):
        rows += forecast_rows(seed)
        if seed % 20 == 19: progress(f'{seed + 1} series forecast')
    return forecast_figures(rows)


def chosen_row(seed) -> dict:
    "`forecast` as a user calls it: the chosen model on the last year, which had no say."
    found = forecast(count_series(surveillance(5000 + seed).frame, count='count'), horizon=HORIZON, level=LEVEL, last=52)
    score = found.evaluation.table.set_index(['term', 'metric'])['estimate']
    return {'coverage': score['chosen', 'coverage'], 'MASE': score['chosen', 'MASE'], 'MASE_naive': score['seasonal naive', 'MASE'], 'MASE_ets': score['exponential smoothing', 'MASE'], 'CRPS_beside_naive': score['chosen', 'CRPS']/score['seasonal naive', 'CRPS'] - 1,
            'CRPS_beside_ets': score['chosen', 'CRPS']/score['exponential smoothing', 'CRPS'] - 1, 'abstains': bool(found.abstains)}


def chosen_figures(rows) -> dict:
    frame = pd.DataFrame(rows)
    return {'series': len(frame), **{name: over_series(frame[name]) for name in frame}}


def chosen_forecasts(n) -> dict:
    "The chosen model's scores, means over series."
    return chosen_figures([chosen_row(seed) for seed in range(n)])


def reproduction(n) -> dict:
    "Share of windows that hold the window's true R, after the first three weeks."
    said = {}
    for name, options in {'poisson': {'imported': 0}, 'imported cases': {'imported': 2.}, 'superspreading': {'imported': 0, 'dispersion': .1}}.items():
        rows, warned = [], []
        for seed in range(n):
            rng = np.random.default_rng([9, seed])
            made = simulate_epidemic(days=140, reproduction=((0, rng.uniform(1.2, 1.7)), (40, rng.uniform(.6, .95)), (90, rng.uniform(1., 1.4))), seed=seed, **options)
            found = reproduction_number(count_series(made.frame, count='count', every='day'))
            truth = pd.Series(window_truth(made.truth['R'], made.frame['count'].to_numpy(), made.serial), index=made.frame['date'].dt.strftime('%Y-%m-%d'))[found.table['term']].to_numpy()
            rows.append(((found.table['low'] <= truth) & (truth <= found.table['high'])).iloc[21:].mean())
            warned.append(bool(found.warnings))
        said[name] = {'coverage': over_series(rows), 'share_warned': over_series(warned)}
    return {'epidemics': n, **said}


def nowcasts(n) -> dict:
    "Share of the last ten days' intervals that hold the final count; the error of the estimate beside that of the reported number."
    said = {}
    for name, uneven in {'steady delays': 0., 'delays that vary by day': .5}.items():
        rows, errors = [], []
        for seed in range(n):
            made = simulate_epidemic(days=110, dispersion=.02, seed=2000 + seed)
            reports = made.reports if not uneven else unsettled(made.reports, uneven, seed)
            now = made.frame['date'].iloc[88]
            table = nowcast(reporting_triangle(reports, count='count', now=now, longest=25), days=10, level=LEVEL, n_draws=2000).table.dropna(subset='estimate')
            truth = made.frame.set_index(made.frame['date'].dt.strftime('%Y-%m-%d'))['count'][table['term']].to_numpy()
            rows.append(((table['low'] <= truth) & (truth <= table['high'])).mean())
            errors.append(np.abs(table['estimate'] - truth).sum()/max(np.abs(table['reported'] - truth).sum(), 1))
        said[name] = {'coverage': over_series(rows), 'error_beside_reported': over_series(errors)}
    return {'epidemics': n, **said}


def unsettled(reports, size, seed):
    "Some onset days are reported late as a whole: each day's cases wait a day longer with a chance of their own."
    rng = np.random.default_rng([3, seed])
    days = reports['onset'].unique()
    share = dict(zip(days, rng.beta(1/size - 1 + .2, 2, len(days))))
    late = rng.binomial(reports['count'], reports['onset'].map(share))
    moved = reports.assign(count=late, report=reports['report'] + pd.Timedelta(days=1))
    both = pd.concat([reports.assign(count=reports['count'] - late), moved])
    return both[both['count'] > 0].groupby(['onset', 'report'], as_index=False)['count'].sum()


def changes(n) -> dict:
    "Recall within four weeks, coverage of the place and of the ratio, false alarms."
    said, alarms, weeks = {}, 0, 0
    for factor in (1.3, 1.5, 2., 3.):
        hits, held, ratio = [], [], []
        for seed in range(n):
            office = simulate_surveillance(weeks=260, changes=((150, factor),), correlation=.6, noise=.2, seed=3000 + seed)
            found = change_points(count_series(office.frame, count='count'))
            dates = pd.to_datetime(found.table['term'])
            near = np.abs((dates - office.frame['date'].iloc[150]).dt.days) <= 28
            hits.append(near.any())
            if near.any():
                row = found.table[near.to_numpy()].iloc[0]
                held.append(row['earliest'] <= f"{office.frame['date'].iloc[150]:%Y-%m-%d}" <= row['latest'])
                ratio.append(row['low'] <= factor <= row['high'])
        said[f'factor {factor:g}'] = {'recall': over_series(hits), 'place_held': over_series(held) if held else None, 'ratio_held': over_series(ratio) if ratio else None, 'found': len(held)}
    for seed in range(2*n):
        still = count_series(surveillance(9000 + seed, change=False).frame, count='count')
        alarms, weeks = alarms + len(change_points(still).table), weeks + len(still)
    return {'series': n, **said, 'false_alarms_per_1000_series_weeks': 1000*alarms/weeks, 'false_alarms': alarms, 'series_weeks': weeks}


def main():
    parts = {'change_points': changes, 'reproduction': reproduction, 'nowcast': nowcasts, 'chosen': chosen_forecasts, 'forecasts': forecasts}
    asked = arguments(__doc__, series=200, parts=','.join(parts))
    n = 30 if asked.quick else asked.series
    warnings.simplefilter('ignore')
    figures, begun = {'bench': 'trends', 'quick': asked.quick, 'machine': describe_machine()}, time.perf_counter()
    for name in asked.parts.split(','):
        figures[name] = parts[name](n)
        progress(f'{name}: {time.perf_counter() - begun:.0f} s')
    finish(figures)


if __name__ == '__main__': main()
