"What a text names: places are true, for any text; numbers and denials survive the wording."
import statistics
import time

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.features import text_features
from clintrial.lexicon import LEXICON
from clintrial.loading import DataError
from clintrial.mentions import KINDS, find_mentions, mentions_table, negation_scopes, protected_spans

WORDS = ['no', 'denies', 'nausea', 'was ruled out', '5', '1,500', '10', '^9', 'mg', '/L', 'x', 'ULN', 'grade', '3', 'III', 'within', 'the past', 'weeks', 'of', 'randomization', 'May', '2024-05', '-', '–', 'to', '<', '=', '>=', 'q3w',
         'every', 'day', 'prednisone', 'but', '。', '无', '恶心', '每', '3', '周', '第', '十二', '个月', '级', '\n', '\n - ', '  ', '½', '²', "'s", 'twice', 'daily', 'a', '%', '\ud83d', 'İ', 'ﬁ']
TEXTS = st.one_of(st.text(max_size=150), st.lists(st.sampled_from(WORDS), max_size=30).map(' '.join), st.lists(st.sampled_from(WORDS), max_size=30).map(''.join))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_places_are_true_for_any_text(text):
    found = find_mentions(text)
    assert all(mention.kind in KINDS and text[mention.start:mention.end] == mention.text and mention.text for mention in found)
    assert all(first.end <= second.start for first, second in zip(found, found[1:]))
    spans = protected_spans(text)
    assert all(start < end for start, end in spans) and all(first[1] <= second[0] for first, second in zip(spans, spans[1:]))
    inside = lambda place: any(start <= place < end for start, end in spans)
    assert all(inside(place) for place, letter in enumerate(text) if letter.isdecimal() and letter.isascii())   # no digit is unprotected
    assert all(0 <= scope.start <= scope.end <= len(text) for scope in negation_scopes(text))


@settings(max_examples=60, deadline=None)
@given(st.floats(.01, 99999).map(lambda value: round(value, 2)), st.sampled_from([('mg', 'mg'), ('µg', 'ug'), ('mL', 'mL'), ('g/dL', 'g/dL'), ('weeks', 'wk'), ('mmHg', 'mm[Hg]'), ('%', '%'), ('x ULN', '{ULN}'), ('× 10^9/L', '10*9/L'), ('毫克', 'mg')]),
       st.sampled_from([('at least', '>='), ('no more than', '<='), ('<', '<'), ('≥', '>='), ('greater than', '>'), ('不超过', '<='), ('', None)]))
def test_a_number_comes_back_with_its_unit_and_comparator(value, unit, comparator):
    (mention,) = [mention for mention in find_mentions(f'the value is {comparator[0]} {value} {unit[0]} here') if mention.kind == 'quantity']
    assert (mention.value, mention.unit, mention.comparator) == (pytest.approx(value), unit[1], comparator[1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(['nausea', 'fever', 'chest pain', 'rash', 'cough']), min_size=1, max_size=4, unique=True), st.sampled_from(['No', 'Denies', 'Without', 'No evidence of', 'Negative for']))
def test_a_list_is_denied_whole(findings, cue):
    text = f"{cue} {', '.join(findings)}. Headache persists."
    found = {mention.concept: mention.negated for mention in find_mentions(text, 'concept')}
    assert found == {finding: True for finding in findings} | {'headache': False}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(['No surgery within 4 weeks prior to randomization', 'Denies fever, chills and night sweats, but has severe back pain', 'AST no more than 2.5 times the upper limit of normal']), st.data())
def test_wrapped_lines_change_no_finding(text, data):
    blanks = [place for place, letter in enumerate(text) if letter == ' ']
    place = data.draw(st.sampled_from(blanks))
    wrapped = text[:place] + data.draw(st.sampled_from(['\n', '\n         ', '\r\n  ', '   '])) + text[place + 1:]
    plain = lambda words: [(mention.kind, ' '.join(mention.text.split()), *mention[4:]) for mention in find_mentions(words)]
    assert plain(wrapped) == plain(text)


def test_words_of_a_study_are_found_and_stay_in_their_lexicon():
    ours = LEXICON.add(concepts={'xerophthalmia': ['dry eyes', '干眼']}, drugs={'BAY 73-4506': ['bay 73 4506']})
    text = 'BAY 73-4506 was stopped for dry eyes; no 干眼 now.'
    assert [(mention.kind, mention.concept, mention.negated) for mention in find_mentions(text, ('drug', 'concept'), ours)] == [('drug', 'BAY 73-4506', False), ('concept', 'xerophthalmia', False), ('concept', 'xerophthalmia', True)]
    assert find_mentions(text, ('drug', 'concept')) == []


def test_errors_name_the_row_and_show_no_text():
    with pytest.raises(DataError, match='Row b') as caught: mentions_table(pd.Series(['fine', ['private words']], index=['a', 'b'], dtype=object))
    assert 'private' not in str(caught.value)


def test_time_grows_with_the_text():
    text = 'No nausea at 5 mg, but severe headache within 2 weeks of randomization. ' * 40
    def seconds(words):
        times = []
        for _ in range(3):
            start = time.process_time()
            find_mentions(words)
            times.append(time.process_time() - start)
        return statistics.median(times)
    seconds(text)
    assert seconds(text * 8) < 8 * 4 * seconds(text) + .05
    for nasty in ('no ' * 5000, '1,' * 5000, ' ' * 20000, '10^' * 5000, '无' * 5000, '\n' * 20000, 'within the past ' * 2000): assert seconds(nasty) < 5


def test_features_point_at_their_words():
    notes = pd.DataFrame({'note': ['Severe nausea for 3 days on 40 mg of furosemide.', 'No nausea.', None]}, index=['a', 'b', 'c'])
    read = text_features(notes, 'note', at_least=0)
    assert list(read.frame['nausea']) == ['present', 'absent', 'not mentioned']
    assert all(notes.loc[span.row, span.column][span.start:span.end] == span.text for span in read.spans.itertuples())
    assert list(text_features(notes.iloc[::-1], like=read).frame.loc[notes.index].columns) == list(read.frame.columns)
