"Labels by keyboard alone, in a real browser: keys act within the panel only, answers are in the file, undo, agreement, light and dark."
import json

import pytest

SETUP = '''
from clintrial.panels.labelling import LabelPanel
from clintrial.simulate import simulate_trial
trial = simulate_trial(60, seed=2, length=60)
truth = trial.data.targets().response
'''
SHOW = '''
panel = LabelPanel(trial.data, 'labels.jsonl', ('non-responder', 'responder', 'unclear'), question='Did the patient respond?', labeller='Ana', order='table', random_share=0)
panel
'''


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with a table and the panel."
    return lab_page.open([SETUP, SHOW], 'labelling').run(0)


def lines(lab): return [json.loads(line) for line in (lab.server.folder/'notebooks'/'labels.jsonl').read_text().splitlines()]


def test_keyboard_only(lab, notebook):
    "Focus the case, press keys: each answer is on the disk, the next case is shown, the notebook's shortcuts sleep."
    page = lab.run(1).page
    lab.until_value('panel.work.used_order == "table" and not panel._aide.busy')
    case = page.locator('.ct-panel:not(.ct-still) .ct-case [role=region]')
    case.wait_for()
    cells = page.locator('.jp-Notebook .jp-Cell').count()
    page.locator('.ct-panel:not(.ct-still) .ct-case [role=region]').focus()
    first = lab.value('panel.work.case')
    lab.press('2')
    lab.until_value(f'panel.work.case != {first!r}')
    assert [line['label'] for line in lines(lab) if line['kind'] == 'answer'] == ['responder']
    page.get_by_text('Saved: responder.').wait_for()
    page.get_by_role('button', name='unclear (3)').focus()
    lab.press('3')
    lab.until_value('len(panel.store.labels()) == 2')
    lab.press('s')
    lab.until_value("panel.work.progress['skipped'] == 1")
    lab.press('u')
    lab.until_value("panel.work.progress['skipped'] == 0")
    lab.press('Enter')          # on the button that has the focus: the same as its key
    lab.until_value('len(panel.store.labels()) == 3')
    page.get_by_label('Remark').focus()
    lab.press('1', 's', 'u')    # typed, not meant as keys
    assert page.get_by_label('Remark').input_value() == '1su'
    lab.press('Tab')
    lab.until_value("panel.remark.value == '1su' and len(panel.store.labels()) == 3")
    assert page.locator('.jp-Notebook .jp-Cell').count() == cells
    lab.shot('labelling-light')
    lab.theme('dark')
    lab.shot('labelling-dark')
    assert lab.axe() == []
    lab.theme('light')
    assert lab.axe() == []


def test_keys_do_nothing_outside(lab, notebook):
    "A key in another cell is the notebook's."
    before = lab.value('len(panel.store.labels())')
    lab.page.locator('.jp-Notebook .jp-Cell').first.locator('.cm-content').click()
    lab.press('End', '2', 'Backspace')
    assert lab.value('len(panel.store.labels())') == before


def test_a_reload_goes_on_at_the_same_case(lab, notebook):
    case = lab.value('panel.work.case')
    lab.reload()
    lab.page.locator('.ct-panel:not(.ct-still) .ct-case [role=region]', has_text=f'Case {case} ').wait_for()
    assert lab.value('panel.work.case') == case
