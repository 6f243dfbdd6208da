"What every panel can do in a browser: controls, keyboard, two tabs, reload, light and dark, Chinese."
import pytest

PANEL = '''
from clintrial.panels.base import *
import altair, pandas
class Dose(Panel):
    name, title = 'dose', 'Dose of a patient'
    WORDS = {'Dose of a patient': '患者剂量', 'Weight': '体重', 'Dose': '剂量', 'Arm': '组别', 'Visits': '访视', 'Notes': '备注', 'Rounded': '取整', 'Compute': '计算', 'Mean': '均值', 'File': '文件',
             'First': '第一页', 'Second': '第二页', 'Doses': '剂量表', 'In kilograms, without shoes.': '公斤，不穿鞋。'}
    def build(self):
        say, lang = self.say, self.lang
        self.weight = self.field('weight', number_field(say('Weight'), 70, min=30, max=250, unit='kg', help=say('In kilograms, without shoes.'), lang=lang))
        self.dose = self.field('dose', log_slider_field(say('Dose'), .001, 10, .1, unit='mg', curve=[(.001, 3), (.01, 2), (.1, 1), (1, 1.5), (10, 4)], lang=lang))
        self.mean = self.field('mean', slider_field(say('Mean'), 0, 1, .5, step=.1, lang=lang))
        self.arm = self.field('arm', choice_field(say('Arm'), ['A', 'B', 'dd'], lang=lang))
        self.visits = self.field('visits', choices_field(say('Visits'), [1, 2, 3], [1], lang=lang))
        self.notes = self.field('notes', area_field(say('Notes'), live=True, lang=lang))
        self.rounded = self.field('rounded', switch_field(say('Rounded'), lang=lang))
        self.file = self.field('file', file_field(say('File'), lang=lang))
        self.result = html_view()
        self.clicks = 0
        self.button = action(say('Compute'), self.guarded(self.compute), 'primary', key='c')
        bars = altair.Chart(pandas.DataFrame({'arm': ['A', 'B'], 'n': [1, 2]})).mark_bar().encode(x='n:Q', y='arm:N')
        self.pages = tabs({say('First'): rows(self.notes, self.rounded, self.file), say('Second'): rows(table_view(pandas.DataFrame({'arm': ['A', '<b>'], 'dose': [1.5, 2.]}), say('Doses'), lang=lang), chart_view(bars, lang))})
        return rows(columns(self.weight, self.dose, self.mean), columns(self.arm, self.visits), self.pages, self.button, self.result, code_view(self, open=True))
    def compute(self, _):
        self.clicks += 1
        self.later(lambda: self.weight.value*self.dose.value, lambda total: self.result.update(f'<p class="total">{total:g} mg</p>'))
    @property
    def code(self): return f'total = {self.weight.value:g}*{self.dose.value:g}'
'''


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel that knows the panel."
    return lab_page.open([PANEL, 'panel = Dose()\npanel']).run(0)


@pytest.fixture
def panel(lab, notebook):
    "A new panel with every kind of control, in JupyterLab."
    return lab.run(1)


def test_controls_by_mouse(panel):
    "Type, choose, tick, click; what is typed reaches Python, what Python computes reaches the page."
    page = panel.page
    page.get_by_label('Weight (kg)').fill('80')
    page.get_by_label('Weight (kg)').press('Tab')
    page.get_by_label('Arm').select_option('B')
    page.get_by_label('2', exact=True).check()
    page.get_by_label('Notes').fill('feels <well>')
    page.get_by_label('Dose: number').fill('0.5')
    page.get_by_label('Dose: number').press('Enter')
    panel.until_value("panel.state['dose'] == .5 and panel.state['weight'] == 80")
    assert panel.until_value("panel.state['visits'] == [1, 2] and panel.state") == {'weight': 80, 'dose': .5, 'mean': .5, 'arm': 'B', 'visits': [1, 2], 'notes': 'feels <well>', 'rounded': False, 'file': None}
    page.get_by_role('button', name='Compute').click()
    page.locator('.total', has_text='40 mg').wait_for()
    page.get_by_role('button', name='Copy the code').click()
    page.get_by_text('Copied.').wait_for()
    assert page.evaluate('() => navigator.clipboard.readText()') == 'total = 80*0.5'
    panel.shot('base-light')


def test_bad_input_is_said_beside_the_field(panel):
    page = panel.page
    weight = page.get_by_label('Weight (kg)')
    weight.fill('heavy')
    weight.press('Tab')
    page.get_by_text('Give a number at least 30 at most 250.').wait_for()
    panel.until("() => document.querySelector('.ct-panel .ct-number input').getAttribute('aria-invalid') === 'true'")
    described = page.evaluate("() => document.querySelector('.ct-panel .ct-number input').getAttribute('aria-describedby').split(' ').map(id => document.getElementById(id).textContent).join(' ')")
    assert 'without shoes' in described and 'Give a number' in described
    page.get_by_label('Dose: number').fill('1000')
    page.get_by_label('Dose: number').press('Enter')
    page.get_by_text('Give a number at least 0.001 at most 10.').wait_for()
    assert panel.value('panel.state')['weight'] == 70 and panel.value("panel.state['dose']") == .1
    assert panel.axe() == []
    panel.shot('base-errors')


