"From a table to its parts, by mouse and by keyboard, in a real browser."
import pytest

SETUP = '''
from clintrial.panels.data import DataPanel
from clintrial.simulate import simulate_trial
trial = simulate_trial(120, seed=1, length=40, leaks=('column',), phi=.2)
frame = trial.frame.assign(smoker=trial.frame.smoker.astype(str) + '  ')
frame.head(80).to_csv('trial.csv', index=False)
'''
SHOW = '''
panel = DataPanel(frame, target='response')
panel
'''


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with a table and the panel."
    return lab_page.open([SETUP, SHOW], 'data').run(0)


def idle(lab): lab.until_value('not panel._aide.busy')


def test_from_roles_to_parts(lab, notebook):
    "Each page once: roles, profile, cleaning with preview and undo, audit with a fix, split."
    page = lab.run(1).page
    live = lab.panel
    live.get_by_role('tab', name='Roles').click()
    live.get_by_label('disease_years', exact=True).select_option('no role')
    lab.until_value("panel.roles['disease_years'] == '' and 'disease_years' not in panel.data.schema.numeric")
    live.get_by_role('tab', name='Profile').click()
    live.get_by_role('button', name='Describe the table').click()
    idle(lab)
    live.get_by_label('What is drawn').select_option('age')
    lab.until_value("'age' in panel.picture.value")
    live.get_by_role('tab', name='Cleaning').click()
    live.get_by_role('button', name='Preview').click()
    live.get_by_text('cells would change').wait_for()
    live.get_by_role('button', name='Apply').click()
    lab.until_value('len(panel.steps) == 1')
    idle(lab)
    live.get_by_role('button', name='Undo the last step').click()
    lab.until_value('len(panel.steps) == 0')
    live.get_by_role('tab', name='Audit').click()
    live.get_by_role('button', name='Run the audit').click()
    live.get_by_role('button', name='Take closeout_code out of the inputs').first.wait_for()
    idle(lab)
    lab.shot('data-audit-light')
    assert lab.axe() == []
    live.get_by_role('button', name='Take closeout_code out of the inputs').first.click()
    lab.until_value("'closeout_code' not in panel.data.schema.categorical")
    idle(lab)
    live.get_by_role('tab', name='Split').click()
    live.get_by_role('button', name='Split the table').click()
    live.get_by_role('tabpanel', name='Split').locator('.ct-chart img:visible').wait_for()
    idle(lab)
    lab.theme('dark')
    lab.shot('data-split-dark')
    assert lab.axe() == []
    lab.theme('light')
    assert page.locator('.ct-panel:not(.ct-still)').count() == 1


def test_keyboard_only_and_bad_input(lab, notebook):
    "Arrows between pages, Tab into one; a bad share is said beside its field."
    live = lab.panel
    live.get_by_role('tab', name='Table').focus()
    lab.press('End')
    assert lab.focused() == 'Split'
    live.get_by_label('Test', exact=True).focus()
    lab.press('Control+a', '0', '.', '5', 'Tab')
    lab.until_value("panel.fields['test'].value == .5")
    live.get_by_role('button', name='Split the table').focus()
    lab.press('Enter')
    live.get_by_text('Give shares that sum to 1').wait_for()
    live.get_by_role('tab', name='Split').focus()
    lab.press('Home')
    live.locator('[role=tab][aria-selected=true][tabindex="0"]', has_text='Table').wait_for()
    lab.press('Tab')
    assert lab.focused() == 'File or folder on this machine'
    lab.page.keyboard.type('trial.csv')
    lab.press('Tab', 'Enter')
    lab.until_value("panel.source == 'trial.csv' and len(panel.data) == 80")
