"The package's charts in JupyterLab without a network: every one is drawn, linked, told in words, after a reload too; saved pages open from the disk."
import pytest
from lab import Page

CELLS = ["""
import altair as alt
import numpy as np
import pandas as pd
from clintrial import visualizer
from clintrial.simulate import simulate_trial
shown = visualizer.enable_renderer()
trial = simulate_trial(150, seed=0, length=1, areas=('major depression',))
draw = np.random.default_rng(0)
truth = draw.random(300) < .4
answers = pd.DataFrame({'target': truth, 'probability': np.clip(.3*truth + draw.beta(2, 3, 300), .01, .99), 'model': 'tfidf'})
""", "visualizer.roc_curve(answers)", "visualizer.reliability_diagram(answers)",
         "visualizer.training_curve(pd.DataFrame({'step': range(1, 61), 'loss': 1/np.sqrt(np.arange(1, 61)), 'eval_loss': [.5 if step % 20 == 0 else None for step in range(1, 61)]}))",
         "visualizer.kaplan_meier(trial.frame, time='event_time', event='event', by='arm', unit='days')",
         "visualizer.forest_plot(pd.DataFrame({'label': ['women', 'men', 'all'], 'group': '', 'summary': [False, False, True], 'estimate': [1.2, .9, 1.05], 'low': [.9, .6, .9], 'high': [1.6, 1.3, 1.2]}), measure='Risk ratio')",
         "visualizer.love_plot(visualizer.standardised_differences(trial.frame, 'arm', ['age', 'bmi', 'sex']))",
         "visualizer.missingness_matrix(trial.frame.assign(bmi=trial.frame['bmi'].mask(trial.frame['age'] > 60)), columns=['age', 'bmi'])",
         "visualizer.patient_flow(trial.visits[trial.visits['week'].isin([0, 8])].assign(state=lambda rows: np.where(rows['score'] > 20, 'high', 'low')), patient='subject', visit='week', state='state')",
         """
import re
text = trial.frame['narrative'].iloc[0]*40
words = pd.DataFrame([('P1', 'narrative', found.start(), found.end(), found[0]) for found in re.finditer(r'\\w+', text)], columns=['document', 'field', 'start', 'end', 'text'])
visualizer.document_heatmap(words.assign(score=draw.normal(size=len(words))), {'narrative': text}, target='responder')
""", """
counts = trial.frame.groupby('site', as_index=False).agg(patients=('subject', 'size'))
visualizer.linked(alt.Chart(counts).mark_bar().encode(x='patients:Q', y='site:N'), trial.frame, by='site', columns=['subject', 'narrative'])
""", """
with visualizer.enable_renderer('dark'): display(visualizer.roc_curve(answers))
"""]
DRAWN, PICTURES, HEAT, LINKED, DARK = (1, 2, 3, 4, 5, 6, 7, 10, 11), (8,), 9, 10, 11
COUNT = "cell => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(one => [one.querySelectorAll('.vega-embed canvas, .vega-embed svg.marks').length, one.querySelectorAll('.jp-OutputArea-output img').length, one.querySelectorAll('.ct-heat').length])"


def all_shown(lab):
    "Wait until every chart, picture and text is on the page; each canvas has been drawn on."
    lab.until(f"() => {{ const seen = ({COUNT})(); return {list(DRAWN)}.every(one => seen[one][0] > 0) && {list(PICTURES)}.every(one => seen[one][1] > 0) && seen[{HEAT}][2] > 0 }}")
    blank = lab.page.evaluate("() => [...document.querySelectorAll('.vega-embed canvas')].filter(one => { const pixels = one.getContext('2d').getImageData(0, 0, one.width, one.height).data; return new Set(new Uint32Array(pixels.buffer)).size < 3 }).length")
    assert blank == 0


def test_every_chart_is_drawn_without_a_network(lab):
    lab.open(CELLS, 'charts').run()
    all_shown(lab)
    assert lab.page.get_by_text('Javascript Error').count() == 0
    names = lab.page.locator('.vega-embed [role="graphics-document"]').evaluate_all('charts => charts.map(one => one.getAttribute("aria-label") || "")')
    assert len(names) >= len(DRAWN) and all(len(name) > 20 for name in names)   # told in words, with numbers
    lab.shot('charts', whole=True)


def test_the_map_leads_to_the_passage_by_keyboard(lab):
    cell = lab.page.locator('.jp-Notebook .jp-Cell').nth(HEAT)
    pane, last = cell.locator('.pane'), cell.locator('.map a').last
    assert pane.evaluate('pane => pane.scrollTop') == 0
    last.focus()
    lab.press('Enter')
    lab.until("() => document.querySelector('.ct-heat .pane').scrollTop > 200")
    lab.shot('charts_heat_map', whole=True)
    assert not lab.axe('.ct-heat')


def test_a_choice_shows_its_documents(lab):
    cell = lab.page.locator('.jp-Notebook .jp-Cell').nth(LINKED)
    choose = cell.locator('select')
    site = choose.locator('option').nth(1).inner_text()
    before = cell.locator('canvas').evaluate('one => one.toDataURL().length')
    choose.select_option(site)
    lab.until(f"() => document.querySelectorAll('.jp-Notebook .jp-Cell')[{LINKED}].querySelector('canvas').toDataURL().length !== {before}")


def test_a_chart_for_the_dark_has_a_dark_page(lab):
    corner = lab.page.locator('.jp-Notebook .jp-Cell').nth(DARK).locator('canvas').evaluate("one => [...one.getContext('2d').getImageData(2, 2, 1, 1).data]")
    assert max(corner[:3]) < 60


def test_charts_stand_after_a_reload_in_the_dark(lab):
    lab.reload()
    lab.theme('dark')
    all_shown(lab)
    lab.shot('charts_dark', whole=True)
    assert not lab.axe('.ct-heat')
    lab.theme('light')


def test_saved_pages_open_from_the_disk(context, tmp_path):
    import pandas as pd
    from clintrial import visualizer
    chart = visualizer.training_curve(pd.DataFrame({'step': [1, 2, 3], 'loss': [3., 2., 1.]}))
    words = pd.DataFrame({'document': 0, 'field': 'note', 'start': [0, 5], 'end': [4, 9], 'text': ['Pain', 'gone'], 'score': [-1., 2.]})
    heat = visualizer.document_heatmap(words, {'note': 'Pain gone.'})
    view = Page(context, 'file://')
    for name, one, wanted in (('chart', chart, '#chart svg.marks'), ('heat', heat, '.ct-heat mark')):
        for mode in ('light', 'dark'):
            view.page.goto(visualizer.save(one, tmp_path/f'{name}_{mode}.html', mode=mode).as_uri())
            view.page.wait_for_selector(wanted)
            ground = view.page.evaluate('() => getComputedStyle(document.body).backgroundColor')
            assert (ground == 'rgb(255, 255, 255)') == (mode == 'light')
    assert view.complaints() == []
    view.page.close()


@pytest.mark.parametrize('kind', ['png', 'svg', 'pdf'])
def test_pictures_need_no_browser(kind, tmp_path):
    import pandas as pd
    from clintrial import visualizer
    made = visualizer.save(visualizer.training_curve(pd.DataFrame({'step': [1, 2, 3], 'loss': [3., 2., 1.]})), tmp_path/f'chart.{kind}').read_bytes()
    assert made.startswith({'png': b'\x89PNG', 'svg': b'<svg', 'pdf': b'%PDF'}[kind]) and len(made) > 2000
    if kind == 'svg': assert 'href="http' not in made.decode()
