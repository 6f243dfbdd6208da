"Folders about people as one row a subject: what may be missing, where each clause comes from, and that nothing is told before it was known."
import re
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.loading.files import DataError
from clintrial.loading.patient_course import study_day
from clintrial.loading.subjects import holds_subjects, read_courses, read_subjects

START = date(2020, 1, 10)   # day 1 of every subject made here
SUBJECTS = ['P1', 'P2', 'P3']


def day(number): return (START + timedelta(days=number - 1 if number > 0 else number)).isoformat()


def write(folder, tables):
    "A folder with these tables as csv, and no other file."
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir(): old.unlink()
    for name, table in tables.items(): pd.DataFrame(table).to_csv(folder/f'{name}.csv', index=False)
    return folder


TRIAL = {
    'dm': {'STUDYID': ['S']*4, 'USUBJID': [*SUBJECTS, 'P4'], 'AGE': [60, 61, 62, 63], 'AGEU': ['YEARS']*4, 'SEX': ['F', 'M', 'F', 'M'], 'RACE': ['WHITE']*4, 'SITEID': ['701']*4,
           'ARMCD': ['A', 'B', 'A', 'Scrnfail'], 'ARM': ['Active', 'Placebo', 'Active', 'Screen Failure'], 'RFSTDTC': [day(1)]*3 + [None], 'RFENDTC': [day(50)]*3 + [None], 'DTHDTC': [day(70), None, None, None]},
    'adsl': {'USUBJID': SUBJECTS, 'TRT01P': ['Active', 'Placebo', 'Active'], 'TRT01A': ['Active', 'Placebo', 'Placebo'], 'TRTSDT': [day(1)]*3, 'TRTEDT': [day(40), day(50), day(20)],
             'TRTDUR': [40, 50, 20], 'DCDECOD': ['DEATH', 'COMPLETED', 'ADVERSE EVENT'], 'RFENDT': [day(50)]*3, 'BMIBL': [24.5, 30, 21]},
    'ae': {'USUBJID': ['P1', 'P1', 'P3'], 'AESEQ': [1, 2, 1], 'AETERM': ['HEADACHE', 'STROKE', 'RASH'], 'AESEV': ['MILD', 'SEVERE', 'MODERATE'], 'AESER': ['N', 'Y', 'N'], 'AESHOSP': ['N', 'Y', 'N'],
           'AEREL': ['POSSIBLE', 'NONE', 'PROBABLE'], 'AEOUT': ['RECOVERED/RESOLVED', 'FATAL', 'NOT RECOVERED/NOT RESOLVED'], 'AESTDTC': [day(3), day(30), '2020-01'], 'AEENDTC': [day(5), day(70), None],
           'AEDTC': [day(8), day(31), day(29)]},
    'adae': {'USUBJID': ['P1', 'P1', 'P3'], 'AESEQ': [1, 2, 1], 'AETERM': ['HEADACHE', 'STROKE', 'RASH'], 'ASTDT': [day(3), day(30), day(1)], 'ASTDTF': [None, None, 'D'], 'TRTEMFL': ['Y', 'Y', None]},
    'ds': {'USUBJID': ['P1', 'P2', 'P3', 'P4'], 'DSDECOD': ['DEATH', 'COMPLETED', 'ADVERSE EVENT', 'SCREEN FAILURE'], 'DSTERM': ['DEATH', 'PROTOCOL COMPLETED', 'ITCHY', 'SCREEN FAILURE'],
           'DSCAT': ['DISPOSITION EVENT']*4, 'DSSTDTC': [day(70), day(50), day(20), '2019-12-24']},
    'ex': {'USUBJID': SUBJECTS, 'EXTRT': ['ACTIVE', 'PLACEBO', 'ACTIVE'], 'EXDOSE': [54, 0, 54], 'EXDOSU': ['mg']*3, 'EXSTDTC': [day(1)]*3, 'EXENDTC': [day(40), day(50), day(20)]},
    'sv': {'USUBJID': [*SUBJECTS, *SUBJECTS, 'P4'], 'VISIT': ['BASELINE']*3 + ['WEEK 4']*3 + ['SCREENING'], 'SVSTDTC': [day(1)]*3 + [day(28)]*3 + ['2019-12-24']},
    'sc': {'USUBJID': SUBJECTS, 'SCTESTCD': ['EDLEVEL']*3, 'SCTEST': ['Education']*3, 'SCSTRESC': ['12', '16', '9'], 'SCSTRESN': [12, 16, 9], 'SCDTC': [day(-7)]*3},
    'vs': {'USUBJID': ['P1']*2, 'VSTESTCD': ['PULSE']*2, 'VSTEST': ['Pulse Rate']*2, 'VSSTRESC': ['64', '90'], 'VSSTRESN': [64, 90], 'VSSTRESU': ['beats/min']*2, 'VSBLFL': ['Y', None], 'VSDTC': [day(1), day(28)]},
    'lb': {'USUBJID': ['P2'], 'LBTESTCD': ['ALT'], 'LBTEST': ['Alanine Aminotransferase'], 'LBSTRESC': ['99'], 'LBSTRESN': [99], 'LBSTRESU': ['U/L'], 'LBNRIND': ['HIGH'], 'LBDTC': [day(28)]},
    'cm': {'USUBJID': ['P1'], 'CMTRT': ['IBUPROFEN'], 'CMDOSE': [400], 'CMDOSU': ['mg'], 'CMINDC': ['HEADACHE'], 'CMSTDTC': [day(3)], 'CMENDTC': [day(6)]},
    'mh': {'USUBJID': ['P2', 'P3'], 'MHTERM': ['MIGRAINE', 'GOUT'], 'MHSTDTC': ['2015', None]}}


