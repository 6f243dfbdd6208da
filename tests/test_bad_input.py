"Bad input, from the table to the prediction: a clear error that names column and row, no word of a patient in it, and nothing lost."
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from clintrial.checkpoint import RunError
from clintrial.dataset import Schema, TrialData
from clintrial.loading import DataError
from clintrial.model import TrialModel
from clintrial.predictor import Predictor
from clintrial.run import FineTuneRun
from clintrial.tasks import Binary
from conftest import toy_trial, toy_tuner

SECRET = 'Mrs Example of Elm Street'   # stands in every note of a spoilt table, and must stand in no message


@pytest.fixture(scope='module')
def run(tiny_backbone, tmp_path_factory):
    "A finished run of the toy trial."
    return toy_tuner(tiny_backbone, tmp_path_factory.mktemp('bad')/'run', num_train_epochs=1).fit()


@pytest.fixture
def frame():
    "The toy trial's table with a secret in every note."
    frame = toy_trial().frame.copy()
    return frame.assign(note=frame['note'] + ' ' + SECRET)


def refuse(act, error=DataError, **named):
    "The message with which `act` is refused; it says nothing of a patient's text, and its error names what is asked."
    with pytest.raises(error) as caught: act()
    message = str(caught.value)
    assert not [word for word in ('Elm', 'sleeps', 'pain') if word in message], message
    for name, value in named.items(): assert getattr(caught.value, name) == value, (name, getattr(caught.value, name))
    assert all(str(value) in message for value in named.values()), message
    return message


def table(frame) -> TrialData: return TrialData(frame, toy_trial().schema)


SPOILT = {'empty table': (lambda frame: frame.iloc[:0], {}),
          'no text column': (lambda frame: frame.drop(columns='note'), {'column': 'note'}),
          'all text missing': (lambda frame: frame.assign(note=None), {}),
          'infinite number': (lambda frame: frame.assign(age=frame['age'].mask(frame.index == 'P007', np.inf)), {'column': 'age', 'row': 'P007'}),
          'text among numbers': (lambda frame: frame.assign(age=frame['age'].astype(object).mask(frame.index == 'P007', 'sixty')), {'column': 'age', 'row': 'P007'}),
          'number among texts': (lambda frame: frame.assign(note=frame['note'].astype(object).mask(frame.index == 'P007', 7)), {'column': 'note', 'row': 'P007'}),
          'repeated row label': (lambda frame: pd.concat([frame, frame.iloc[:1]]), {'row': 'P000'}),
          'repeated column': (lambda frame: pd.concat([frame, frame[['age']]], axis=1), {'column': 'age'})}


@pytest.mark.parametrize('case', SPOILT)
def test_spoilt_table_is_refused(frame, case):
    "Before any work is done."
    spoil, named = SPOILT[case]
    refuse(lambda: table(spoil(frame)), **named)


@pytest.mark.parametrize('case', SPOILT)
def test_spoilt_table_is_refused_at_prediction(run, frame, case):
    "By the same words, from the folder of a run."
    spoil, named = SPOILT[case]
    predictor = Predictor(run.folder)
    refuse(lambda: predictor.predict(spoil(frame.drop(columns='response'))), **named)


def test_one_class_only(tiny_backbone, frame):
    "Nothing can be learned, and it is said before the model is built."
    message = refuse(lambda: TrialModel.build(tiny_backbone, table(frame.assign(response='yes')), Binary('response')))
    assert 'response' in message and 'yes' in message


@pytest.mark.parametrize('value', [None, np.nan])
def test_missing_outcome_in_training(tiny_backbone, frame, value):
    "A patient whose outcome is not known can not be learned from; column and row say who."
    spoilt = frame.assign(response=frame['response'].astype(object).mask(frame.index == 'P007', value))
    refuse(lambda: TrialModel.build(tiny_backbone, table(spoilt), Binary('response')), column='response', row='P007')


def test_unseen_outcome_at_validation(tiny_backbone, tmp_path):
    "An outcome that training never had is named with its row, and no run folder is left half begun."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run')
    validation = tuner.splits.validation
    label = validation.ids[3]
    spoilt = validation.frame.assign(response=validation.frame['response'].mask(validation.ids == label, 'maybe'))
    tuner.splits = type(tuner.splits)(**vars(tuner.splits) | {'validation': TrialData(spoilt, validation.schema)})
    assert 'maybe' in refuse(tuner.fit, column='response', row=label)
    assert not (tmp_path/'run').exists()


