"From a trial to calibrated predictions, through every room, with nothing but the public names."
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clintrial.dataset import Schema, TrialData
from clintrial.model import TrialModel
from clintrial.predictor import Predictor
from clintrial.run import FineTuneRun
from clintrial.simulate import simulate_trial
from clintrial.tasks import Binary, Multiclass, Multilabel, Ordinal, Pair, Regression, Survival, Token
from clintrial.trainer import FineTuneConfig, FineTuner
from conftest import same_bits, weights_of

QUICK = dict(num_train_epochs=1, per_device_train_batch_size=32, learning_rate=3e-3, disable_tqdm=True, precision='fp32', allow_leaks=True)   # toys give their outcome away
FRACTIONS = (.5, .15, .2, .15)


def fitted(backbone, data, task, folder, **options):
    "Split, build, fine-tune: the run, and its splits."
    splits = data.split(fractions=FRACTIONS, seed=0)
    model = TrialModel.build(backbone, splits.train, task, window_tokens=64, overlap=8)
    return FineTuner(model, splits, FineTuneConfig(output_dir=str(folder), **QUICK | options)).fit(), splits


@pytest.fixture(scope='module')
def simulated():
    "A simulated trial of 300 patients, one narrative each."
    return simulate_trial(300, seed=0, length=60)


@pytest.fixture(scope='module')
def finished(tiny_backbone, simulated, tmp_path_factory):
    "Its run, with opponents, and its splits."
    return fitted(tiny_backbone, simulated.data, Binary('response', positive='responder'), tmp_path_factory.mktemp('runs')/'first')


def test_simulated_trial_to_predictions(finished):
    "The frame that a user gets: one row a patient, with point, distribution, interval, set, abstention, and the share of the text that was read."
    run, splits = finished
    predicted = Predictor(run).predict(splits.test, level=.9)
    assert predicted.index.equals(splits.test.ids)
    assert {'prediction', 'p_responder', 'p_non-responder', 'low', 'high', 'set', 'abstain', 'reason', 'share_read'} <= set(predicted.columns)
    assert set(predicted['prediction']) <= {'responder', 'non-responder'}
    np.testing.assert_allclose(predicted['p_responder'] + predicted['p_non-responder'], 1, atol=1e-6)
    assert ((0 <= predicted['low']) & (predicted['low'] <= predicted['high']) & (predicted['high'] <= 1)).all()
    assert predicted['set'].map(lambda names: set(names) <= {'responder', 'non-responder'}).all()
    assert (predicted['share_read'] == 1).all()
    assert run.opponents()[0] == 'language_model' and {'prevalence', 'tfidf', 'stack'} <= set(run.opponents())


def test_each_split_is_kept_for_later_rooms(finished):
    "Validation, calibration and test, each patient once, with the outcome as the table has it."
    run, splits = finished
    for name in ('validation', 'calibration', 'test'):
        ids, targets, logits = run.logits(name)
        part = getattr(splits, name)
        assert list(ids) == list(part.ids) and len(logits) == len(part)
        assert [run.task.classes[value] for value in targets] == part.frame['response'].tolist()
        for opponent in run.opponents(): assert len(run.distribution(opponent, name)) == len(part)


def test_same_seed_same_run(finished, tiny_backbone, simulated, tmp_path):
    "A second training from the same table ends at the same bits and the same predictions."
    run, splits = finished
    again, _ = fitted(tiny_backbone, simulated.data, Binary('response', positive='responder'), tmp_path/'again', baselines=False)
    assert same_bits(weights_of(run), weights_of(again))
    pd.testing.assert_frame_equal(Predictor(run).predict(splits.test), Predictor(again).predict(splits.test))


def test_order_of_the_table_changes_no_split(finished, simulated):
    "Rows in another order: the same patients in each part."
    _, splits = finished
    shuffled = TrialData(simulated.data.frame.sample(frac=1, random_state=1), simulated.data.schema).split(fractions=FRACTIONS, seed=0)
    for name in ('train', 'validation', 'calibration', 'test'): assert set(getattr(shuffled, name).ids) == set(getattr(splits, name).ids)


