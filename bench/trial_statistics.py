"""Are the survival methods fast enough for a million patients, and do the tests keep their level? Run as `python bench/statistics.py`.

Speed: one million patients in two arms with three covariates, a third censored; times in whole days (some 1,500 distinct ones) and as they are (hardly a tie). Log-rank and Cox, ours and lifelines', in turn on the same frame; wanted: under 30 s.
The results of both are compared. Ours give more in that time (Peto's ratio; the test of proportional hazards, Wald, score and likelihood-ratio tests). The ratio is measured at a fifth of the size unless `--whole` says otherwise.

Level: trials in which the treatment does nothing; a nominal 5 % test must reject in 5 %.
"""
import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import finish, interleaved, medians, peak_memory_mb, progress
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test

from clintrial.intervals import wilson
from clintrial.statistics.analyses import TrialWarning
from clintrial.statistics.continuous import ancova
from clintrial.statistics.hazards import cox
from clintrial.statistics.recurrent import andersen_gill, negative_binomial
from clintrial.statistics.standardisation import adjusted_rmst, procova, standardisation
from clintrial.statistics.survival import log_rank

COVARIATES = ['drug', 'age', 'sex', 'score']


def cohort(n: int, seed: int, whole_days: bool) -> pd.DataFrame:
    "Patients with their times, a third of them censored."
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({'drug': draw.integers(0, 2, n), 'age': draw.normal(60, 10, n), 'sex': draw.integers(0, 2, n), 'score': draw.normal(size=n)})
    rate = .002*np.exp(-.3*frame.drug + .02*(frame.age - 60) + .2*frame.sex + .4*frame.score)
    until, lost = draw.exponential(1/rate), draw.uniform(100, 1500, n)
    days = np.minimum(until, lost)
    return frame.assign(days=np.ceil(days) if whole_days else days, died=(until <= lost).astype(int), arm=np.where(frame.drug == 1, 'drug', 'placebo'))


def speed(n: int, small: int, repeats: int, seed: int, whole_days: bool) -> dict:
    "Seconds at full size, ratios to lifelines at the smaller one."
    frame, figures = cohort(n, seed, whole_days), {}
    for name, run in {'log_rank': lambda: log_rank(frame, 'days', 'died', 'arm'), 'cox': lambda: cox(frame, 'days', 'died', COVARIATES[1:], arm='arm')}.items():
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        figures[name] = {'patients': n, 'seconds': time.perf_counter() - wall, 'cpu_seconds': time.process_time() - cpu}
        progress(f"{name}, {n:,} patients: {figures[name]['seconds']:.1f} s")
    figures['peak_mb'] = peak_memory_mb()
    part = frame.head(small)
    drug, other = part[part.drug == 1], part[part.drug == 0]
    runs = interleaved({'ours log_rank': lambda: log_rank(part, 'days', 'died', 'arm').table.statistic[0],
                        'lifelines log_rank': lambda: logrank_test(drug.days, other.days, drug.died, other.died).test_statistic,
                        'ours cox': lambda: cox(part, 'days', 'died', COVARIATES[1:], arm='arm').table.coefficient.to_numpy(),
                        'lifelines cox': lambda: CoxPHFitter().fit(part[[*COVARIATES, 'days', 'died']], 'days', 'died').params_.to_numpy()}, repeats, warm_up=False)
    middle, values = medians(runs), runs.drop_duplicates('variant').set_index('variant')['value']
    for name in ('log_rank', 'cox'):
        figures[name] |= {'ratio_patients': small, 'ours_cpu_seconds': middle[f'ours {name}'], 'lifelines_cpu_seconds': middle[f'lifelines {name}'], 'times_as_fast': middle[f'lifelines {name}']/middle[f'ours {name}'],
                          'largest_difference': f"{np.max(np.abs(values[f'ours {name}'] - values[f'lifelines {name}'])):.1e}"}
        progress(f"{name}: {figures[name]['times_as_fast']:.1f} times as fast as lifelines at {small:,} patients; largest difference {figures[name]['largest_difference']}")
    return figures


