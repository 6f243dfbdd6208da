"Files that are not what they seem, and files that are."
import csv
import datetime
import gzip
import json
import math
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError, read, read_chunks, write_dataset_json
from sas7bdat_by_readstat import write_sas7bdat

UMLAUT = 'patient,note\nP1,Müdigkeit\nP2,stabil\n'


def write(folder, content, name='table.csv', encoding='utf-8'):
    "A file with this content."
    path = folder/name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def refused(path, *said, **options) -> DataError:
    "Reading must fail, and the message must say each of `said`."
    with pytest.raises(DataError) as caught: read(path, **options)
    for words in said: assert words in str(caught.value)
    return caught.value


# -- what is read

def test_only_an_empty_cell_is_missing(tmp_path):
    frame = read(write(tmp_path, 'a,b\nNone,1\nNA,2\nN/A,3\nnull,4\n,5\n"",6\nnan,7\n'))
    assert frame.a.isna().tolist() == [False] * 4 + [True] * 2 + [False]
    assert frame.a[:4].tolist() == ['None', 'NA', 'N/A', 'null']


def test_numbers_lose_no_digit(tmp_path):
    values = [.1 + .2, 1e-300, 123456789.123456789, -7.25, 5e-324]
    frame = read(write(tmp_path, 'x,id,code,whole,gap\n' + ''.join(f'{value!r},007,12345678901234567890,{i},{i if i else ""}\n' for i, value in enumerate(values))))
    assert frame.x.tolist() == values
    assert frame.id.tolist() == ['007'] * 5 and frame.code[0] == '12345678901234567890'
    assert frame.whole.dtype == np.int64 and frame.gap.dtype == np.float64 and math.isnan(frame.gap[0])


def test_infinite_numbers_are_kept_for_the_next_room_to_name(tmp_path):
    assert read(write(tmp_path, 'age\n54\ninf\n-Infinity\n')).age.tolist() == [54, math.inf, -math.inf]


def test_quoted_newlines_quotes_and_delimiters(tmp_path):
    frame = read(write(tmp_path, 'id\tnote\n1\t"one\n\ttwo ""three"""\n2\the said "well"\n', 'table.tsv'))
    assert frame.note.tolist() == ['one\n\ttwo "three"', 'he said "well"']


@pytest.mark.parametrize('ending', ['\n', '\r\n', '\r'])
def test_line_endings(tmp_path, ending):
    frame = read(write(tmp_path, ending.join(['a,b', '1,x', '', '2,y', ''])))
    assert frame.a.tolist() == [1, 2] and frame.b.tolist() == ['x', 'y']


def test_metadata(tmp_path):
    frame = read(write(tmp_path, UMLAUT, encoding='windows-1252'), encoding='windows-1252')
    assert frame.attrs['source'] == 'table.csv' and frame.attrs['encoding'] == 'cp1252' and frame.attrs['delimiter'] == ','
    assert len(frame.attrs['sha256']) == 64


def test_a_column_without_a_name(tmp_path):
    assert list(read(write(tmp_path, ',age\n1,54\n')).columns) == ['unnamed_1', 'age']


def test_parquet(tmp_path):
    frame = pd.DataFrame({'note': ['None', None, '😀'], 'age': [1., None, 3.]})
    frame.to_parquet(tmp_path/'table.parquet')
    found = read(tmp_path/'table.parquet')
    assert found.note.isna().tolist() == [False, True, False] and found.age.isna().sum() == 1 and found.attrs['source'] == 'table.parquet'


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.text(st.characters(blacklist_categories=('Cs',), blacklist_characters='\0'), max_size=12)] * 2), min_size=1, max_size=8))
def test_whatever_python_writes_is_read_back(tmp_path, rows):
    path = tmp_path/'table.csv'
    with path.open('w', encoding='utf-8', newline='') as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([('first', 'second'), *[(f'x{a}', f'x{b}') for a, b in rows]])
    frame = read(path)
    assert list(zip(frame['first'], frame['second'])) == [(f'x{a}', f'x{b}') for a, b in rows]