def test_keyboard_alone(panel):
    "From the first control to the code with Tab, in reading order; letters are not commands of the notebook."
    page = panel.page
    page.get_by_label('Weight (kg)').focus()
    panel.press('Control+A'); page.keyboard.type('90')
    panel.press('Tab')
    assert panel.focused() == 'Dose'
    panel.press('ArrowRight', 'ArrowUp')
    panel.until_value("panel.state['dose'] > .1 and panel.state['weight'] == 90")
    panel.press('End'); panel.until_value("panel.state['dose'] == 10")
    panel.press('Tab', 'Tab')
    assert panel.focused() == 'Mean'
    panel.press('ArrowLeft'); panel.until_value("panel.state['mean'] == .4")
    panel.press('Tab', 'Tab')
    assert panel.focused().startswith('Arm')
    page.keyboard.type('dd')                       # in command mode of JupyterLab: delete this cell
    panel.until_value("panel.state['arm'] == 'dd'")
    assert page.locator('.jp-Notebook .jp-Cell').count() == 2
    panel.press('Tab'); assert panel.focused() == '1'
    panel.press('Space'); panel.until_value("panel.state['visits'] == []")
    panel.press('Tab', 'Tab', 'Tab')
    assert panel.focused() == 'First'
    panel.press('ArrowRight'); page.get_by_role('tabpanel', name='Second').get_by_role('table').wait_for()
    panel.press('Tab'); assert 'Doses' in panel.focused()
    page.get_by_role('tab', name='Second').focus()
    panel.press('c'); page.locator('.total').wait_for()      # the button's own key
    assert panel.value('panel.clicks') == 1
    fold = page.get_by_role('button', name='The code that does the same')
    assert fold.get_attribute('aria-expanded') == 'true'
    fold.focus(); panel.press('Enter')
    page.locator('.ct-code pre').wait_for(state='hidden')
    panel.until("() => [...document.querySelectorAll('.ct-fold-title')].some(one => one.textContent.includes('The code') && one.getAttribute('aria-expanded') === 'false')")


def test_everything_has_a_name(panel):
    "axe-core finds nothing serious, on either page of the panel, in light and in dark."
    page = panel.page
    assert panel.axe() == []
    assert page.get_by_role('region', name='Dose of a patient').count() == 1
    page.get_by_role('tab', name='Second').click()
    page.get_by_role('tabpanel', name='Second').get_by_role('table').wait_for()
    assert page.locator('.ct-on-light').first.is_visible() and not page.locator('.ct-on-dark').first.is_visible()
    assert panel.axe() == []
    panel.theme('dark')
    page.locator('.ct-on-dark').first.wait_for()
    assert not page.locator('.ct-on-light').first.is_visible()
    assert panel.axe() == []
    panel.shot('base-dark')
    page.get_by_role('tab', name='First').click()
    page.get_by_label('Notes').wait_for()
    assert panel.axe() == []
    panel.theme('light')
    page.locator('.ct-on-light').first.wait_for(state='attached')
    assert panel.axe() == []


def test_two_tabs_and_a_reload(panel):
    "What is typed in one tab shows in the other; after a reload everything is as it was."
    page = panel.page
    page.get_by_label('Notes').fill('first tab')
    panel.until_value("panel.state['notes'] == 'first tab'")
    second = panel.second_tab()
    second.page.get_by_label('Notes').wait_for()
    assert second.page.get_by_label('Notes').input_value() == 'first tab'
    second.page.get_by_label('Weight (kg)').fill('100')
    second.page.get_by_label('Weight (kg)').press('Enter')
    page.bring_to_front()
    panel.until("() => document.querySelector('.ct-number input').value === '100'")
    assert second.complaints() == []
    second.page.close()
    panel.reload()
    panel.page.get_by_label('Notes').wait_for()
    assert page.get_by_label('Notes').input_value() == 'first tab' and page.get_by_label('Weight (kg)').input_value() == '100'
    page.get_by_role('button', name='Compute').click()
    page.locator('.total', has_text='10 mg').wait_for()


def test_text_of_twice_the_size(panel):
    "The panel grows with the reader's text and needs no scrolling sideways."
    panel.page.add_style_tag(content=':root { --jp-ui-font-size1: 26px !important } .bigger-is-over { }')
    overflow = panel.page.evaluate("() => { const e = document.querySelector('.ct-panel'); return e.scrollWidth - e.clientWidth }")
    panel.shot('base-large-text')
    panel.page.evaluate("() => [...document.querySelectorAll('style')].find(one => one.textContent.includes('bigger-is-over')).remove()")
    assert overflow <= 0


def test_chinese(lab, notebook):
    lab.write(1, "panel = Dose(lang='zh')\npanel").run(1)
    lab.page.get_by_label('体重 (kg)').fill('重')
    lab.page.get_by_label('体重 (kg)').press('Tab')
    lab.page.get_by_text('请输入一个数字').wait_for()
    lab.page.get_by_role('button', name='计算').wait_for()
    assert lab.axe() == []
    lab.shot('base-zh')
