"Charts of tables and trials: odd frames, numbers of marks, sums that must hold, and small JSON at any size."
import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.drawing import PARTNERS, Drawing, to_spec
from clintrial.loading import DataError
from clintrial.missing import missing_pattern
from clintrial.visualizer.missingness import dropout_curve, missing_patterns, missing_share, missingness_matrix
from clintrial.visualizer.tables import class_balance, class_counts, text_lengths
from clintrial.visualizer.trial_effects import forest_plot, love_plot, pooled_effect, standardised_differences, volcano
from clintrial.visualizer.trial_flow import check_flow, consort, flow_tables, patient_flow, width_of, wrapped
from clintrial.visualizer.trial_patients import median_limits, spider, swimmer, waterfall
from clintrial.visualizer.trial_time import disease_trend, group_sequential, kaplan_meier, survival_by_arm

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.text(st.characters(blacklist_categories=['Cs', 'Cc']), min_size=1, max_size=12).filter(str.strip)


def drawn(chart):
    "The specification of a chart, that holds no colour from outside the theme and a description."
    if isinstance(chart, Drawing): return chart.drawn('dark')
    spec = to_spec(chart, 'dark')
    words = json.dumps(spec)
    assert len(words) < 1_000_000 and len(spec['description']) > 20 and 'title' in spec
    assert not any(colour in words for colour in PARTNERS), 'a colour has no partner on a dark page'
    return spec


def rows_of(spec, *columns):
    "How many rows the largest data set with these columns has."
    return max(len(rows) for rows in spec['datasets'].values() if rows and set(columns) <= set(rows[0]))


@FEW
@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.sampled_from(['drug', 'placebo', '安慰剂'])), min_size=1, max_size=40))
def test_survival_is_a_survival(cases):
    "Curves start at 1, never rise, lie in their band, and the numbers at risk begin with everybody."
    frame = pd.DataFrame(cases, columns=['time', 'event', 'arm'])
    found = survival_by_arm(frame, by='arm')
    for _, curve in found.curve.groupby('arm'):
        assert curve['survival'].iloc[0] <= 1 and (curve['survival'].diff().dropna() <= 1e-12).all()
        known = curve.dropna(subset=['low', 'high'])
        assert ((known['low'] <= known['survival'] + 1e-9) & (known['survival'] <= known['high'] + 1e-9)).all()
    assert found.table['n'].sum() == len(frame) and found.table['events'].sum() == frame['event'].sum()
    drawn(kaplan_meier(frame, by='arm'))


@FEW
@given(st.lists(st.tuples(NAMES, st.one_of(st.none(), st.floats(.05, 20)), st.floats(1.01, 50)), min_size=1, max_size=20))
def test_forest_takes_odd_effects(effects):
    "Any names, effects that cannot be estimated, intervals of any width: one square each, all words present."
    frame = pd.DataFrame([(name, value, value and value/width, value and value*width) for name, value, width in effects], columns=['label', 'estimate', 'low', 'high'], dtype=object)
    spec = drawn(forest_plot(frame, 'Odds ratio'))
    known = int(frame['estimate'].notna().sum())
    assert not known or rows_of(spec, 'weight', 'start') == known
    assert spec['description'].count('not estimable') >= (frame.head(12)['estimate'].isna()).sum()


@FEW
@given(st.lists(st.tuples(st.floats(.2, 5), st.floats(1.1, 5)), min_size=1, max_size=12), st.sampled_from(['fixed', 'random']))
def test_pooled_effect_lies_among_its_rows(studies, method):
    "A pooled effect is a weighted mean, and lies in its interval."
    frame = pd.DataFrame([(value, value/width, value*width) for value, width in studies], columns=['estimate', 'low', 'high'])
    found = pooled_effect(frame, method)
    assert frame['estimate'].min() - 1e-9 <= found.estimate <= frame['estimate'].max() + 1e-9
    assert found.low <= found.estimate <= found.high and 0 <= found.i2 <= 1 and found.tau2 >= 0