# -- what is refused

def test_missing_empty_unknown(tmp_path):
    refused(tmp_path/'nowhere.csv', 'no such file')
    refused(tmp_path, 'no file of a known kind')
    refused(write(tmp_path, ''), 'is empty')
    refused(write(tmp_path, '\n \n'.replace(' ', '')), 'only blank lines')
    refused(write(tmp_path, 'a', 'table.docx'), "'.docx'", '.parquet')


def test_a_header_alone_is_a_table_of_no_rows(tmp_path):
    assert read(write(tmp_path, 'a,b\n')).shape == (0, 2)


def test_wrong_encoding_names_offset_and_line(tmp_path):
    refused(write(tmp_path, UMLAUT, encoding='latin-1'), 'offset 17', 'line 2')
    refused(write(tmp_path, UMLAUT), 'UTF-8', encoding='latin-1')
    refused(write(tmp_path, UMLAUT, encoding='utf-16'), "encoding='utf-16'")
    refused(write(tmp_path, UMLAUT, encoding='utf-16-le'), 'NUL')
    refused(write(tmp_path, UMLAUT), "no encoding 'klingon'", encoding='klingon')
    assert read(write(tmp_path, UMLAUT, encoding='gb18030'), encoding='gb18030').note[0] == 'Müdigkeit'


def test_wrong_encoding_far_into_a_large_file(tmp_path):
    text = 'id,note\n' + ''.join(f'{i},well ü\n' for i in range(200_000))
    content = text.encode()
    place = content.index('ü'.encode(), 2_000_000)
    broken = content[:place] + b'\xfc' + content[place + 2:]
    refused(write(tmp_path, broken), f'offset {place}', f"line {content[:place].count(10) + 1}")


def test_a_character_over_two_chunks_is_whole(tmp_path):
    content = 'note\n' + 'a' * ((1 << 20) - 6) + 'ü😀\n'
    assert read(write(tmp_path, content)).note[0].endswith('ü😀')


@pytest.mark.parametrize('delimiter, name', [(';', 'semicolons'), ('\t', 'tabs'), ('|', 'bars')])
def test_wrong_delimiter(tmp_path, delimiter, name):
    path = write(tmp_path, '\n'.join(delimiter.join(row) for row in [('id', 'age', 'note'), ('1', '54', 'well, so far'), ('2', '61', 'worse')]))
    refused(path, 'wrong delimiter', f'{name} 3')
    assert read(path, delimiter=delimiter).shape == (2, 3)


def test_one_column_is_no_wrong_delimiter(tmp_path):
    assert read(write(tmp_path, 'note\nwell; so far\nworse\n')).shape == (2, 1)


def test_ragged_rows_name_the_line_and_no_text(tmp_path):
    error = refused(write(tmp_path, 'id,note\n1,"two\nlines"\n2,secret, really\n'), 'line 4', '3 cells')
    assert 'secret' not in str(error) and error.__cause__ is None and error.__suppress_context__
    refused(write(tmp_path, 'id,note\n1,well\n2\n'), 'line 3', '1 cells')


def test_a_quotation_mark_that_never_closes(tmp_path):
    refused(write(tmp_path, 'id,note\n1,well\n2,"worse\n3,better\n'), 'line 3', 'never closes')
    refused(write(tmp_path, 'id,note\n1,well\n2,"worse\n3,better\n4,"well"\n5,well\n'), 'line 3', 'never closes')


def test_inches_are_no_quotation_marks(tmp_path):
    assert read(write(tmp_path, 'id,note\n1,5" tall\n2,well\n')).note.tolist() == ['5" tall', 'well']


def test_duplicate_column_names(tmp_path):
    assert refused(write(tmp_path, 'id,note,id\n1,well,2\n'), "'id'", 'column 3').column == 'id'


def test_damaged_parquet(tmp_path):
    pd.DataFrame({'note': ['well'] * 1000}).to_parquet(tmp_path/'whole.parquet')
    content = (tmp_path/'whole.parquet').read_bytes()
    refused(write(tmp_path, content[:-20], 'cut.parquet'), 'no whole parquet file')
    refused(write(tmp_path, b'PAR1', 'stub.parquet'), 'no whole parquet file')


