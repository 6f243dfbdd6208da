"What a cleaning promises: undone to the last bit, settled after one pass, files whole or absent, the same cells whether streamed or not."
import math
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clintrial.cleaning import (Boilerplate, CategorySpelling, ChangeLog, ConvertUnits, DateForms, Duplicates, EncodingDamage, HtmlRemains, MissingCodes, PhysiologicalRange, Replace, Rule,
                                UnicodeForms, UnitSpelling, Whitespace, clean, clean_file, default_rules, iso_date)
from clintrial.dataset import TrialData
from clintrial.duplicates import jaccard, near_duplicates, shingles
from clintrial.loading import DataError, read
from clintrial.schema import Schema

PIECES = ['5MG', '5 mg', '10 μg/kg', 'umol/l', '.', 'NA', 'N/A', 'None', '-999', '54', '007', '1e3', 'male', 'Male', 'M ale', 'grade 1', 'Grade 2', '<br/>', '&amp;', '&amp;lt;', '<p class="x">', '<5', 'p<0.05', 'MÃ¼de',
          'â€™', 'é', 'e\u0301', '\u200b', '\ufeff', '\u00a0', '  ', '\t', '\r\n', '\n\n\n', ' \n ', '血压5mg', '①', '14MAR2014', '03/04/2014', '2014-03', 'UN-UNK-2014', '\x00', '\x85', 'This sentence is said in every single one of all rows.',
          'The patient was well and had no complaints at all today. ', '👩🏽\u200d⚕️', '٣ mg', '<sup>6</sup>', '38.5ºC', '154lb', '½', 'ﬁ']
plain_text = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=6).map(''.join).filter(lambda text: not any('\ud800' <= sign <= '\udfff' for sign in text))
any_text = st.lists(st.sampled_from([*PIECES, '\ud83d']) | st.text(st.characters(), max_size=4), max_size=6).map(''.join)
anything = st.one_of(any_text, st.none(), st.floats(), st.integers(-2**70, 2**70), st.booleans(), st.sampled_from([pd.NA, pd.NaT, np.nan, pd.Timestamp('2024-03-01'), -999, '-999', '.', 'NA']))


def column(kind, rows):
    "A strategy for a column of one kind."
    def of(cells, **kwargs): return st.lists(cells, min_size=rows, max_size=rows).map(lambda values: pd.Series(values, **kwargs))
    return {'text': of(plain_text | st.none(), dtype='str'), 'arrow': of(plain_text | st.none(), dtype='string'), 'object': of(anything, dtype=object), 'float': of(st.floats() | st.sampled_from([-999., -0., 366.]), dtype='float64'),
            'int': of(st.integers(-2**63, 2**63 - 1) | st.sampled_from([-999, -99, 54, 540]), dtype='int64'), 'small': of(st.sampled_from([-99, 0, 54]), dtype='int16'),
            'nullable': of(st.sampled_from([-999, 3, None]), dtype='Int64'), 'flag': of(st.booleans(), dtype=bool), 'numbers': of(st.sampled_from(['54', '61.50', '.', 'NA', None, ' 7', '+3']), dtype=object),
            'date': of(st.datetimes().filter(lambda day: 1700 < day.year < 2200)).map(lambda dates: pd.to_datetime(dates).dt.tz_localize('UTC')),
            'class': of(st.sampled_from(['male', 'Male', ' M ale', 'female', 'grade 1', 'grade 2', None])).map(lambda cells: cells.astype(object).astype('category')),
            'ordered': of(st.sampled_from(['low', 'LOW ', 'high'])).map(lambda cells: pd.Series(pd.Categorical(cells, ['low', 'LOW ', 'mid', 'high'], ordered=True)))}[kind]


