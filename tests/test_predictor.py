"Predictions from a run folder, for every kind of task, and what they refuse."
import json

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from clintrial.dataset import Schema, TrialData
from clintrial.loading import DataError
from clintrial.predictor import Predictor, VennAbers, cases_needed, conformal_quantile
from clintrial.tasks import Binary, Multiclass, Multilabel, Ordinal, Pair, Regression, Survival, Token

WORDS = 'dizzy nausea rash relief stable worse better ten twenty mg daily pain none no after week'.split()
N = 240


@pytest.fixture(scope='session')
def backbone(tmp_path_factory):
    "A BERT of two narrow layers with random weights, on disk."
    folder = tmp_path_factory.mktemp('backbone')
    (folder/'vocab.txt').write_text('\n'.join(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', *WORDS]))
    BertTokenizerFast(str(folder/'vocab.txt')).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=5 + len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
                         max_position_embeddings=64)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope='session')
def table():
    "Patients with two texts, a number, a class, and an outcome of every kind."
    draw = np.random.default_rng(0)
    words = np.array(WORDS)[draw.integers(0, len(WORDS), (N, 12))]
    better = (words == 'better').sum(1) - (words == 'worse').sum(1) + draw.normal(0, 1, N)
    frame = pd.DataFrame({'note': [' '.join(row) for row in words], 'history': [' '.join(row[:5]) for row in words], 'age': draw.normal(60, 9, N).round(),
                          'sex': draw.choice(['F', 'M'], N), 'response': np.where(better > .3, 'yes', 'no'), 'area': draw.choice(['liver', 'lung', 'skin'], N),
                          'grade': pd.cut(better, [-9, -.7, .7, 9], labels=['low', 'middle', 'high']).astype(str), 'score': better,
                          'nausea': (words == 'nausea').any(1).astype(int), 'rash': (words == 'rash').any(1).astype(int),
                          'months': draw.exponential(10, N).round(2) + .01, 'event': draw.integers(0, 2, N),
                          'spans': [json.dumps([[0, len(row[0]), 'sign']]) if row[0] in ('dizzy', 'pain', 'rash', 'nausea', 'worse', 'relief') else '[]' for row in words]})
    return frame.set_axis([f'P{place:03d}' for place in range(N)])


KINDS = {'binary': (Binary('response'), ('note', 'history'), ('response',)),
         'multiclass': (Multiclass('area'), ('note', 'history'), ('area',)),
         'ordinal': (Ordinal('grade', order='low<middle<high'), ('note', 'history'), ('grade',)),
         'multilabel': (Multilabel(('nausea', 'rash')), ('note', 'history'), ('nausea', 'rash')),
         'regression': (Regression('score'), ('note', 'history'), ('score',)),
         'survival': (Survival('months', 'event'), ('note', 'history'), ('months', 'event')),
         'pair': (Pair('response', first='history', second='note'), ('note', 'history'), ('response',)),
         'token': (Token('spans', text='note'), ('note',), ('spans',))}


@pytest.fixture(scope='session')
def run_of(backbone, table, tmp_path_factory):
    "A finished fine-tuning of one kind of task; each is trained once."
    from clintrial.model import TrialModel
    from clintrial.trainer import FineTuneConfig, FineTuner
    finished = {}

    def run(kind):
        if kind not in finished:
            task, text, target = KINDS[kind]
            numeric, categorical = (('age',), ('sex',)) if kind != 'token' else ((), ())
            data = TrialData(table[[*text, *numeric, *categorical, *target]], Schema(text=text, numeric=numeric, categorical=categorical, target=target))
            splits = data.split(fractions=(.5, .1, .25, .15), seed=0)
            model = TrialModel.build(backbone, splits.train, task, window_tokens=24, overlap=4)
            config = FineTuneConfig(output_dir=str(tmp_path_factory.mktemp('runs')/kind), num_train_epochs=1, baselines=False, disable_tqdm=True, allow_leaks=True)
            finished[kind] = FineTuner(model, splits, config).fit()
        return finished[kind]
    return run