# -- cells that are hard

def test_a_megabyte_in_one_cell(tmp_path):
    long = 'mild nausea, then well. ' * 60_000
    path = write(tmp_path, f'id,note\n1,"{long}"\n2,well\n')
    assert read(path).note.tolist() == [long, 'well']
    assert csv.field_size_limit() == 131072   # the limit of the csv module is nobody's business but its own


def test_emoji_and_right_to_left(tmp_path):
    notes = ['😀👩🏽‍⚕️', 'المريض يشعر بتحسن', 'המטופל', '血压升高', 'e\u0301']
    assert read(write(tmp_path, 'note\n' + '\n'.join(notes) + '\n')).note.tolist() == notes


def test_errors_cross_processes():
    error = pickle.loads(pickle.dumps(DataError('Wrong.', column='age', row=3, remedy='Correct it.')))
    assert (str(error), error.column, error.row, error.remedy) == ('Wrong. Correct it.', 'age', 3, 'Correct it.')


def test_nothing_heavy_is_imported():
    code = 'import sys, clintrial.loading, clintrial.dataset; print([m for m in ("torch", "transformers", "datasets", "nbdev", "pyreadstat", "openpyxl") if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout.strip() == '[]'


# -- SAS

def subjects():
    "Columns of every kind that a SAS data set has."
    return pd.DataFrame({'USUBJID': ['01-701', '007', 'Müller', ''], 'AGE': [63., 64., 71., 59.], 'BMI': [25.1, math.nan, 30., 22.5],
                         'TRTSDT': [19_725., math.nan, 19_924., -1.], 'SEEN': [0., 1.7e9 + .5, math.nan, 86_399.], 'AT': [30_600., 0., math.nan, 86_399.]})


FORMATS = {'TRTSDT': 'DATE9', 'SEEN': 'DATETIME20', 'AT': 'TIME8'}


def check_subjects(frame):
    "What `subjects` must be read as."
    assert [frame[name].dtype.kind for name in ('AGE', 'BMI', 'TRTSDT', 'SEEN', 'AT')] == ['i', 'f', 'M', 'M', 'm']
    assert frame.USUBJID.isna().tolist() == [False] * 3 + [True] and frame.USUBJID[1] == '007' and frame.USUBJID[2] == 'Müller'
    assert frame.TRTSDT[0] == pd.Timestamp('2014-01-02') and frame.TRTSDT[3] == pd.Timestamp('1959-12-31') and frame.TRTSDT.isna()[1]
    assert frame.SEEN[0] == pd.Timestamp('1960-01-01') and frame.SEEN[1].microsecond == 500_000 and frame.AT[0] == pd.Timedelta('8:30:00')
    assert frame.attrs['labels']['AGE'] == 'Alter in Jahren' and frame.attrs['formats'] == FORMATS


@pytest.mark.parametrize('version', [5, 8])
def test_transport_file(tmp_path, version):
    import pyreadstat
    labels = ['ID', 'Alter in Jahren', 'BMI', 'a' * (60 if version == 8 else 30), 'seen', 'at']
    pyreadstat.write_xport(subjects(), tmp_path/'adsl.xpt', table_name='ADSL', column_labels=labels, variable_format=FORMATS, file_format_version=version)
    frame = read(tmp_path/'adsl.xpt')
    check_subjects(frame)
    assert frame.attrs['table'] == 'ADSL' and frame.attrs['labels']['TRTSDT'] == labels[3] and frame.attrs['encoding'] == 'utf-8'
    for rows in (1, 3, 4, 9): pd.testing.assert_frame_equal(pd.concat(read_chunks(tmp_path/'adsl.xpt', rows)), frame)
    (tmp_path/'adsl.xpt.gz').write_bytes(gzip.compress((tmp_path/'adsl.xpt').read_bytes()))
    pd.testing.assert_frame_equal(read(tmp_path/'adsl.xpt.gz'), frame)