@st.composite
def tables(draw, kinds=('text', 'arrow', 'object', 'float', 'int', 'small', 'nullable', 'flag', 'numbers', 'date', 'class', 'ordered')):
    "A table with nasty cells, names that rules know, odd row labels and attrs."
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(st.sampled_from(['note', 'age', 'weight', 'sex', 'visit date', 'temperature', 'remark', 'x', 'Größe']), min_size=1, max_size=5, unique=True))
    frame = pd.concat([draw(column(draw(st.sampled_from(kinds)), rows)).rename(name) for name in names], axis=1)
    index = draw(st.sampled_from(['range', 'step', 'text', 'twice', 'date']))
    if index == 'step': frame.index = pd.RangeIndex(5, 5 + 3 * rows, 3, name='row')
    if index == 'text': frame.index = pd.Index([f'P{row}' for row in range(rows)], name='patient', dtype='str')
    if index == 'twice': frame.index = pd.Index([row // 2 for row in range(rows)])
    if index == 'date': frame.index = pd.date_range('2024-01-01', periods=rows)
    frame.attrs = {'source': 'a.csv', 'labels': {'age': 'Age (years)'}}
    return frame


def bits(cells: pd.Series):
    "All that can be told of a column's cells."
    if isinstance(cells.dtype, np.dtype) and cells.dtype != object: return cells.to_numpy().tobytes()
    return [(type(value).__name__, value.hex() if isinstance(value, float) else ascii(value)) for value in cells.astype(object)]


def same_bits(one: pd.DataFrame, other: pd.DataFrame):
    "Raise where two tables differ in anything: a bit, a type, a label, the order, attrs."
    assert list(one.columns) == list(other.columns) and one.attrs == other.attrs
    assert type(one.index) is type(other.index) and one.index.identical(other.index) and one.index.dtype == other.index.dtype
    for name in one.columns:
        assert one[name].dtype == other[name].dtype, name
        if isinstance(one[name].dtype, pd.StringDtype): assert (one[name].dtype.storage, repr(one[name].dtype.na_value)) == (other[name].dtype.storage, repr(other[name].dtype.na_value))
        if isinstance(one[name].dtype, pd.CategoricalDtype): assert list(one[name].cat.categories) == list(other[name].cat.categories) and one[name].cat.codes.equals(other[name].cat.codes)
        assert bits(one[name]) == bits(other[name]), name


EVERYTHING = (*default_rules()[:-2], UnicodeForms(form='NFKC'), DateForms(dayfirst=True), MissingCodes(always=True), PhysiologicalRange(action='missing'), Boilerplate(action='remove', min_words=3), Duplicates(action='drop'))
ALONE = (EncodingDamage(), HtmlRemains(), UnicodeForms(), UnicodeForms(form='NFKC'), Whitespace(), UnitSpelling(), UnitSpelling(micro='µg'), DateForms(), DateForms(dayfirst=False), MissingCodes(), MissingCodes(always=True),
         CategorySpelling(), PhysiologicalRange(action='missing'), Boilerplate(action='remove', min_words=3), Duplicates(action='drop'))
PATIENT = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@PATIENT
@given(tables())
@example(pd.DataFrame({'note': ['-999umol/l']}))   # the compatibility form of the micro sign is another letter than units are written with
def test_undo_gives_back_every_bit(frame):
    "Whatever is in the table, and with every rule at its boldest; the input itself never changes."
    before = frame.copy(deep=True)
    cleaned, log = clean(frame, EVERYTHING, schema=Schema())
    same_bits(frame, before)
    same_bits(log.undo(cleaned), before)
    again, nothing = clean(cleaned, EVERYTHING, schema=Schema())
    assert len(nothing) == 0
    same_bits(again, cleaned)


@pytest.mark.parametrize('rule', ALONE, ids=lambda rule: f'{rule.name} {ALONE.index(rule)}')
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=tables())
def test_each_rule_alone_is_undone_and_settled(rule, frame):
    "Cleaning twice changes nothing more."
    cleaned, log = clean(frame, rule, schema=Schema())
    same_bits(log.undo(cleaned), frame)
    assert len(clean(cleaned, rule, schema=Schema())[1]) == 0


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=tables())
def test_a_saved_log_undoes_as_well(frame, tmp_path_factory):
    "From parquet, in another session."
    cleaned, log = clean(frame, EVERYTHING, schema=Schema())
    again = ChangeLog.load(log.save(tmp_path_factory.mktemp('log')/'log.parquet'))
    same_bits(again.undo(cleaned), frame)
    assert again.table.astype(str).equals(log.table.astype(str)) and again.summary.equals(log.summary)


