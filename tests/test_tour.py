"The tour's first cell: it installs the package in Google Colab, and nowhere else."
import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
GOOGLE = 'google', 'google.colab'


@pytest.fixture(scope='module')
def first_cell() -> str:
    "Source of the first code cell."
    notebook = json.loads((ROOT/'nbs'/'90_tour.ipynb').read_text(encoding='utf-8'))
    return ''.join(next(cell for cell in notebook['cells'] if cell['cell_type'] == 'code')['source'])


@pytest.fixture
def git_url() -> str:
    "Where settings.ini says that the source is."
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']['git_url']


@pytest.fixture
def commands(monkeypatch) -> list:
    "What the cell runs is written down instead."
    asked = []
    monkeypatch.setattr(subprocess, 'run', lambda command, **options: asked.append(command) or SimpleNamespace(returncode=0, stdout='', stderr=''))
    return asked


@pytest.fixture
def in_colab(monkeypatch):
    "A stand-in for `google.colab`."
    for name in GOOGLE: monkeypatch.setitem(sys.modules, name, ModuleType(name))


def test_in_colab_it_installs_from_the_repository(first_cell, git_url, commands, in_colab):
    exec(first_cell, {})
    assert commands == [[sys.executable, '-m', 'pip', 'install', '-q', f'clintrial @ git+{git_url}']]


def test_elsewhere_it_does_nothing(first_cell, commands, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'google.colab', None)   # cannot be imported
    exec(first_cell, {})
    assert commands == [] and capsys.readouterr().out == ''


def test_the_address_is_that_of_settings(first_cell, git_url, commands, monkeypatch):
    monkeypatch.setitem(sys.modules, 'google.colab', None)
    told = {}
    exec(first_cell, told)
    assert told['git_url'] == git_url


def test_a_failed_installation_says_so(first_cell, git_url, in_colab, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, 'run', lambda command, **options: SimpleNamespace(returncode=1, stdout='', stderr='fatal: repository not found'))
    with pytest.raises(SystemExit, match='could not be installed') as stopped: exec(first_cell, {})
    assert git_url in str(stopped.value) and 'repository not found' in capsys.readouterr().out


def test_the_readme_says_how_to_open_it_in_colab(git_url):
    "The address, and no badge."
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    assert git_url in readme and '90_tour.ipynb' in readme and 'colab-badge' not in readme


@pytest.mark.slow
def test_the_code_in_the_readme_runs(tmp_path, monkeypatch, capsys):
    "As it stands, but on a trial of 80 patients and for one epoch."
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    code = readme.split('```python\n')[1].split('```')[0]
    small = code.replace('1_600', '80').replace("output_dir='runs/first'", "output_dir='runs/first', num_train_epochs=1, disable_tqdm=True")
    assert small.count('80') == 1 and 'num_train_epochs=1' in small
    monkeypatch.chdir(tmp_path)
    exec(small, {})
    shown = capsys.readouterr().out
    assert 'tfidf' in shown and 'abstain' in shown


def test_the_readme_names_every_room():
    "Its table is made when nbs/index.ipynb runs, so that a new room is easily forgotten."
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    rooms = sorted(path.stem for path in (ROOT/'nbs').glob('[0-9]*.ipynb') if '.' not in path.stem)
    assert [room for room in rooms if f'| [`{room}`](nbs/{room}.ipynb) |' not in readme] == []


def test_the_readme_links_to_files_that_exist():
    "Notebooks, pictures and pages."
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    targets = [target for target in re.findall(r'\]\(([^)\s]+)\)', readme) if not target.startswith('http')]
    assert targets and [target for target in targets if not (ROOT/target).exists()] == []