def test_sas7bdat(tmp_path):
    write_sas7bdat(tmp_path/'adsl.sas7bdat', subjects(), labels={'AGE': 'Alter in Jahren'}, formats=FORMATS)
    frame = read(tmp_path/'adsl.sas7bdat')
    check_subjects(frame)
    assert frame.attrs['encoding'] == 'UTF-8'
    for rows in (1, 3, 4, 9): pd.testing.assert_frame_equal(pd.concat(read_chunks(tmp_path/'adsl.sas7bdat', rows)), frame)


def test_missing_codes_of_sas7bdat(tmp_path):
    frame = pd.DataFrame({'ID': ['a', 'b', 'c', 'd'], 'LBSTRESN': [1., 'B', None, 'Z'], 'DT': ['A', 19_725., 'A', None]}, dtype=object)
    write_sas7bdat(tmp_path/'lb.sas7bdat', frame, formats={'DT': 'DATE9'})
    found = read(tmp_path/'lb.sas7bdat')
    assert found.attrs['missing_codes'] == {'LBSTRESN': {'.B': [1], '.Z': [3]}, 'DT': {'.A': [0, 2]}}
    assert found.LBSTRESN.dtype == float and found.DT.dtype.kind == 'M' and found.isna().sum().tolist() == [0, 3, 3]
    pieces = [piece.attrs['missing_codes'] for piece in read_chunks(tmp_path/'lb.sas7bdat', 2)]
    assert pieces == [{'LBSTRESN': {'.B': [1]}, 'DT': {'.A': [0]}}, {'LBSTRESN': {'.Z': [3]}, 'DT': {'.A': [2]}}]
    json.dumps(found.attrs)   # parquet files keep them as JSON


def test_whole_numbers_are_decided_for_the_whole_file(tmp_path):
    write_sas7bdat(tmp_path/'a.sas7bdat', pd.DataFrame({'x': [1., 2., 3., 4.5], 'y': [1., 2., 3., 4.]}))
    assert [(piece.x.dtype.kind, piece.y.dtype.kind) for piece in read_chunks(tmp_path/'a.sas7bdat', 2)] == [('f', 'i')] * 2


def test_damaged_sas_files(tmp_path):
    import pyreadstat
    write_sas7bdat(tmp_path/'a.sas7bdat', pd.DataFrame({'ID': [f'P{i}' for i in range(5000)], 'AGE': [float(i) for i in range(5000)]}))
    whole = (tmp_path/'a.sas7bdat').read_bytes()
    for size in (40, 200, 1024, 70_000, len(whole) - 1): refused(write(tmp_path, whole[:size], 'cut.sas7bdat'), f'byte {size}')
    refused(write(tmp_path, b'USUBJID,AGE\n' * 60, 'text.sas7bdat'), 'no .sas7bdat file (byte 0)')
    refused(write(tmp_path, whole, 'named.xpt'), 'first bytes are those of a .sas7bdat file')
    pyreadstat.write_xport(subjects(), tmp_path/'a.xpt', table_name='ADSL')
    whole = (tmp_path/'a.xpt').read_bytes()
    for size in (100, 300, 500, 900, 1300, len(whole) - 80, len(whole) - 3): refused(write(tmp_path, whole[:size], 'cut.xpt'), f'byte {size}')
    refused(write(tmp_path, b'**COMPRESSED** ' + bytes(400), 'cport.xpt'), 'PROC CPORT')


# -- workbooks

def test_workbook(tmp_path):
    import openpyxl
    book = openpyxl.Workbook()
    for row in [['id', 'age', 'seen', 'at', 'ok', 'note', 'barcode'], ['007', '54', datetime.date(2024, 5, 1), datetime.time(8, 30), True, 'None', '12345678901234567890'],
                ['012', 61, datetime.datetime(2024, 5, 2, 9), datetime.time(9, 0), False, None, '1'], [None] * 7, ['013', None, None, None, True, 'NA', '2']]: book.active.append(row)
    book.create_sheet('empty')
    book.save(tmp_path/'a.xlsx')
    frame = read(tmp_path/'a.xlsx')
    assert frame.shape == (3, 7) and frame.attrs['table'] == 'Sheet'
    assert frame.id.tolist() == ['007', '012', '013'] and frame.age.tolist()[:2] == [54, 61] and frame.seen[1] == pd.Timestamp('2024-05-02 09:00')
    assert frame['at'][0] == pd.Timedelta('8:30:00') and frame.ok.dtype == bool and frame.note.isna().tolist() == [False, True, False]
    assert frame.barcode[0] == '12345678901234567890'


