"Roles, tables, splits and tokens, with the promises that no single example can show."
import importlib
import json
import pickle
import statistics
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, HealthCheck, settings
from hypothesis import strategies as st

from clintrial.dataset import Document, Schema, Splits, TrialData
from clintrial.tokens import tokenize
from clintrial.loading import DataError, read

PARTS = ('train', 'validation', 'calibration', 'test')


def refused(call, *said) -> DataError:
    "The call must fail, and the message must say each of `said`."
    with pytest.raises(DataError) as caught: call()
    for words in said: assert words in str(caught.value)
    return caught.value


def notes(n=4, **columns):
    "A small table."
    return pd.DataFrame({'note': [f'visit {i} went well' for i in range(n)], 'age': np.arange(n) + 40., 'sex': ['F', 'M'] * (n // 2) + ['F'] * (n % 2), **columns})


def trial(frame, **roles): return TrialData(frame, Schema(text='note', **roles))


# -- roles

def test_roles_survive_json():
    schema = Schema.infer(notes(response=['y', 'n', 'y', 'n']), target='response')
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert again == schema and again.reasons == schema.reasons and hash(again) == hash(schema)


def test_every_column_gets_a_reason():
    frame = notes(subject=list('abcd'), site=list('xxyy'), enrolled=pd.date_range('2024-01-01', periods=4), empty=None, constant=1, outcome=[0, 1, 0, 1])
    schema = Schema.infer(frame)
    assert set(schema.reasons) == set(frame.columns)
    assert (schema.subject, schema.site, schema.time, schema.target) == ('subject', 'site', 'enrolled', ('outcome',))
    assert schema.numeric == ('age',) and schema.categorical == ('sex',)


def test_the_target_is_never_guessed_silently():
    assert Schema.infer(notes(improved=[0, 1, 0, 1])).target == ()
    two = Schema.infer(notes(outcome=[0, 1, 0, 1], response=[1, 1, 0, 0]))
    assert two.target == () and "target='outcome'" in two.reasons['outcome']
    given = Schema.infer(notes(outcome=[0, 1, 0, 1], improved=[1, 1, 0, 0]), target='improved')
    assert given.target == ('improved',) and 'outcome' not in given.numeric + given.categorical


def test_columns_given_are_taken_as_they_are():
    schema = Schema.infer(notes(rating=[1, 2, 3, 4]), numeric=('rating',), categorical=())
    assert schema.numeric == ('rating',) and schema.categorical == ()
    refused(lambda: Schema.infer(notes(), target='respons'), "no column 'respons'")
    refused(lambda: Schema.infer(notes(), goal='age'), "no role 'goal'")


def test_chinese_text_is_text():
    frame = pd.DataFrame({'记录': ['患者具有出血倾向或正在接受抗凝治疗', '既往有糖尿病史十年且控制不佳', '无不良反应，睡眠良好，食欲正常'], '性别': ['女', '男', '女']})
    schema = Schema.infer(frame)
    assert schema.text == ('记录',) and schema.categorical == ('性别',)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_infer_takes_any_table(data):
    cells = st.one_of(st.none(), st.integers(-5, 5), st.floats(), st.text(max_size=5), st.booleans(), st.dates(), st.lists(st.integers(), max_size=2))
    names = data.draw(st.lists(st.text(max_size=6), unique=True, min_size=1, max_size=4))
    n = data.draw(st.integers(1, 6))
    frame = pd.DataFrame({name: pd.Series(data.draw(st.lists(cells, min_size=n, max_size=n)), dtype=object) for name in names})
    assert set(Schema.infer(frame).reasons) == set(names)


# -- bad input

@pytest.mark.parametrize('frame, said', [
    (notes()[:0], ['The table is empty']),
    (pd.DataFrame(index=range(3)), ['The table is empty']),
    (notes().drop(columns='note'), ["no column 'note' (text)"]),
    (notes(note=[None, None, '', ' ']), ['All text is missing', "'note'"]),
    (notes(note=['well', 3, 'worse', 'well']), ["'note'", 'row 1']),
    (notes(note=[1, 2, 3, 4]), ["'note'", 'row 0']),
    (notes(age=[1, np.inf, 2, -np.inf]), ["'age'", 'row 1', 'infinite', '1 more']),
    (notes(age=[1, 2, 'secret remark', 3]), ["'age'", 'row 2', 'not a number']),
    (notes(age=['1', '2', '3', '4']), ["'age'", 'row 0', "('1')"]),
    (notes(sex=['F', 'M', 1, 'F']), ["'sex'", 'row 2', 'mixed']),
    (notes().set_axis(['note', 'age', 'age'], axis=1), ["two columns are named 'age'"]),
    (notes().set_axis([0, 1, 1, 2]), ['Row label 1 occurs twice']),
    (notes().set_axis([.5, 1, 2, 3]), ['Row labels must be']),
    (notes().set_axis(['a', 'b', None, 'c']), ['Row labels must be']),
    (notes().set_index(['age', 'sex'], drop=False), ['Row labels must be']),
    (notes().rename(columns={'age': 7}), ['Column name 7']),
])
def test_bad_tables(frame, said):
    error = refused(lambda: trial(frame, numeric='age', categorical='sex'), *said)
    assert 'secret' not in str(error)


def test_no_text_column(): refused(lambda: TrialData(notes()[['age']]), 'no text column')


def test_missing_numbers_are_allowed_and_infinite_ones_only_where_nobody_uses_them():
    assert len(trial(notes(age=[1, None, 2, np.nan]), numeric='age')) == 4
    assert len(trial(notes(age=pd.array([1, None, 2, 3], dtype='Int64')), numeric='age')) == 4
    assert len(trial(notes(age=[1, np.inf, 2, 3]))) == 4


def test_a_role_cannot_be_input_and_target():
    refused(lambda: Schema(text='note', target='note'), "'note'")
    refused(lambda: Schema(text='note', numeric=('age', 'age')), "'age'")


def test_new_patients_need_no_target():
    data = trial(notes(), target='response', subject='who')
    refused(data.targets, "no column 'response'")
    refused(lambda: data.schema.check(data.frame, targets=True), "no column 'response'")


# -- the table never changes

def test_nothing_outside_changes_the_table():
    frame = notes()
    data = trial(frame, numeric='age')
    frame.loc[0, 'age'] = -1
    handed_out = data.frame
    handed_out.loc[0, 'age'] = -1
    assert data.frame.age[0] == 40
    with pytest.raises(AttributeError): data.schema = None
    assert pickle.loads(pickle.dumps(data)).frame.equals(data.frame)


def test_take_keeps_the_order_asked_for():
    data = trial(notes().set_axis(list('abcd')))
    assert list(data.take(['d', 'a']).ids) == ['d', 'a']
    refused(lambda: data.take([]), 'No row was chosen')
    refused(lambda: data.take(['z']), 'no row z')
    refused(lambda: data.take(['a', 'a']), 'occurs twice')


def test_a_part_with_missing_text_can_be_taken():
    data = trial(notes(note=['well', None, None, None]))
    assert data.take([1]).texts() == ['']


# -- text of a row

@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(*[st.one_of(st.none(), st.text(max_size=8))] * 2, st.one_of(st.none(), st.floats(-1e6, 1e6)), st.sampled_from(['F', 'M', None])), min_size=1, max_size=6), st.booleans())
def test_documents_say_where_each_field_is(rows, tabular):
    frame = pd.DataFrame(rows, columns=['first', 'second', 'age', 'sex']).astype({'first': object, 'second': object, 'sex': object, 'age': float})
    frame.loc[len(frame)] = ['something', None, 1., 'F']
    data = TrialData(frame, Schema(text=('first', 'second'), numeric='age', categorical='sex'))
    documents = data.documents(tabular)
    assert [document.text for document in documents] == data.texts(tabular)
    for document, (_, row) in zip(documents, frame.iterrows()):
        assert isinstance(document, Document)
        for column, start, end in document.fields:
            if column in ('first', 'second'): assert document.text[start:end] == row[column]


def test_numbers_are_written_as_a_person_does():
    data = trial(notes(age=[54., 54.5, None, 1e20]), numeric='age', categorical='sex')
    assert [text.split('\n')[1] for text in data.texts(tabular=True)] == ['age: 54; sex: F', 'age: 54.5; sex: M', 'sex: F', 'age: 1e+20; sex: M']


# -- splits

@st.composite
def tables(draw):
    "Tables of patients with several rows each, of classes, dates and sites."
    n = draw(st.integers(8, 120))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    patient = rng.integers(0, max(5, n // draw(st.integers(1, 3))), n)
    return pd.DataFrame({
        'note': [f'text {i}' for i in rng.integers(0, 2 * n, n)], 'who': [f'P{i}' for i in patient],
        'day': pd.to_datetime('2024-01-01') + pd.to_timedelta(rng.integers(0, 60, n), 'D'), 'site': [f'S{i % 9}' for i in patient],
        'response': rng.choice(['yes', 'no', 'unclear'], n, p=[.2, .7, .1]), 'score': rng.normal(size=n)}).set_axis([f'row {i:03}' for i in range(n)])


SCHEMAS = [Schema(text='note', subject='who', target='response', time='day', site='site'),
           Schema(text='note', target=('response', 'score'), time='day', site='site'), Schema(text='note', subject='who', target='score', time='day', site='site')]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.sampled_from(SCHEMAS), st.sampled_from(['random', 'time', 'site']), st.integers(0, 5), st.booleans(), st.randoms())
def test_promises_of_a_split(frame, schema, by, seed, stratify, random):
    data = TrialData(frame, schema)
    try: splits = data.split(by=by, seed=seed, stratify=stratify)
    except DataError as error:
        assert 'cannot' in str(error)
        return
    ids = {name: list(getattr(splits, name).ids) for name in PARTS}
    assert all(ids.values())                                                       # no part is empty
    assert sorted(sum(ids.values(), [])) == sorted(frame.index)                    # every row once
    together = frame.who if schema.subject else frame.note
    sides = pd.Series({label: name for name, labels in ids.items() for label in labels})
    assert (sides.groupby(together).nunique() == 1).all()                          # nobody on two sides
    order = list(frame.index)
    random.shuffle(order)
    shuffled = TrialData(frame.loc[order], schema).split(by=by, seed=seed, stratify=stratify)
    assert {name: list(getattr(shuffled, name).ids) for name in PARTS} == ids      # whatever the order of rows
    if by == 'site': assert (sides.groupby(frame.site).nunique() == 1).all()
    if by == 'time':
        first = frame.day.groupby(together).transform('min')
        ends = [(first[labels].min(), first[labels].max()) for labels in ids.values()]
        assert all(before[1] < after[0] for before, after in zip(ends, ends[1:]))  # strictly: a day is on one side


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_a_split_is_kept_as_ids_only(tmp_path_factory, frame):
    assume(frame.who.nunique() >= 6)                                               # fewer cannot be split, or not in two ways
    folder, data = tmp_path_factory.mktemp('split'), TrialData(frame, SCHEMAS[0])
    splits = data.split()
    file = splits.save(folder)
    assert 'text' not in json.dumps(json.loads(file.read_text())['ids']) and [path.name for path in folder.iterdir()] == ['splits.json']
    again = Splits.load(folder, data)
    assert all(list(getattr(again, name).ids) == list(getattr(splits, name).ids) for name in PARTS) and again.how == splits.how
    assert splits.save(folder) == file                                             # the same split once more changes nothing
    refused(lambda: Splits.load(folder, data.take(frame.index[1:])), 'not found')
    refused(lambda: data.split(seed=1).save(folder), 'another split')


def test_load_refuses_a_table_whose_subjects_changed(tmp_path):
    frame = notes(20, who=[f'P{i}' for i in range(20)])
    trial(frame, subject='who').split().save(tmp_path)
    refused(lambda: Splits.load(tmp_path, trial(frame.assign(who='P0'), subject='who')), 'its subject is in')
    refused(lambda: Splits.load(tmp_path/'nowhere', trial(frame)), 'no such file')


def test_classes_keep_their_share():
    frame = notes(1000, who=[f'P{i // 2}' for i in range(1000)], response=['yes' if i // 2 % 10 == 0 else 'no' for i in range(1000)])
    for seed in range(5):
        table = trial(frame, subject='who', target='response').split(seed=seed).table
        assert table.rows.tolist() == [600, 150, 100, 150]
        assert table['response: yes'].between(.09, .11).all()


def test_numbers_and_survival_are_stratified_too():
    rng = np.random.default_rng(0)
    frame = notes(2000, time=rng.exponential(size=2000), event=rng.integers(0, 2, 2000))
    splits = trial(frame, target=('time', 'event')).split()
    assert all(abs(part.frame.time.mean() - frame.time.mean()) < .1 and abs(part.frame.event.mean() - frame.event.mean()) < .01 for _, part in splits)


def test_seeds_differ_and_the_same_seed_does_not():
    data = trial(notes(200))
    assert list(data.split(seed=0).test.ids) == list(data.split(seed=0).test.ids) != list(data.split(seed=1).test.ids)


def test_a_known_split_stays_the_same_in_every_version():
    assert list(trial(notes(20)).split().test.ids) == [2, 9, 11]


def test_span_targets_can_be_split():
    spans = [[] if i % 2 else [[0, 5, 'AE']] for i in range(40)]
    splits = trial(notes(40, spans=spans), target='spans').split()
    assert [sum(map(bool, part.frame.spans)) for _, part in splits] == [12, 3, 2, 3]


def test_what_a_split_needs():
    data = trial(notes(40, who=[None] + ['P'] * 39, day='2024-01-01', site='S'), subject='who', time='day', site='site')
    refused(lambda: data.split(), "'who'", 'row 0', 'no subject')
    plain = trial(notes(40, day=['2024-01-01'] * 39 + ['31.05.2024'], site='S'), time='day', site='site', target='missing')
    refused(lambda: plain.split(by='time'), "'day'", 'row 39', 'not a date')
    refused(lambda: plain.split(by='site'), '1 sites')
    refused(lambda: plain.split(by='group'), 'needs a subject column')
    refused(lambda: plain.split(by='moon'), "no split by 'moon'")
    refused(lambda: plain.split(), "no column 'missing'")
    for fractions in [(.8, .2), (1, 0, 0, 0), (.5, .5, .5, .5), (float('nan'), .3, .3, .4)]: refused(lambda: plain.split(fractions=fractions), 'Fractions')
    refused(lambda: trial(notes(3)).split(), '3 groups')


# -- tokens

def test_tokens_are_those_of_the_library(tokenizer):
    texts = ['mild nausea, then well', '', '血压升高', 'المريض', '😀👩🏽‍⚕️', 'word ' * 3000]
    before = tokenizer.backend_tokenizer.to_str()
    tokens = tokenize(texts, tokenizer, batch_size=2, offsets=True)
    assert tokenizer.backend_tokenizer.to_str() == before                          # the tokenizer given is as it was
    plain = type(tokenizer.backend_tokenizer).from_str(before)
    plain.no_truncation(), plain.no_padding()
    for row, encoding in zip(tokens, plain.encode_batch(texts, add_special_tokens=False)):
        assert (row['input_ids'], list(zip(row['starts'], row['ends'])), row['length']) == (encoding.ids, encoding.offsets, len(encoding))
    assert tokenize(texts, tokenizer)['input_ids'][:] == tokens['input_ids'][:]


def test_nothing_is_printed_about_length(tokenizer, capfd, caplog):
    assert tokenize(['word ' * 3000], tokenizer)['length'][0] == 3000
    assert capfd.readouterr() == ('', '') and not caplog.records


def test_half_a_surrogate_pair(tokenizer):
    tokens = tokenize(['well \ud83d then \udc00 worse', 'well'], tokenizer, offsets=True)
    assert tokens[0]['ends'][-1] == 19 and tokens[1]['length'] == 1


def test_what_is_no_string(tokenizer):
    assert refused(lambda: tokenize(['well', None], tokenizer), 'Text 1').row == 1
    refused(lambda: tokenize(['well'], object()), 'no fast')


def test_no_texts(tokenizer, tmp_path):
    assert len(tokenize([], tokenizer)) == 0 and len(tokenize([], tokenizer, folder=tmp_path)) == 0


def test_much_goes_to_a_file_that_is_removed_again(tokenizer, monkeypatch):
    import gc
    from pathlib import Path
    monkeypatch.setattr(importlib.import_module('clintrial.tokens'), 'MEMORY_BYTES', 1000)
    texts = [f'visit {i} went well' for i in range(5000)]
    tokens = tokenize(iter(texts), tokenizer, batch_size=100)
    file = Path(tokens.cache_files[0]['filename'])
    assert file.exists() and len(tokens) == 5000 and tokens[4999]['input_ids'] == tokenizer(texts[4999], add_special_tokens=False)['input_ids']
    del tokens
    gc.collect()
    assert not file.parent.exists()


def test_a_generator_that_fails_leaves_nothing(tokenizer, tmp_path):
    def texts():
        yield from ['well'] * 100
        raise RuntimeError('the source broke')
    with pytest.raises(RuntimeError): tokenize(texts(), tokenizer, batch_size=10, folder=tmp_path)
    assert not (tmp_path/'tokens.arrow').exists()


def test_batches_follow_characters_too():
    batched = importlib.import_module('clintrial.tokens').batched
    assert [len(batch) for batch in batched(['a' * 900_000] * 5 + ['b'] * 3, 1000)] == [2, 2, 4]
    assert [len(batch) for batch in batched(['a' * 5_000_000, 'b'], 1000)] == [1, 1]


@pytest.mark.slow
def test_rate(tokenizer, real_data):
    "At least 85 % of what the library does by itself, processor time, median of five."
    texts = TrialData.read(real_data/'druglib'/'train.tsv', target='effectiveness').texts()
    plain = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_truncation(), plain.no_padding()
    tokenize(texts[:10], tokenizer)
    ratios = []
    for _ in range(5):
        start = time.process_time()
        plain.encode_batch(texts, add_special_tokens=False)
        middle = time.process_time()
        tokenize(texts, tokenizer)
        ratios.append((middle - start) / (time.process_time() - middle))
    assert statistics.median(ratios) >= .85


# -- real tables

def test_roles_of_real_tables(real_data):
    druglib = Schema.infer(read(real_data/'druglib'/'train.tsv'), target='effectiveness')
    assert druglib.text == ('benefitsReview', 'sideEffectsReview', 'commentsReview') and druglib.numeric == druglib.categorical == ()
    ade = Schema.infer(read(real_data/'ade_corpus'/'train.csv'))
    assert (ade.text, ade.target, ade.subject) == (('text',), ('label',), 'pmid')
    top = Schema.infer(read(real_data/'top_phase1'/'train.csv'))
    assert (top.text, top.target, top.subject, top.categorical) == (('criteria',), ('label',), 'nctid', ('phase',))


def test_splits_of_real_tables(real_data):
    data = TrialData.read(real_data/'druglib'/'train.tsv', target='effectiveness')
    texts = [set(part.texts()) for _, part in data.split()]
    assert sum(map(len, texts)) == len(set.union(*texts))                          # the texts that occur twice are on one side
    table = TrialData.read(real_data/'ade_corpus'/'train.csv').split().table
    assert (table.rows / table.rows.sum() - [.6, .15, .1, .15]).abs().max() < .01 and (table['label: 1'] - .197).abs().max() < .03
