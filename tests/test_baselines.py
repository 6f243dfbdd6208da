"The opponents on real trial text, and what a saved one may hold."
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from clintrial.baselines import PATH, Baselines, Problem, Stack, fit_linear, yes_no_loss
from clintrial.dataset import Schema, TrialData
from clintrial.metrics import compare, evaluate
from clintrial.tasks import Binary, Multiclass, Ordinal, Regression

DATA = Path(os.environ.get('CLINTRIAL_DATA', Path(__file__).parent.parent.parent/'shared'/'data'))
needs_data = pytest.mark.skipif(not DATA.exists(), reason='no CLINTRIAL_DATA')
FIELDS = ('urlDrugName', 'condition', 'benefitsReview', 'sideEffectsReview', 'commentsReview')


def halves(frame, schema, seed=0, share=.2):
    "Training and validation rows."
    order, held = np.random.default_rng(seed).permutation(len(frame)), int(len(frame)*share)
    return TrialData(frame.iloc[order[held:]], schema), TrialData(frame.iloc[order[:held]], schema)


def druglib(target):
    "Reviews, with the target as the data's README defines it."
    frame = pd.read_csv(DATA/'druglib'/'train.tsv', sep='\t', keep_default_na=False)
    grades = {'Considerably Effective': 'yes', 'Highly Effective': 'yes', 'Ineffective': 'no', 'Marginally Effective': 'no'}
    frame = frame.assign(efficacy=frame.effectiveness.map(grades))
    return frame.dropna(subset='efficacy') if target == 'efficacy' else frame


@needs_data
def test_binary_efficacy_of_drug_reviews():
    train, validation = halves(druglib('efficacy'), Schema(text=FIELDS, target='efficacy'), seed=2)
    started = time.process_time()
    baselines = Baselines.fit(Binary('efficacy', positive='no'), train, validation)
    assert time.process_time() - started < 20
    found = evaluate(baselines.task, baselines.task.encode(validation.frame), baselines.distribution('tfidf', validation))
    print(found)
    assert found['roc_auc'].estimate > .85 and found['macro_f1'].estimate > .74
    assert evaluate(baselines.task, baselines.task.encode(validation.frame), baselines.distribution('prevalence', validation))['brier'].low > found['brier'].high - .05


@needs_data
@pytest.mark.parametrize('task, metric, least', [(Regression('rating'), 'r2', .3), (Ordinal('effectiveness', order=(
    'Ineffective', 'Marginally Effective', 'Moderately Effective', 'Considerably Effective', 'Highly Effective')), 'quadratic_kappa', .46)])
def test_rating_and_grades_of_drug_reviews(task, metric, least):
    train, validation = halves(druglib(task.target), Schema(text=FIELDS, target=task.target))
    baselines = Baselines.fit(task, train, validation)
    found = evaluate(baselines.task, baselines.task.encode(validation.frame), baselines.distribution('tfidf', validation))
    print(found)
    assert found[metric].estimate > least


@needs_data
def test_adverse_events_in_case_reports():
    schema = Schema(text='text', target='label')
    train, validation = (TrialData(pd.read_csv(DATA/'ade_corpus'/f'{part}.csv'), schema) for part in ('train', 'valid'))
    started = time.process_time()
    baselines = Baselines.fit(Binary('label'), train, validation)
    assert time.process_time() - started < 40
    truth, spoken = baselines.task.encode(validation.frame), baselines.distribution('tfidf', validation)
    decided = spoken[:, 1] > .5
    assert 2*(decided & (truth == 1)).sum()/(decided.sum() + truth.sum()) > .69
    print(evaluate(baselines.task, truth, spoken))


@needs_data
def test_long_criteria_of_phase_one_trials():
    schema = Schema(text=('diseases', 'drugs', 'criteria'), target='label')
    train, validation = (TrialData(pd.read_csv(DATA/'top_phase1'/f'{part}.csv'), schema) for part in ('train', 'valid'))
    started = time.process_time()
    baselines = Baselines.fit(Binary('label'), train, validation)
    assert time.process_time() - started < 30
    assert evaluate(baselines.task, baselines.task.encode(validation.frame), baselines.distribution('tfidf', validation))['roc_auc'].estimate > .6


