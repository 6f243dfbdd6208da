"Files that are not what they seem, and files that are."
import csv
import math
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError, read

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
    refused(tmp_path, 'no such file')
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
    code = 'import sys, clintrial.loading, clintrial.dataset; print([m for m in ("torch", "transformers", "datasets", "nbdev") if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout.strip() == '[]'


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
