"ExplainPanel over what crosses modules: every kind of task, both languages, the kernel that stays free, no patient's text in what goes wrong."
import json
import re
import threading
import time

import numpy as np
import pandas as pd
import pytest

from clintrial.dataset import Schema, TrialData
from clintrial.explainer import Explainer
from clintrial.loading import DataError
from clintrial.model import TrialModel
from clintrial.panels.explaining import PHRASES, ExplainPanel
from clintrial.predictor import Predictor
from clintrial.tasks import Binary, Multilabel, Ordinal, Regression, Survival

NOTES = ['The pain has gone. She sleeps well.', 'The pain is worse. She takes 20 mg.', 'Nausea on day 3; otherwise well. <b>Bold</b> & brave.']


def test_every_phrase_is_chinese():
    assert [words for words, chinese in PHRASES.items() if not re.search('[\u4e00-\u9fff]', chinese) or re.findall('{.*?}', words) != re.findall('{.*?}', chinese)] == []


def trial_of(target, values):
    "Three patients with a note and the columns of a target."
    return TrialData(pd.DataFrame({'note': NOTES, **dict(zip(target, values))}, index=['A', 'B', 'C']), Schema(text='note', target=target))


CASES = {'binary': (Binary('response'), trial_of(('response',), [['yes', 'no', 'yes']]), ['no', 'yes']),
         'multilabel': (Multilabel(('nausea', 'rash')), trial_of(('nausea', 'rash'), [[0, 1, 1], [1, 0, 0]]), ['nausea', 'rash']),
         'ordinal': (Ordinal('grade', order=('mild', 'moderate', 'severe')), trial_of(('grade',), [['mild', 'severe', 'moderate']]), []),
         'regression': (Regression('score'), trial_of(('score',), [[1., 2., 4.]]), []),
         'survival': (Survival('months', 'died', times=(3., 6., 12.)), trial_of(('months', 'died'), [[2., 5., 11.], [1, 0, 1]]), ['3.0', '6.0', '12.0'])}


@pytest.mark.parametrize('kind', CASES)
def test_every_kind_of_task_can_be_walked_through(kind, tiny_backbone):
    task, trial, targets = CASES[kind]
    panel = ExplainPanel(TrialModel.build(tiny_backbone, trial, task, window_tokens=32, overlap=8), trial, lang='zh')
    panel.widget
    assert [value for _, value in panel.about.options if value] == targets
    panel.check.value = False
    panel.state = {'document': 'C', 'target': targets[-1] if targets else ''}
    panel.explain().wait(60)
    panel.settle()
    assert panel.attribution is not None, panel._said
    sums = panel.attribution.sentences
    assert len(panel.sentence.options) == (sums['field'] == 'note').sum()
    assert '<b>' not in panel.passage.value + panel.whole.html + panel.html()
    panel.close()


@pytest.fixture(scope='module')
def explained(tiny_backbone, tmp_path_factory):
    "A run of the toy trial."
    from conftest import toy_trial, toy_tuner
    folder = tmp_path_factory.mktemp('explained')/'run'
    toy_tuner(tiny_backbone, folder, num_train_epochs=1).fit()
    return Predictor(folder), toy_trial()


def test_the_kernel_stays_free_and_the_last_question_counts(explained):
    panel = ExplainPanel(*explained)
    panel.widget
    panel.check.value = False
    begun = time.perf_counter()
    panel.explain()
    panel.state = {'document': 'P003'}
    panel.explain()
    assert time.perf_counter() - begun < 2                               # both questions are asked, none is waited for
    panel.settle(60)
    assert panel.label_of_row == 'P003' and panel._aide.busy == 0
    assert threading.active_count() < 30
    panel.close()


def test_the_panel_says_what_the_explainer_says(explained):
    predictor, trial = explained
    panel = ExplainPanel(predictor, trial)
    panel.state = {'document': 'P002', 'target': 'yes', 'check': False}
    panel.explain(); panel.settle(60)
    explainer = Explainer(predictor)
    same = explainer.attribute(trial.frame.loc[['P002']], target='yes')
    assert np.allclose(panel.attribution.table['score'], same.table['score'])
    names = {'predictor': predictor, 'data': trial}
    exec(panel.code, names)
    assert names['narrative'].text() == panel.narrative.text()
    again = ExplainPanel(predictor, trial)
    again.state = json.loads(json.dumps(panel.state))
    again.explain(); again.settle(60)
    assert again.state == panel.state and again.passage.value == panel.passage.value
    for one in (panel, again): one.close()


def test_what_goes_wrong_is_said_without_the_text_of_a_patient(explained, monkeypatch):
    predictor, trial = explained
    panel = ExplainPanel(predictor, trial, lang='zh')
    panel.widget
    def broken(*_, **__): raise RuntimeError('the weights are gone')
    monkeypatch.setattr(panel.explainer, 'attribute', broken)
    panel.explain(); panel.settle(60)
    assert 'weights are gone' in panel._said[0] and panel._said[1] == 'error' and not panel.go.disabled
    assert not any(word in panel._said[0] + panel._details.value for word in ('pain has gone', 'can not sleep'))
    with pytest.raises(DataError, match='empty'): ExplainPanel(predictor, trial.frame.iloc[:0])
    panel.close()
