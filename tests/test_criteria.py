"Eligibility text: nothing is lost, whatever it is made of."
import json
import re
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.criteria import criteria_table, split_criteria
from clintrial.loading import DataError

LINES = ['Inclusion Criteria:', 'EXCLUSION CRITERIA', 'Exclusion:', 'PATIENT CHARACTERISTICS:', '入选标准：', '排除标准', '- Age >= 18 years', '  * Platelets >= 100 x 10^9/L', '1. Gout', '2) No chemotherapy within 4 weeks',
         'a. asthma', '(ii) COPD', '   wrapped line', '', ' \t', 'Age: 18 Performance status: 0-2', '1.年龄18-75岁；2.妊娠。', '-', '•', 'grade', '\u2028', 'Patients must not:', 'A patient MUST:', '**Inclusion**', 'x' * 90]
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(LINES) | st.text(max_size=12), max_size=14).flatmap(
    lambda lines: st.sampled_from(['\n', '\r\n', ' ', '\n\n', '\n        ']).map(lambda gap: gap.join(lines))))


def whole(text):
    "Check every promise about places, and return the criteria."
    criteria = split_criteria(text)
    assert ''.join(piece for _, piece in criteria.pieces) == text
    items, ends = criteria.table.to_dict('records'), 0
    for number, item in enumerate(items):
        assert ends <= item['start'] and text[item['start']:item['end']] == item['text'] == item['text'].strip() != ''
        assert item['kind'] in ('inclusion', 'exclusion', 'other') and -1 <= item['parent'] < number
        parent = items[item['parent']] if item['parent'] >= 0 else {'level': -1, 'kind': item['kind']}
        assert item['level'] == parent['level'] + 1 and item['kind'] == parent['kind']
        ends = item['end']
    for row in criteria.constraints[['item', 'start', 'end']].to_dict('records'):
        assert items[row['item']]['start'] <= row['start'] < row['end'] <= items[row['item']]['end']
    return criteria


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_no_character_is_lost(text):
    criteria = whole(text)
    for role, piece in criteria.pieces:      # between items stand blanks, bullets and numbers, never words
        if role == 'between': assert not re.search(r'[^\W\d_]{4,}', piece), piece


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(['gout', 'Age >= 18 years', 'no surgery within 4 weeks', 'HbA1c 7-9%', 'ECOG 0-2']), min_size=1, max_size=6),
       st.lists(st.sampled_from(['pregnancy', 'HIV infection', 'asthma']), min_size=1, max_size=4), st.sampled_from(['- ', '* ', '• ', '{}. ', '{}) ', '({}) ']), st.sampled_from(['', '  ', '\t']))
def test_a_list_comes_back_as_it_was_written(inside, outside, bullet, margin):
    written = 'Inclusion Criteria:\n\n' + '\n'.join(margin + bullet.format(n) + item for n, item in enumerate(inside, 1))
    written += '\n\nExclusion Criteria:\n\n' + '\n'.join(margin + bullet.format(n) + item for n, item in enumerate(outside, 1))
    table = whole(written).table
    assert list(table['text']) == inside + outside
    assert list(table['kind']) == ['inclusion'] * len(inside) + ['exclusion'] * len(outside)
    assert set(table['level']) == {0}


def test_every_record_of_the_registries(real_data):
    texts = []
    for part in ('train', 'valid'): texts += pd.read_csv(real_data/'top_phase1'/f'{part}.csv')['criteria'].dropna().tolist()
    for file in (real_data/'ctgov_records'/'xml_legacy').glob('*.xml'): texts.append(ElementTree.parse(file).findtext('.//eligibility/criteria/textblock') or '')
    for file in (real_data/'ctgov_records'/'json_v2').glob('*.json'): texts.append(json.loads(file.read_text(encoding='utf-8'))['protocolSection']['eligibilityModule']['eligibilityCriteria'])
    table, both = criteria_table(texts), 0
    for label, items in table.groupby('row', sort=False):
        text, place, between = texts[label], 0, []
        for start, end, item in zip(items['start'], items['end'], items['text']):
            assert place <= start and text[start:end] == item
            between.append(text[place:start])
            place = end
        assert ''.join(gap + item for gap, item in zip(between, items['text'])) + text[place:] == text
        both += {'inclusion', 'exclusion'} <= set(items['kind'])
    for text in texts[::8]: whole(text)       # constraints and headings too
    assert len(texts) > 1100 and both > .8 * len(texts)


def test_a_column_keeps_its_row_labels():
    texts = pd.Series(['Inclusion: gout', None, 'Exclusion: asthma'], index=['N1', 'N2', 'N3'])
    assert list(criteria_table(texts)['row']) == ['N1', 'N3']
    assert list(criteria_table(texts, constraints=True)['concept']) == ['gout', 'asthma']
    with pytest.raises(DataError, match='Row N2') as caught: criteria_table(pd.Series([['a list']], index=['N2']))
    assert 'a list' not in str(caught.value)
    assert list(criteria_table(pd.Series([], dtype=str)).columns)[:2] == ['row', 'item']
