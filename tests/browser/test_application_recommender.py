"The recommender's panel in a browser: by mouse, light and dark, and a pregnancy by keyboard."
import pytest


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with a recommender of a simulated trial."
    made = '''import pandas as pd
from clintrial.application_panels.recommender import RecommenderPanel
from clintrial.recommender import Guard, Recommender
from clintrial.simulate import simulate_trial
trial = simulate_trial(600, seed=8, coefficients={'treatment': -.3, 'treatment:marker': 1.5})
rules = pd.DataFrame([('xylomab', 'pregnancy', '', 'refused', 'invented', 'invented')], columns=['drug', 'kind', 'when', 'verdict', 'reason', 'source'])
recommender = Recommender.fit(trial.frame, 'response', 'arm', ['age', 'marker'], probabilities='equal', event='responder', drugs={'active': 'xylomab', 'placebo': None}, guard=Guard.of(rules), try_it=False)
patients = simulate_trial(3, seed=901).frame.set_index('subject').assign(pregnant='no', allergies='none')'''
    return lab_page.open([made, 'panel = RecommenderPanel(recommender, patients)\npanel'], 'recommender').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def test_drugs_are_ranked(panel):
    "Press Recommend; nothing serious for axe, in the light and in the dark."
    page = panel.page
    page.get_by_role('button', name='Recommend', exact=True).click()
    page.get_by_text('This is no advice').wait_for()
    assert not panel.axe_in_both_themes()


def test_a_pregnancy_by_keyboard(panel):
    "Pregnant: the drug is refused, and the panel says so."
    page = panel.page
    page.get_by_label('Pregnant', exact=True).select_option('yes')
    page.get_by_role('button', name='Recommend', exact=True).focus()
    panel.press('Enter')
    page.get_by_text('no drug is recommended').first.wait_for()
    panel.until_value("(panel.found.table['guard'] == 'refused').any()")