@pytest.fixture(scope='module')
def place(tmp_path_factory): return tmp_path_factory.mktemp('subjects')


@settings(max_examples=30, deadline=None)
@given(gone=st.sets(st.sampled_from(sorted(TRIAL))), until=st.sampled_from([None, 14, '2020-02-01']))
def test_any_table_of_a_trial_may_be_missing(place, gone, until):
    folder = write(place/'trial', {name: table for name, table in TRIAL.items() if name not in gone})
    if {'dm', 'adsl'} <= gone:
        assert not holds_subjects(folder)
        with pytest.raises(DataError, match='dm or adsl'): read_subjects(folder, until=until)
        return
    assert holds_subjects(folder)
    if 'dm' in gone:   # the screen failure is in DM only
        write(folder, {name: pd.DataFrame(table).query("USUBJID != 'P4'") for name, table in TRIAL.items() if name not in gone})
    frame = read_subjects(folder, until=until)
    assert frame.USUBJID.tolist() == (SUBJECTS if 'dm' in gone else [*SUBJECTS, 'P4'])
    assert frame.narrative.str.startswith('Subject: ' if 'dm' not in gone else '').all()
    if until is None:
        said = {'ae': 'stroke', 'ds': 'itchy', 'ex': '54 mg', 'sv': 'week 4', 'vs': '90 beats/min', 'lb': 'high', 'cm': 'ibuprofen', 'mh': 'gout'}
        for name, words in said.items(): assert frame.narrative.str.contains(words).any() == (name not in gone or name == 'ae' and 'adae' not in gone), name


def test_any_column_but_the_key_may_be_missing(place):
    for name, table in TRIAL.items():
        for column in table:
            folder = write(place/'trial', {'dm': TRIAL['dm'], name: {other: cells for other, cells in table.items() if other != column}})
            if column == 'USUBJID':
                with pytest.raises(DataError, match=f"'{name}'"): read_subjects(folder)
            else: assert len(read_subjects(folder)) == 4


