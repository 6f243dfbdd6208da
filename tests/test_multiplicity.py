"Multiplicity: golden values of R, what every procedure promises, familywise error by simulation."
import warnings

import numpy as np
import pandas as pd
import pytest
from comparisons import calls, check
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from clintrial.loading import DataError
from clintrial.statistics.analyses import Analysis, TrialWarning, Words
from clintrial.statistics.multiplicity import (METHODS, Graph, adjust, bonferroni_graph, closed_test, fallback_graph, fixed_sequence_graph, gatekeeping_graph, graph_test, holm_graph, sequential_graph_test)
from clintrial.visualizer import forest_plot, volcano

p_lists = st.lists(st.floats(1e-6, 1), min_size=1, max_size=6)


@pytest.mark.parametrize('function, arguments', calls('adjust', 'graph_test', 'closed_test'))
def test_golden(function, arguments): check(function, arguments)


@given(p_lists, st.sampled_from([name for name in METHODS if name not in ('fixed sequence', 'fallback')]))
@settings(max_examples=25, deadline=None)
def test_adjusted_p_values_are_never_smaller_keep_the_order_and_ignore_the_order(p, method):
    found = adjust(p, method).table.p_value.to_numpy()
    assert (found >= np.array(p) - 1e-12).all() and (found <= 1).all()
    assert (np.diff(found[np.argsort(p)]) >= -1e-12).all()
    turned = adjust(p[::-1], method).table.p_value.to_numpy()[::-1]
    np.testing.assert_allclose(found, turned, atol=1e-12)


@given(p_lists)
@settings(max_examples=10, deadline=None)
def test_power_is_ordered(p):
    "Bonferroni, Holm, Hochberg, Hommel: each at least as powerful as the one before."
    found = [adjust(p, method).table.p_value.to_numpy() for method in ('bonferroni', 'holm', 'hochberg', 'hommel')]
    for weaker, stronger in zip(found, found[1:]): assert (stronger <= weaker + 1e-9).all()


@st.composite
def graphs(draw):
    m = draw(st.integers(1, 4))
    shares = np.array(draw(st.lists(st.floats(0, 1), min_size=m, max_size=m)))
    edges = np.array(draw(st.lists(st.lists(st.floats(0, 1), min_size=m, max_size=m), min_size=m, max_size=m)))*(1 - np.eye(m))
    return Graph([f'H{place}' for place in range(m)], shares/max(1, shares.sum()), edges/np.maximum(1, edges.sum(1, keepdims=True)))


@given(graphs(), st.lists(st.floats(1e-6, 1), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_graph_is_the_closed_test_of_its_weights(graph, p):
    p = p[:len(graph.names)]
    short, long = graph_test(graph, p), closed_test(p, graph)
    np.testing.assert_allclose(short.table.p_value, long.table.p_value, atol=1e-9)
    left = graph.reject(*graph.names[:1])
    assert left.weights.sum() <= 1 + 1e-9 and (left.weights >= -1e-12).all()


def test_familywise_error_is_kept():
    "Four correlated true null hypotheses, 1,200 trials; two true and two false ones."
    rng = np.random.default_rng(3)
    z = rng.multivariate_normal(np.zeros(4), .4 + .6*np.eye(4), 1200)
    limit = .05 + 3*np.sqrt(.05*.95/1200)
    procedures = [holm_graph(4), fallback_graph(4), fixed_sequence_graph(4), bonferroni_graph(4), gatekeeping_graph([['a', 'b'], ['c', 'd']]), gatekeeping_graph([['a', 'b'], ['c', 'd']], 'serial')]
    for shift in ((0, 0, 0, 0), (0, 3, 0, 3)):
        p = norm.sf(z + shift)
        true = np.array(shift) == 0
        for graph in procedures: assert np.mean([(graph.adjusted(row)[0][true] <= .05).any() for row in p]) <= limit


def test_group_sequential_graph_keeps_the_error_and_gains_by_a_rejection():
    rng = np.random.default_rng(4)
    graph = holm_graph(('a', 'b'))
    halves = lambda name, level: [level/2, level/2]
    wrong = 0
    for row in rng.normal(size=(300, 2, 2)):
        final = (row[0] + row[1])/np.sqrt(2)
        found = sequential_graph_test(graph, pd.DataFrame(np.c_[norm.sf(row[0]), norm.sf(final)], index=['a', 'b']), halves, alpha=.1) if min(norm.sf(row[0]).min(), norm.sf(final).min()) < .05 else None
        wrong += found is not None and bool(found.table.rejected.any())
    assert wrong/300 <= .1 + 3*np.sqrt(.09/300)
    late = sequential_graph_test(graph, pd.DataFrame([[.001, np.nan], [.02, .012]], index=['a', 'b']), halves, alpha=.025)
    assert late.rejected == ['a', 'b'] and late.table.look.tolist() == [1, 2] and late.table.local_alpha.tolist() == [.0125, .025]
    assert late.table.p_value[1] == pytest.approx(.024, abs=1e-6)


def test_sentences_and_charts():
    "An analysis' own table comes through to the forest plot; bare p values to the volcano."
    table = pd.DataFrame(dict(term=['low', 'high'], estimate=[.8, .6], low=[.6, .4], high=[1.05, .9], p_value=[.09, .012]))
    found = adjust(Analysis('Cox', table, Words('', '')), 'hochberg')
    assert forest_plot(found.chart_frame, 'Hazard ratio').to_dict() and found.table.estimate.tolist() == [.8, .6]
    assert volcano(found.table, label='term', effect='estimate', p='raw_p_value').to_dict()
    assert 'shows nothing either way' in found.sentence() and '原假设' in found.sentence('zh') and '<table' in found._repr_html_()
    assert 'false discovery' in adjust([.01, .02], 'bh').sentence()


def test_bad_input_is_named():
    with pytest.warns(TrialWarning, match='p value of zero'): adjust([0., .2])
    cases = [(lambda: adjust(['x']), 'no p value between'), (lambda: adjust([np.nan]), 'no p value between'), (lambda: adjust([]), 'no p value'), (lambda: adjust([.1], 'tukey'), "no method 'tukey'"), (lambda: adjust([.1], alpha=.7), 'makes no sense'),
             (lambda: adjust(pd.DataFrame(dict(p=[.1]))), "no column 'p_value'"), (lambda: Graph(['a'], [.5, .5], [[0]]), 'need 1 weights'), (lambda: graph_test(holm_graph(2), {'a': .1}), 'different hypotheses'),
             (lambda: gatekeeping_graph([['a'], ['b']], 'odd'), "kind 'odd'"), (lambda: closed_test([.1], 'wald'), "no local test 'wald'"), (lambda: sequential_graph_test(holm_graph(2), pd.DataFrame(), None), 'row a hypothesis')]
    for run, words in cases:
        with pytest.raises(DataError, match=words): run()