def new_patients(table, kind):
    "Twenty rows without the outcome."
    _, _, target = KINDS[kind]
    return table.drop(columns=list(target)).iloc[:20]


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_task_is_predicted(run_of, table, kind):
    "From the folder alone, one row a case, in its order and with its labels, the same on every opening."
    run = run_of(kind)
    predicted = Predictor(run.folder).predict(new_patients(table, kind), level=.8)
    assert predicted.index.tolist() == table.index[:20].tolist()
    assert {'prediction', 'low', 'high', 'set', 'abstain', 'reason', 'share_read'} <= set(predicted.columns)
    assert (predicted['abstain'] == (predicted['reason'] != '')).all() and (predicted['share_read'] == 1).all()
    pd.testing.assert_frame_equal(predicted, Predictor(run).predict(new_patients(table, kind), level=.8))
    assert not [path for path in run.folder.rglob('*') if path.suffix in ('.pkl', '.pickle', '.bin', '.pt', '.joblib')]


@pytest.mark.parametrize('kind', KINDS)
def test_order_of_rows_changes_nothing(run_of, table, kind):
    "A patient's prediction does not depend on the company."
    predictor, patients = Predictor(run_of(kind)), new_patients(table, kind)
    forward, back = predictor.predict(patients), predictor.predict(patients.iloc[::-1]).iloc[::-1]
    assert forward['prediction'].astype(str).tolist() == back['prediction'].astype(str).tolist() or kind in ('regression', 'survival')
    numbers = forward.select_dtypes('number').columns
    np.testing.assert_allclose(forward[numbers], back[numbers], rtol=.02, atol=.02)


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind != 'token'])
def test_calibration_of_a_run_covers(run_of, kind):
    "On the run's own test split, within what so few cases can show."
    run = run_of(kind)
    predictor = Predictor(run)
    ids, targets, logits = run.logits('test')
    held = predictor.coverage(targets, predictor.calibrate(logits, ids, level=.8))
    assert held.overall.high > .8 and held.overall.n >= 10


def test_a_run_of_spans_makes_features(run_of, table):
    "What a fine-tuned token model marks becomes columns, each cell with its characters; another run says that it marks nothing."
    from clintrial.features import text_features
    predictor = Predictor(run_of('token'))
    notes = table['note'].iloc[:8]
    marked = {row: predictor.mark(text, level=.05) for row, text in notes.items()}
    assert all(0 <= start < end <= len(notes[row]) for row, spans in marked.items() for start, end, _ in spans)
    features = text_features(notes, tagger=lambda text: predictor.mark(text, level=.05))
    assert len(features.frame) == 8 and (features.spans['by'] == 'model').sum() == sum(map(len, marked.values()))
    with pytest.raises(DataError, match='marks no spans'): Predictor(run_of('binary')).mark('well')


# -- bad input

@pytest.fixture
def predictor(run_of): return Predictor(run_of('binary'))


@pytest.fixture
def patients(table): return new_patients(table, 'binary').copy()


def test_missing_text_column(predictor, patients):
    with pytest.raises(DataError, match='history') as caught: predictor.predict(patients.drop(columns='history'))
    assert caught.value.column == 'history'


def test_unseen_category_is_named_and_can_be_waived(predictor, patients):
    patients.loc['P004', 'sex'] = 'unknown'
    with pytest.raises(DataError, match='sex.*P004') as caught: predictor.predict(patients)
    assert (caught.value.column, caught.value.row) == ('sex', 'P004')
    waived = predictor.predict(patients, unseen='missing')
    assert waived.loc['P004', 'abstain'] and "unseen category in 'sex'" in waived.loc['P004', 'reason']
    assert not waived.drop(index='P004')['reason'].str.contains('unseen').any()


def test_infinite_number(predictor, patients):
    patients.loc['P007', 'age'] = np.inf
    with pytest.raises(DataError, match='age.*P007') as caught: predictor.predict(patients)
    assert (caught.value.column, caught.value.row) == ('age', 'P007')


def test_missing_number_is_no_error(predictor, patients):
    patients.loc['P007', 'age'] = np.nan
    assert np.isfinite(predictor.predict(patients).loc['P007', 'p_yes'])


def test_empty_frame(predictor, patients):
    with pytest.raises(DataError, match='empty'): predictor.predict(patients.iloc[:0])


def test_repeated_row_label(predictor, patients):
    with pytest.raises(DataError, match='P000') as caught: predictor.predict(pd.concat([patients, patients.iloc[:1]]))
    assert caught.value.row == 'P000'


def test_mixed_types_in_text(predictor, patients):
    patients['note'] = patients['note'].astype(object)
    patients.loc['P002', 'note'] = 12
    with pytest.raises(DataError, match='note.*P002'): predictor.predict(patients)


