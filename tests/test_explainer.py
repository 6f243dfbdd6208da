"Explanations across modules: every family of backbone, every kind of task, odd texts, long documents, and Captum as the referee."
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.dataset import Schema, TrialData
from clintrial.explainer import Answers, Explainer, integrated_gradients
from clintrial.explainer.attributions import word_spans
from clintrial.explainer.gradients import allowed, first_points, gap_weights
from clintrial.loading import DataError
from clintrial.model import TrialModel
from clintrial.tasks import Binary, Multiclass, Multilabel, Ordinal, Pair, Regression, Survival, Token
from clintrial.tuning import Lora

from conftest import toy_trial, toy_tuner

SMALL = dict(vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=80, pad_token_id=0)
SPECIAL = dict(bos_token_id=101, eos_token_id=102, pad_token_id=0)


def lively(model):
    "The model with a head that is not near zero, so that there is something to explain."
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for parameter in [*model.head.parameters(), *model.window_attention.parameters()]: torch.nn.init.normal_(parameter, std=.3)
    return model


def adds_up(attribution, unit=1.):
    "Words, columns and the rest sum to the difference within the tolerance, and every word stands where it says."
    documents = attribution.documents.set_index('document')
    difference = documents['score'] - documents['baseline_score']
    gap = (attribution.table.groupby('document')['score'].sum() - difference).abs()
    assert all(gap[label] <= allowed(difference[label], .01, unit) + 1e-5*max(1, abs(difference[label])) for label in documents.index), gap
    for row in attribution.table.dropna(subset=['start']).itertuples(): assert attribution.frame.loc[row.document, row.field][row.start:row.end] == row.text
    return attribution


@pytest.fixture(scope='module')
def families(tmp_path_factory):
    "Folders with a tiny random backbone of each family."
    from transformers import AutoModel, AutoTokenizer, DebertaV2Config, GPT2Config, LlamaConfig, ModernBertConfig, Qwen2Config, RobertaConfig
    from clintrial.backbones import minilm_folder
    kinds = {'roberta': RobertaConfig(**SMALL), 'deberta': DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=['p2c', 'c2p'], max_relative_positions=64, position_buckets=16),
             'modernbert': ModernBertConfig(**SMALL | SPECIAL, cls_token_id=101, sep_token_id=102, global_attn_every_n_layers=2, local_attention=16),
             'gpt2': GPT2Config(vocab_size=30522, n_embd=32, n_layer=2, n_head=2, n_positions=80, **SPECIAL), 'llama': LlamaConfig(**SMALL | SPECIAL), 'qwen2': Qwen2Config(**SMALL | SPECIAL, num_key_value_heads=2)}
    folders = {}
    for name, config in kinds.items():
        folders[name] = str(tmp_path_factory.mktemp(name))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            AutoModel.from_config(config).save_pretrained(folders[name])
        AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize('family', ['roberta', 'deberta', 'modernbert', 'gpt2', 'llama', 'qwen2'])
@pytest.mark.parametrize('tuning', [None, Lora(rank=2)], ids=['full', 'lora'])
def test_every_family_adds_up(families, family, tuning):
    trial = toy_trial(12)
    model = lively(TrialModel.build(families[family], trial, Binary('response'), tuning, window_tokens=16, overlap=4))
    attribution = adds_up(Explainer(model).attribute(trial.take(trial.ids[:3]), 'yes'))
    assert attribution.table['score'].abs().sum() > 0 and attribution.documents['n_tokens'].min() > 13      # several windows
    rollout = Explainer(model).attribute(trial.take(trial.ids[:2]), method='attention_rollout')
    assert np.allclose(rollout.table.groupby('document')['score'].sum(), 1, atol=1e-4)


def outcomes():
    "A table with a target of every kind."
    draw, trial = np.random.default_rng(1), toy_trial(24)
    events = [[[text.index('pain'), text.index('pain') + 4, 'symptom']] for text in trial.frame['note']]
    return trial.frame.assign(statement='The patient is better.', grade=draw.choice(['none', 'mild', 'severe'], 24), weight=draw.normal(70, 9, 24), nausea=draw.integers(0, 2, 24), rash=np.arange(24) % 2,
                              months=draw.exponential(8, 24), seen=np.arange(24) % 3 > 0, events=events)