@pytest.mark.parametrize('part', ['validation', 'test'])
def test_unseen_category_after_training_split(tiny_backbone, tmp_path, part):
    "A category outside the training split is found before training, not after an hour of it."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run')
    data = getattr(tuner.splits, part)
    label = data.ids[2]
    spoilt = data.frame.assign(sex=data.frame['sex'].mask(data.ids == label, 'X'))
    tuner.splits = type(tuner.splits)(**vars(tuner.splits) | {part: TrialData(spoilt, data.schema)})
    refuse(tuner.fit, column='sex', row=label)
    assert not (tmp_path/'run').exists()


def test_unseen_category_at_prediction(run, frame):
    "Named with its row, or taken as not known where that is asked for, with an abstention."
    frame.loc['P004', 'sex'] = 'X'
    predictor = Predictor(run)
    refuse(lambda: predictor.predict(frame), column='sex', row='P004')
    assert predictor.predict(frame, unseen='missing').loc['P004', 'abstain']


def test_missing_cells_are_no_error(run, frame):
    "A number, a category or one note that is missing is known to be missing; every patient gets an answer."
    frame.loc['P001', 'age'], frame.loc['P002', 'sex'], frame.loc['P003', 'note'] = np.nan, None, None
    predicted = Predictor(run).predict(frame)
    assert np.isfinite(predicted['p_yes']).all() and predicted.loc['P003', 'abstain']


def test_odd_text_is_no_error(run, frame):
    "A megabyte in one cell, emoji, right-to-left text, control characters: read whole."
    odd = frame.iloc[:3].assign(note=['x y '*250_000, '😀 better 👍🏽 \u202e', 'המטופל חש בטוב \x00'])
    predicted = Predictor(run).predict(odd)
    assert np.isfinite(predicted['p_yes']).all() and (predicted['share_read'] == 1).all()


def test_existing_run_is_never_overwritten(tiny_backbone, run):
    "Neither its files nor their times change, whatever is tried."
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob('*')}
    refuse(toy_tuner(tiny_backbone, run.folder).fit, RunError)
    refuse(lambda: toy_tuner(tiny_backbone, run.folder).fit(resume=True), RunError)   # it is finished: there is nothing to go on from
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob('*')}


def test_a_folder_of_someone_else_is_not_written_in(tiny_backbone, tmp_path):
    "A folder with any file in it is not taken for a run."
    (tmp_path/'thesis.txt').write_text('five years', encoding='utf-8')
    refuse(toy_tuner(tiny_backbone, tmp_path).fit, RunError)
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


def test_model_folder_without_a_head(tiny_backbone, run, tmp_path):
    "A bare backbone is no fine-tuned model, and no run."
    assert 'without a head' in refuse(lambda: TrialModel.from_pretrained(tiny_backbone))
    refuse(lambda: FineTuneRun(tiny_backbone), RunError)
    folder = shutil.copytree(run.folder, tmp_path/'run')
    shutil.rmtree(folder/'model')
    shutil.copytree(tiny_backbone, folder/'model')
    refuse(lambda: FineTuneRun(folder), RunError)


def test_a_changed_run_is_not_believed(run, tmp_path):
    "One other digit in a settings file, or one other bit in the weights, and the run does not open."
    for name in ('config.json', 'run.json', 'model/model.safetensors', 'predictions/calibration.parquet', 'splits.json'):
        folder = shutil.copytree(run.folder, tmp_path/name.replace('/', '-'))
        data = bytearray((folder/name).read_bytes())
        data[len(data)//2] ^= 1
        (folder/name).write_bytes(bytes(data))
        assert name in refuse(lambda: Predictor(folder), RunError)


def test_resuming_with_other_patients(tiny_backbone, tmp_path):
    "A training that was begun on some patients does not go on with others."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run', num_train_epochs=1, keep_checkpoints=True)
    tuner.fit()
    refuse(lambda: toy_tuner(tiny_backbone, tmp_path/'run', n=80, num_train_epochs=1).fit(resume=True), RunError)


def test_messages_of_a_schema(frame):
    "A column that is not there is named, and near misses do not pass silently."
    assert 'notes' in refuse(lambda: TrialData(frame, Schema(text=('notes',), target=('response',))))
    plain = json.loads(json.dumps(toy_trial().schema.to_dict()))
    assert Schema.from_dict(plain) == toy_trial().schema