def test_a_protected_or_damaged_workbook(tmp_path):
    pd.DataFrame({'note': ['well'] * 2000}).to_excel(tmp_path/'a.xlsx', index=False)
    whole = (tmp_path/'a.xlsx').read_bytes()
    for size in (30, len(whole)//2, len(whole) - 30): refused(write(tmp_path, whole[:size], 'cut.xlsx'), 'no whole workbook')
    refused(write(tmp_path, bytes.fromhex('d0cf11e0a1b11ae1') + bytes(600), 'secret.xlsx'), 'password')
    refused(tmp_path/'a.xlsx', "has no sheet 'AE'", sheet='AE')


# -- JSON

def test_shapes_of_json(tmp_path):
    rows = [{'id': 'P1', 'age': 54, 'note': 'None'}, {'id': 'P2', 'age': None, 'note': ''}]
    shapes = [rows, {'P1': {'age': 54, 'note': 'None'}, 'P2': {'age': None, 'note': ''}}, {name: [row[name] for row in rows] for name in rows[0]}, {'total': 2, 'patients': rows}]
    for shape in shapes:
        frame = read(write(tmp_path, json.dumps(shape), 'a.json'))
        assert frame.id.tolist() == ['P1', 'P2'] and frame.age.isna().tolist() == [False, True] and frame.note.isna().tolist() == [False, True], shape
    assert read(write(tmp_path, '\n'.join(map(json.dumps, rows)), 'a.jsonl')).id.tolist() == ['P1', 'P2']
    assert read(write(tmp_path, '\ufeff[{"a": 1}]', 'bom.json')).a.tolist() == [1]


def test_broken_json_names_line_and_record(tmp_path):
    refused(write(tmp_path, '[{"a": 1},\n{"a": 2', 'a.json'), 'line 2', 'ends too early')
    refused(write(tmp_path, '[{"a": 1}, 7]', 'a.json'), 'record 2')
    refused(write(tmp_path, '{"a": 1}\n{"a": secret}\n', 'a.jsonl'), 'line 2, column 7')
    refused(write(tmp_path, '[{"a": "ü"}]', 'a.json', 'latin-1'), 'offset 8')
    refused(write(tmp_path, '[' * 100_000, 'a.json'), 'a.json, line 1')
    assert 'secret' not in str(refused(write(tmp_path, '{"a": "secret', 'a.json'), 'line 1'))


KINDS = st.sampled_from(['text', 'whole', 'number', 'gaps', 'flag', 'date', 'moment', 'time'])
MOMENTS = st.datetimes(datetime.datetime(1850, 1, 1), datetime.datetime(9000, 1, 1))


def column_of(kind, size, draw):
    "A column of one kind, as reading gives it."
    cells = {'text': st.one_of(st.none(), st.text(st.characters(blacklist_categories=('Cs',)), min_size=1, max_size=8)), 'whole': st.integers(-2**63, 2**63 - 1),
             'number': st.floats(allow_nan=False, allow_infinity=False), 'gaps': st.one_of(st.none(), st.floats(-1e9, 1e9)), 'flag': st.booleans(),
             'date': st.one_of(st.none(), MOMENTS.map(lambda moment: datetime.datetime.combine(moment.date(), datetime.time()))), 'moment': st.one_of(st.none(), MOMENTS),
             'time': st.one_of(st.none(), st.integers(0, 86_399_999_999).map(lambda span: datetime.timedelta(microseconds=span)))}[kind]
    values = draw(st.lists(cells, min_size=size, max_size=size))
    types = {'whole': 'int64', 'number': 'float64', 'gaps': 'float64', 'flag': bool, 'date': 'datetime64[us]', 'moment': 'datetime64[us]', 'time': 'timedelta64[us]'}
    return pd.Series(values, dtype=types.get(kind, 'str'))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_dataset_json_gives_back_what_was_written(tmp_path, data):
    size = data.draw(st.integers(1, 6))
    frame = pd.DataFrame({f'{kind.upper()}{place}': column_of(kind, size, data.draw) for place, kind in enumerate(data.draw(st.lists(KINDS, min_size=1, max_size=5)))})
    frame.attrs = {'labels': {name: f'label of {name}' for name in frame}, 'keys': [frame.columns[0]]}
    for ending in ('json', 'ndjson'):
        path = tmp_path/f'a.{ending}'
        path.unlink(missing_ok=True)
        write_dataset_json(frame, path)
        found = read(path)
        pd.testing.assert_frame_equal(found, frame)
        assert found.attrs['labels'] == frame.attrs['labels'] and found.attrs['keys'] == frame.attrs['keys']
        pd.testing.assert_frame_equal(pd.concat(read_chunks(path, 2)), frame)


def test_an_older_dataset_json(tmp_path):
    items = [{'OID': 'IT.USUBJID', 'name': 'USUBJID', 'label': 'Subject', 'type': 'string', 'keySequence': 1}, {'OID': 'IT.AGE', 'name': 'AGE', 'label': 'Age', 'type': 'integer'}]
    group = {'records': 2, 'name': 'DM', 'label': 'Demographics', 'items': items, 'itemData': [['P1', 54], ['P2', None]]}
    content = {'creationDateTime': '2023-05-31T00:00:00', 'datasetJSONVersion': '1.0.0', 'clinicalData': {'studyOID': 'S', 'itemGroupData': {'IG.DM': group}}}
    frame = read(write(tmp_path, json.dumps(content), 'dm.json'))
    assert frame.AGE.isna().tolist() == [False, True] and frame.attrs['labels'] == {'USUBJID': 'Subject', 'AGE': 'Age'} and frame.attrs['table'] == 'DM'
    content['clinicalData']['itemGroupData']['IG.AE'] = {**group, 'name': 'AE'}
    refused(write(tmp_path, json.dumps(content), 'dm.json'), "has 2 data sets: 'DM', 'AE'")
    assert read(tmp_path/'dm.json', sheet='AE').attrs['table'] == 'AE'


# -- compressed files

def test_zip(tmp_path):
    with zipfile.ZipFile(tmp_path/'a.zip', 'w') as packed:
        packed.writestr('folder/a.tsv', 'id\tage\n007\t54\n')
        packed.writestr('__MACOSX/folder/._a.tsv', 'x')
    assert read(tmp_path/'a.zip').id.tolist() == ['007'] and read(tmp_path/'a.zip').attrs['source'] == 'a.zip'
    with zipfile.ZipFile(tmp_path/'b.zip', 'w') as packed: packed.writestr('a.csv', 'id,age\n1\n')
    refused(tmp_path/'b.zip', 'In b.zip: a.csv, line 2')
    with zipfile.ZipFile(tmp_path/'none.zip', 'w') as packed: packed.writestr('readme.md', 'x')
    refused(tmp_path/'none.zip', "'.md' is not known")
    with zipfile.ZipFile(tmp_path/'empty.zip', 'w'): pass
    refused(tmp_path/'empty.zip', '0 files')


# -- in pieces

@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.sampled_from(['', '1', '2.5', '-3', '007', 'None', 'x y', '1e3', '12345678901234567890'])] * 3), min_size=1, max_size=9), st.integers(1, 5))
def test_pieces_are_the_whole(tmp_path, rows, size):
    path = tmp_path/'a.csv'
    with path.open('w', newline='') as file: csv.writer(file).writerows([('a', 'b', 'c'), *[(*row[:2], row[2] or 'filled') for row in rows]])
    whole, pieces = read(path), list(read_chunks(path, size))
    pd.testing.assert_frame_equal(pd.concat(pieces), whole)
    assert all(len(piece) == size for piece in pieces[:-1]) and all(piece.attrs == whole.attrs for piece in pieces)