def test_no_text_of_a_patient_in_any_message(predictor, patients):
    secret = 'Mrs Example of Elm Street'
    patients['note'] = secret
    for spoil in (lambda frame: frame.assign(age=np.inf), lambda frame: frame.assign(sex='X'), lambda frame: frame.drop(columns='history')):
        with pytest.raises(DataError) as caught: predictor.predict(spoil(patients))
        assert 'Elm' not in str(caught.value)


def test_patient_without_text_abstains(predictor, patients):
    patients.loc['P003', ['note', 'history']] = ['', None]
    patients.loc['P005', 'note'] = '   '
    predicted = predictor.predict(patients)
    assert predicted.loc['P003', 'abstain'] and 'no text' in predicted.loc['P003', 'reason']
    assert 'no text' not in predicted.loc['P005', 'reason']   # the other field says something


def test_text_left_unread_abstains(run_of, patients):
    predictor = Predictor(run_of('binary'))
    predictor.model.config.max_tokens = 10
    predicted = predictor.predict(patients)
    assert (predicted['share_read'] < 1).all() and predicted['abstain'].all()
    assert predicted['reason'].str.contains(r'only \d+% of the text was read').all()
    assert not predictor.predict(patients, least_read=.1)['reason'].str.contains('was read').any()


def test_huge_and_foreign_text(predictor, patients):
    patients.loc['P001', 'note'] = 'pain better ' * 20_000
    patients.loc['P002', 'note'] = '😀 مرحبا 你好 \u202e\x00 relief'
    predicted = predictor.predict(patients)
    assert (predicted['share_read'] == 1).all() and np.isfinite(predicted['p_yes']).all()


@pytest.mark.parametrize('level', [0, 1, -1, 90, float('nan'), '90%', None])
def test_level_is_a_share(predictor, patients, level):
    with pytest.raises(DataError, match='between 0 and 1'): predictor.predict(patients, level=level)


def test_run_without_calibration_predictions(run_of, tmp_path):
    import shutil
    from clintrial.run import FineTuneRun
    folder = shutil.copytree(run_of('binary').folder, tmp_path/'run')
    (folder/'predictions'/'calibration.parquet').unlink()
    with pytest.raises(DataError, match='no predictions of its calibration split'): Predictor(FineTuneRun(folder, check=False))


# -- what conformal prediction promises, by simulation

@pytest.mark.parametrize('level', [.5, .8, .9, .95])
@pytest.mark.parametrize('n', [20, 57, 200])
def test_split_conformal_is_exact(n, level):
    "Coverage averaged over calibration splits is ⌈(n + 1) level⌉ / (n + 1), exactly."
    draw = np.random.default_rng(n)
    covered = np.mean([conformal_quantile(scores[:-1], level) >= scores[-1] for scores in draw.normal(size=(20_000, n + 1))])
    exact = min(np.ceil((n + 1)*level - 1e-9)/(n + 1), 1)
    assert abs(covered - exact) < 4*np.sqrt(exact*(1 - exact)/20_000) + 1e-9


@pytest.mark.parametrize('level', [.1, .5, .9, .99])
def test_fewest_cases(level):
    assert np.isfinite(conformal_quantile(np.zeros(cases_needed(level)), level))
    assert np.isinf(conformal_quantile(np.zeros(cases_needed(level) - 1), level))


def test_one_of_the_pair_is_calibrated():
    "Venn–Abers: the member of the pair that belongs to the true outcome is calibrated on average, whatever the score is."
    draw, chosen, outcome = np.random.default_rng(0), [], []
    for _ in range(400):
        score = draw.normal(size=40)
        label = (draw.uniform(size=40) < 1/(1 + np.exp(-np.sin(3*score)))).astype(int)
        pair = VennAbers(score[:-1], label[:-1]).pair(score[-1:])
        chosen.append(pair[label[-1]][0])
        outcome.append(label[-1])
    assert abs(np.mean(chosen) - np.mean(outcome)) < .05


def test_venn_abers_of_many_cases_is_quick():
    import time
    draw = np.random.default_rng(0)
    score = draw.normal(size=50_000)
    begun = time.perf_counter()
    VennAbers(score, draw.integers(0, 2, 50_000)).pair(score)
    assert time.perf_counter() - begun < 5
