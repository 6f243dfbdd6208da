"""Do sets and intervals hold what they promise? One fixed model a study, its calibration and test patients drawn anew 100 times.

For each study the model is fine-tuned once; the patients that it never saw are then divided 100 times into calibration and test halves (groups, such as the sentences of
one article, stay together), the predictor is built anew each time, and its 90 % sets (empty ones allowed) or intervals are counted.

    python bench/interval_coverage.py [--quick] [--resplits 100] [--only 'druglib rating,ade_corpus']

`--quick` trains two layers on fewer patients and the first 96 tokens: what conformal sets promise does not depend on how good the model is.
"""
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.isotonic import IsotonicRegression

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import ade_corpus, arguments, describe_machine, druglib, finish, progress

from clintrial.dataset import TrialData
from clintrial.metrics import expected_ece_if_calibrated, point_estimates
from clintrial.model import TrialModel
from clintrial.predictor import Predictor
from clintrial.tasks import Binary, Ordinal, Regression, Survival
from clintrial.trainer import FineTuneConfig, FineTuner
from clintrial.tuning import LastK

LEVEL = .9
PROMISED = (.88, .92)        # coverage on average
SUBGROUP, SMALLEST = .85, 300   # coverage of each subgroup of at least so many test cases
CALIBRATION = .03            # calibration error beyond its mean under perfect calibration


# -- studies: (data, task, subgroups named beforehand, true probability or None)

def halves(values, low: str, high: str) -> np.ndarray:
    "Below or above the median."
    return np.where(values > np.median(values), high, low)


def simulated(target, make_task, quick: bool):
    "A simulated trial with one of its outcomes as the target."
    from clintrial.causal import SEVERITY
    from clintrial.simulate import simulate_trial
    task = make_task(SEVERITY)
    trial = simulate_trial(n=2_200 if quick else 20_000, seed=7)
    schema = replace(trial.data.schema, target=target)
    data = TrialData(trial.data.frame, schema)
    frame = data.frame
    groups = pd.DataFrame({'sex': frame['sex'], 'arm': frame[schema.arm], 'age': np.where(frame['age'] >= 65, '65 and older', 'below 65')}, index=frame.index)
    truth = pd.Series(trial.truth['probability'].to_numpy(), index=frame.index) if task.kind == 'binary' else None
    return data, task, groups, truth


def reviews(kind: str):
    "Drug reviews: short and long ones; drugs that are often or seldom reviewed."
    data, task = druglib(kind)
    words = data.frame[list(data.schema.text)].fillna('').agg(' '.join, axis=1).str.split().str.len()
    often = data.frame['urlDrugName'].map(data.frame['urlDrugName'].value_counts())
    return data, task, pd.DataFrame({'length': halves(words, 'short', 'long'), 'drug': halves(often, 'seldom', 'often')}, index=data.ids), None


def sentences(quick: bool):
    "Sentences of case reports: short and long ones; older and newer articles."
    data, task = ade_corpus()
    if quick: data = data.split(fractions=(.2, .1, .1, .6), seed=1).train   # articles drawn at random
    groups = {'length': halves(data.frame['text'].str.len(), 'short', 'long'), 'article': halves(data.frame['pmid'].astype(int), 'older', 'newer')}
    return data, task, pd.DataFrame(groups, index=data.ids), None


STUDIES = {'simulated response':    lambda quick: simulated(('response',), lambda _: Binary('response', positive='responder'), quick),
           'simulated improvement': lambda quick: simulated(('improvement',), lambda _: Regression('improvement'), quick),
           'druglib efficacy':      lambda quick: reviews('binary'),
           'druglib rating':        lambda quick: reviews('rating'),
           'ade_corpus':            lambda quick: sentences(quick)}
SLOW = {'druglib effectiveness': lambda quick: reviews('effectiveness'),
        'simulated severity':      lambda quick: simulated(('severity',), lambda levels: Ordinal('severity', order=levels), quick),
        'simulated survival':      lambda quick: simulated(('event_time', 'event'), lambda _: Survival('event_time', 'event'), quick)}


# -- one study

