"""Outlooks of simulated patients: a fine-tuned language model, its opponents and the truth on the same patients; intervals, sites; the CDISC pilot study where it is at hand.

    python bench/outlook.py --quick
    python bench/outlook.py --patients 4000 --seeds 3

Every choice (penalties, epoch, pooling weight) is made on validation; calibration has a split of its own; figures are of test splits. The last line is one JSON object.
"""
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, data_folder, describe_machine, finish, peak_memory_mb, progress

from clintrial.loading import DataError
from clintrial.outlook.courses import courses_of_care, courses_of_sdtm
from clintrial.outlook.landmarks import landmark_table
from clintrial.outlook.modelled import modelled_problems, only_modelled
from clintrial.outlook.onsets import Onsets
from clintrial.outlook.opponents import fit_hazards, fit_opponents, pool
from clintrial.outlook.prediction import calibrated, fine_tune
from clintrial.outlook.scores import interval_coverage, score_readers, true_curves
from clintrial.outlook.simulated_courses import simulate_courses
from clintrial.outlook.sites import compare_sites, leave_one_site_out
from clintrial.tuning import LastK

LANDMARK, HORIZON = 120, 90


def readers_of(task, splits, epochs: float, layers: int) -> dict:
    "All readers of one trial, the language model and its pool with words among them."
    readers = fit_opponents(task, splits)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder: language = fine_tune(task, splits, Path(folder)/'run', tuning=LastK(layers), num_train_epochs=epochs, learning_rate=2e-4)
    progress(f'fine-tuned in {time.perf_counter() - begun:.0f} s')
    readers['language model'] = language
    readers['pooled'] = pool(task, language, readers['last values and words'], splits.validation)
    return readers


def one_trial(patients: int, seed: int, epochs: float, layers: int, resamples: int) -> dict:
    "Scores, coverage and sites of one simulated trial."
    simulated = simulate_courses(patients, seed=seed)
    asked = landmark_table(simulated.courses, LANDMARK, HORIZON)
    chosen = modelled_problems(asked, least=40)
    table = only_modelled(asked, chosen)
    splits = table.data.split(fractions=(.5, .1, .15, .25), seed=seed)
    task = Onsets(table.problems, HORIZON).fit(splits.train.frame)
    readers = readers_of(task, splits, epochs, layers)
    test = splits.test.frame
    truth = simulated.truth(test['subject'], LANDMARK, task.times)
    curves = {name: task.decode(reader.logits(splits.test)) for name, reader in readers.items()} | {'truth': true_curves(task, truth)}
    scores = score_readers(task, task.encode(test), curves, reference='last values', n_resamples=resamples)
    progress(f'seed {seed}: {scores.sentence()}')
    at_end = {name: values[:, -1] for name, values in truth.items()}
    covered = {name: interval_coverage(calibrated(readers[name], splits, chosen.refused).predict(replace(table, frame=test)), test, at_end) for name in ('last values and words', 'language model', 'pooled')}
    return {'scores': scores, 'coverage': covered, 'chosen': chosen, 'sites': compare_sites(task, splits.test, curves['pooled'], shifts=False), 'weight': readers['pooled'].weight, 'sizes': {name: len(part) for name, part in splits}}


def pooled_coverage(found: list, reader: str) -> dict:
    "Each promise over all problems and trials: share held, promised."
    rows = pd.concat([one['coverage'][reader] for one in found])
    return {what: {'promised': part['promised'].iloc[0], 'held': float(np.average(part['estimate'], weights=part['n'])), 'n': int(part['n'].sum())} for what, part in rows[rows['n'] > 0].groupby('what')}


def figures_of(found: list) -> dict:
    "Mean over trials of the means over problems, with the interval of the first trial."
    tables = pd.concat([one['scores'].table.assign(trial=place) for place, one in enumerate(found)])
    apart = pd.concat([one['scores'].differences.assign(trial=place) for place, one in enumerate(found)])
    return {'means': tables.groupby(['metric', 'reader'])['estimate'].mean().unstack('metric').round(4).to_dict('index'),
            'concordance_first_trial': tables.query("metric == 'onset_concordance' and trial == 0").set_index('reader')[['estimate', 'low', 'high']].to_dict('index'),
            'against_last_values': apart.query("metric == 'onset_concordance'")[['trial', 'reader', 'estimate', 'low', 'high']].to_dict('records'),
            'auc_first_trial': tables.query("metric == 'roc_auc' and trial == 0")[['problem', 'reader', 'estimate', 'low', 'high']].to_dict('records')}


def pilot() -> dict:
    "The CDISC pilot study: problems that begin after day 30, by linear readers; five-fold would reuse patients, so one split and its wide intervals."
    courses = courses_of_sdtm(data_folder()/'cdisc_pilot'/'sdtm')
    asked = landmark_table(courses, 30, 90)
    chosen = modelled_problems(asked, least=15)
    table = only_modelled(asked, chosen)
    splits = table.data.split(fractions=(.45, .15, .1, .3), seed=0)
    task = Onsets(table.problems, 90, n_times=3).fit(splits.train.frame)
    readers = fit_opponents(task, splits)
    scores = score_readers(task, task.encode(splits.test.frame), {name: task.decode(reader.logits(splits.test)) for name, reader in readers.items()}, reference='life table', n_resamples=500)
    return {'rows': len(table), 'problems': chosen.table.head(8).drop(columns='reason').to_dict('records'), 'modelled': list(chosen.names), 'refused': len(chosen.refused), 'test_rows': len(splits.test),
            'concordance': scores.table.query("metric == 'onset_concordance'")[['reader', 'estimate', 'low', 'high']].to_dict('records'), 'sites_compared': sites_or_reason(task, splits, readers)}


def sites_or_reason(task, splits, readers) -> str:
    "Sites of the pilot study, or why they cannot be compared."
    try: return compare_sites(task, splits.test, task.decode(readers['last values'].logits(splits.test)), shifts=False).sentence()
    except DataError as error: return str(error)


def main():
    options = arguments(__doc__.splitlines()[0], patients=0, seeds=0, epochs=0., layers=0, resamples=0)
    torch.set_num_threads(1)
    usual = dict(patients=1000, seeds=1, epochs=3., layers=1, resamples=200) if options.quick else dict(patients=4000, seeds=3, epochs=4., layers=2, resamples=1000)
    patients, seeds, epochs, layers, resamples = (getattr(options, name) or value for name, value in usual.items())
    begun = time.perf_counter()
    found = [one_trial(patients, seed, epochs, layers, resamples) for seed in range(seeds)]
    figures = figures_of(found) | {'coverage': {reader: pooled_coverage(found, reader) for reader in found[0]['coverage']}, 'pool_weights': [one['weight'] for one in found], 'refused': found[0]['chosen'].refused}
    figures['sites'] = found[0]['sites'].table.query("problem == 'all'").to_dict('records')
    large = landmark_table(simulate_courses(patients, seed=0).courses, LANDMARK, HORIZON, problems=found[0]['chosen'].names)
    figures['sites_never_seen'] = leave_one_site_out(large, fit_hazards).query("problem == 'all'").to_dict('records')
    try: figures['pilot'] = pilot()
    except SystemExit as absent: figures['pilot'] = str(absent)
    else: figures['synthea'] = repr(courses_of_care(data_folder()/'synthea_omop27')) + '; 27 patients: nothing can be scored'
    finish(figures | {'patients': patients, 'trials': seeds, 'sizes': found[0]['sizes'], 'seconds': time.perf_counter() - begun, 'memory_mb': peak_memory_mb(), 'machine': describe_machine()})


if __name__ == '__main__': main()
