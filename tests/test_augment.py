"Augmentation: what must not change does not, for narratives and for arbitrary text."
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.augment import METHODS, BackTranslation, Paraphrase, SectionShuffle, Synonyms, TypingErrors, augment, augment_text
from clintrial.augment.changes import sentence_spans
from clintrial.dataset import Schema, TrialData
from clintrial.loading import DataError
from clintrial.mentions import find_mentions
from clintrial.simulate import simulate_trial

HARD = (Synonyms(1.), Paraphrase(1.), TypingErrors(1.), SectionShuffle(keep_leaning=False))
KEPT = ('quantity', 'number', 'comparator', 'date', 'time_window', 'negation', 'drug', 'frequency', 'severity')
WORDS = ['no', 'not', 'denies', 'nausea', 'fever', '5 mg', '10-20 mg/kg', 'at least', '<=', '3 May 2024', 'ibuprofen', 'twice daily', 'severe', 'but', 'however', 'and', 'The patient reports', 'stopped', 'medication', 'visit',
         'within 4 weeks of', 'randomization', 'headache', 'improved', 'doctor', '. ', '.\n', '\n\nHistory: ', '; ', ',', '无', '恶心', '患者', '出现', '。', '每日两次', 'ruled out', 'may', 'march', 'one']
TEXTS = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(WORDS), max_size=25).map(' '.join), st.lists(st.sampled_from(WORDS), max_size=25).map(''.join))


def kept_by_sentence(text):
    "The protected mentions, in order, of each sentence; written apart from the code that is tested."
    sentences, found = sentence_spans(text), find_mentions(text, KEPT)
    groups = {}
    for mention in found:
        place = next(number for number, (start, end) in enumerate(sentences) if start <= mention.start < end)
        groups.setdefault(place, []).append((mention.kind, ' '.join(mention.text.split())))
    return Counter(map(tuple, groups.values()))


def digits(text): return Counter(re.findall(r'\d+', text))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.integers(0, 99))
def test_protected_mentions_of_arbitrary_text_stay(text, seed):
    again, _ = augment_text(text, HARD, seed)
    assert kept_by_sentence(again) == kept_by_sentence(text)
    assert digits(again) == digits(text)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.integers(0, 99), st.data())
def test_marked_spans_go_along(text, seed, data):
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4, unique=True)))
    spans = [[start, end, 'x'] for start, end in zip(places[::2], places[1::2])]
    again, moved = augment_text(text, HARD, seed, spans)
    assert sorted(again[start:end] for start, end, _ in moved) == sorted(text[start:end] for start, end, _ in spans)


@pytest.mark.parametrize('language', ['en', 'zh'])
def test_narratives_change_and_keep_what_matters(language):
    frame = simulate_trial(60, seed=8, language=language).frame
    changed = 0
    for seed, text in enumerate(frame['narrative']):
        again, _ = augment_text(text, HARD, seed)
        changed += again != text
        assert kept_by_sentence(again) == kept_by_sentence(text)
        denied = lambda words: Counter(mention.concept for mention in find_mentions(words, 'concept') if mention.negated)
        assert denied(again) == denied(text)
    assert changed > .9 * len(frame)


def careless(texts): return [' '.join(reversed(text.split())) for text in texts]
def loses(texts): return [re.sub(r'\[\d+\]', '', text) for text in texts]
def invents(texts): return [text + ' No change was seen after 500 mg.' for text in texts]


@pytest.mark.parametrize('there', [careless, loses, invents])
def test_a_bad_translator_does_no_harm(there):
    for text in simulate_trial(12, seed=1).frame['narrative']:
        again, _ = augment_text(text, BackTranslation(there, lambda texts: texts), 0)
        assert kept_by_sentence(again) == kept_by_sentence(text)


def test_only_the_training_part_grows_and_labels_stay():
    splits = simulate_trial(120, seed=5).data.split(seed=1)
    more = augment(splits, METHODS, copies=2, seed=3)
    assert all(getattr(more, name) is getattr(splits, name) for name in ('validation', 'calibration', 'test'))
    old, new = splits.train.frame, more.train.frame
    assert len(new) > 2.5 * len(old) and list(new.index[:len(old)]) == list(old.index)
    copies = new.iloc[len(old):]
    for column in old.columns.drop('narrative'):
        assert (copies[column].to_numpy() == old.loc[copies['augmented_from'], column].to_numpy()).all()
    assert not (set(copies['subject']) & set(more.test.frame['subject']))


def test_copies_and_their_source_stay_on_one_side():
    frame = pd.DataFrame({'note': [f'The doctor observed fatigue at the visit number {n}.' for n in range(60)], 'y': ['a', 'b'] * 30})
    more = augment(TrialData(frame, Schema(text='note', target='y')), Synonyms(1.), copies=3)
    for _, part in (again := more.split(seed=0)): pass
    sides = {}
    for name, part in again:
        for source in part.frame['augmented_from']: assert sides.setdefault(source, name) == name


def test_the_random_state_of_others_is_left_alone():
    before = np.random.get_state()[1].copy()
    augment_text('The doctor stopped the medication.', seed=1)
    assert (np.random.get_state()[1] == before).all()


def test_errors_name_the_place_and_show_no_text():
    table = TrialData(pd.DataFrame({'note': ['private words'], 'found': ['[[3, 99, "x"]]']}, index=['P9']), Schema(text='note', target='found'))
    with pytest.raises(DataError, match='row P9') as caught: augment(table)
    assert 'private' not in str(caught.value)
    two = TrialData(pd.DataFrame({'note': ['a b'], 'other': ['c d'], 'found': ['[[0, 1, "x"]]']}), Schema(text=('note', 'other'), target='found'))
    with pytest.raises(DataError, match='2 text columns'): augment(two)
    assert len(augment(two, spans={'found': 'note'})) == 1
