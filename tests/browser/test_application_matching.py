"Matching a note to trials in a browser: by mouse, by keyboard, and what axe says."
import pytest


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with four simulated trials and a judge fitted on simulated cases."
    return lab_page.open(['from clintrial.application_panels.matching import MatchingPanel\nfrom clintrial.matching import fit_judge, simulate_cases\ncases = simulate_cases(6, 4, seed=3)\njudge = fit_judge(cases.pairs, source="simulated cases")',
                          'panel = MatchingPanel(cases.trials, judge, note=cases.patients["note"].iloc[0])\npanel'], 'application_matching').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def test_a_note_is_matched(panel):
    "Match, turn to the evidence: sentences are marked; nothing serious for axe, in the light and in the dark."
    page = panel.page
    page.get_by_role('button', name='Match', exact=True).click()
    panel.until_value('panel.matches is not None')
    page.get_by_role('tab', name='Evidence').click()
    page.locator('.ct-note-text mark').first.wait_for()
    assert not panel.axe_in_both_themes()
    panel.shot('application_matching')


def test_an_empty_note_is_refused_by_keyboard(panel):
    "Enter on the button with an empty note: the refusal stands beside the field."
    page = panel.page
    page.get_by_label('Note', exact=True).fill(' ')
    page.get_by_role('button', name='Match', exact=True).focus()
    panel.press('Enter')
    page.get_by_text('Paste a note first.').wait_for()