@settings(max_examples=40, deadline=None)
@given(plain_text)
def test_spelling_of_units_keeps_every_number(text):
    "Digits, and their order, are the same before and after."
    assert [sign for sign in UnitSpelling().settled(text) if sign in '0123456789.,'] == [sign for sign in text.replace('m2', 'm²').replace('m^2', 'm²') if sign in '0123456789.,'] or 'I.U.' in text or 'i.u.' in text or 'deg.' in text


@settings(max_examples=60)
@given(st.dates(pd.Timestamp('1900-01-01').date(), pd.Timestamp('2099-12-31').date()), st.sampled_from(['%d%b%Y', '%d-%b-%Y', '%d %B %Y', '%B %d, %Y', '%Y/%m/%d', '%Y%m%d', '%Y-%m-%d']))
def test_dates_survive_their_spelling(day, form):
    "Every unambiguous way to write a date gives that date, and an ambiguous one gives none unless told."
    assert iso_date(day.strftime(form)) == (day.isoformat(), '')
    assert iso_date(day.strftime('%d/%m/%Y'), True)[0] == iso_date(day.strftime('%m/%d/%Y'), False)[0] == day.isoformat()
    assert iso_date(day.strftime('%d/%m/%Y'))[0] in (None, day.isoformat())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from('nausea mild pain dose week visit 头痛 血压 well'.split()), min_size=1, max_size=12).map(' '.join), max_size=25), st.sampled_from([.5, .7, .9]))
def test_near_duplicates_are_what_jaccard_says(texts, threshold):
    "On few texts all pairs can be compared: what is reported is true, nothing is reported twice, and the order of rows does not matter."
    found = near_duplicates(texts, threshold)
    pairs = {frozenset(pair): score for *pair, score in found.itertuples(index=False)}
    assert len(pairs) == len(found)
    for (first, second), score in ((tuple(pair), score) for pair, score in pairs.items()): assert math.isclose(score, jaccard(shingles(texts[first]), shingles(texts[second]))) and score >= threshold
    distinct = list(dict.fromkeys(texts))
    true = {frozenset((one, other)) for one in distinct for other in distinct if one != other and jaccard(shingles(one), shingles(other)) >= threshold}
    seen = {frozenset((texts[first], texts[second])) for first, second in map(tuple, pairs) if texts[first] != texts[second]}
    assert len(true - seen) <= len(true) // 100
    backwards = near_duplicates(distinct[::-1], threshold)
    forwards = near_duplicates(distinct, threshold)
    last = len(distinct) - 1
    assert {frozenset((last - first, last - second)) for first, second in backwards[['first', 'second']].to_numpy()} == {frozenset(pair) for pair in forwards[['first', 'second']].to_numpy()}


def test_answers_stay_answers():
    "`None`, `N/A`, `.` and `-999` in a free-text field are what somebody wrote."
    said = ['None', 'N/A', 'NA', '.', '-999', 'none', 'unknown', 'felt dizzy in the morning, better by noon'] * 4
    cleaned, log = clean(TrialData(pd.DataFrame({'side_effects': said, 'age': [54.] * 32}), Schema(text='side_effects', numeric='age')))
    assert cleaned.frame.side_effects.tolist() == said and not len(log)


def test_classes_that_are_two_stay_two():
    "A number, a sign, a first letter, or two frequent spellings: never merged."
    pairs = [('grade 1', 'grade 2'), ('HER2+', 'HER2-'), ('type II', 'type III'), ('typical', 'atypical'), ('male', 'female'), ('5 mg', '50 mg'), ('<5', '>5'), ('arm A', 'arm B'), ('1.5', '15'), ('related', 'unrelated')]
    for usual, rare in pairs:
        cells = pd.DataFrame({'group': [usual] * 300 + [rare] * 2})
        assert not len(clean(cells, CategorySpelling(columns='group'))[1]), (usual, rare)
    both = clean(pd.DataFrame({'sex': ['male'] * 50 + ['Male'] * 50}), CategorySpelling(columns='sex'))[1]
    assert not len(both) and len(both.flags) == 50


