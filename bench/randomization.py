"""Does each allocation procedure keep what it promises?

    python bench/randomization.py [--quick] [--trials 20000] [--seed 1]

Type I error: thousands of trials in which the treatment does nothing, while the patients drift over time and two covariates matter, each tested by
re-randomisation with its own procedure (the test proper to it), and by the t test for comparison. Wanted: 5 % ± 0.5 points.

Balance: minimisation at p = .9 of 100 patients over 8 factors. Wanted: the arms at most 2 apart in 95 % of the trials; marginal imbalance is reported.

A batch of trials shares its patients and its reference lists, and each batch has its own; the reference lists are 1,999, so that .05 can be met exactly.
"""
import sys
import time
from pathlib import Path

import numpy as np
from scipy.special import stdtr

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, finish, progress

from clintrial.intervals import wilson
from clintrial.randomization import AtkinsonCoin, BiasedCoin, BigStick, Minimisation, PermutedBlock, ResponseAdaptive, Simple, StratifiedBlock, Urn, joint_strata, leads
from clintrial.randomization.responses import pooled_z
from clintrial.randomization.testing import mean_differences

LEVEL, TOLERANCE = .05, .005
PATIENTS, LISTS, BATCH = 100, 1999, 50      # a trial; reference lists; trials that share them
PROCEDURES = {'simple': Simple(), 'permuted block 4': PermutedBlock(), 'permuted block 4, 6, 8': PermutedBlock(sizes=(4, 6, 8)), 'stratified block': StratifiedBlock(),
              'biased coin 2/3': BiasedCoin(),
              'big stick 3': BigStick(), 'urn': Urn(), 'minimisation, range': Minimisation(), 'minimisation, variance': Minimisation(measure='variance'),
              'minimisation, marginal': Minimisation(measure='marginal'),
              'minimisation p .8': Minimisation(p=.8), 'prognostic score, Atkinson': AtkinsonCoin()}


