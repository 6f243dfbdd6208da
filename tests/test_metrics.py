"What must hold of every measure: invariances, intervals around estimates, weights that equal resampling."
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.metrics import METRICS, Influence, Resampled, compare, delong, evaluate, gather, newcombe_auc, tango, wilson

TIMES = (2., 4., 8., 16.)
SPAN_LABELS = ('drug', 'event')


def task_of(outcome, n_classes=3):
    "As much of a task as the metrics read."
    names = tuple(name for name, metric in METRICS.items() if outcome in metric.outcomes)
    return SimpleNamespace(outcome=outcome, metrics=names, headline=names[0], classes=tuple('abcdefgh'[:n_classes]), times=TIMES)


def make(outcome, n, seed, n_classes=3):
    "Targets and a distribution that knows something of them, with ties."
    generator = np.random.default_rng(seed)
    signal = np.round(generator.normal(size=(n, n_classes)), 1)
    if outcome in ('classes', 'levels'):
        targets = (signal + generator.gumbel(size=signal.shape)).argmax(1)
        return targets, np.exp(signal)/np.exp(signal).sum(1, keepdims=True)
    if outcome == 'labels': return (signal + generator.normal(size=signal.shape) > 0).astype(float), 1/(1 + np.exp(-signal))
    if outcome == 'number': return np.round(signal[:, 0] + generator.normal(size=n), 1), np.column_stack([signal[:, 0], np.exp(signal[:, 1]/4)])
    if outcome == 'curve':
        rate = np.exp(signal[:, 0] - 2)
        event, censored = np.round(generator.exponential(1/rate), 1), np.round(generator.uniform(1, 30, n), 1)
        return np.column_stack([np.minimum(event, censored), event <= censored]).astype(float), np.exp(-rate[:, None]*TIMES)
    return spans_of(generator, n)


def spans_of(generator, n):
    "Documents with up to three spans, half of them found."
    targets, found = np.empty(n, object), np.empty(n, object)
    for row in range(n):
        starts = generator.choice(50, generator.integers(0, 4), replace=False)
        targets[row] = [(int(start), int(start) + 3, SPAN_LABELS[start % 2]) for start in starts]
        found[row] = [(start, end + int(generator.random() < .5), label, .8) for start, end, label in targets[row]]
    return targets, found


KINDS = [('classes', 2), ('classes', 3), ('levels', 4), ('labels', 3), ('number', 3), ('curve', 3), ('spans', 3)]
quick = settings(max_examples=15, deadline=None)


def values(task, targets, distribution):
    "All defined measures, bare."
    cases = gather(task, targets, distribution)
    return {name: METRICS[name].value(cases) for name in task.metrics if not METRICS[name].undefined(cases)}