def test_an_ambiguous_date_is_reported_and_stays():
    "Even where the rest of the column would settle it."
    frame = pd.DataFrame({'visit': ['31/12/2014', '25/11/2014', '03/04/2014']})
    cleaned, log = clean(frame, DateForms())
    assert cleaned.visit.tolist() == ['2014-12-31', '2014-11-25', '03/04/2014']
    assert log.flags[['row', 'column']].to_numpy().tolist() == [[2, 'visit']]


def test_a_log_refuses_a_stranger():
    "Another table, an edited cell, another type, other labels, other order."
    frame = pd.DataFrame({'note': ['a  b', 'c', 'd'], 'x': [1, 2, 3]})
    cleaned, log = clean(frame, Whitespace())
    for stranger in (frame, cleaned.assign(x=[1, 2, 4]), cleaned.astype({'x': float}), cleaned.iloc[::-1], cleaned.iloc[:2], cleaned.rename(columns={'x': 'y'}), cleaned.set_axis(['a', 'b', 'c'])):
        with pytest.raises(DataError, match='The log is that of'): log.undo(stranger)


def test_an_error_in_a_rule_names_the_cell_and_keeps_the_secret():
    "Patient text goes into no exception."
    def broken(text): raise RuntimeError(text)
    from clintrial.cleaning import Apply
    with pytest.raises(DataError, match=r"Column 'note', row P1: the rule 'mine' failed \(RuntimeError\)") as caught:
        clean(pd.DataFrame({'note': ['secret diagnosis']}, index=['P1']), Apply(function=broken, label='mine'))
    assert 'secret' not in str(caught.value) and caught.value.__cause__ is None


def messy(rows=400):
    "A table as it comes."
    choose = np.random.default_rng(0)
    texts = np.array(['well since the last visit', 'MÃ¼de nach 5MG', 'nausea &amp; pain', 'took 10 μg  twice ', 'N/A', 'None', 'two\nlines, "quoted"', '头痛，5mg后'])
    return pd.DataFrame({'patient': [f'{row:03}' for row in range(rows)], 'visit': choose.choice(['14MAR2014', '2014-03-15', 'UN MAR 2014'], rows), 'sex': choose.choice(['male', 'female', 'Male'], rows, p=[.5, .48, .02]),
                         'dose': choose.choice(['5.10', '7', '-999'], rows), 'side_effects': [f'{choose.choice(texts)} {row}' if row % 3 else choose.choice(texts) for row in range(rows)]})


ROLES = Schema(text='side_effects', numeric='dose', categorical='sex', subject='patient', time='visit')


@pytest.mark.parametrize('ending', ['csv', 'tsv', 'parquet'])
@pytest.mark.parametrize('rows', [7, 1000])
def test_a_stream_gives_the_cells_of_the_whole(tmp_path, ending, rows):
    "Whatever the size of a chunk; cells that no rule touches are written digit by digit; the log gives the texts back."
    frame = messy()
    path = tmp_path/f'raw.{ending}'
    frame.to_parquet(path) if ending == 'parquet' else frame.to_csv(path, index=False, sep='\t' if ending == 'tsv' else ',')
    done = clean_file(path, tmp_path/f'clean.{ending}', schema=ROLES, rows=rows)
    streamed = read(done.output)
    whole = clean(read(path), schema=ROLES)[0]
    for name in ('patient', 'visit', 'sex', 'side_effects'): assert streamed[name].tolist() == whole[name].tolist(), name
    if ending == 'csv': assert ',"5.10",' in done.output.read_text(encoding='utf-8') and '-999' not in done.output.read_text(encoding='utf-8')
    log = ChangeLog.load(done.log)
    assert done.rows == len(frame) and len(log) == done.summary.changed.sum()
    restored = log.undo(streamed)
    for name in ('visit', 'sex', 'side_effects'): assert restored[name].tolist() == frame[name].tolist(), name
    with pytest.raises(DataError, match='does not hold what the cleaning wrote'): log.undo(read(path))


