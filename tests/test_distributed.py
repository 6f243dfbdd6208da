"Two processes under torchrun train the model that one process trains."
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clintrial.run import FineTuneRun
from clintrial.tuning import tuning_from_dict
from conftest import toy_tuner, weights_of

HERE = Path(__file__).parent
WHOLE = 8   # documents a step, over all processes
# 46 documents of training: the last batch of an epoch has 6, which two processes share, and with three documents a process also 4 and 2
CASES = {'full': {}, 'bf16': {'precision': 'bf16'}, 'small budget': {'token_budget': 64}, 'accumulated': {'gradient_accumulation_steps': 2, 'max_grad_norm': .1},
         'gradual': {'tuning': {'method': 'gradual_unfreezing', 'layers_per_epoch': None, 'train_embeddings': False}},
         'cached': {'tuning': {'method': 'last_k', 'k': 1}}}
COMMON = dict(n=93, num_train_epochs=3, load_best_model_at_end=False)


@pytest.fixture(scope='module')
def together(tiny_backbone, tmp_path_factory):
    "The folder with every case trained by two processes, started once."
    home = tmp_path_factory.mktemp('together')
    told = [dict(backbone=tiny_backbone, folder=str(home/name), per_device_train_batch_size=WHOLE//2, **COMMON | case) for name, case in CASES.items()]
    told.append(dict(backbone=tiny_backbone, folder=str(home/'stopped'), per_device_train_batch_size=WHOLE//2, stop=4, **COMMON | {'baselines': True}))
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', HERE/'train_in_processes.py', json.dumps(told)]
    done = subprocess.run(command, env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, '\n'.join(line for line in done.stderr.splitlines() if line.startswith('[rank'))[-3000:]
    return home


def seen_by_each(home: Path, name: str) -> list:
    "What each process noted."
    return [json.loads((home/f'{name}-{rank}.json').read_text(encoding='utf-8')) for rank in (0, 1)]


def losses(run) -> np.ndarray:
    "The loss of each step."
    return run.history.dropna(subset='loss')['loss'].to_numpy()


@pytest.mark.parametrize('name', [name for name in CASES if name != 'bf16'])
def test_same_loss_curve_as_one_process(tiny_backbone, together, tmp_path, name):
    "With the same total batch: losses within 1e-5 at every step, the ragged last batch of each epoch included, and hence the same weights and predictions."
    case = dict(CASES[name])
    tuning = case.pop('tuning', None)
    alone = toy_tuner(tiny_backbone, tmp_path/'alone', tuning=tuning and tuning_from_dict(tuning), per_device_train_batch_size=WHOLE, **COMMON | case).fit()
    run = FineTuneRun(together/name)
    assert len(losses(run)) == len(losses(alone)) >= 9
    np.testing.assert_allclose(losses(run), losses(alone), atol=1e-5, rtol=0)
    np.testing.assert_allclose(run.logits('test')[2], alone.logits('test')[2], atol=1e-3)


@pytest.mark.parametrize('name', CASES)
def test_processes_hold_the_same_weights(together, name):
    "Gradients of all that moves are shared, so that all processes step alike; each gets the run, which one of them wrote."
    first, second = seen_by_each(together, name)
    assert first == second and first['status'] == 'finished'
    assert not list((together/name).glob('.frozen*')) and not list((together/name).rglob('.writing*'))


def test_gradual_unfreezing_moves_every_layer(tiny_backbone, together):
    "What is opened after the first epoch is trained by all processes together, although nothing of it moved when they were joined."
    before = toy_tuner(tiny_backbone, 'unused', n=93).model.state_dict()
    after = weights_of(FineTuneRun(together/'gradual'))
    for layer in range(3): assert not before[f'backbone.encoder.layer.{layer}.output.dense.weight'].equal(after[f'backbone.encoder.layer.{layer}.output.dense.weight'])


def test_stopping_one_process_stops_both(together):
    "A button acts in one process; the other must not wait for it forever. What was stopped has its opponents and a checkpoint to go on from."
    first, second = seen_by_each(together, 'stopped')
    assert first == second and first['status'] == 'stopped'
    run = FineTuneRun(together/'stopped')
    assert run.facts['steps'] <= 5 and 'tfidf' in run.opponents()
    assert (together/'stopped'/'checkpoints'/f"checkpoint-{run.facts['steps']}"/'rng_state_1.pth').exists()
