"ExplainPanel in JupyterLab: explained, walked through, checked and read with the keyboard alone; nothing serious for axe-core; a picture in light and in dark."
import json
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from lab import ROOT

PANEL = '''
from clintrial.panels.explaining import ExplainPanel
from clintrial.predictor import Predictor
import pandas as pd
table = pd.read_json({table!r}, orient='split')
panel = ExplainPanel(Predictor({run!r}), table, lang={lang!r})
panel
'''


@pytest.fixture(scope='module')
def explained_run(tiny_backbone, tmp_path_factory):
    "A run of the toy trial in its folder, and its patients in a file."
    found = spec_from_file_location('toys', ROOT/'tests'/'conftest.py')   # `conftest` is the one beside this file
    toys = module_from_spec(found)
    found.loader.exec_module(toys)
    folder = tmp_path_factory.mktemp('explained')
    toys.toy_tuner(tiny_backbone, folder/'run').fit()
    toys.toy_trial().frame.head(6).to_json(folder/'table.json', orient='split')
    return dict(table=str(folder/'table.json'), run=str(folder/'run'))


def test_from_field_to_word_by_keyboard(lab, explained_run):
    lab.open([PANEL.format(**explained_run, lang='en')]).run(0)
    page = lab.page
    page.get_by_label('Document', exact=True).focus()
    lab.press('ArrowDown')
    lab.until_value("panel.document.value == 'P001'")
    page.get_by_role('button', name='Explain').focus()
    lab.press('Enter')
    lab.until_value('panel.faithfulness is not None', 90)
    page.get_by_text('comprehensiveness').first.wait_for()
    lab.until("() => !document.querySelector('.ct-panel[aria-busy=true]')")
    page.get_by_role('listbox', name='Field').focus()       # the field that counts most is chosen at first, whichever that is
    lab.press('End')
    page.get_by_text('This column has no words').wait_for()
    lab.press('Home')
    lab.until_value("panel.part.value == 'note'")
    lab.until("() => [...document.querySelectorAll('.ct-panel .ct-heat')].some(one => one.offsetParent)")
    lab.press('Tab')
    assert lab.focused() == 'Sentence'
    assert lab.axe() == []
    lab.shot('explaining-light')


def test_a_number_opens_its_cell(lab):
    page = lab.page
    page.get_by_role('tab', name='Field, sentence, word').focus()
    lab.press('End')
    number = page.locator('.ct-reading [data-source]').nth(3)
    number.wait_for()
    number.focus()
    lab.press('Enter')
    page.locator('.ct-panel mark strong').wait_for()
    assert number.get_attribute('aria-pressed') == 'true'
    page.get_by_label('Language of the text', exact=True).select_option('中文')
    page.locator('article.narrative[lang="zh-CN"]').wait_for()
    assert lab.axe() == []
    lab.shot('explaining-words')


def test_what_would_change_it_in_the_dark(lab):
    page = lab.page
    lab.theme('dark')
    page.get_by_role('tab', name='In words').focus()
    lab.press('ArrowLeft')
    page.get_by_role('button', name='Search').focus()
    lab.press('Space')
    page.get_by_text('Edits that were tried').first.wait_for()
    assert lab.axe() == []
    lab.press('Shift+Tab')
    page.get_by_role('tab', name='What would change it').focus()
    lab.press('ArrowLeft')
    page.locator('.ct-on-dark .map a').last.wait_for()
    page.locator('.ct-on-dark .map a').last.focus()
    lab.press('Enter')
    lab.until("() => document.activeElement.closest('.ct-heat')")
    ground = page.locator('.ct-on-dark .ct-heat').last.evaluate('one => getComputedStyle(one).backgroundColor')
    assert ground != 'rgb(255, 255, 255)'
    assert lab.axe() == []
    lab.shot('explaining-dark')


def test_in_chinese_and_after_a_reload(lab, explained_run):
    lab.open([PANEL.format(**explained_run, lang='zh'), '1 + 1']).run(0)
    lab.page.get_by_role('button', name='解释 (e)').click()
    lab.until_value('panel.faithfulness is not None')
    lab.reload()
    lab.page.locator('.ct-panel:not(.ct-still) .ct-heat').first.wait_for(state='attached')
    lab.page.get_by_role('listbox', name='句子').wait_for()
    assert lab.axe() == []
    lab.shot('explaining-zh')
    assert json.loads(json.dumps(lab.value('panel.state')))['document'] == 'P000'