def test_parquet_in_pieces(tmp_path):
    frame = pd.DataFrame({'whole': pd.array([1, 2, None, 4], dtype='Int64'), 'n': [1, 2, 3, 4], 'note': ['a', None, 'c', 'd'], 'flag': pd.array([True, None, False, True], dtype='boolean')})
    import pyarrow as pa
    import pyarrow.parquet as parquet
    parquet.write_table(pa.table({name: pa.array(frame[name]) for name in frame}), tmp_path/'a.parquet', row_group_size=2)
    whole = read(tmp_path/'a.parquet')
    for size in (1, 2, 3, 9): pd.testing.assert_frame_equal(pd.concat(read_chunks(tmp_path/'a.parquet', size)), whole)


MEASURE = """
import resource, sys
import pyreadstat
from clintrial.loading import read_chunks
from clintrial.loading.datasets import transport_chunks
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(len(piece) for piece in read_chunks(sys.argv[1], rows=20_000)), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='memory is measured as Linux tells it')
@pytest.mark.parametrize('ending', ['csv', 'xpt'])
def test_a_large_file_needs_little_memory(tmp_path, ending):
    "A file of 70 MB, read in pieces: what is needed depends on the pieces, not on the file."
    note = 'patient reports mild nausea, better by noon, no fever, sleeps well again ' * 8
    path, repeats = tmp_path/f'large.{ending}', 12
    if ending == 'csv':
        block = ''.join(f'P{place:06},{place % 90},"{note}"\n' for place in range(10_000)).encode()
        head = b'patient,age,note\n'
    else:
        import pyreadstat
        pyreadstat.write_xport(pd.DataFrame({'patient': [f'P{place:06}' for place in range(10_000)], 'age': [place % 90. for place in range(10_000)], 'note': [note] * 10_000}), path)
        from clintrial.loading.datasets import members_of
        member, = members_of(path)
        content = path.read_bytes()
        head, block = content[:member.data], content[member.data:member.data + member.rows*member.width]
    with path.open('wb') as file:
        file.write(head)
        for _ in range(repeats): file.write(block)
        file.write(b' ' * (-(repeats*len(block)) % 80) if ending == 'xpt' else b'')
    assert path.stat().st_size > 65e6
    shown = subprocess.run([sys.executable, '-c', MEASURE, str(path)], capture_output=True, text=True, check=True).stdout.split()
    assert int(shown[0]) == repeats * 10_000 and int(shown[1]) < 120, shown


# -- whatever happens to a file, the error is one that names the place

@pytest.mark.parametrize('ending', ['csv', 'parquet', 'xlsx', 'xpt', 'sas7bdat', 'json', 'ndjson', 'csv.gz', 'zip'])
def test_damage_gives_a_data_error_or_a_table(tmp_path, ending):
    import pyreadstat
    path, frame = tmp_path/f'a.{ending}', pd.DataFrame({'ID': [f'P{place}' for place in range(40)], 'AGE': [float(place) for place in range(40)]})
    if ending == 'csv': frame.to_csv(path, index=False)
    if ending == 'parquet': frame.to_parquet(path)
    if ending == 'xlsx': frame.to_excel(path, index=False)
    if ending == 'xpt': pyreadstat.write_xport(frame, path)
    if ending == 'sas7bdat': write_sas7bdat(path, frame)
    if ending in ('json', 'ndjson'): write_dataset_json(frame, path)
    if ending == 'csv.gz': path.write_bytes(gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
    if ending == 'zip':
        with zipfile.ZipFile(path, 'w') as packed: packed.writestr('a.csv', frame.to_csv(index=False))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for trial in range(30):
        content = bytearray(whole)
        if trial % 2: del content[int(random.integers(1, len(whole))):]
        else: content[int(random.integers(len(whole)))] ^= int(random.integers(1, 256))
        path.write_bytes(content)
        try: read(path)
        except DataError as error: assert path.name.split('.')[0] in str(error)


# -- real files

def test_druglib(real_data):
    frame = read(real_data/'druglib'/'train.tsv')
    assert frame.shape == (3107, 9) and frame.rating.dtype == np.int64
    assert not frame[['benefitsReview', 'sideEffectsReview']].isin(['']).any().any()
    assert (frame.sideEffectsReview.str.lower() == 'none').sum() > 50
    binary = frame[frame.effectiveness != 'Moderately Effective']
    assert len(binary) == 2692 and binary.effectiveness.isin(['Ineffective', 'Marginally Effective']).sum() == 434


def test_ade_corpus_and_top(real_data):
    assert read(real_data/'ade_corpus'/'train.csv').shape == (16816, 3)
    top = read(real_data/'top_phase1'/'train.csv')
    assert top.shape == (1044, 8) and set(top.label) == {0, 1} and top.criteria.str.contains('\n').any()


def real_files() -> list:
    "Every data file of the folder of real data sets."
    folder = Path(os.environ.get('CLINTRIAL_DATA') or Path(__file__).resolve().parents[2]/'shared'/'data')
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file() and not path.name.startswith(('README', 'LICENSE', '.')))


RAGGED = [f'cdisc_pilot/expected/table_14_{number}.csv' for number in ('1_02', '2_01', '5_01')]   # published tables: headings alone in a row


@pytest.mark.parametrize('name', real_files() or ['none'])
def test_every_real_file_loads(real_data, name):
    frame = read(real_data/name, ragged='fill' if name in RAGGED else 'error')
    assert len(frame) and len(frame.columns) and frame.attrs['source'] == Path(name).name and frame.columns.is_unique
    if name.endswith('.xpt'): assert len(frame.attrs['labels']) == len(frame.columns)


@pytest.mark.parametrize('name, rows', [('ctgov_records', 10), ('ctgov_records/json_v2', 2), ('cdisc_pilot', 306), ('cdisc_pilot/adam', 254), ('synthea_omop27', 27)])
def test_folders_load(real_data, name, rows):
    frame = read(real_data/name)
    assert len(frame) == rows and frame.attrs['source'] == Path(name).name


def test_a_dataset_from_a_sas_file(real_data):
    from clintrial.dataset import TrialData
    trial = TrialData.read(real_data/'cdisc_pilot'/'adam'/'adae.xpt', text='AETERM', target='AESEV')
    assert len(trial) == 1191 and trial.schema.subject == 'USUBJID' and trial.frame.attrs['labels']['AGE'] == 'Age'
    assert len(TrialData.read(real_data/'cdisc_pilot'/'sdtm'/'ts.xpt', text='TSVAL')) == 33


def test_what_is_known_of_the_real_files(real_data):
    assert read(real_data/'cdisc_pilot'/'adam'/'adsl.xpt').shape == (254, 48) and read(real_data/'cdisc_pilot'/'sdtm'/'dm.xpt').shape[0] == 306
    summary = read(real_data/'cdisc_pilot'/'sdtm'/'ts.xpt')
    assert summary.attrs['encoding'] == 'cp1252' and summary.attrs['encoding_guessed'] and summary.TSVAL.str.contains('’').any()
    assert read(real_data/'nli4ct'/'train.json').shape == (1700, 9) and read(real_data/'nli4ct'/'ct_json.zip').shape[0] == 999
    adsl = read(real_data/'cdisc_pilot'/'adam'/'adsl.xpt')
    assert adsl.TRTSDT.dtype.kind == 'M' and set(adsl.TRT01PN) == {0, 54, 81} and adsl.attrs['formats']['TRTSDT'] == 'DATE9'


def test_dataset_json_of_the_pilot_study(real_data, tmp_path):
    for path in sorted((real_data/'cdisc_pilot').rglob('*.xpt')):
        frame = read(path)
        found = read(write_dataset_json(frame, tmp_path/f'{path.stem}.json'))
        pd.testing.assert_frame_equal(found, frame)
        assert found.attrs['labels'] == frame.attrs['labels']