@FEW
@given(st.integers(0, 500), st.integers(0, 50), st.lists(st.integers(0, 200), min_size=1, max_size=4))
def test_consort_adds_up_or_says_why(randomised, excluded, arms):
    "A flow is drawn exactly when its arms add up to the randomised patients."
    rows = [('assessed', None, randomised + excluded), ('excluded', None, excluded), ('randomised', None, randomised)] + [('allocated', f'arm {number}', n) for number, n in enumerate(arms)]
    flow = pd.DataFrame(rows, columns=['step', 'arm', 'n'])
    if sum(arms) == randomised: assert f'{randomised:,} randomised' in consort(flow).description
    else:
        with pytest.raises(DataError, match='sum of the arms'): check_flow(flow)
    right = pd.DataFrame([*rows[:2], ('randomised', None, sum(arms)), *rows[3:]], columns=['step', 'arm', 'n'])
    right.loc[0, 'n'] = sum(arms) + excluded
    assert drawn(consort(right)).startswith('<svg')


@FEW
@given(st.text(max_size=60), st.floats(20, 200))
def test_wrapping_loses_no_letter(words, width):
    "Lines together are the words; none is wider than asked for, but for a single letter."
    lines = wrapped(words, width)
    assert ''.join(''.join(lines).split()) == ''.join(words.split())
    assert all(width_of(line) <= width + 1e-9 or len(line.strip()) <= 1 for line in lines)


@FEW
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.sampled_from(['well', 'ill', '<dead> & "gone"'])), min_size=2, max_size=40))
def test_flow_of_patients_keeps_everybody(visits):
    "Every visit counts every patient once, and what leaves a visit arrives at the next."
    frame = pd.DataFrame(visits, columns=['patient', 'visit', 'state']).drop_duplicates(['patient', 'visit'])
    if frame['visit'].nunique() < 2: return
    counts, moves = flow_tables(frame, 'patient', 'visit', 'state', sorted(frame['visit'].unique()), ['well', 'ill', '<dead> & "gone"', 'not seen'])
    assert (counts.sum(1) == frame['patient'].nunique()).all()
    for place, move in enumerate(moves): assert (move.sum(1) == counts[place]).all() and (move.sum(0) == counts[place + 1]).all()
    assert patient_flow(frame).svg.count('<path') == sum(int((move > 0).sum()) for move in moves)


@FEW
@given(st.lists(st.floats(-100, 300), min_size=1, max_size=60), st.integers(2, 50))
def test_waterfall_shows_everybody_or_steps(changes, bars):
    "A bar a patient up to the limit, then so many steps that hold all patients."
    spec = drawn(waterfall(pd.DataFrame({'change': changes}), bars=bars))
    assert rows_of(spec, 'left', 'right') == min(len(changes), bars)


@FEW
@given(st.integers(1, 300))
def test_median_interval_covers(n):
    "The order-statistic interval covers the median with at least 95 %, and no narrower one of its kind does."
    from scipy.stats import binom
    low, high = median_limits(np.arange(1., n + 1))
    cover = lambda below: 1 - 2*binom.cdf(below - 1, n, .5)
    if np.isnan(low): assert cover(1) < .95
    else: assert cover(int(low)) >= .95 - 1e-12 and cover(int(low) + 1) < .95


@FEW
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), min_size=1, max_size=50))
def test_volcano_shows_every_outcome(outcomes):
    "Remarkable and unremarkable points together are all outcomes."
    frame = pd.DataFrame(outcomes, columns=['effect', 'p_value']).assign(label='术语')
    spec = drawn(volcano(frame))
    assert sum(len(rows) for rows in spec['datasets'].values() if rows and 'q' in rows[0] and 'effect' in rows[0]) >= len(frame)
    assert f'of {len(frame):,} outcomes' in spec['description']


@FEW
@given(st.lists(st.tuples(st.sampled_from(['a', 'b', None]), st.sampled_from(['x', 'y'])), min_size=1, max_size=40))
def test_classes_add_up(cases):
    "Counts add up to the known patients of each arm; shares to 1."
    frame = pd.DataFrame(cases, columns=['grade', 'arm'])
    if frame['grade'].isna().all():
        with pytest.raises(DataError): class_counts(frame, 'grade', 'arm')
        return
    table = class_counts(frame, 'grade', 'arm')
    assert table['count'].sum() == frame['grade'].notna().sum()
    assert np.allclose(table.groupby('arm')['share'].sum(), 1) and ((table['low'] <= table['share']) & (table['share'] <= table['high'])).all()
    drawn(class_balance(frame, 'grade', 'arm'))