@pytest.mark.parametrize('outcome, n_classes', KINDS)
@quick
@given(n=st.integers(12, 80), seed=st.integers(0, 10_000))
def test_order_of_cases_changes_nothing(outcome, n_classes, n, seed):
    task, (targets, distribution) = task_of(outcome, n_classes), make(outcome, n, seed, n_classes)
    order = np.random.default_rng(seed).permutation(n)
    before, after = values(task, targets, distribution), values(task, targets[order], distribution[order])
    assert before.keys() == after.keys()
    for name in before: np.testing.assert_allclose(before[name], after[name], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize('outcome, n_classes', KINDS)
@quick
@given(n=st.integers(12, 80), seed=st.integers(0, 10_000))
def test_cases_counted_twice_change_nothing(outcome, n_classes, n, seed):
    task, (targets, distribution) = task_of(outcome, n_classes), make(outcome, n, seed, n_classes)
    before, after = values(task, targets, distribution), values(task, np.tile(targets, (2, *[1]*(targets.ndim - 1))).reshape(-1, *targets.shape[1:]),
                                                                np.tile(distribution, (2, *[1]*(distribution.ndim - 1))).reshape(-1, *distribution.shape[1:]))
    for name in before: np.testing.assert_allclose(before[name], after[name], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize('outcome, n_classes', KINDS)
@quick
@given(n=st.integers(20, 60), seed=st.integers(0, 10_000))
def test_counts_equal_resampling(outcome, n_classes, n, seed):
    "A measure weighted by how often cases were drawn is the measure of the drawn cases."
    task, (targets, distribution) = task_of(outcome, n_classes), make(outcome, n, seed, n_classes)
    drawn = np.random.default_rng(seed + 1).integers(0, n, n)
    weights = np.bincount(drawn, minlength=n)[None].astype(float)
    whole, part = gather(task, targets, distribution), gather(task, targets[drawn], distribution[drawn])
    for name in task.metrics:
        metric = METRICS[name]
        if isinstance(metric, Influence) or metric.undefined(whole) or metric.undefined(part): continue
        if name == 'average_precision' and n_classes > 2: continue   # classes are those of the cases as they are
        if name == 'integrated_brier' and targets[:, 0].max() != targets[drawn, 0].max(): continue   # so is the grid
        np.testing.assert_allclose(metric.value(whole, weights)[0], metric.value(part), rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize('outcome, n_classes', KINDS)
@settings(max_examples=6, deadline=None)
@given(n=st.integers(10, 120), seed=st.integers(0, 10_000))
def test_intervals_contain_their_estimates(outcome, n_classes, n, seed):
    task, (targets, distribution) = task_of(outcome, n_classes), make(outcome, n, seed, n_classes)
    for found in evaluate(task, targets, distribution, n_resamples=200).estimates:
        assert np.isnan(found.low) and found.method or found.low <= found.estimate <= found.high, found
        assert np.isnan(found.low) or METRICS[found.metric].bounds[0] - 1e-9 <= found.low, found


@pytest.mark.parametrize('outcome, n_classes', KINDS)
@settings(max_examples=4, deadline=None)
@given(n=st.integers(12, 100), seed=st.integers(0, 10_000))
def test_a_comparison_turned_round_changes_its_sign(outcome, n_classes, n, seed):
    task, (targets, distribution) = task_of(outcome, n_classes), make(outcome, n, seed, n_classes)
    other = distribution[np.random.default_rng(seed).permutation(n)]
    forward, back = (compare(task, targets, *pair, n_resamples=200) for pair in ((distribution, other), (other, distribution)))
    for one, two in zip(forward.differences, back.differences):
        np.testing.assert_allclose([one.difference, one.low, one.p_value], [-two.difference, -two.high, two.p_value], rtol=1e-4, atol=1e-6, err_msg=one.metric)


@pytest.mark.parametrize('outcome, n_classes', KINDS)
@pytest.mark.parametrize('n', [0, 1, 2, 3])
def test_a_handful_of_cases_gives_reasons(outcome, n_classes, n):
    task, (targets, distribution) = task_of(outcome, n_classes), make(outcome, 40, 1, n_classes)
    for found in evaluate(task, targets[:n], distribution[:n]).estimates:
        assert np.isfinite(found.low) or found.method, found
        if isinstance(METRICS[found.metric], Resampled): assert np.isnan(found.estimate)
    compare(task, targets[:n], distribution[:n], distribution[:n])


@quick
@given(n=st.integers(8, 60), seed=st.integers(0, 10_000))
def test_delong_is_its_definition(n, seed):
    generator = np.random.default_rng(seed)
    positive, scores = np.arange(n) < n//3, np.round(generator.normal(size=n), 1)
    above, below = scores[positive][:, None], scores[~positive][None]
    pairs = (above > below) + .5*(above == below)
    auc, components = delong(positive, scores)
    variance = pairs.mean(1).var(ddof=1)/above.size + pairs.mean(0).var(ddof=1)/below.size
    np.testing.assert_allclose([auc, (components**2).sum()], [sklearn.metrics.roc_auc_score(positive, scores), variance], atol=1e-12)


@given(n=st.integers(1, 500), share=st.floats(0, 1), level=st.sampled_from([.8, .95, .99]))
def test_wilson_solves_its_equation(n, share, level):
    hits = round(share*n)
    low, high = wilson(hits, n, level)
    assert 0 <= low <= hits/n + 1e-12 and hits/n - 1e-12 <= high <= 1 and low < high


@quick
@given(b=st.integers(0, 30), c=st.integers(0, 30), rest=st.integers(0, 60))
def test_tango_contains_the_difference(b, c, rest):
    n = max(b + c + rest, 1)
    low, high = tango(b, c, n)
    assert -1 <= low <= (b - c)/n <= high <= 1 and low < high


@quick
@given(m=st.integers(2, 50), n=st.integers(2, 50), auc=st.floats(0, 1))
def test_newcombe_contains_the_area(m, n, auc):
    low, high = newcombe_auc(auc, m, n)
    assert 0 <= low <= auc + 1e-9 and auc - 1e-9 <= high <= 1 and low < high


def test_intervals_cover():
    "Over 150 samples of 200 patients, 95 % intervals hold the truth about as often as they say."
    task = task_of('classes', 2)
    task.metrics = ('roc_auc', 'brier', 'macro_f1', 'ece')
    large = make('classes', 400_000, 0, 2)
    truth = values(task, *large)
    covered = dict.fromkeys(task.metrics, 0)
    for seed in range(150):
        evaluation = evaluate(task, *make('classes', 200, seed + 1, 2), n_resamples=400)
        for name in covered: covered[name] += evaluation[name].low <= truth[name] <= evaluation[name].high
    assert all(.88 <= count/150 for count in covered.values()), covered


def test_no_text_of_a_figure_is_bare():
    task, (targets, distribution) = task_of('classes', 2), make('classes', 60, 0, 2)
    evaluation = evaluate(task, targets, distribution)
    for line in repr(evaluation).splitlines(): assert '[' in line or 'not computed' in line
    assert {'low', 'high', 'n', 'method'} <= set(evaluation.table.columns)
    assert evaluation.sentence('zh') != evaluation.sentence('en')