TASKS = {'binary': Binary('response'), 'multiclass': Multiclass('grade'), 'multilabel': Multilabel(('nausea', 'rash')), 'ordinal': Ordinal('grade', 'none<mild<severe'), 'regression': Regression('weight'),
         'survival': Survival('months', 'seen'), 'pair': Pair('grade', 'statement', 'note'), 'token': Token('events', 'note')}


@pytest.mark.parametrize('kind', TASKS)
def test_every_task_adds_up(tiny_backbone, kind):
    frame, task = outcomes(), TASKS[kind]
    text = ('statement', 'note') if kind == 'pair' else ('note',)
    data = TrialData(frame, Schema(text=text, numeric='age', categorical='sex', target=task.columns))
    model = lively(TrialModel.build(tiny_backbone, data, task, window_tokens=32, overlap=8))
    attribution = adds_up(Explainer(model).attribute(data.take(data.ids[:3])), model.task.explained_unit)
    assert set(attribution.table['field'].dropna()) == ({*text} if kind == 'token' else {*text, 'age', 'sex'})
    assert adds_up(Explainer(model).attribute(data.take(data.ids[:1]), method='shapley', by='fields'), model.task.explained_unit).parts['score'].notna().all()


def test_captum_agrees_within_a_window(tiny_backbone):
    from captum.attr import LayerIntegratedGradients
    trial = toy_trial(12)
    plain = TrialData(trial.frame[['note', 'response']], Schema(text='note', target='response'))
    model = lively(TrialModel.build(tiny_backbone, plain, Binary('response'), window_tokens=64, overlap=8))
    ours = Explainer(model).attribute(plain.take(plain.ids[:4]), 'yes', tolerance=.001)
    for label, table in ours.table.groupby('document'):
        ids = torch.tensor([model.tokenizer(plain.frame.loc[label, 'note'])['input_ids']])
        start = torch.where(torch.isin(ids, torch.tensor([101, 102])), ids, model.tokenizer.pad_token_id)
        method = LayerIntegratedGradients(lambda ids: model(ids, torch.ones_like(ids), torch.arange(len(ids)), len(ids)).logits[:, 0], model.backbone.get_input_embeddings())
        theirs = method.attribute(ids, start, n_steps=300).sum(-1)[0].detach().numpy()
        assert abs(theirs.sum() - table['score'].sum()) < .01*max(.3, abs(theirs.sum()))
        pieces = model.tokenizer(plain.frame.loc[label, 'note'], return_offsets_mapping=True)['offset_mapping'][1:-1]
        spans = word_spans(plain.frame.loc[label, 'note'])
        words = np.zeros(len(spans))
        for (start, end), score in zip(pieces, theirs[1:-1]): words[np.searchsorted(spans[:, 1], start, side='right')] += score
        assert np.corrcoef(words, table['score'].to_numpy()[:len(words)])[0, 1] > .999


@pytest.fixture(scope='module')
def reader(tiny_backbone):
    "A model of two text fields and two columns."
    frame = toy_trial(12).frame.assign(history='None known.')
    return lively(TrialModel.build(tiny_backbone, TrialData(frame, Schema(text=('note', 'history'), numeric='age', categorical='sex', target='response')), Binary('response'), window_tokens=32, overlap=8))


odd = st.text(st.one_of(st.characters(codec='utf-8'), st.sampled_from('a b.\n，。疼 é\u0301\u200b\ufe0f👩\u200d⚕️\xa0\ud800')), max_size=60)


