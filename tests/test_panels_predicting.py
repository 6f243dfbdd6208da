"The panel of one patient, for every kind of task: state, code, what-if, neighbours, second opinion, and two threads with one model."
import json
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

pytest.importorskip('ipywidgets', reason='ipywidgets is not installed')
from clintrial.dataset import Schema, TrialData
from clintrial.loading import DataError
from clintrial.neighbours import neighbours
from clintrial.panels.base import PanelError
from clintrial.panels.predicting import PredictPanel
from clintrial.predictor import Predictor
from clintrial.second_opinion import SecondOpinion
from clintrial.tasks import Binary, Multiclass, Multilabel, Ordinal, Pair, Regression, Survival, Token
from clintrial.what_if import what_if

WORDS = 'dizzy nausea rash relief stable worse better ten twenty mg daily pain none no after week'.split()
N = 160


@pytest.fixture(scope='module')
def backbone(tmp_path_factory):
    "A BERT of one narrow layer with random weights, on disk."
    folder = tmp_path_factory.mktemp('backbone')
    (folder/'vocab.txt').write_text('\n'.join(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', *WORDS]))
    BertTokenizerFast(str(folder/'vocab.txt')).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=5 + len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=64)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope='module')
def table():
    "Patients with two texts, a number, a class, and an outcome of every kind."
    draw = np.random.default_rng(0)
    words = np.array(WORDS)[draw.integers(0, len(WORDS), (N, 12))]
    better = (words == 'better').sum(1) - (words == 'worse').sum(1) + draw.normal(0, 1, N)
    frame = pd.DataFrame({'note': [' '.join(row) for row in words], 'history': [' '.join(row[:5]) for row in words], 'age': draw.normal(60, 9, N).round(), 'sex': draw.choice(['F', 'M'], N),
                          'response': np.where(better > .3, 'yes', 'no'), 'area': draw.choice(['liver', 'lung', 'skin'], N), 'grade': pd.cut(better, [-9, -.7, .7, 9], labels=['low', 'middle', 'high']).astype(str), 'score': better,
                          'nausea': (words == 'nausea').any(1).astype(int), 'rash': (words == 'rash').any(1).astype(int), 'months': draw.exponential(10, N).round(2) + .01, 'event': draw.integers(0, 2, N),
                          'spans': [json.dumps([[0, len(row[0]), 'sign']]) if row[0] in ('dizzy', 'pain', 'rash', 'nausea', 'worse', 'relief') else '[]' for row in words]})
    return frame.set_axis([f'P{place:03d}' for place in range(N)])


KINDS = {'binary': (Binary('response'), ('response',)), 'multiclass': (Multiclass('area'), ('area',)), 'ordinal': (Ordinal('grade', order='low<middle<high'), ('grade',)), 'multilabel': (Multilabel(('nausea', 'rash')), ('nausea', 'rash')),
         'regression': (Regression('score'), ('score',)), 'survival': (Survival('months', 'event'), ('months', 'event')), 'pair': (Pair('response', first='history', second='note'), ('response',)), 'token': (Token('spans', text='note'), ('spans',))}


@pytest.fixture(scope='module')
def run_of(backbone, table, tmp_path_factory):
    "A finished fine-tuning of one kind of task, with its baselines; each is trained once."
    from clintrial.model import TrialModel
    from clintrial.trainer import FineTuneConfig, FineTuner
    finished = {}

    def run(kind):
        if kind not in finished:
            task, target = KINDS[kind]
            text, numeric, categorical = (('note',), (), ()) if kind == 'token' else (('note', 'history'), ('age',), ('sex',))
            splits = TrialData(table[[*text, *numeric, *categorical, *target]], Schema(text=text, numeric=numeric, categorical=categorical, target=target)).split(fractions=(.4, .1, .3, .2), seed=0)
            config = FineTuneConfig(output_dir=str(tmp_path_factory.mktemp('runs')/kind), num_train_epochs=1, disable_tqdm=True, allow_leaks=True)
            finished[kind] = FineTuner(TrialModel.build(backbone, splits.train, task, window_tokens=24, overlap=4), splits, config).fit()
        return finished[kind]
    return run


