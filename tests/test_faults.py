"What a training survives: a kill, a full disk, a damaged checkpoint. It goes on to the same bits, or says what to do."
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from clintrial.checkpoint import RunError, faults, newest_whole
from clintrial.loading import DataError
from clintrial.model import TrialModel
from clintrial.run import FineTuneRun
from clintrial.tasks import Binary
from clintrial.tuning import LastK
from conftest import same_bits, toy_trial, toy_tuner, weights_of

HERE = Path(__file__).parent
# Six steps an epoch, a checkpoint every three, dropout on, and the last weights kept, so that nothing hides a difference.
SETTINGS = dict(save_strategy='steps', eval_strategy='steps', save_steps=3, eval_steps=3, load_best_model_at_end=False, model={'backbone_dropout': .1})


@pytest.fixture(scope='module')
def left_alone(tiny_backbone, tmp_path_factory):
    "The same training without any accident, in each number format; trained once."
    finished = {}
    def run(precision='fp32'):
        if precision not in finished: finished[precision] = toy_tuner(tiny_backbone, tmp_path_factory.mktemp('alone')/precision, precision=precision, **SETTINGS).fit()
        return finished[precision]
    return run


def start(**told):
    "A training in a process of its own."
    threads = str(torch.get_num_threads())
    return subprocess.Popen([sys.executable, HERE/'train_in_a_process.py', json.dumps(told)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            env={**os.environ, 'OMP_NUM_THREADS': threads})


def wait_until(happened, process, seconds=240):
    "Wait for something to happen while the process lives."
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        assert time.monotonic() < end, 'it took too long'
        time.sleep(.002)


def kill(process):
    "SIGKILL: no clean-up, no warning."
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def steps_done(folder: Path) -> int:
    "The last step that the history tells of."
    history = folder/'history.jsonl'
    lines = history.read_text(encoding='utf-8').splitlines(keepends=True) if history.exists() else []
    return max((json.loads(line)['step'] for line in lines if line.endswith('\n')), default=0)


def test_each_epoch_has_an_order_of_its_own(tiny_backbone, tmp_path, monkeypatch):
    "Documents are shuffled anew in every epoch, before and after a resume alike: the epoch's number must reach the batches."
    from clintrial.batches import RandomBatches
    seen, through = [], RandomBatches.__iter__
    def noted(self):
        seen.append(self.epoch)
        yield from through(self)
    monkeypatch.setattr(RandomBatches, '__iter__', noted)
    button = StopAt(14)
    button.tuner = toy_tuner(tiny_backbone, tmp_path/'run', callbacks=(button,), **SETTINGS)
    button.tuner.fit()
    toy_tuner(tiny_backbone, tmp_path/'run', **SETTINGS).fit(resume=True)
    assert seen == [0, 1, 2, 2, 3]


def test_patience_is_remembered(tiny_backbone, tmp_path):
    "A stop and a resume do not give a training that no longer improves more evaluations than its patience allows."
    patient = SETTINGS | dict(load_best_model_at_end=True, early_stopping_patience=3, learning_rate=1e-7, metric='accuracy')
    alone = toy_tuner(tiny_backbone, tmp_path/'alone', **patient).fit()
    button = StopAt(6)
    button.tuner = toy_tuner(tiny_backbone, tmp_path/'run', callbacks=(button,), **patient)
    button.tuner.fit()
    resumed = toy_tuner(tiny_backbone, tmp_path/'run', **patient).fit(resume=True)
    assert resumed.facts['steps'] == alone.facts['steps'] < 24
    assert same_bits(weights_of(resumed), weights_of(alone))


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_killed_and_resumed_ends_at_the_same_bits(tiny_backbone, left_alone, tmp_path, precision):
    "SIGKILL at a random step, in any epoch: the resumed training ends at the weights, and went through the losses, of one that was left alone."
    folder, step = tmp_path/'run', random.SystemRandom().randint(4, 21)
    process = start(backbone=tiny_backbone, folder=str(folder), precision=precision, **SETTINGS)
    wait_until(lambda: steps_done(folder) >= step, process)
    kill(process)
    assert not (folder/'manifest.json').exists()   # what was killed is no run
    with pytest.raises(RunError): FineTuneRun(folder)
    resumed = toy_tuner(tiny_backbone, folder, precision=precision, **SETTINGS).fit(resume=True)
    assert same_bits(weights_of(resumed), weights_of(left_alone(precision))), f'killed after step {step}'
    losses = [run.history.dropna(subset='loss').set_index('step')['loss'].to_dict() for run in (resumed, left_alone(precision))]
    assert losses[0] == losses[1], f'killed after step {step}'
    assert resumed.status == 'finished' and FineTuneRun(folder).status == 'finished'


def test_killed_while_a_checkpoint_is_written(tiny_backbone, left_alone, tmp_path):
    "Half a checkpoint never looks like one, is not resumed from, and is swept away."
    folder, sealing = tmp_path/'run', tmp_path/'sealing'
    process = start(backbone=tiny_backbone, folder=str(folder), slow_seal=[str(sealing), 'checkpoint-9'], **SETTINGS)
    wait_until(sealing.exists, process)
    kill(process)
    checkpoints = folder/'checkpoints'
    assert list(checkpoints.glob('.writing-checkpoint-9-*'))
    whole = sorted(path.name for path in checkpoints.glob('checkpoint-*'))
    assert whole == ['checkpoint-3', 'checkpoint-6'] and not any(faults(checkpoints/name) for name in whole)
    resumed = toy_tuner(tiny_backbone, folder, keep_checkpoints=True, **SETTINGS).fit(resume=True)
    assert same_bits(weights_of(resumed), weights_of(left_alone()))
    assert not list(folder.rglob('.writing-*')) and not list(folder.glob('.frozen-*'))


class FullDisk(TrainerCallback):
    "From a step on, no file of this process may grow beyond `room` bytes: the system refuses the rest, as a full disk does."
    def __init__(self, step, room=100_000): self.step, self.room = step, room
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step: resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def room_again():
    "Gives the process its room on the disk back."
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    def lift(): resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    yield lift
    lift()


@pytest.mark.parametrize('step,last', [(7, 'checkpoint-6'), (24, 'checkpoint-21')], ids=['at a checkpoint', 'at the end'])
def test_full_disk(tiny_backbone, left_alone, room_again, tmp_path, step, last):
    "A clear error, the last good checkpoint untouched, and the training goes on from it once there is room."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run', callbacks=(FullDisk(step),), **SETTINGS)
    with pytest.raises(RunError, match=r'could not be written.*Free some space.*resume=True'): tuner.fit()
    room_again()
    checkpoints = tmp_path/'run'/'checkpoints'
    assert newest_whole(checkpoints).name == last and not list(checkpoints.glob('.writing-*'))
    resumed = toy_tuner(tiny_backbone, tmp_path/'run', **SETTINGS).fit(resume=True)
    assert same_bits(weights_of(resumed), weights_of(left_alone()))


def test_disk_full_when_the_run_is_written(tiny_backbone, left_alone, room_again, tmp_path, monkeypatch):
    "A training whose last act fails has lost nothing but that."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run', **SETTINGS)
    train = type(tuner).train
    def then_full(self, *given):
        trained = train(self, *given)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return trained
    monkeypatch.setattr(type(tuner), 'train', then_full)
    with pytest.raises(RunError, match='Free some space'): tuner.fit()
    monkeypatch.undo()
    room_again()
    with pytest.raises(RunError, match='no manifest'): FineTuneRun(tmp_path/'run')
    resumed = toy_tuner(tiny_backbone, tmp_path/'run', **SETTINGS).fit(resume=True)
    assert same_bits(weights_of(resumed), weights_of(left_alone()))


def test_no_room_for_the_frozen_layers(tiny_backbone, room_again, tmp_path):
    "A file that is read in place and finds no room would end the process without a word: its room is asked for beforehand."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run', tuning=LastK(1), **SETTINGS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with pytest.raises(RunError, match=r'frozen layers say could not be written.*start again in a new output_dir; with cache_frozen=False'): tuner.fit()
    room_again()
    assert not list((tmp_path/'run').glob('.frozen-*')) and not (tmp_path/'run'/'checkpoints').exists()


class StopAt(TrainerCallback):
    "Presses stop at a step."
    def __init__(self, step): self.step = step
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step: self.tuner.stop()


@pytest.fixture(scope='module')
def stopped_once(tiny_backbone, tmp_path_factory):
    "A training that was stopped at step 14, with whole checkpoints of steps 12 and 14."
    button = StopAt(13)
    button.tuner = toy_tuner(tiny_backbone, tmp_path_factory.mktemp('stopped')/'run', callbacks=(button,), **SETTINGS)
    run = button.tuner.fit()
    assert run.status == 'stopped' and newest_whole(run.folder/'checkpoints').name == 'checkpoint-14'
    return run.folder


@pytest.fixture
def stopped(stopped_once, tmp_path):
    "A copy of its folder, to spoil."
    return Path(shutil.copytree(stopped_once, tmp_path/'run'))


def flip(path: Path):
    "Change one bit in the middle of a file."
    data = bytearray(path.read_bytes())
    data[len(data)//2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize('name', ['model.safetensors', 'optimizer.pt', 'trainer_state.json', 'rng_state.pth', 'manifest.json'])
def test_flipped_bit_in_a_checkpoint(tiny_backbone, left_alone, stopped, name):
    "A damaged checkpoint is passed over for an older whole one, whichever of its files is damaged, and the training ends where it should."
    newest = newest_whole(stopped/'checkpoints')
    flip(newest/name)
    before = newest_whole(stopped/'checkpoints')
    assert int(before.name.split('-')[1]) < int(newest.name.split('-')[1])
    if name != 'optimizer.pt': return
    resumed = toy_tuner(tiny_backbone, stopped, **SETTINGS).fit(resume=True)
    assert same_bits(weights_of(resumed), weights_of(left_alone()))


def test_no_checkpoint_is_whole(tiny_backbone, stopped):
    "Where nothing can be trusted, resuming says so instead of starting over silently."
    for checkpoint in (stopped/'checkpoints').iterdir(): flip(checkpoint/'model.safetensors')
    with pytest.raises(RunError, match='no whole checkpoint'): toy_tuner(tiny_backbone, stopped, **SETTINGS).fit(resume=True)
    assert list((stopped/'checkpoints').iterdir())   # and nothing was deleted


def test_the_best_checkpoint_is_damaged(tiny_backbone, tmp_path):
    "A training that can not restore its best weights so far goes on, and chooses the best of what follows."
    best = SETTINGS | dict(load_best_model_at_end=True, save_total_limit=1, learning_rate=1e-2)
    button = StopAt(13)
    button.tuner = toy_tuner(tiny_backbone, tmp_path/'run', callbacks=(button,), **best)
    button.tuner.fit()
    checkpoints = sorted((tmp_path/'run'/'checkpoints').iterdir(), key=lambda path: int(path.name.split('-')[1]))
    if len(checkpoints) > 1: flip(checkpoints[0]/'model.safetensors')
    run = toy_tuner(tiny_backbone, tmp_path/'run', **best).fit(resume=True)
    assert run.status == 'finished' and run.facts['best_step'] > int(checkpoints[0].name.split('-')[1])


def test_history_that_was_cut_off(tiny_backbone, left_alone, stopped):
    "A kill in the middle of a line of the history does not keep the training from going on."
    (stopped/'history.jsonl').write_text('{"step": 1, "epoch": 0.17, "loss": 0.7}\n{"step": 2, "ep', encoding='utf-8')
    resumed = toy_tuner(tiny_backbone, stopped, **SETTINGS).fit(resume=True)
    assert resumed.history['step'].tolist()[:1] == [1] and resumed.history['step'].is_monotonic_increasing
    assert same_bits(weights_of(resumed), weights_of(left_alone()))


def test_a_moved_run_goes_on(tiny_backbone, left_alone, stopped, tmp_path):
    "A stopped run can be resumed under another name and ends at the same bits."
    moved = shutil.move(stopped, tmp_path/'elsewhere')
    resumed = toy_tuner(tiny_backbone, moved, **SETTINGS).fit(resume=True)
    assert same_bits(weights_of(resumed), weights_of(left_alone()))


def test_pickled_weights_are_refused(tiny_backbone, tmp_path):
    "A pickle can run any code when it is read, so a folder with nothing else is not read: as a backbone, as a model, as a run's model."
    folder = shutil.copytree(tiny_backbone, tmp_path/'pickled')
    (folder/'model.safetensors').unlink()
    marker = tmp_path/'code ran'
    torch.save(Payload(str(marker)), folder/'pytorch_model.bin')
    for read in (lambda: TrialModel.build(str(folder), toy_trial(), Binary('response')), lambda: TrialModel.from_pretrained(folder)):
        with pytest.raises(DataError, match='pickle'): read()
    assert not marker.exists()


class Payload:
    "Leaves a file where it is unpickled."
    def __init__(self, path): self.path = path
    def __reduce__(self): return (open, (self.path, 'w'))


def test_no_file_of_a_run_or_checkpoint_needs_a_pickle(tiny_backbone, stopped):
    "Optimiser, schedule and random states load with `weights_only=True`; there is no training_args.bin."
    found = [path for path in stopped.rglob('*') if path.suffix in ('.pt', '.pth', '.bin', '.pkl', '.pickle', '.joblib')]
    assert found and all('checkpoints' in path.parts for path in found)
    import numpy as np
    with torch.serialization.safe_globals([np._core.multiarray._reconstruct, np.ndarray, np.dtype, type(np.dtype(np.uint32))]):
        for path in found: torch.load(path, weights_only=True)
