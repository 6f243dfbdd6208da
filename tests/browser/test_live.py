"Live charts in JupyterLab: rows arrive, a reload and a second tab heal themselves, light and dark, told in words, answers to the mouse."
import pytest

CHART = """
import altair as alt, pandas as pd, threading, time
from clintrial.live import LiveChart, still
lines = alt.Chart(alt.NamedData('live'), title='Loss').mark_line(color='#0072B2').encode(x='step:Q', y=alt.Y('loss:Q', scale=alt.Scale(zero=False)))
chart = LiveChart(lines.properties(width=300, height=120), description='Loss of the training.')
def feed(count, seconds=.02):
    def work():
        for _ in range(count):
            step = len(chart.rows) + 1
            chart.append([{'step': step, 'loss': 1/step}])
            time.sleep(seconds)
    threading.Thread(target=work, daemon=True).start()
"""
STILL = "points = still(alt.Chart(pd.DataFrame({'dose': [1, 2, 3], 'response': [.2, .5, .6]}), title='Response').mark_point(size=90).encode(x='dose:Q', y='response:Q').add_params(alt.selection_interval(name='brush')))\npoints"
TOLD = "() => Number((((document.querySelector('.clintrial-live p') || {}).textContent || '').match(/([\\d,]+) values/) || ['', '0'])[1].replace(',', ''))"
POINTS = "() => { const path = document.querySelector('.clintrial-live .mark-line path'); return path ? path.getAttribute('d').split(/[LM]/).length - 1 : 0 }"
LIVE = '.clintrial-live'


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with a live chart and a still one."
    return lab_page.open([CHART, 'chart', STILL], 'live').run()


@pytest.fixture
def page(lab, notebook): return lab


def whole(lab, rows):
    "Wait until the page has told and drawn so many rows."
    try: lab.until(f'() => ({TOLD})() >= {rows} && ({POINTS})() >= {rows}')
    except Exception as error: raise AssertionError(f'{rows} rows: the page tells {lab.page.evaluate(TOLD)} and draws {lab.page.evaluate(POINTS)}; {lab.page.locator(LIVE).count()} live charts') from error


def test_rows_arrive_while_a_cell_runs(page):
    page.value('feed(60)')
    whole(page, 60)
    assert page.page.locator(LIVE).get_attribute('aria-label') == 'Loss'
    words = page.page.evaluate(f"() => document.getElementById(document.querySelector('{LIVE}').getAttribute('aria-describedby')).textContent")
    assert words.startswith('Loss of the training. loss: 60 values; 1 at step 1') and '0.01667 at 60' in words
    assert not page.axe(LIVE)


def test_the_words_open_by_keyboard(page):
    page.page.locator(f'{LIVE} summary').focus()
    page.press('Enter')
    assert page.page.locator(f'{LIVE} p').is_visible()
    page.shot('live', whole=True)


def test_the_theme_is_followed_at_once(page):
    drawn = "() => [...document.querySelectorAll('.clintrial-live svg, .vega-embed svg')].map(one => getComputedStyle(one).backgroundColor)"
    before = page.page.evaluate(POINTS)
    page.theme('dark')
    page.until(f"() => ({drawn})().length >= 2 && ({drawn})().every(one => one === 'rgb(22, 22, 22)')")
    whole(page, before)
    page.until("() => document.querySelector('.clintrial-live .mark-line path').getAttribute('stroke').toUpperCase() === '#56B4E9'")
    page.shot('live_dark', whole=True)
    assert not page.axe(LIVE)
    page.theme('light')
    page.until(f"() => ({drawn})().every(one => one === 'rgb(255, 255, 255)')")


def reloaded_and_opened_twice(page):
    "Rows arrive all the while; what the reloaded page and the second tab draw is complete."
    page.value('feed(200, .05)')
    page.reload()
    whole(page, page.value('len(chart.rows)'))
    second = page.second_tab()
    whole(second, second.value('len(chart.rows)'))
    assert second.complaints() == []
    second.page.close()
    page.until_value('len(chart.rows) >= 260')
    whole(page, 260)


def test_a_reload_and_a_second_tab_are_whole(page): reloaded_and_opened_twice(page)


def test_also_under_ipykernel_7(lab_7):
    "Where a page's widget messages would go to a thread of their own, which after a reload was seen to sleep."
    lab_7.open([CHART, 'chart'], 'seven').run()
    assert lab_7.value("__import__('ipykernel').__version__").startswith('7.')
    lab_7.value('feed(60)')
    whole(lab_7, 60)
    reloaded_and_opened_twice(lab_7)


def test_a_long_history_is_thinned(page):
    page.value("chart.append([{'step': step, 'loss': 1 + step % 7} for step in range(1000, 41000)])")
    page.until(f'() => ({TOLD})() > 40000')
    assert 200 < page.page.evaluate(POINTS) < 3100


def test_what_is_brushed_reaches_python(page):
    box = page.page.locator('.jp-Notebook .jp-Cell').nth(2).locator('svg.marks').bounding_box()
    page.page.mouse.move(box['x'] + 80, box['y'] + 60)
    page.page.mouse.down()
    page.page.mouse.move(box['x'] + 200, box['y'] + 220, steps=5)
    page.page.mouse.up()
    chosen = page.until_value('points.selections.brush.value')
    assert set(chosen) == {'dose', 'response'}


def test_the_browser_asks_where_threads_cannot_reach_it(lab):
    "The way for Colab: nothing is pushed, the page asks twice a second."
    lab.open([CHART.replace("description='Loss of the training.'", "description='Loss of the training.', poll_ms=500"), 'chart'], 'pull').run()
    lab.value('feed(40)')
    whole(lab, 40)