def test_nothing_is_overwritten(tmp_path):
    "Neither a file nor a log nor the input."
    messy().to_csv(tmp_path/'raw.csv', index=False)
    (tmp_path/'clean.changes.parquet').write_text('mine')
    for output in ('raw.csv', 'clean.csv'):
        with pytest.raises(DataError, match='there is such a file already'): clean_file(tmp_path/'raw.csv', tmp_path/output)
    assert (tmp_path/'clean.changes.parquet').read_text() == 'mine' and not (tmp_path/'clean.csv').exists()


class BreaksLate(Rule):
    "Fails in a late chunk."
    def find(self, cells, known=None):
        if cells.index[0] >= 300: raise DataError('broken on purpose')
        from clintrial.cleaning import Found
        return Found()


def test_a_failure_halfway_leaves_nothing(tmp_path):
    "Output and log are whole or absent."
    messy().to_csv(tmp_path/'raw.csv', index=False)
    with pytest.raises(DataError, match='broken on purpose'): clean_file(tmp_path/'raw.csv', tmp_path/'clean.csv', [BreaksLate(columns='visit')], rows=50)
    assert [file.name for file in tmp_path.iterdir()] == ['raw.csv']


@pytest.fixture
def room_again():
    "Gives the process its room on the disk back."
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize('ending', ['csv', 'parquet'])
def test_full_disk(tmp_path, room_again, ending):
    "A clear error and no half a file; the input is as it was, and once there is room it works."
    path = tmp_path/f'raw.{ending}'
    frame = messy(5000)
    frame.to_parquet(path) if ending == 'parquet' else frame.to_csv(path, index=False)
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with pytest.raises(DataError, match='could not be written.*Free some space'): clean_file(path, tmp_path/f'clean.{ending}', schema=ROLES, rows=500)
    room_again()
    assert [file.name for file in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before
    assert clean_file(path, tmp_path/f'clean.{ending}', schema=ROLES).rows == 5000
    cleaned, log = clean(frame, schema=ROLES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with pytest.raises(DataError, match='could not be written'): log.save(tmp_path/'log.parquet')
    room_again()
    assert not (tmp_path/'log.parquet').exists() and len(ChangeLog.load(log.save(tmp_path/'log.parquet'))) == len(log)


def test_a_stream_keeps_memory_bounded(tmp_path):
    "Ten times the rows, and no more memory than a chunk needs: measured in a process of its own."
    program = textwrap.dedent('''
        import resource, sys
        import numpy as np, pyarrow as pa, pyarrow.parquet as parquet
        from clintrial.cleaning import Whitespace, UnitSpelling, clean_file
        peaks = []
        for rows in (2_000, 20_000):
            note = pa.array([f'{row} ' + 'the patient was well  and took 5MG ' * 5 for row in range(rows)])
            parquet.write_table(pa.table({'note': note}), f'{sys.argv[1]}/{rows}.parquet', row_group_size=1_000)
            del note
        for rows in (2_000, 20_000):
            clean_file(f'{sys.argv[1]}/{rows}.parquet', f'{sys.argv[1]}/{rows}.clean.parquet', [Whitespace(), UnitSpelling()], rows=1_000)
            peaks.append(int(open('/proc/self/status').read().split('VmRSS:')[1].split()[0]))
        print(peaks[1] / peaks[0])''')
    answer = subprocess.run([sys.executable, '-c', program, str(tmp_path)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert float(answer.stdout) < 1.6


def test_units_are_converted_only_where_asked():
    "And what cannot be converted is reported, never guessed."
    frame = pd.DataFrame({'weight': ['154 lb', '70 kg', '71'], 'note': ['lost 154 lb', 'took 0.5 g', 'well']})
    assert clean(frame, default_rules())[0].equals(frame)
    cleaned, log = clean(frame, ConvertUnits(columns='weight', to='kg'))
    assert cleaned.weight.tolist() == ['69.8532 kg', '70 kg', '71'] and log.flags.row.tolist() == [2]


def test_a_rule_of_ones_own_is_on_record():
    "By its name."
    cleaned, log = clean(pd.DataFrame({'note': ['pt. was well']}), Replace(find_this=r'\bpt\.', put_this='patient', label='abbreviations'))
    assert cleaned.note[0] == 'patient was well' and log.table.loc[0, ['before', 'after', 'rule']].tolist() == ['pt. was well', 'patient was well', 'abbreviations']