def undraw(monkeypatch):
    "Charts are made and described, and not drawn: their pictures have tests of their own."
    from clintrial.drawing import to_spec
    from clintrial.panels import arranging, predicting
    described = lambda chart, *rest: f"<figure>{to_spec(chart)['description']}</figure>"
    monkeypatch.setattr(arranging, 'chart_html', described)
    monkeypatch.setattr(predicting, 'still_chart', described)


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_task(run_of, table, kind, monkeypatch):
    "A row is chosen, a field changed, every page turned to; the code gives the same; the still view has no script."
    record = SecondOpinion.record
    monkeypatch.setattr(SecondOpinion, 'record', lambda self, n_resamples=0: record(self, n_resamples=20))   # the interval is not the point here
    if kind != 'binary': undraw(monkeypatch)
    predictor = Predictor(run_of(kind))
    panel = PredictPanel(predictor, table.iloc[:10], table.iloc[10:60])
    try:
        panel.state = {'row': 2, 'neighbours': 3}
        panel.settle()
        first = panel.found['frame']
        panel.cells['note'].control.value = 'better better relief stable'
        panel.settle()
        assert panel.found['what_if'].changes['note'][1] == 'better better relief stable'
        pd.testing.assert_frame_equal(panel.found['what_if'].before, first)
        for page in panel.pages.titles:
            panel.pages.select(page)
            panel.settle()
        assert not panel._top.value, panel._top.value
        assert '<table>' in panel.near.value and '<table>' in panel.opinions.value
        names = {'predictor': predictor, 'patients': table.iloc[:10], 'print': lambda *words: None}
        exec(panel.code, names)
        pd.testing.assert_frame_equal(names['prediction'], panel.found['frame'])
        assert '<script' not in panel.html() and panel.found['what_if'].sentence('zh')
    finally: panel.close()


def test_neighbours_are_the_callers_rows_only(run_of, table):
    "No row of the training is found where the caller passed others, and the run folder holds no text."
    run = run_of('binary')
    near = neighbours(Predictor(run), table.iloc[:30]).nearest(table.iloc[[40]], k=30)
    assert set(near.table['neighbour']) <= set(table.index[:30])
    texts = [path for path in run.folder.rglob('*') if path.suffix in ('.json', '.jsonl') and table['note'].iloc[5] in path.read_text(encoding='utf-8')]
    assert not texts


def test_second_opinion_holds_its_promise(run_of, table):
    "An opponent's conformal set covers as often as it says, within what so few cases can show."
    run = run_of('binary')
    opinion = SecondOpinion(run)
    ids = run.predictions('test').index
    said = opinion.predict(table.loc[ids], level=.8)['tfidf']
    held = np.mean([truth in members for truth, members in zip(table.loc[ids, 'response'], said['set'])])
    assert held > .6


def test_two_panels_share_one_model(run_of, table):
    "Two panels ask one model from two threads: each gets what it would get alone."
    predictor = Predictor(run_of('binary'))
    alone = predictor.predict(table.iloc[:2], unseen='missing')
    panels = [PredictPanel(predictor, table.iloc[:2]) for _ in range(2)]
    try:
        for turn in range(6):
            for place, panel in enumerate(panels): panel.state = {'row': (turn + place) % 2}
        for panel in panels: panel.settle()
        for place, panel in enumerate(panels):
            np.testing.assert_allclose(panel.found['frame']['p_yes'], alone['p_yes'].iloc[[(5 + place) % 2]], atol=.02)
    finally: [panel.close() for panel in panels]


def test_only_the_last_of_many_keys_is_answered(run_of, table):
    "Sixty keys in a row: the answer is to the whole text, and few answers were computed."
    panel = PredictPanel(Predictor(run_of('binary')), table.iloc[:2])
    try:
        panel.state = {'row': 0}
        panel.settle()
        panel.delays.clear()
        for number in range(60): panel.cells['note'].control.value = 'better ' * (number + 1)
        panel.settle()
        assert panel.found['what_if'].changes['note'][1] == 'better ' * 60 and len(panel.delays) < 20
    finally: panel.close()


def test_errors_are_said_and_hold_no_text(run_of, table):
    "A bad number beside its field; a model that fails at the top, in words, without the patient's text."
    class Failing:
        task, model = Predictor(run_of('binary')).task, Predictor(run_of('binary')).model
        def predict(self, *rows, **options): raise DataError('The model has no memory left.', remedy='Close another notebook.')
    panel = PredictPanel(Failing(), table.iloc[:2])
    try:
        panel.state = {'row': 0}
        panel.settle()
        assert 'The model has no memory left. Close another notebook.' in panel._top.value and table['note'].iloc[0] not in panel._top.value
        panel.cells['age'].control.value = 'old'
        assert panel.cells['age'].wrong
        with pytest.raises(PanelError, match='cell:sex'): panel.state = {'cell:sex': 'X'}
    finally: panel.close()


def test_what_if_of_a_row_is_that_of_its_table(run_of, table):
    "The answer to a change is the prediction of a table in which it was made."
    predictor = Predictor(run_of('regression'))
    what = what_if(predictor, table.iloc[[3]], {'age': 80, 'sex': 'F'})
    changed = table.iloc[[3]].assign(age=80., sex='F')
    np.testing.assert_allclose(what.after['mean'], predictor.predict(changed)['mean'], rtol=.02, atol=.02)


def test_without_ipywidgets(run_of, table, monkeypatch):
    "The same panel, its state, its code and its still view, where nobody can click."
    from clintrial.panels import arranging, asking, base, predicting
    for room in (arranging, asking, base):
        if hasattr(room, 'widgets'): monkeypatch.setattr(room, 'widgets', None)
    panel = PredictPanel(Predictor(run_of('binary')), table.iloc[:3])
    panel.state = {'row': 1}
    panel.settle()
    assert 'probability of yes' in panel.html() and threading.active_count() < 50
