"Trackers are the user's choice: none by default, and those that are asked for get numbers, never text."
import pytest
from conftest import toy_trial, toy_tuner

from clintrial.trainer import FineTuneConfig


def test_nothing_is_reported_unless_asked():
    "Patients' data must not leave the machine by a default."
    assert FineTuneConfig().report_to == []


def test_tensorboard_gets_the_curves_and_no_text(tmp_path, monkeypatch, tiny_backbone):
    "`report_to='tensorboard'` works as Hugging Face users know it, on this machine alone."
    pytest.importorskip('tensorboard', reason='tensorboard is not installed')
    monkeypatch.setenv('TENSORBOARD_LOGGING_DIR', str(tmp_path/'events'))
    toy_tuner(tiny_backbone, tmp_path/'run', num_train_epochs=1, report_to='tensorboard').fit()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(tmp_path/'events'))
    events.Reload()
    assert 'train/loss' in events.Tags()['scalars'] and 'eval/roc_auc' in events.Tags()['scalars']
    written = b''.join(path.read_bytes() for path in (tmp_path/'events').rglob('*') if path.is_file())
    assert not any(note.encode() in written for note in toy_trial().frame['note'])
