"The panel of several runs, for every kind of task: the same cases or a clear refusal, the same numbers as the plain functions."
import numpy as np
import pytest

pytest.importorskip('ipywidgets', reason='ipywidgets is not installed')
from test_panels_predicting import KINDS, backbone, run_of, table   # noqa: F401 (fixtures)

from clintrial.loading import DataError
from clintrial.metrics import compare
from clintrial.panels.comparing import ComparePanel
from clintrial.run_comparison import RunComparison


def filled(panel):
    "All pages, filled."
    panel.widget
    panel.go.click()
    panel.settle().settle()
    for title in panel.pages.titles:
        panel.pages.select(title)
        panel.settle().settle()
    return panel


@pytest.fixture
def undrawn(monkeypatch):
    "Charts are made and described, and not drawn: their pictures have tests of their own."
    from clintrial.drawing import to_spec
    from clintrial.panels import comparing
    described = lambda chart, *rest: f"<figure>{to_spec(chart)['description']}</figure>"
    monkeypatch.setattr(comparing, 'chart_html', described)
    monkeypatch.setattr(comparing, 'still_chart', described)


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_task(run_of, table, kind, undrawn):
    "A run against its own baselines: five pages, the code, the state, a still view."
    run = run_of(kind)
    panel = ComparePanel({'model': run}, table, n_resamples=20)
    try:
        panel.state = {'groups': ['sex']}
        filled(panel)
        assert not panel._top.value, panel._top.value
        assert all('<table>' in panel.views[title].value for title in ('Differences', 'Disagreement', 'Subgroups', 'Cost')), kind
        kept = panel.state
        panel.state = kept
        assert panel.state == kept and '<script' not in panel.html()
        names = {'patients': table, 'print': lambda *words: None}
        exec(panel.code, names)
        assert set(names['differences']['reference']) == {'model'}
    finally: panel.close()


def test_numbers_are_those_of_compare(run_of):
    "The paired difference on the page is that of `clintrial.metrics.compare`."
    run = run_of('binary')
    found = RunComparison(run, baselines=True).differences(metrics=('roc_auc',), n_resamples=50).set_index('model')
    plain = compare(run.task, run.targets(), run.distribution('tfidf'), run.distribution(), metrics=('roc_auc',), n_resamples=50)['roc_auc']
    assert found.loc['tfidf', 'difference'] == pytest.approx(plain.difference) and found.loc['tfidf', 'low'] == pytest.approx(plain.low)


def test_order_of_cases_does_not_matter(run_of, monkeypatch):
    "Another run whose cases stand in another order is brought into the first one's."
    from clintrial.run import FineTuneRun
    one, other = run_of('binary'), FineTuneRun(run_of('binary').folder)
    turned = lambda kept: (lambda self, split='test': kept(self, split).iloc[::-1] if self is other else kept(self, split))
    monkeypatch.setattr(FineTuneRun, 'predictions', turned(FineTuneRun.predictions))
    both = RunComparison({'one': one, 'other': other})
    np.testing.assert_array_equal(both.distributions['one'], both.distributions['other'])


def test_runs_on_other_cases_or_tasks_are_refused(run_of):
    "Words that say what differs, in the panel and in Python; nothing is shown."
    with pytest.raises(DataError, match='do not predict the same'): RunComparison([run_of('binary'), run_of('regression')])
    panel = ComparePanel([run_of('binary'), run_of('multiclass')])
    try:
        panel.widget
        panel.go.click()
        panel.settle().settle()
        assert 'do not predict the same' in panel._top.value and panel.comparison is None
    finally: panel.close()