def null_trial(seed: int, n: int = 120) -> pd.DataFrame:
    "A trial in which the arm does nothing and a score foretells every outcome."
    draw = np.random.default_rng(seed)
    score = draw.normal(size=n)
    until, lost, years = draw.exponential(10*np.exp(-.5*score)), draw.uniform(3, 30, n), draw.uniform(.5, 1.5, n)
    return pd.DataFrame({'arm': np.where(draw.permutation(n) % 2, 'drug', 'placebo'), 'score': score, 'change': score + draw.normal(size=n), 'better': (draw.random(n) < 1/(1 + np.exp(-score))).astype(int),
                         'time': np.minimum(until, lost).round(2) + .01, 'died': (until <= lost).astype(int), 'events': draw.poisson(draw.gamma(2, .6, n)*np.exp(.3*score)*years), 'years': years})


def intervals_of(trial: pd.DataFrame) -> pd.DataFrame:
    "The trial's recurrent events as intervals, evenly spread."
    rows = []
    for place, (count, years) in enumerate(zip(trial.events, trial.years)):
        edges = np.linspace(0, years, count + 2)
        rows += [(place, trial.arm[place], low, high, int(last < count)) for last, (low, high) in enumerate(zip(edges, edges[1:]))]
    return pd.DataFrame(rows, columns=['id', 'arm', 'start', 'stop', 'event'])


TESTS = {'ancova': lambda trial: ancova(trial, 'change', 'arm', ['score']), 'procova': lambda trial: procova(trial, 'change', 'arm', 'score'), 'standardisation, Ye': lambda trial: standardisation(trial, 'better', 'arm', ['score']),
         'log_rank': lambda trial: log_rank(trial, 'time', 'died', 'arm'), 'cox': lambda trial: cox(trial, 'time', 'died', ['score'], arm='arm'), 'adjusted_rmst': lambda trial: adjusted_rmst(trial, 'time', 'died', 'arm', ['score'], tau=15.),
         'negative_binomial': lambda trial: negative_binomial(trial, arm='arm', covariates=['score'], count='events', exposure='years'), 'andersen_gill, robust': lambda trial: andersen_gill(intervals_of(trial), 'start', 'stop', 'event', 'id', 'arm')}


def levels(trials: int, seed: int) -> dict:
    "Share of trials without an effect that each test rejects."
    figures = {}
    for name, test in TESTS.items():
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', TrialWarning)
            hits = sum(float(test(null_trial(seed*1_000_000 + one)).table.p_value.iloc[0]) < .05 for one in range(trials))
        low, high = wilson(hits, trials)
        figures[name] = {'type_one_error': hits/trials, 'low': low, 'high': high, 'trials': trials}
        progress(f'{name}: {100*hits/trials:.2f} % ({100*low:.2f} to {100*high:.2f})')
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='under five minutes on two cores')
    parser.add_argument('--whole', action='store_true', help='lifelines at full size as well')
    parser.add_argument('--patients', type=int, default=1_000_000)
    parser.add_argument('--trials', type=int, default=2_000)
    parser.add_argument('--seed', type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter('ignore', TrialWarning)
    start, n = time.perf_counter(), min(given.patients, 200_000) if given.quick else given.patients
    figures = {}
    for kind, whole_days in (('whole days', True), ('no ties', False)):
        progress(f'times: {kind}')
        figures[kind] = speed(n, n if given.whole else max(n//5, 1_000), 2 if given.quick else 3, given.seed, whole_days)
    rejected = levels(min(given.trials, 300) if given.quick else given.trials, given.seed)
    finish({'bench': 'statistics', 'quick': given.quick, 'seed': given.seed, 'speed': figures, 'under_30_seconds': all(one[name]['seconds'] < 30 for one in figures.values() for name in ('log_rank', 'cox')), 'type_one_errors': rejected,
            'seconds': time.perf_counter() - start})


if __name__ == '__main__': main()
