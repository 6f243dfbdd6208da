"Profiles: counts add up, nothing rare is shown, and what is handed in stays as it was."
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.dataset import TrialData
from clintrial.profile import profile
from clintrial.profile.content import as_arrow, every_nth, lengths, term_matrix, terms_of
from clintrial.schema import Schema


def a_trial(n, seed, rate=.1):
    "Patients with a note, numbers and classes, some cells missing."
    rng = np.random.default_rng(seed)
    words = 'stable tired nausea better worse pain sleeps well poorly walks eats daily'.split()
    frame = pd.DataFrame({'subject': [f'P{i // 2}' for i in range(n)], 'arm': rng.choice(['placebo', 'active'], n), 'note': [' '.join(rng.choice(words, 8)) for _ in range(n)],
                          'age': rng.normal(60, 9, n), 'sex': rng.choice(['f', 'm'], n), 'response': rng.choice(['yes', 'no'], n)})
    for name in ('age', 'sex'): frame[name] = frame[name].mask(rng.random(n) < rate)
    frame.loc[0, 'note'] = 'Okafor called from Lagos'
    return TrialData(frame, Schema(text='note', numeric='age', categorical='sex', target='response', arm='arm', subject='subject'))


@settings(max_examples=12, deadline=None)
@given(st.integers(40, 120), st.integers(0, 1000), st.floats(0, .5))
def test_counts_add_up(n, seed, rate):
    data = a_trial(n, seed, rate)
    before = data.frame
    found = profile(data)
    assert before.equals(data.frame)
    arms = found.numbers[found.numbers.arm != 'all']
    assert arms.n.sum() + arms.missing.sum() == n
    for table in (found.categories, found.histograms):
        whole = table[table.arm == 'all'].groupby('column')['count'].sum()
        parts = table[table.arm != 'all'].groupby('column')['count'].sum()
        assert whole.sub(parts, fill_value=0).drop('arm', errors='ignore').eq(0).all()
    shares = found.categories.groupby(['column', 'arm']).share.sum(min_count=1).dropna()
    assert np.allclose(shares, 1)
    assert (found.categories.low <= found.categories.share + 1e-12).all() and found.columns.missing.sum() == before.isna().sum().sum()
    if len(found.terms): assert found.terms.subjects.min() >= 5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet='abc 1血压高-', max_size=20), min_size=1, max_size=30), st.integers(1, 6))
def test_no_term_of_fewer_than_k_subjects(texts, k):
    holders = np.arange(len(texts)) // 2
    matrix, terms, held = term_matrix(texts, holders, k)
    for number, term in enumerate(terms):
        rows = [place for place, text in enumerate(texts) if term in terms_of(text)]
        assert matrix[:, number].sum() == len(rows) and held[number] == len({holders[place] for place in rows}) >= k
        assert not any(map(str.isdigit, term))


@given(st.lists(st.text(max_size=40), min_size=1, max_size=10))
def test_lengths_are_those_of_python(texts):
    counted = lengths(as_arrow(pd.Series(texts, dtype=object)))
    assert counted.characters.tolist() == [len(text) if text and not text.isspace() else 0 for text in texts]
    assert (counted.sentences[counted.characters > 0] >= 1).all()


@given(st.integers(0, 500), st.integers(1, 100))
def test_a_sample_is_even_and_within(n, most):
    places = every_nth(n, most)
    assert len(places) == min(n, most) and (np.diff(places) > 0).all() and (not n or places[-1] == n - 1 or most == 1)


def test_no_words_of_one_patient_anywhere():
    data = a_trial(200, 1)
    found = profile(data, data.split())
    for name in ('columns', 'numbers', 'categories', 'text', 'text_lengths', 'terms', 'drift', 'histograms'):
        assert 'okafor' not in getattr(found, name).to_csv().lower()
    assert 'okafor' not in (repr(found) + found._repr_html_() + found.sentence('zh')).lower()


def test_the_same_table_gives_the_same_profile():
    first, second = (profile(a_trial(120, 3), a_trial(120, 3).split()) for _ in range(2))
    for name in ('columns', 'numbers', 'categories', 'text', 'text_lengths', 'terms', 'drift', 'histograms'): assert getattr(first, name).equals(getattr(second, name))