@FEW
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=30))
def test_missing_cells_are_counted(cells):
    "The three charts of missing values agree with the table."
    frame = pd.DataFrame(np.where(np.array(cells), np.nan, 1.), columns=['a', 'b', '三'])
    pattern = missing_pattern(frame)
    words = drawn(missingness_matrix(frame))['description']
    assert f'{100*np.mean(cells):.1f}% of the cells' in words
    assert rows_of(drawn(missing_share(pattern.table)), 'place', 'share') == 3
    grid = drawn(missing_patterns(pattern.patterns))
    assert rows_of(grid, 'pattern', 'words') == min(15, len(pattern.patterns))


def test_dropout_never_rises():
    "Who left does not come back."
    rng = np.random.default_rng(0)
    long = pd.DataFrame({'subject': np.repeat(np.arange(200), 5), 'week': np.tile(np.arange(5), 200), 'score': np.where(rng.random(1000) < .3, np.nan, 1.)})
    spec = drawn(dropout_curve(missing_pattern(long, columns='score', visit='week', subject='subject').dropout))
    shares = [row['share'] for rows in spec['datasets'].values() if 'share' in rows[0] for row in rows]
    assert shares == sorted(shares, reverse=True)


def test_balance_after_perfect_weights():
    "Weights that make the groups alike leave no difference; the spread stays that before weighting."
    frame = pd.DataFrame({'arm': ['a']*4 + ['b']*4, 'age': [50., 50, 60, 60, 50, 50, 50, 60]})
    table = standardised_differences(frame, 'arm', ['age'], treated='a', weights=[1, 1, 1, 1, 2/3, 2/3, 2/3, 2]).set_index('stage')
    assert table.loc['before', 'difference'] == pytest.approx(2.5/np.sqrt((100/3 + 25)/2), rel=1e-6) and abs(table.loc['after', 'difference']) < 1e-9
    drawn(love_plot(table.reset_index()))


@pytest.mark.parametrize('make', [
    lambda rng, n: volcano(pd.DataFrame({'label': 'x', 'effect': rng.normal(size=n), 'p_value': rng.random(n)**4})),
    lambda rng, n: waterfall(pd.DataFrame({'change': rng.normal(0, 40, n)})),
    lambda rng, n: swimmer(pd.DataFrame({'patient': np.arange(n), 'duration': rng.random(n)})),
    lambda rng, n: spider(pd.DataFrame({'patient': np.arange(n)//5, 'time': rng.random(n), 'change': rng.normal(size=n)})),
    lambda rng, n: text_lengths(pd.DataFrame({'tokens': rng.integers(1, 9000, n), 'arm': rng.choice(['a', 'b'], n)}), by='arm', window=512),
    lambda rng, n: class_balance(pd.DataFrame({'code': rng.integers(0, 3000, n)}), 'code'),
    lambda rng, n: missingness_matrix(pd.DataFrame({'a': np.where(rng.random(n) < .3, np.nan, 1.), 'b': 1.})),
    lambda rng, n: disease_trend(pd.DataFrame({'time': np.arange(n), 'value': rng.normal(size=n), 'q05': -2., 'q95': 2.})),
], ids=['volcano', 'waterfall', 'swimmer', 'spider', 'text_lengths', 'class_balance', 'missingness_matrix', 'disease_trend'])
def test_many_rows_stay_small(make):
    "Three hundred thousand rows are aggregated before they reach the chart."
    start = time.perf_counter()
    assert len(json.dumps(drawn(make(np.random.default_rng(0), 300_000)))) < 600_000
    assert time.perf_counter() - start < 15


def test_sequential_boundaries_say_where_they_stop():
    "A z on the boundary crosses it."
    looks = pd.DataFrame({'information': [.5, 1.], 'upper': [2.8, 1.98], 'z': [2.8, None]})
    assert 'look 1 crosses the boundary of efficacy' in drawn(group_sequential(looks))['description']
