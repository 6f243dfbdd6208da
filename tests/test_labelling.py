"Labels survive what happens to a machine: a kill in mid-answer, a torn line, two writers, a damaged byte; agreement holds against other packages."
import signal
import subprocess
import sys
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from clintrial.labelling import Labelling, LabelStore, case_vectors, cohen_kappa, krippendorff_alpha, labelled_data, suggestion_of_run, tuner_of_labels
from clintrial.labelling.store import signed
from clintrial.loading import DataError
from clintrial.simulate import simulate_trial

WRITER = '''
import sys
from clintrial.labelling.store import LabelStore
store = LabelStore(sys.argv[1], ('yes', 'no'))
for case in range(100_000):
    store.answer(case, 'yes' if case % 3 else 'no', 'Ana')
    print(case, flush=True)
'''


def test_a_kill_in_mid_labelling_loses_nothing(tmp_path):
    "Every answer that was confirmed before SIGKILL is there, in its place; at most the one in the air is more."
    path = tmp_path/'labels.jsonl'
    process = subprocess.Popen([sys.executable, '-c', WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    confirmed = [int(process.stdout.readline()) for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    confirmed += [int(line) for line in process.stdout if line.endswith('\n')]
    process.wait()
    store = LabelStore(path)
    labels = store.labels('Ana')
    assert len(confirmed) <= len(labels) <= len(confirmed) + 1 and store.damaged == []
    assert all(labels[case] == ('yes' if case % 3 else 'no') for case in confirmed)
    store.answer(-1, 'no', 'Ana')
    assert LabelStore(path).labels('Ana')[-1] == 'no'


def write_many(path, who, count):
    store = LabelStore(path, ('yes', 'no'))
    for case in range(count): store.answer(case, 'yes', who, note='x'*(case*37 % 5000))


def test_two_writers(tmp_path):
    "Three processes that begin the same file at once and write long and short lines: no line is lost or torn."
    path, context = tmp_path/'labels.jsonl', get_context('fork')
    writers = [context.Process(target=write_many, args=(path, who, 60)) for who in ('Ana', 'Bo', 'Cy')]
    for one in writers: one.start()
    for one in writers: one.join(60)
    store = LabelStore(path)
    assert store.damaged == [] and store.wide().shape == (60, 3) and store.wide().notna().all(axis=None)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 200), tail=st.binary(max_size=30))
def test_a_torn_or_foreign_end_costs_no_earlier_answer(tmp_path_factory, cut, tail):
    path = tmp_path_factory.mktemp('torn')/'labels.jsonl'
    store = LabelStore(path, ('yes', 'no'))
    store.answer('P1', 'yes')
    with path.open('ab') as file: file.write(signed({'kind': 'answer', 'id': 'x', 'case': 'P2', 'label': 'no', 'labeller': '', 'at': '2024-01-01'})[:cut] + tail)
    again = LabelStore(path)
    again.answer('P3', 'no')
    labels = LabelStore(path).labels()
    assert labels['P1'] == 'yes' and labels['P3'] == 'no' and set(labels.index) <= {'P1', 'P2', 'P3'}


def test_any_damaged_line_is_left_out_and_counted(tmp_path):
    path = tmp_path/'labels.jsonl'
    store = LabelStore(path, ('yes', 'no'))
    for case in range(20): store.answer(case, 'yes')
    lines = path.read_bytes().split(b'\n')
    lines[7] = lines[7].replace(b'"yes"', b'"no"')
    path.write_bytes(b'\n'.join(lines))
    again = LabelStore(path)
    assert len(again.damaged) == 1 and len(again.labels()) == 19


def test_a_read_only_file_is_said(tmp_path):
    path = tmp_path/'labels.jsonl'
    store = LabelStore(path, ('yes', 'no'))
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match='cannot be written'): store.answer(1, 'yes')


def test_threads_share_a_store(tmp_path):
    "Callbacks of a panel may come in several threads."
    from concurrent.futures import ThreadPoolExecutor
    store = LabelStore(tmp_path/'labels.jsonl', ('yes', 'no'))
    with ThreadPoolExecutor(8) as pool: list(pool.map(lambda case: store.answer(case, 'yes', 'Ana'), range(100)))
    assert len(store.labels('Ana')) == 100 and len(LabelStore(store.path).answers()) == 100


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from('abc'), st.sampled_from('abc')), min_size=4, max_size=40))
def test_kappa_is_that_of_scikit_learn(pairs):
    first, second = zip(*pairs)
    ours = cohen_kappa(first, second, n_resamples=20).estimate
    if len({*first, *second}) > 1: assert np.isclose(ours, cohen_kappa_score(first, second))
    else: assert np.isnan(ours)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(['low', 'middle', 'high', None]), min_size=3, max_size=3), min_size=3, max_size=25), st.randoms())
def test_alpha_does_not_depend_on_order(rows, random):
    wide = pd.DataFrame(rows, columns=list('ABC'), dtype=object)
    options = {'classes': ('low', 'middle', 'high'), 'n_resamples': 20}
    one = krippendorff_alpha(wide, 'ordinal', **options).estimate
    columns = random.sample('ABC', 3)
    other = krippendorff_alpha(wide.sample(frac=1, random_state=0)[columns], 'ordinal', **options).estimate
    assert np.isclose(one, other, equal_nan=True) and not one > 1 + 1e-9


def test_labels_to_a_fine_tuned_model(tmp_path):
    "Labels become a target, a language model learns them, and its opinion orders the rest."
    trial = simulate_trial(60, seed=3, length=30)
    truth = trial.data.targets().response
    store = LabelStore(tmp_path/'labels.jsonl', ('non-responder', 'responder'))
    work = Labelling(trial.data, store, 'Ana', order='random')
    for _ in range(44): work.answer(truth[work.case])
    tuner = tuner_of_labels(trial.data, store.labels(), store.classes, tmp_path/'run', num_train_epochs=1, baselines=False, probe=False, allow_leaks=True, precision='fp32', disable_tqdm=True)
    suggestion = suggestion_of_run(tuner.fit(), trial.data, store.classes, work.fair())
    assert suggestion.fair and suggestion.n == 44 and np.allclose(suggestion.probabilities.sum(axis=1), 1, atol=1e-3)
    assert case_vectors(trial.data, 'minilm').shape == (60, 384)
    work.learn(suggestion)
    work.plan('uncertainty')
    assert work.used_order == 'uncertainty' and work.case not in store.labels().index
    assert labelled_data(trial.data, store.labels()).schema.target == ('label',)
