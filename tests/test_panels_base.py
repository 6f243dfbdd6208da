"What holds for every panel: Chinese for each label, a still view without ipywidgets, notebooks that GitHub can read."
import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
PANELS = {'ComparePanel': 'comparing', 'DataPanel': 'data', 'ExplainPanel': 'explaining', 'FineTunePanel': 'finetuning', 'LabelPanel': 'labelling', 'PredictPanel': 'predicting'}
ROOMS = sorted((ROOT/'clintrial'/'panels').glob('[a-z]*.py'))
CHINESE = re.compile('[\u4e00-\u9fff]')
PROPER_NAMES = {'Kaplan–Meier'}
SMALL = '''
from clintrial.panels.base import Panel, action, chart_view, code_view, fold, html_view, log_slider_field, number_field, rows, tabs, text_field
class Dose(Panel):
    name, title = 'dose', 'Code'
    def build(self):
        self.weight = self.field('weight', number_field('Weight', 70, min=30, max=250))
        self.dose = self.field('dose', log_slider_field('Dose', .01, 10, 1.))
        self.note = self.field('note', text_field('Note'))
        self.total = html_view()
        self.button = action('Compute', self.guarded(lambda _: self.later(lambda: self.weight.value*self.dose.value, lambda total: self.total.update(f'{total:g}'))))
        return rows(self.weight, tabs({'dose': self.dose, 'note': fold('note', self.note)}), self.button, self.total, code_view(self))
    @property
    def code(self): return f'total = {self.weight.value:g}*{self.dose.value:g}'
'''


def panel_classes() -> list:
    "The six panels and the base."
    from clintrial.panels import base
    import clintrial.panels
    return [base.Panel, *(getattr(clintrial.panels, name) for name in PANELS)]


def said_in(path: Path) -> set:
    "Every text that a module says through `say('…')`, and the titles of its panels."
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        called = isinstance(node, ast.Call) and (getattr(node.func, 'attr', '') == 'say' or getattr(node.func, 'id', '') == 'say')
        if called and node.args and isinstance(node.args[0], ast.Constant): yield node.args[0].value
        if called and node.args and isinstance(node.args[0], ast.IfExp): yield from (part.value for part in (node.args[0].body, node.args[0].orelse) if isinstance(part, ast.Constant))


def words_known() -> dict:
    "English -> Chinese of the base and of every panel."
    from clintrial.panels import asking, base, explain_views
    known = {**base.WORDS, **asking.REFUSALS, **explain_views.FIGURES}   # the last two belong to functions that get a language, no panel
    for panel in panel_classes():
        for kind in panel.__mro__: known.update(vars(kind).get('WORDS', {}))
    return known


def test_the_door_hands_on_all_panels():
    "Each by its name, from the room that makes it, with a name and a title of its own."
    from clintrial.panels import ROOMS, Panel
    assert ROOMS == PANELS
    panels = panel_classes()[1:]
    assert all(issubclass(panel, Panel) for panel in panels)
    assert len({panel.name for panel in panels}) == len({panel.title for panel in panels}) == len(PANELS)


def test_the_door_is_light():
    "Asking for no panel brings no PyTorch, and `import clintrial` brings no widgets."
    code = 'import sys, clintrial; first = "ipywidgets" in sys.modules; import clintrial.panels; print(first, "torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT).stdout.split() == ['False', 'False']


@pytest.mark.parametrize('room', ROOMS, ids=lambda path: path.stem)
def test_every_label_has_its_chinese(room):
    known = words_known()
    missing = sorted({words for words in said_in(room) if words not in known and not words.isspace()})
    assert not missing, f'{room.name} says these only in English: {missing}'


def test_titles_and_words_are_chinese():
    "A translation has Chinese in it, and keeps the {places} of the English."
    known = words_known()
    for panel in panel_classes()[1:]: assert panel.title in known, f'{panel.__name__}: {panel.title}'
    places = lambda words: sorted(re.findall(r'{(\w+)[^}]*}', words))
    assert not [words for words, chinese in known.items() if places(words) != places(chinese)]
    bare = [words for words, chinese in known.items() if words not in PROPER_NAMES and not CHINESE.search(chinese) and re.search('[a-z]{4}', re.sub(r'{[^}]*}', '', chinese))]
    assert not bare, f'not translated: {bare}'


def test_without_ipywidgets():
    "State, code, slow work and the still view are all there; nothing claims to be a widget."
    code = "import sys\nsys.modules['ipywidgets'] = sys.modules['anywidget'] = None\n" + SMALL + '''
panel = Dose()
panel.state = {'weight': 80, 'dose': .5}
panel.button.click(); panel.settle()
assert panel.total.value == '40', panel.total.value
panel.note.value = '<script>alert(1)</script>'
bundle = panel._repr_mimebundle_()
assert sorted(bundle) == ['text/html', 'text/plain'] and '<script' not in bundle['text/html'] and '&lt;script' in bundle['text/html']
try: panel.state = {'weight': 1000}
except ValueError as error: assert 'weight' in str(error)
else: raise AssertionError('1000 kg was taken')
panel.close()
'''
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_a_saved_notebook_is_whole():
    "A notebook that shows a panel is valid with and without the widgets' state, and holds a still view that fetches nothing."
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook
    made = new_notebook(cells=[new_code_cell(SMALL + 'panel = Dose()\npanel')], metadata={'kernelspec': {'name': 'python3', 'display_name': 'Python 3'}})
    NotebookClient(made, timeout=120, kernel_name='python3', resources={'metadata': {'path': str(ROOT)}}).execute()
    nbformat.validate(made)
    shown = made.cells[0].outputs[0].data
    assert 'application/vnd.jupyter.widget-view+json' in shown and 'This is a still picture of a panel' in shown['text/html']
    assert not re.search(r'<script|(?:src|href)="http|@import', shown['text/html'])
    stored = made.metadata['widgets']['application/vnd.jupyter.widget-state+json']
    assert 'state' in stored                          # GitHub and nbviewer refuse a notebook whose widgets have no `state` key
    del made.metadata['widgets']                      # and so JupyterLab saves it, unless told otherwise
    nbformat.validate(made)


def test_our_notebooks_hold_no_live_widgets():
    "What is committed shows a still view: no widget's state, no view that points to none."
    for path in sorted((ROOT/'nbs').glob('*.ipynb')):
        notebook = json.loads(path.read_text(encoding='utf-8'))
        assert 'widgets' not in notebook['metadata'], path.name
        shown = [output.get('data', {}) for cell in notebook['cells'] for output in cell.get('outputs', [])]
        assert not [kinds for kinds in shown if 'application/vnd.jupyter.widget-view+json' in kinds], path.name
