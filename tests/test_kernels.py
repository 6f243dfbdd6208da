"Profiling shows where time goes and leaves no trace: not in the model, not in what is random, not on the disk."
import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import same_bits, toy_tuner, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.checkpoint import RunError
from clintrial.kernels import profile_steps
from clintrial.kernels.events import NOTHING, ROUND, busy_frame, covered, in_rounds, memory_frame, operator_frame
from clintrial.loading import DataError
from clintrial.tuning import Full, LastK, Lora


def state_of(model) -> dict:
    "All that a profile might disturb in a model."
    return {'weights': {name: tensor.clone() for name, tensor in model.state_dict().items()}, 'moves': {name: one.requires_grad for name, one in model.named_parameters()},
            'gradients': [one.grad is None for one in model.parameters()], 'training': [part.training for part in model.modules()], 'dtypes': [one.dtype for one in model.parameters()],
            'attention': model.backbone.config._attn_implementation, 'config': model.config.to_dict()}


def randomness() -> tuple:
    "The three random states."
    return random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()


@pytest.mark.parametrize('tuning, training', [(Full(), True), (LastK(1), False), (Lora(), False)], ids=['full, training', 'frozen layers', 'LoRA'])
def test_the_model_is_the_same_to_the_last_bit(tmp_path, tiny_backbone, tuning, training, monkeypatch):
    "Weights, flags, gradients, attention, config, random states, and the disk."
    monkeypatch.chdir(tmp_path)
    tuner = toy_tuner(tiny_backbone, tmp_path/'run', tuning=tuning, model={'backbone_dropout': .1})
    tuner.model.train(training)
    before, drawn, plain = state_of(tuner.model), randomness(), tuner.config.to_plain()
    result = profile_steps(tuner, steps=1, repeats=2, progress=False)
    after = state_of(tuner.model)
    assert same_bits(before.pop('weights'), after.pop('weights')) and before == after
    assert randomness() == drawn and tuner.config.to_plain() == plain
    assert not list(tmp_path.iterdir())
    assert result.device == 'cpu' and len(result.repeats) == 2


def test_a_training_after_a_profile_ends_at_the_same_bits(tmp_path, tiny_backbone):
    "With dropout, so that any draw in between would show."
    runs = []
    for name in ('plain', 'profiled'):
        torch.manual_seed(5)
        tuner = toy_tuner(tiny_backbone, tmp_path/name, n=48, model={'backbone_dropout': .1}, num_train_epochs=1)
        if name == 'profiled': profile_steps(tuner, steps=2, repeats=2, progress=False)
        runs.append(weights_of(tuner.fit()))
    assert same_bits(*runs)


def test_the_frames_say_what_they_promise(tmp_path, tiny_backbone):
    "Shares of a device add up to 1, each number lies in its interval, and the trace holds no text."
    tuner, trace = toy_tuner(tiny_backbone, tmp_path/'run', tuning=Full()), tmp_path/'trace.json'
    result = profile_steps(tuner, steps=2, repeats=2, trace=trace, progress=False)
    for frame in (result.operators, result.categories):
        assert np.isclose(frame.groupby('device')['share'].sum(), 1, atol=.02).all()
        assert (frame['low'] <= frame['share']).all() and (frame['share'] <= frame['high']).all()
    assert {'matrix multiply', 'attention', 'optimiser', 'data', NOTHING} <= set(result.categories['category'])
    assert result.utilisation['busy'].between(0, 1).all() and (result.memory['allocated_mb'] > 0).all()
    assert (result.table['low'] <= result.table['value']).all() and (result.table['value'] <= result.table['high']).all()
    assert json.loads(trace.read_text())['traceEvents'] and 'sleeps well' not in trace.read_text()
    for lang in ('en', 'zh'): assert '%' in result.sentence(lang)
    assert [path.name for path in tmp_path.iterdir()] == ['trace.json']


