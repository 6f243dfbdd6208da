"""How good is the default way? Language model, TF-IDF and their stack on public data, with paired 95 % intervals.

    python bench/quality.py --quick                                  # one seed, fewer rows, under ten minutes on two cores
    python bench/quality.py --sets druglib_binary,ade_corpus --seeds 0,1,2 --recipe fast

The test cases are a part of each data set's training file, held out with a fixed seed; no official test split is read. A seed changes head, order of batches and the
split into training and validation, never the test cases. Every choice (epoch, penalty, weight of the stack) is made on validation.
"""
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import ade_corpus, arguments, describe_machine, drawn, druglib, finish, nli4ct, progress, top_phase1

from clintrial.dataset import Splits
from clintrial.demo import RECIPES
from clintrial.metrics import compare, evaluate
from clintrial.model import TrialModel
from clintrial.run import LANGUAGE_MODEL
from clintrial.trainer import FineTuneConfig, FineTuner

SETS = {   # name: (data and task, metrics, options of the model)
    'druglib_binary': (lambda: druglib('binary'), ('roc_auc', 'macro_f1'), {}),
    'druglib_effectiveness': (lambda: druglib('effectiveness'), ('quadratic_kappa', 'macro_f1'), {}),
    'druglib_rating': (lambda: druglib('rating'), ('mae', 'spearman'), {}),
    'ade_corpus': (ade_corpus, ('roc_auc', 'macro_f1'), {}),
    'top_phase1': (top_phase1, ('roc_auc', 'average_precision'), {}),
    'nli4ct': (nli4ct, ('roc_auc', 'accuracy'), {}),
}


def splits_for(data, seed: int, rows: int) -> Splits:
    "A fixed test part of at most 1,000 cases; the rest split anew for each seed, and cut to `rows` training rows where asked."
    outer = data.split(fractions=(.45, .15, .15, .25), seed=0)
    pool = data.take([*outer.train.ids, *outer.validation.ids, *outer.calibration.ids])
    inner = pool.split(fractions=(.8, .1, .05, .05), seed=seed)
    return Splits(drawn(inner.train, rows), inner.validation, inner.calibration, drawn(outer.test, 1000), {'by': 'fixed test part', 'seed': seed})


def one_run(name: str, seed: int, recipe: str, rows: int) -> pd.DataFrame:
    "Paired differences of one training, a row a metric and opponent."
    load, metrics, options = SETS[name]
    data, task = load()
    splits = splits_for(data, seed, rows)
    model = TrialModel.build('minilm', splits.train, task, seed=seed, **options)
    model.retune(RECIPES[recipe].tuning(len(model.layers())))
    with tempfile.TemporaryDirectory() as folder:
        config = FineTuneConfig(output_dir=Path(folder)/'run', num_train_epochs=RECIPES[recipe].epochs, seed=seed, disable_tqdm=True, probe=False)
        run = FineTuner(model, splits, config).fit()
        return table_of(run, metrics).assign(set=name, seed=seed, recipe=recipe, rows=len(splits.train))


def table_of(run, metrics) -> pd.DataFrame:
    "Each opponent's metric with its interval, and the language model's and the stack's paired difference to TF-IDF and to the better of the two."
    targets, said = run.targets(), {name: run.distribution(name) for name in run.opponents()}
    found = {name: evaluate(run.task, targets, one, metrics=metrics) for name, one in said.items()}
    rows = [{'what': name, 'metric': metric, 'estimate': found[name][metric].estimate, 'low': found[name][metric].low, 'high': found[name][metric].high} for name in said for metric in metrics]
    for metric in metrics:
        better = max if found[LANGUAGE_MODEL].table.set_index('metric').loc[metric, 'better'] == 'higher' else min
        best = better((LANGUAGE_MODEL, 'tfidf'), key=lambda name: found[name][metric].estimate)
        for first, second, title in ((LANGUAGE_MODEL, 'tfidf', 'language model − TF-IDF'), ('stack', best, 'stack − better of the two')):
            one = compare(run.task, targets, said[first], said[second], metrics=(metric,))[metric]
            rows.append({'what': title, 'metric': metric, 'estimate': one.difference, 'low': one.low, 'high': one.high})
    return pd.DataFrame(rows)


def main():
    options = arguments(__doc__.splitlines()[0], sets='', seeds='0', recipe='fast', rows=0, save='')
    torch.set_num_threads(1)
    names = [name for name in options.sets.split(',') if name] or (['druglib_binary'] if options.quick else list(SETS))
    found = []
    for name in names:
        for seed in map(int, options.seeds.split(',')):
            found.append(one_run(name, seed, options.recipe, options.rows or (500 if options.quick else 0)))
            progress(found[-1].drop(columns=['set', 'recipe']).to_string(index=False, float_format='{:.3f}'.format))
            if options.save: pd.concat(found).to_csv(options.save, index=False)
    table = pd.concat(found)
    means = table.groupby(['set', 'metric', 'what'], sort=False)[['estimate', 'low', 'high']].mean()
    print(means.to_string(float_format='{:.3f}'.format))
    finish({'recipe': options.recipe, 'seeds': options.seeds, 'figures': {' | '.join(key): list(row) for key, row in zip(means.index, means.to_numpy())},
            'meaning': 'estimate, low, high: means over seeds of the estimate and of the bounds of its 95 % interval', 'machine': describe_machine()})


if __name__ == '__main__': main()