@needs_data
def test_forty_four_classes_of_chinese_criteria():
    frame = pd.read_csv(DATA/'chip_ctc'/'sample.tsv', sep='\t', keep_default_na=False)
    text, label = (next(name for name in frame.columns if name.lower() in wanted) for wanted in (('text', 'sentence', 'criterion'), ('label', 'category')))
    kept = frame[frame[label].map(frame[label].value_counts()) >= 4]
    train, validation = halves(kept, Schema(text=text, target=label), seed=1)
    validation = validation.take(validation.ids[validation.frame[label].isin(set(train.frame[label]))])
    baselines = Baselines.fit(Multiclass(label), train, validation)
    accuracy = evaluate(baselines.task, baselines.task.encode(validation.frame), baselines.distribution('tfidf', validation), metrics=['accuracy'])['accuracy']
    nothing = evaluate(baselines.task, baselines.task.encode(validation.frame), baselines.distribution('prevalence', validation), metrics=['accuracy'])['accuracy']
    assert accuracy.low > nothing.high


def notes(n, seed=0):
    "A table whose text holds names."
    generator = np.random.default_rng(seed)
    sick = generator.random(n) < .5
    frame = pd.DataFrame({'note': [f'Mr Featherstonehaugh {"has" if ill else "denies"} nausea since {generator.integers(9)} days' for ill in sick],
                          'sex': generator.choice(['F', 'M'], n), 'age': generator.normal(60, 9, n), 'outcome': np.where(sick ^ (generator.random(n) < .1), 'bad', 'good')})
    return TrialData(frame, Schema(text='note', numeric='age', categorical='sex', target='outcome'))


def test_no_word_of_a_patient_on_disk(tmp_path):
    baselines = Baselines.fit(Binary('outcome', positive='bad'), notes(200), notes(60, 1))
    baselines.save(tmp_path/'baselines')
    written = b''.join(path.read_bytes() for path in (tmp_path/'baselines').iterdir())
    assert b'eatherstone' not in written and b'nausea' not in written and b'pickle' not in written
    json.loads((tmp_path/'baselines'/'baselines.json').read_text(encoding='utf-8'))
    np.testing.assert_array_equal(Baselines.load(tmp_path/'baselines').distribution('tfidf', notes(50, 2)), baselines.distribution('tfidf', notes(50, 2)))


def test_the_fit_is_the_minimum():
    "At the solution no small step lowers the penalised loss."
    generator = np.random.default_rng(0)
    import scipy.sparse as sp
    matrix = sp.random_array((80, 30), density=.3, rng=generator, format='csr')
    answers = (generator.random((80, 2)) < .5).astype(float)
    for C in PATH:
        problem = Problem(matrix, yes_no_loss, answers, np.ones((80, 1)), C, 2)
        flat = fit_linear(problem, tolerance=1e-9)
        def value(flat): return problem.loss(problem.scores(flat), answers, problem.mask)[0] + (problem.penalty*flat) @ flat/2
        assert all(value(flat) <= value(flat + 1e-3*generator.normal(size=len(flat))) for _ in range(20))


@pytest.mark.parametrize('noise', [(1, 1), (1, 2), (1, 8), (3, 3)])
def test_a_stack_is_no_worse_than_the_better_one(noise):
    "Over validation splits of 300 cases: on average, and by little at worst."
    task, losses = Binary('y', classes=('no', 'yes')), []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        def readers(n):
            z = generator.normal(-1, 2, n)
            seen = [scale*(z + size*generator.normal(size=n)) for scale, size in zip((1.5, .7), noise)]
            return (generator.random(n) < expit(z)).astype(int), {name: np.column_stack([expit(-part), expit(part)]) for name, part in zip('ab', seen)}
        stack = Stack.fit(task, *readers(300))
        truth, spoken = readers(2000)
        losses.append(min(compare(task, truth, stack.distribution(spoken), spoken[name], metrics=['roc_auc'])['roc_auc'].difference for name in 'ab'))
    assert np.mean(losses) > -.004 and min(losses) > -.02, losses


def test_no_torch_is_imported():
    code = 'import sys, clintrial.metrics, clintrial.baselines; assert "torch" not in sys.modules and "transformers" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True)