def unseen_logits(data: TrialData, task, quick: bool, folder: Path):
    "Fine-tune once; ids, targets and logits of every case outside training and validation, and the fitted task."
    train = min(.45, (600 if quick else 4_000)/len(data))
    splits = data.split(fractions=(train, train/4, .5 - train*5/8, .5 - train*5/8), seed=0)
    faster = {'tuning': LastK(2), 'window_tokens': 96, 'max_tokens': 96} if quick else {}   # coverage must not depend on the model
    model = TrialModel.build('minilm', splits.train, task, **faster)
    config = FineTuneConfig(output_dir=str(folder), num_train_epochs=2 if quick else 4, baselines=False, disable_tqdm=True)
    run = FineTuner(model, splits, config).fit()
    parts = [run.logits(split) for split in ('calibration', 'test')]
    return run.task, pd.Index(np.concatenate([part[0] for part in parts])), *(np.concatenate([part[place] for part in parts]) for place in (1, 2))


def two_halves(groups: np.ndarray, generator) -> np.ndarray:
    "True for the calibration half; a group is never on both sides."
    names, place = np.unique(groups, return_inverse=True)
    return (generator.permutation(len(names)) < len(names)/2)[place]


def one_resplit(task, targets, logits, calibrate, groups, truth) -> list:
    "Every share of one division, as rows of (measure, value)."
    predictor = Predictor.from_logits(task, targets[calibrate], logits[calibrate])
    test = ~calibrate
    frame = predictor.calibrate(logits[test], level=LEVEL)
    rows = [(one.metric.split()[0], f'{one.subgroup}: {one.value}' if one.subgroup else 'all', one.estimate, one.n)
            for one in predictor.coverage(targets[test], frame, groups[test].reset_index(drop=True)).estimates]
    rows += [('abstained', 'all', frame['abstain'].mean(), len(frame))]
    if frame['set'].notna().all():
        sizes = frame['set'].map(len)
        rows += [('set size', 'all', sizes.mean(), len(frame)), ('empty sets', 'all', (sizes == 0).mean(), len(frame))]
    elif np.isfinite(frame['high']).all(): rows += [('interval width', 'all', (frame['high'] - frame['low']).mean(), len(frame))]
    return rows + (class_rows(predictor, task, targets, logits, calibrate, frame, truth) if task.outcome == 'classes' else [])


def class_rows(predictor, task, targets, logits, calibrate, frame, truth) -> list:
    "What concerns probabilities: coverage of each class, calibration error and its mean under perfect calibration, the true probability."
    test = ~calibrate
    by_class = pd.Series(np.asarray(task.classes)[targets[test]], name='class')
    each = Predictor.from_logits(task, targets[calibrate], logits[calibrate], each_class=True)
    rows = [(f'coverage by class{words}', str(one.value), one.estimate, one.n) for words, source in (('', predictor), (', each_class', each))
            for one in source.coverage(targets[test], source.calibrate(logits[test], level=LEVEL), by_class).estimates[1:]]
    distribution = predictor.calibration.decode(logits[test])
    error = point_estimates(task, targets[test], distribution, ['ece'])['ece']
    chance = expected_ece_if_calibrated(distribution, n_simulations=200)
    rows += [('calibration error', 'all', error, test.sum()), ('calibration error if perfect', 'all', chance, test.sum()), ('calibration error beyond', 'all', error - chance, test.sum())]
    if truth is None: return rows
    low, high = predictor.calibration.intervals[1].abers.pair(distribution[:, 1])
    alike = IsotonicRegression().fit(logits[:, 0], truth).predict(logits[test, 0])    # mean true probability of the patients with such a score
    for name, true in (('true probability', truth[test]), ('true mean of patients scored alike', alike)):
        rows += [(f'{name} in the Venn–Abers pair', 'all', ((low <= true) & (true <= high)).mean(), test.sum()),
                 (f'{name} in the interval shown', 'all', predictor.interval_coverage(true, frame).overall.estimate, test.sum())]
    return rows + [('width of the Venn–Abers pair', 'all', (high - low).mean(), test.sum()), ('width of the interval shown', 'all', (frame['high'] - frame['low']).mean(), test.sum())]


