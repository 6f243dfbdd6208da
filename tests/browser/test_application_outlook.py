"An outlook in a browser: a patient, a landmark, four pages; by mouse and by keyboard alone, light and dark."
import pytest

READY = '''from clintrial.application_panels.outlook import OutlookPanel
from clintrial.outlook import Onsets, calibrated, fit_hazards, landmark_table, modelled_problems, only_modelled, simulate_courses
courses = simulate_courses(320, seed=3).courses
asked = landmark_table(courses, (84, 140), 90)
chosen = modelled_problems(asked, least=20)
splits = only_modelled(asked, chosen).data.split(fractions=(.6, .1, .2, .1), seed=0)
model = calibrated(fit_hazards(Onsets(chosen.names, 90).fit(splits.train.frame), splits), splits, chosen.refused)'''


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with a model of five problems, and the courses that it learned from."
    return lab_page.open([READY, 'panel = OutlookPanel(model, courses)\npanel'], 'outlook').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def test_pages_by_mouse(panel):
    "Look ahead, turn to each page; nothing serious for axe, in the light and in the dark."
    page = panel.page
    page.get_by_role('button', name='Look ahead', exact=True).click()
    panel.until_value('panel.outlook is not None')
    page.get_by_text('within 90 days').first.wait_for()
    panel.shot('outlook_light')
    for title in ('Answers', 'Course', 'Reasons', 'Outlook'):
        page.get_by_role('tab', name=title, exact=True).click()
        assert not panel.axe()
    assert not panel.axe_in_both_themes()


def test_by_keyboard_alone(panel):
    "Enter looks ahead, the arrow turns the page."
    page = panel.page
    page.get_by_role('button', name='Look ahead', exact=True).focus()
    panel.press('Enter')
    panel.until_value('panel.outlook is not None')
    page.get_by_role('tab', name='Outlook', exact=True).focus()
    panel.press('ArrowRight')
    assert panel.focused() == 'Answers'