def test_no_narrative_in_any_file(finished, simulated):
    "No run holds a patient's words: neither a narrative nor six words in a row of one, in any file, in any encoding that we write."
    run, _ = finished
    narratives = simulated.data.frame['narrative']
    pieces = {' '.join(words[start:start + 6]) for words in narratives.iloc[::6].str.split() for start in range(0, max(1, len(words) - 6), 5)}
    for path in (path for path in run.folder.rglob('*') if path.is_file()):
        held = path.read_bytes()
        assert not [piece for piece in pieces if piece.encode() in held or json.dumps(piece)[1:-1].encode() in held], path.name
        if path.suffix == '.parquet':
            frame = pd.read_parquet(path)
            texts = [column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
            assert not texts, (path.name, texts)


def test_a_moved_run_opens(finished, tmp_path):
    "A run folder is complete in itself: moved and renamed it gives the same predictions, and no file of it names the place where it was made."
    run, splits = finished
    expected = Predictor(run).predict(splits.test)
    moved = Path(shutil.copytree(run.folder, tmp_path/'sent by mail'))
    pd.testing.assert_frame_equal(Predictor(moved).predict(splits.test), expected)
    assert repr(FineTuneRun(moved)).startswith('FineTuneRun sent by mail: bert, binary on response')
    for name in ('run.json', 'environment.json', 'splits.json', 'model/config.json'):
        assert str(run.folder.parent) not in (moved/name).read_text(encoding='utf-8'), name


# -- every kind of task

@pytest.fixture(scope='module')
def outcomes():
    "Toy patients with two texts and an outcome of every kind, all from the same few words."
    draw, n = np.random.default_rng(0), 200
    good, rash, nausea = draw.random((3, n)) < .5
    notes = [f'Dose {dose} mg, {"sleeps well" if one else "no sleep"}, {"a rash" if two else "clear skin"}, {"nausea" if three else "eats well"}.'
             for dose, one, two, three in zip(draw.integers(1, 9, n)*10, good, rash, nausea)]
    score = good*2. - nausea + draw.normal(0, .3, n)
    frame = pd.DataFrame({'note': notes, 'claim': draw.choice(['The patient sleeps.', 'The patient does not sleep.'], n), 'age': draw.normal(60, 9, n).round(),
                          'response': np.where(good, 'yes', 'no'), 'area': np.where(rash, 'skin', np.where(nausea, 'gut', 'none')),
                          'grade': pd.cut(score, [-9, -.5, 1, 9], labels=['low', 'middle', 'high']).astype(str), 'rash': rash.astype(int), 'nausea': nausea.astype(int),
                          'score': score, 'months': draw.exponential(np.where(good, 20, 6)) + .1, 'event': draw.integers(0, 2, n),
                          'spans': [json.dumps([[note.index('mg') - 3, note.index('mg') + 2, 'dose']]) for note in notes]})
    frame['agrees'] = np.where((frame['claim'] == 'The patient sleeps.') == good, 'yes', 'no')
    return frame.set_axis([f'P{place:03d}' for place in range(n)])


KINDS = {'binary': Binary('response'), 'multiclass': Multiclass('area'), 'multilabel': Multilabel(('rash', 'nausea')), 'ordinal': Ordinal('grade', order=('low', 'middle', 'high')),
         'regression': Regression('score'), 'survival': Survival('months', 'event'), 'pair': Pair('agrees', 'claim', 'note'), 'token': Token('spans', 'note')}


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_with_its_opponents(tiny_backbone, outcomes, tmp_path, kind):
    "Fine-tuned beside its opponents, reopened from the folder, and predicted for new patients who have no outcome."
    task = KINDS[kind]
    text, numeric = (('claim', 'note') if kind == 'pair' else ('note',)), (() if kind == 'token' else ('age',))
    data = TrialData(outcomes[[*text, *numeric, *task.columns]], Schema(text=text, numeric=numeric, target=task.columns))
    run, splits = fitted(tiny_backbone, data, task, tmp_path/'run')
    for opponent in run.opponents(): assert len(run.distribution(opponent, 'test')) == len(splits.test)
    assert len(run.opponents()) >= 2 and run.task.kind == kind
    predicted = Predictor(tmp_path/'run').predict(outcomes.drop(columns=list(task.columns)).iloc[:30], level=.8)
    assert predicted.index.tolist() == outcomes.index[:30].tolist()
    assert {'prediction', 'low', 'high', 'set', 'abstain', 'reason', 'share_read'} <= set(predicted.columns)
    numbers = predicted.select_dtypes('number').drop(columns=['low', 'high'], errors='ignore')
    assert np.isfinite(numbers.to_numpy(float)).all()
    notes = [note.encode() for note in outcomes['note'].unique()]
    assert not [path.name for path in run.folder.rglob('*') if path.is_file() and any(note in path.read_bytes() for note in notes)]