def t_test(arms: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    "Two-sided p values of Student's t test, one a trial."
    second = arms == 1
    n = np.stack([(~second).sum(axis=1), second.sum(axis=1)])
    sums = np.stack([np.where(second, 0, outcomes).sum(axis=1), np.where(second, outcomes, 0).sum(axis=1)])
    within = (outcomes**2).sum(axis=1) - (sums**2/n).sum(axis=0)
    statistic = (sums[1]/n[1] - sums[0]/n[0])/np.sqrt(within/(PATIENTS - 2)*(1/n).sum(axis=0))
    return 2*stdtr(PATIENTS - 2, -abs(statistic))


def one_batch(procedure, generator) -> tuple:
    "Rejections by the test proper and by the t test in one batch of trials."
    factors, score = generator.integers(0, 2, (PATIENTS, 3)), generator.normal(size=(PATIENTS, 1))
    known = {'StratifiedBlock': joint_strata(factors), 'AtkinsonCoin': score}.get(type(procedure).__name__, factors)
    arms = procedure.draw(PATIENTS, generator, BATCH + LISTS, known)
    prognosis = factors[:, 0] + .5*factors[:, 1] + score[:, 0] + 1.5*np.linspace(0, 1, PATIENTS)     # covariates and a drift
    outcomes = prognosis + generator.normal(size=(BATCH, PATIENTS))
    observed = np.array([mean_differences(arms[trial:trial + 1], outcomes[trial])[0] for trial in range(BATCH)])
    might = mean_differences(arms[BATCH:], outcomes)                                                 # (lists, trials)
    p = (1 + (abs(might) >= abs(observed) - 1e-10).sum(axis=0))/(LISTS + 1)
    return p <= LEVEL, t_test(arms[:BATCH], outcomes) <= LEVEL


def adaptive_batch(rule, generator) -> tuple:
    "The same for a response-adaptive rule: each trial has outcomes, and so reference lists, of its own."
    lists = 199
    rate = .2 + .4*np.linspace(0, 1, PATIENTS)
    outcomes = generator.random((BATCH, PATIENTS)) < rate
    held = np.repeat(outcomes, lists + 1, axis=0)
    arms = rule.run(np.broadcast_to(held[..., None], (*held.shape, 2)), generator.random(held.shape))
    z = pooled_z(arms, held).reshape(BATCH, lists + 1)
    p = (1 + (abs(z[:, 1:]) >= abs(z[:, :1]) - 1e-6).sum(axis=1))/(lists + 1)
    return p <= LEVEL, abs(z[:, 0]) > 1.959964


def type_one_errors(trials: int, seed: int) -> dict:
    "Share of rejections under the null, one entry a procedure."
    figures = {}
    for place, (name, procedure) in enumerate({**PROCEDURES, 'response-adaptive, Thompson': ResponseAdaptive('thompson')}.items()):
        start, generator = time.perf_counter(), np.random.default_rng([seed, place])
        batch = adaptive_batch if isinstance(procedure, ResponseAdaptive) else one_batch
        proper, usual = (np.concatenate(parts) for parts in zip(*(batch(procedure, generator) for _ in range(trials//BATCH))))
        low, high = wilson(int(proper.sum()), len(proper))
        figures[name] = {'type_one_error': proper.mean(), 'low': low, 'high': high, 'trials': len(proper), 'usual_test': usual.mean(), 'seconds': time.perf_counter() - start,
                         'holds': bool(abs(proper.mean() - LEVEL) <= TOLERANCE)}
        progress(f"{name}: {100*proper.mean():.2f} % ({100*low:.2f} to {100*high:.2f}), usual test {100*usual.mean():.2f} %, {figures[name]['seconds']:.1f} s")
    return figures


def minimisation_balance(trials: int, seed: int) -> dict:
    "Eight factors, a hundred patients, p = .9: two levels each, and two to five levels of unequal size."
    figures, generator = {}, np.random.default_rng(seed)
    kinds = {'8 factors of 2 levels': generator.integers(0, 2, (trials, PATIENTS, 8)),
             '8 factors of 2 to 5 uneven levels': np.stack([np.minimum((generator.random((trials, PATIENTS))**1.5*levels).astype(int), levels - 1) for levels in (2, 2, 3, 3,
                     4, 4, 5, 5)], axis=2)}
    for name, factors in kinds.items():
        for procedure, words in ((Minimisation(), 'whole weighs as one factor'), (Minimisation(overall=0.), 'margins only'), (Simple(), 'simple')):
            overall, mean, largest = leads(procedure.draw(PATIENTS, generator, trials, factors), factors)
            figures[f'{name}, {words}'] = {'at_most_2': (overall <= 2).mean(), 'overall_95': np.quantile(overall, .95), 'marginal_mean': mean.mean(),
                                           'marginal_largest': largest.mean(), 'marginal_largest_95': np.quantile(largest, .95)}
            progress(f"{name}, {words}: overall ≤ 2 in {100*(overall <= 2).mean():.1f} %, marginal imbalance {mean.mean():.2f} on average, largest {largest.mean():.2f}")
    return figures


def main():
    given = arguments(__doc__.splitlines()[0], trials=20_000, seed=1)
    start = time.perf_counter()
    errors = type_one_errors(10_000 if given.quick else given.trials, given.seed)
    balance = minimisation_balance(2_000 if given.quick else 10_000, given.seed)
    wanted = [figures['at_most_2'] for name, figures in balance.items() if 'whole' in name]
    finish({'bench': 'randomization', 'quick': given.quick, 'seed': given.seed, 'type_one_errors': errors, 'balance': balance,
            'all_levels_hold': all(one['holds'] for one in errors.values()),
            'balance_holds': min(wanted) >= .95, 'seconds': time.perf_counter() - start})


if __name__ == '__main__': main()