def test_columns_and_counts_of_a_small_trial(place):
    frame = read_subjects(write(place/'trial', TRIAL)).set_index('USUBJID')
    assert frame.screen_failure.tolist() == ['N', 'N', 'N', 'Y']
    assert frame.adverse_events.tolist() == [2, 0, 1, 0] and frame.serious_adverse_events.tolist() == [1, 0, 0, 0]
    assert frame.treatment_emergent_adverse_events.tolist() == [2, 0, 0, 0]
    assert frame.SC_EDLEVEL.tolist()[:3] == [12, 16, 9] and frame.VS_PULSE_BL['P1'] == 64 and frame.BMIBL.tolist()[:3] == [24.5, 30, 21]
    assert 'actual arm Placebo' not in frame.narrative['P3']   # DM has no actual arm here
    early = read_subjects(write(place/'trial', TRIAL), until=29).set_index('USUBJID')
    assert early.adverse_events.tolist() == [1, 0, 1, 0]   # the rash of "2020-01", which is over on day 22, was collected on day 29
    for until, number in ((7, 0), (8, 1), (28, 1), (30, 2), (31, 3)):   # the headache was collected on day 8, the rash on 29, the stroke on 31
        assert read_subjects(place/'trial', until=until).adverse_events.sum() == number
    assert early.screen_failure.tolist()[:3] == ['N', 'N', 'N'] and early.screen_failure.isna()['P4']   # no day 1, so no study day can be told
    assert {'TRTDUR', 'DCDECOD', 'TRT01A'} <= early.attrs['left_out'].keys() and not {'TRTDUR', 'DCDECOD', 'TRT01A'} & {*early}
    before = read_subjects(write(place/'trial', TRIAL), until=-1)
    assert before.ARM.isna().all() and before.BMIBL.isna().all() and not before.narrative.str.contains('arm').any()
    assert read_subjects(place/'trial', until='2019-12-24').screen_failure.tolist()[3] == 'Y'


# -- nothing is told before it was known

DAYS = st.integers(-20, 90).filter(lambda number: number != 0)
EVENT = st.tuples(st.sampled_from(SUBJECTS), DAYS, st.none() | st.integers(0, 60), st.none() | st.integers(0, 40), st.sampled_from(['MILD', 'SEVERE']), st.sampled_from(['Y', 'N']),
                  st.sampled_from(['FATAL', 'RECOVERED/RESOLVED', 'NOT RECOVERED/NOT RESOLVED']), st.sampled_from([10, 7, 4]))


def later(start: str, days) -> str | None: return None if days is None else (date.fromisoformat(start) + timedelta(days=days)).isoformat()


def events_frame(events):
    "Adverse events with an end, a day of collection and dates that may be partial."
    rows = [(subject, f'EVENT {place}', severity, serious, outcome, day(number)[:kept], later(day(number), lasted), later(day(number), waited))
            for place, (subject, number, lasted, waited, severity, serious, outcome, kept) in enumerate(events)]
    return pd.DataFrame(rows, columns=['USUBJID', 'AETERM', 'AESEV', 'AESER', 'AEOUT', 'AESTDTC', 'AEENDTC', 'AEDTC'], dtype=object)


def rewritten(frame, start, cut, draw):
    "The same table with another future: what began, ended or was collected after `cut` is changed or gone."
    frame = frame.copy()
    for row in frame.index:
        cell = lambda name: frame.at[row, name]
        if (cell('AEENDTC') or '9') > cut:   # still going on: how it went and ended may change
            frame.at[row, 'AEENDTC'], frame.at[row, 'AEOUT'], frame.at[row, 'AESER'] = draw(st.none() | st.just('2021-01-01')), draw(st.sampled_from(['FATAL', 'RECOVERED/RESOLVED'])), draw(st.sampled_from(['Y', 'N']))
            if cell('AEDTC') is None or cell('AEDTC') > cut: frame.at[row, 'AESEV'] = draw(st.sampled_from(['MODERATE', 'MILD']))
    latest = [f'{begun}-99-99'[:10] for begun in frame[start]]   # of a partial date: the end of its month or year
    unknown = [row for row, begun in zip(frame.index, latest) if begun > cut or (frame.at[row, 'AEDTC'] or '0') > cut]
    return frame.drop(index=[row for row in unknown if draw(st.booleans())])