def test_padding_is_no_work(tmp_path, tiny_backbone):
    "A batch with one long document and many short ones needs less arithmetic than its padded size; tokens are counted without padding."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run', tuning=Full())
    frame = tuner.splits.train.frame.head(8).copy()
    frame.loc[frame.index[0], 'note'] = 'pain '*50
    one = profile_steps(tuner.model, type(tuner.splits.train)(frame, tuner.splits.train.schema), tuner.config, steps=1, repeats=2, progress=False).repeats.iloc[0]
    width, inner, layers = 32, 64, 3
    per_token = 3*layers*2*(4*width**2 + 2*width*inner)
    assert .8*per_token < one['flops']/one['tokens'] < 1.3*per_token
    assert one['tokens'] == tuner.model.encode(frame, targets=False).lengths.sum() + 2*8


def test_an_error_leaves_nothing_running(tmp_path, tiny_backbone):
    "A training that breaks under the profiler gives its error, the random states back, and the next profile works."
    tuner = toy_tuner(tiny_backbone, tmp_path/'run')
    drawn = randomness()
    with torch.no_grad(): next(tuner.model.head.parameters()).fill_(float('nan'))
    with pytest.raises(RunError, match='NaN'): profile_steps(tuner, steps=1, repeats=2, progress=False)
    assert randomness() == drawn
    assert profile_steps(toy_tuner(tiny_backbone, tmp_path/'other'), steps=1, repeats=2, progress=False).repeats['seconds'].gt(0).all()


@pytest.mark.parametrize('options, words', [({'repeats': 1}, 'make no profile'), ({'steps': 0}, 'make no profile'), ({'trace': 'x.zip'}, 'json')])
def test_bad_requests(tmp_path, tiny_backbone, options, words):
    with pytest.raises(DataError, match=words): profile_steps(toy_tuner(tiny_backbone, tmp_path/'run'), **options)


def test_no_documents(tmp_path, tiny_backbone):
    with pytest.raises(DataError, match='needs documents'): profile_steps(toy_tuner(tiny_backbone, tmp_path/'run').model)


intervals = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 30)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(intervals, st.integers(1, 20))
def test_covered_time_is_counted_once(pairs, bins):
    "Against counting every unit by hand; bins of whole units."
    length = 7*bins
    units = np.zeros(length, bool)
    for start, size in pairs: units[start:start + size] = True
    starts, ends = (np.array([pair[0] for pair in pairs]), np.array([sum(pair) for pair in pairs]))
    assert covered(starts, ends, np.arange(0, length + 1, 7)).tolist() == units.reshape(bins, 7).sum(1).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 90), st.integers(1, 10), st.sampled_from(['aten::mm', 'aten::mul', 'gelu'])), min_size=1, max_size=30))
def test_shares_add_up_whatever_runs(drawn):
    "Overlapping, nested or none: a device's shares are shares of one whole."
    marks = [('cpu', ROUND, 'other', True, 1000.*repeat, 1000.*repeat + 100, 0.) for repeat in (0, 1)]
    events = [('cpu', name, 'other', False, 1000.*repeat + start, 1000.*repeat + start + size, float(size)) for repeat, start, size, name in drawn]
    rows, limits = in_rounds(pd.DataFrame(marks + events, columns=['device', 'name', 'kind', 'mark', 'start', 'end', 'own']))
    frame = operator_frame(rows, limits, steps=1)
    assert np.isclose(frame['share'].sum(), 1) and (frame['share'] >= 0).all()
    assert busy_frame(rows, limits, bins=7)['busy'].between(0, 1).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 999), st.integers(-50, 80)), min_size=1, max_size=300), st.integers(4, 60))
def test_thinning_keeps_the_peak(drawn, points):
    "The highest and lowest level of a round survive, in no more points than asked for."
    changes = pd.DataFrame(drawn, columns=['time', 'bytes']).assign(device='cpu').sort_values('time', kind='stable')
    kept = memory_frame(changes, np.array([[0., 1000.]]), points=points)
    level = changes['bytes'].cumsum()/1e6
    assert len(kept) <= points + 2 and np.isclose(kept['allocated_mb'].max(), level.max()) and np.isclose(kept['allocated_mb'].min(), level.min())