@given(st.lists(st.tuples(odd, odd), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_words_stand_where_they_say_in_any_text(reader, texts):
    frame = pd.DataFrame({'note': [note for note, _ in texts], 'history': [history for _, history in texts], 'age': 60., 'sex': 'F'})
    if not (frame['note'] + frame['history']).str.strip().any(): return
    attribution = Explainer(reader).attribute(frame, 'yes', steps=6)
    for row in attribution.table.dropna(subset=['start']).itertuples(): assert frame.loc[row.document, row.field][row.start:row.end] == row.text
    for (document, field), words in attribution.table.dropna(subset=['start']).groupby(['document', 'field']):
        assert ''.join(words['text']) == re.sub(r'\s', '', frame.loc[document, field])
        assert (words['end'].to_numpy()[:-1] <= words['start'].to_numpy()[1:]).all()


def test_documents_of_different_length_together_are_as_alone(reader):
    frame = pd.DataFrame({'note': ['Well.', 'Nausea and rash on day 3. '*30, 'Worse.'], 'history': [None, 'Asthma.', ''], 'age': [60., None, 50], 'sex': ['F', None, 'M']}, index=list('abc'))
    together = adds_up(Explainer(reader).attribute(frame, 'yes'))
    for label in frame.index:
        alone = Explainer(reader).attribute(frame.loc[[label]], 'yes')
        assert np.allclose(alone.table['score'], together.of(label).table['score'], atol=2e-4)
        assert alone.documents['steps'].iloc[0] == together.of(label).documents['steps'].iloc[0]


def test_a_document_of_8000_tokens_has_a_score_for_every_token(reader):
    words = np.random.default_rng(0).choice(['nausea', 'dose', 'well', 'pain', 'rash', '20', 'mg', 'worse'], 8000)
    frame = pd.DataFrame({'note': [' '.join(words)], 'history': ['None.'], 'age': [60.], 'sex': ['F']})
    attribution = adds_up(Explainer(reader).attribute(frame, 'yes', megabytes=20))
    note = attribution.table.query("field == 'note'")
    assert len(note) == 8000 and (note['score'] != 0).mean() > .999
    assert attribution.documents['n_tokens'].iloc[0] >= 8000


def test_the_model_is_as_it_was(reader):
    before = {name: (tensor.clone(), parameter.requires_grad) for (name, tensor), parameter in zip(reader.state_dict().items(), reader.parameters())}
    trial = toy_trial(12)
    rows = trial.frame[['note', 'age', 'sex']].assign(history='None.').iloc[:2]
    for method in ('integrated_gradients', 'gradient_x_input', 'attention_rollout', 'occlusion', 'shapley'): Explainer(reader).attribute(rows, method=method)
    assert all(torch.equal(before[name][0], tensor) for name, tensor in reader.state_dict().items())
    assert [asked for _, asked in before.values()] == [parameter.requires_grad for parameter in reader.parameters()]
    assert not any(module._forward_hooks for module in (reader.backbone.get_input_embeddings(), *reader.table.embed))
    assert reader.backbone.config._attn_implementation == 'sdpa' and not reader.backbone.config.output_attentions


@given(st.lists(st.floats(.001, .999), min_size=5, max_size=20, unique_by=lambda value: round(value, 2)), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
@settings(max_examples=60)
def test_gap_weights_are_exact_for_cubics(points, coefficients):
    points, cubic = np.sort(points), np.polynomial.Polynomial(coefficients)
    assert np.allclose(gap_weights(points) @ cubic(points), np.diff(cubic.integ()(np.concatenate([[0], points, [1]]))), atol=1e-6*max(1, np.abs(coefficients).max()) / np.diff(points).min() ** 3)
    assert np.isclose(gap_weights(first_points(8)).sum(), 1)


def test_no_patient_text_in_errors(reader):
    secret = 'Maria Okafor'
    frame = pd.DataFrame({'note': [secret], 'history': ['None.'], 'age': [60.], 'sex': ['F']})
    for wrong in ({'target': 'maybe'}, {'method': 'lime'}, {'baseline': 'zero'}, {'method': 'occlusion', 'by': 'words'}, {'method': 'shapley', 'pairs': 1}):
        with pytest.raises(DataError) as caught: Explainer(reader).attribute(frame, **wrong)
        assert secret not in str(caught.value)
    with pytest.raises(DataError, match='history'): Explainer(reader).attribute(frame.drop(columns='history'))
    with pytest.raises(DataError, match='calibrated'): Answers(reader).probabilities(frame)


def test_a_finished_run_is_explained_from_its_folder(tiny_backbone, tmp_path):
    run = toy_tuner(tiny_backbone, tmp_path/'run', num_train_epochs=2).fit()
    trial = toy_trial()
    attribution = adds_up(Explainer(run.folder).attribute(trial.take(trial.ids[:2])))
    answers = Explainer(run.folder).answers()
    assert attribution.documents['target'].tolist() == answers.probabilities(attribution.frame)['prediction'].tolist()
    assert integrated_gradients(answers, attribution.frame).table.equals(attribution.table)