@settings(max_examples=30, deadline=None)
@given(events=st.lists(EVENT, min_size=1, max_size=6), until=DAYS, data=st.data())
def test_another_future_changes_nothing_that_was_known(place, events, until, data):
    "The narrative and the columns of a day depend on nothing that came after it."
    cut, one = day(until), events_frame(events)
    other = rewritten(one, 'AESTDTC', cut, data.draw)
    tables = {name: pd.DataFrame(TRIAL[name]) for name in ('dm', 'adsl', 'ds', 'sv', 'ex')}
    changed = {name: table.copy() for name, table in tables.items()}
    changed['adsl'][['TRTDUR', 'DCDECOD', 'TRT01A']] = [[1, 'LOST', 'Other']]*3
    for name, column in (('adsl', 'TRTEDT'), ('adsl', 'RFENDT'), ('dm', 'RFENDTC'), ('dm', 'DTHDTC'), ('ex', 'EXENDTC')):
        changed[name][column] = [None if (cell if isinstance(cell, str) else '9') > cut else cell for cell in changed[name][column]]
    for name, column in (('ds', 'DSSTDTC'), ('sv', 'SVSTDTC')): changed[name] = changed[name][changed[name][column] <= cut]
    first = read_courses(write(place/'one', {**tables, 'ae': one}), until=until)
    second = read_courses(write(place/'other', {**changed, 'ae': other if len(other) else other.reindex([0])}), until=until) if len(other) else read_courses(write(place/'other', changed), until=until)
    shared = [name for name in first.table if name in second.table]
    assert first.table.narrative.tolist() == second.table.narrative.tolist()
    pd.testing.assert_frame_equal(first.table[shared].astype(object).fillna('-'), second.table[shared].astype(object).fillna('-'), check_dtype=False)
    assert all(known <= cut for known in first.narrative_sources.known.dropna())


@settings(max_examples=10, deadline=None)
@given(events=st.lists(EVENT, min_size=1, max_size=6), days=st.tuples(DAYS, DAYS))
def test_more_days_tell_no_less(place, events, days):
    folder = write(place/'trial', {**TRIAL, 'ae': events_frame(events)})
    sooner, later_on = (read_courses(folder, until=number).narrative_sources for number in sorted(days))
    rows = lambda sources: set(zip(sources.subject, sources.table, sources.row))
    assert rows(sooner) <= rows(later_on) <= rows(read_courses(folder).narrative_sources)


def test_a_day_of_its_own_for_each_subject(place):
    folder = write(place/'trial', TRIAL)
    frame = read_subjects(folder, until={'P1': 4, 'P2': '2020-03-10', 'P3': -5, 'P4': '2019-12-24'}).set_index('USUBJID')
    assert frame.ARM.fillna('-').tolist() == ['Active', 'Placebo', '-', '-'] or frame.ARM.fillna('-').tolist() == ['Active', 'Placebo', '-', 'Screen Failure']
    assert 'ibuprofen 400 mg for headache.' in frame.narrative['P1'] and 'to day 6' not in frame.narrative['P1']
    assert 'completed' in frame.narrative['P2'] and 'screen failure' in frame.narrative['P4']
    with pytest.raises(DataError, match='no day for subject P2'): read_subjects(folder, until={'P1': 4})


# -- every clause comes from its row

OURS = set('subject years old male female site planned actual arm on day in visit visits treatment adverse event events criteria death disability cancer overdose hospitalisation life threatening '
           'congenital anomaly medically important serious not relation to action taken ended outcome disposition dispositions trial trials milestone milestones characteristics vital signs laboratory concomitant '
           'medication medications medical history for at baseline grade number undated findings'.split())


def check_clauses(courses, numbers_too=True):
    "Each clause lies where its span says, spans do not overlap, and its words are those of its row or of the template."
    texts = dict(zip(courses.table[courses.table.attrs['roles']['subject']].astype(str), courses.table.narrative))
    for subject, own in courses.narrative_sources.groupby('subject', sort=False):
        text, last = texts[subject], 0
        for start, end, table, row, number in zip(own.start, own.end, own.table, own.row, own.day):
            assert last <= start < end <= len(text)
            assert text[last:start].strip() in ('', ';', '.') and text[end] in ';.'
            cells = ' '.join(str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell) for cell in courses.tables[table].iloc[row].dropna()).lower()
            clause = re.sub(r'\bday -?\d+', '', text[start:end].lower())   # study days are counted, not copied
            strange = [word for word in re.findall(r'[^\W\d_]+', clause) if word not in OURS and word not in cells]
            assert not strange, (table, row, strange)
            if numbers_too: assert not [found for found in re.findall(r'\d+(?:\.\d+)?', clause) if found not in cells], (table, row)
            last = end
        assert text[last:] == '.'