def study(name: str, make, quick: bool, resplits: int, folder: Path) -> pd.DataFrame:
    "Means over the re-splits, one row a measure."
    begun = time.perf_counter()
    data, task, groups, truth = make(quick)
    task, ids, targets, logits = unseen_logits(data, task, quick, folder)
    trained = time.perf_counter() - begun
    groups = groups.loc[ids]
    truth = None if truth is None else truth.loc[ids].to_numpy()
    together = (data.frame.loc[ids, data.schema.subject] if data.schema.subject else pd.Series(ids)).astype(str).to_numpy()
    threads, generator, rows = torch.get_num_threads(), np.random.default_rng(0), []
    torch.set_num_threads(1)       # the sums below are too small to share
    for _ in range(resplits): rows += one_resplit(task, targets, logits, two_halves(together, generator), groups, truth)
    torch.set_num_threads(threads)
    table = pd.DataFrame(rows, columns=['measure', 'of', 'value', 'n']).groupby(['measure', 'of'], sort=False).agg(mean=('value', 'mean'), sd=('value', 'std'), n=('n', 'mean'))
    progress(f'{name}: {len(ids)} unseen cases, {trained:.0f} s to train and predict, {time.perf_counter() - begun - trained:.0f} s for {resplits} re-splits')
    table = table.reset_index().assign(study=name)
    progress(table.round({'mean': 4, 'sd': 4, 'n': 0}).drop(columns='study').to_string(index=False))
    return table


def verdict(table: pd.DataFrame) -> dict:
    "What the issue asks for, as figures and as yes or no."
    covers = table[(table['measure'] == 'coverage') & (table['of'] == 'all')].set_index('study')['mean']
    parts = table[(table['measure'] == 'coverage') & (table['of'] != 'all') & (table['n'] >= SMALLEST)]
    beyond = table[table['measure'] == 'calibration error beyond'].set_index('study')['mean']
    known = beyond[beyond.index.str.startswith('simulated')]
    return {'coverage': covers.to_dict(), 'coverage_holds': bool(covers.between(*PROMISED).all()),
            'lowest_subgroup': parts['mean'].min(), 'subgroups': len(parts), 'subgroups_hold': bool((parts['mean'] >= SUBGROUP).all()) if len(parts) else None,
            'calibration_error_beyond': beyond.to_dict(), 'calibration_holds': bool(known.le(CALIBRATION).all()) if len(known) else None}


def figure(table: pd.DataFrame, measure: str, study: str = 'simulated response'):
    "One mean, or None."
    found = table[(table['measure'] == measure) & (table['study'] == study)]['mean']
    return found.iloc[0] if len(found) else None


def main():
    options = arguments(__doc__.splitlines()[0], resplits=100, only='')
    studies = STUDIES if options.quick else STUDIES | SLOW
    if options.only: studies = {name: make for name, make in (STUDIES | SLOW).items() if name in options.only.split(',')}
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tables = [study(name, make, options.quick, options.resplits, Path(folder)/name.replace(' ', '-')) for name, make in studies.items()]
    table = pd.concat(tables, ignore_index=True)
    with pd.option_context('display.width', 200, 'display.max_rows', None, 'display.max_colwidth', 60):
        print(table[['study', 'measure', 'of', 'mean', 'sd', 'n']].round({'mean': 4, 'sd': 4, 'n': 0}).to_string(index=False))
    error, chance = (figure(table, name) for name in ('calibration error', 'calibration error if perfect'))
    print(f'level {LEVEL}, {options.resplits} re-splits; simulated trial: calibration error {error or float("nan"):.4f}, its mean under perfect calibration {chance or float("nan"):.4f}')
    finish({**verdict(table), 'calibration_error': error, 'calibration_error_if_perfect': chance,
            'venn_abers_holds_true_probability': figure(table, 'true probability in the Venn–Abers pair'),
            'interval_holds_true_probability': figure(table, 'true probability in the interval shown'),
            'venn_abers_holds_mean_of_alike': figure(table, 'true mean of patients scored alike in the Venn–Abers pair'),
            'interval_holds_mean_of_alike': figure(table, 'true mean of patients scored alike in the interval shown'),
            'resplits': options.resplits, 'seconds': time.perf_counter() - begun, 'machine': describe_machine()})


if __name__ == '__main__': main()
