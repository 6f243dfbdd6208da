"The protocol of live charts, whatever the network does; what a long history keeps; a kernel without widgets."
import os
import subprocess
import sys
import threading
from pathlib import Path

import altair as alt
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.live import CHUNK, LIMIT, LiveChart, plain_rows, still, thinned_rows

LOSS = alt.Chart(alt.NamedData('live'), title='Loss').mark_line().encode(x='step:Q', y='loss:Q')


class View:
    "What the script in the browser does with messages, in Python."
    def __init__(self, chart): self.chart, self.have, self.held, self.room, self.generation, self.rows = chart, 0, 0, float('inf'), -1, []

    def ask(self): self.chart.heard(self.chart, {'kind': 'ask', 'generation': self.generation, 'have': self.have, 'held': self.held}, [])

    def hear(self, message):
        if message['kind'] != 'rows': return
        if message.get('whole'):
            self.generation, self.have, self.room, self.rows = message['generation'], message['end'], message['room'], list(message['rows'])
            self.held = len(self.rows)
            return
        if message['generation'] != self.generation or message['start'] > self.have: return self.ask()
        new = message['rows'][self.have - message['start']:]
        self.have, self.held, self.rows = self.have + len(new), self.held + len(new), self.rows + new
        if new and self.held > self.room: self.ask()


events = st.lists(st.one_of(st.tuples(st.just('append'), st.integers(1, 40)), st.tuples(st.just('lost'), st.integers(1, 40)), st.just(('replace', 3)), st.just(('reload', 0)), st.just(('second', 0))), max_size=25)


@settings(max_examples=60, deadline=None)
@given(events)
def test_every_view_is_complete_in_the_end(events):
    "Messages get lost, pages reload, a second tab opens: each view ends with every row, in order."
    chart, views, lost, count = LiveChart(LOSS), [], [False], [0]
    chart.tell = lambda message: None if lost[0] else [view.hear(message) for view in list(views)]
    def fresh(): view = View(chart); views.append(view); view.ask()
    fresh()
    def rows(n):
        count[0] += n
        return [{'step': place, 'loss': 1/place} for place in range(count[0] - n + 1, count[0] + 1)]
    for kind, n in events:
        lost[0] = kind == 'lost'
        if kind in ('append', 'lost'): chart.append(rows(n))
        elif kind == 'replace': chart.replace(rows(n))
        elif kind == 'reload': views.clear(); fresh()
        else: fresh()
    lost[0] = False
    chart.append(rows(1))
    for view in views: assert view.rows == chart.rows and view.have == len(chart.rows)


def test_an_hour_stays_small_and_keeps_its_extremes():
    "Fourteen thousand refreshes of two rows: a view never holds more than twice the limit, and the spike is still there."
    chart = LiveChart(LOSS)
    view, most = View(chart), 0
    chart.tell = view.hear
    view.ask()
    for place in range(0, 28_800, 2):
        chart.append([{'step': place, 'loss': 1.}, {'step': place + 1, 'loss': 99. if place == 8_000 else 1. + place % 7}])
        most = max(most, view.held)
    assert most <= 2*LIMIT + 2 and view.have == 28_800
    assert max(row['loss'] for row in view.rows) == 99 and view.rows[-1]['step'] == 28_799
    assert 'highest 99 at 8,001' in chart.description


rows = st.lists(st.fixed_dictionaries({'step': st.integers(0, 10**6), 'loss': st.one_of(st.none(), st.floats(-1e6, 1e6)), 'which': st.sampled_from('ab')}), max_size=400)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(20, 100))
def test_thinning_keeps_ends_and_extremes_of_each_line(rows, limit):
    few = thinned_rows(rows, 'step', ['loss'], ['which'], limit)
    assert [row for row in rows if any(row is one for one in few)] == few   # a part, in order
    for which in 'ab':
        whole, kept = ([row for row in some if row['which'] == which] for some in (rows, few))
        if not whole: continue
        assert kept[0] is whole[0] and kept[-1] is whole[-1]
        for worst in (min, max): assert worst((row['loss'] for row in whole if row['loss'] is not None), default=None) == worst((row['loss'] for row in kept if row['loss'] is not None), default=None)


def test_threads_may_append():
    chart, seen = LiveChart(LOSS), []
    chart.tell = lambda message: seen.append((message['start'], len(message['rows'])))
    threads = [threading.Thread(target=lambda: [chart.append([{'step': 1, 'loss': 2.}]) for _ in range(200)]) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(chart.rows) == 800 and seen == [(place, 1) for place in range(800)]


def test_what_json_cannot_hold_is_sent_as_nothing():
    odd = pd.DataFrame({'loss': [float('inf'), float('nan'), 1.], 'day': pd.to_datetime(['2026-01-05', None, '2026-01-07'])})
    assert [row['loss'] for row in plain_rows(odd)] == [None, None, 1.]
    assert plain_rows(odd)[1]['day'] in (None, 'NaT')


def test_a_burst_is_sent_thinned():
    chart, seen = LiveChart(LOSS), []
    chart.tell = seen.append
    chart.append([{'step': place, 'loss': place % 13} for place in range(20*CHUNK)])
    assert seen[0]['whole'] and len(seen[0]['rows']) <= LIMIT + 2 and seen[0]['end'] == 20*CHUNK


def test_charts_share_one_vega():
    first, second = LiveChart(LOSS), still(LOSS.properties(data=pd.DataFrame({'step': [1], 'loss': [2.]})))
    assert first.runtime is second.runtime
    assert len(first._esm) < 20_000 < 500_000 < len(first.runtime._esm) < 1_500_000


def test_without_widgets_a_chart_is_a_picture():
    "Where anywidget is not installed, the room still opens, and a chart can be drawn."
    code = """
import sys
for name in ('anywidget', 'ipywidgets'): sys.modules[name] = None
import altair as alt
from clintrial.live import LiveChart
chart = LiveChart(alt.Chart(alt.NamedData('live')).mark_line().encode(x='step:Q', y='loss:Q'))
chart.append([{'step': 1, 'loss': .5}, {'step': 2, 'loss': .25}])
assert chart.drawn().startswith('<svg')
print(chart.description)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(Path(__file__).parent.parent)})
    assert done.returncode == 0, done.stderr
    assert '0.25 at 2' in done.stdout