def test_clauses_of_a_small_trial_come_from_their_rows(place):
    courses = read_courses(write(place/'trial', TRIAL))
    check_clauses(courses)
    text = courses.table.narrative[0]
    found = courses.source('P1', text.index('stroke'))
    assert (found['table'], found['row'], found['cells']['AESER']) == ('ae', 1, 'Y')
    assert courses.source('P1', len(text) - 1) is None
    with pytest.raises(DataError, match='no subject P9'): courses.source('P9', 0)


def test_every_clause_of_the_pilot_trial_comes_from_its_row(real_data):
    courses = read_courses(real_data/'cdisc_pilot')
    check_clauses(courses)
    told = courses.narrative_sources.groupby('table').row.nunique()
    assert {name: int(told[name]) for name in ('ae', 'ds', 'ex', 'sv', 'sc', 'dm')} == {name: len(courses.tables[name]) for name in ('ae', 'ds', 'ex', 'sv', 'sc', 'dm')}
    ordered = courses.narrative_sources.groupby('subject', sort=False).day.agg(lambda days: days.dropna().is_monotonic_increasing)
    assert ordered.all()
    days = courses.tables['ae']   # our study day is the sponsor's
    first = dict(zip(courses.tables['dm'].USUBJID, courses.tables['dm'].RFSTDTC))
    whole = days[(days.AESTDTC.str.len() == 10) & days.AESTDY.notna()]
    ours = [study_day(date.fromisoformat(start), date.fromisoformat(first[subject])) for subject, start in zip(whole.USUBJID, whole.AESTDTC)]
    assert sum(mine != theirs for mine, theirs in zip(ours, whole.AESTDY)) == courses.table.attrs['days_differ']['ae'] == 1   # AESTDY 366 for an event of day 1


def test_only_analysis_data(real_data):
    frame = read_subjects(real_data/'cdisc_pilot'/'adam')
    assert len(frame) == 254 and (frame.screen_failure == 'N').all()
    assert frame.adverse_events.sum() == 1191
    assert frame.narrative.str.contains('disposition: completed').sum() == 110


# -- records of care

def test_any_table_of_synthea_may_be_missing(real_data, tmp_path):
    source = real_data/'synthea_omop27'
    names = sorted(path.stem for path in source.glob('*.csv'))
    for gone in names:
        folder = tmp_path/gone
        folder.mkdir()
        for name in names:
            if name != gone: (folder/f'{name}.csv').symlink_to((source/f'{name}.csv').resolve())
        if gone == 'patients':
            with pytest.raises(DataError, match='patients'): read_subjects(folder)
        elif gone in ('observations', 'encounters', 'devices'):
            courses = read_courses(folder)
            assert len(courses.table) == 27 and gone not in set(courses.narrative_sources.table)


def test_synthea_tells_its_rows_and_no_names(real_data):
    folder = real_data/'synthea_omop27'
    courses = read_courses(folder)
    for subject, own in courses.narrative_sources.groupby('subject', sort=False):
        text = courses.table.narrative[courses.table.ID == subject].item()
        for start, end, table, row in zip(own.start, own.end, own.table, own.row):
            if table != 'patients': assert str(courses.tables[table].DESCRIPTION.iloc[row]).strip() in text[start:end]
    patients = courses.tables['patients']
    for text, first, last, address in zip(courses.table.narrative, patients.FIRST, patients.LAST, patients.ADDRESS): assert not any(part in text for part in (first, last, address))
    early = read_courses(folder, until='2015-06-30')
    assert (early.narrative_sources.known.dropna() <= '2015-06-30').all()
    assert not {'HEALTHCARE_EXPENSES', 'MARITAL'} & {*early.table} and 'SSN' in read_subjects(folder, identifiers=True)
    stays = courses.tables['encounters']
    assert len(early.narrative_sources.query("table == 'encounters'")) == (stays.START < '2015-07-01').sum()
