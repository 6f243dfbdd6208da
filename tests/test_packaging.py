"What is promised about installing and importing the package."
import ast
import os
import re
import shutil
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT/'clintrial'
GRAPHICS_CARD_ONLY = ('nvidia-', 'cuda-', 'triton')   # what torch asks for besides, off the processor-only index
OTHER_PYTHONS_ONLY = {'setuptools', 'soupsieve'}
HEAVY = ['torch', 'transformers', 'datasets', 'sklearn', 'pandas', 'altair']


@pytest.fixture(scope='module')
def settings():
    "The one section of settings.ini."
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']


@pytest.fixture(scope='module')
def constraints():
    "Tested version of each package, by its canonical name."
    lines = (ROOT/'constraints.txt').read_text(encoding='utf-8').splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith('#')]
    return {canonicalize_name(pin.name): pin for pin in pins}


def modules():
    "Every module of the package but the index that nbdev writes."
    return [path for path in sorted(PACKAGE.rglob('*.py')) if path.name != '_modidx.py']


# -- importing

def seconds_to_import():
    "Wall-clock seconds that a fresh interpreter takes from start to `import clintrial` done."
    started = time.perf_counter()
    subprocess.run([sys.executable, '-c', 'import clintrial'], check=True, cwd=ROOT)
    return time.perf_counter() - started


def test_import_takes_less_than_a_second():
    "The best of five: other work on the machine makes one slow, not all."
    assert min(seconds_to_import() for _ in range(5)) < 1


def test_import_loads_nothing_heavy():
    "Torch and the like wait for the room that needs them."
    code = f'import clintrial, sys; print([name for name in {HEAVY} if name in sys.modules])'
    shown = subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert shown.stdout.strip() == '[]'


def imports(path):
    "Pairs (module, name) that `path` imports at any depth; the name is None for a plain import."
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import): yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level: yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize('path', modules(), ids=lambda path: path.stem)
def test_only_patch_comes_from_the_authoring_tools(path):
    "Users of the package inherit no nbdev, and of fastcore `patch` alone."
    tools = {'nbdev', 'execnb', 'fastcore', 'ghapi', 'fastgit'}
    found = {pair for pair in imports(path) if pair[0].split('.')[0] in tools}
    assert found <= {('fastcore.basics', 'patch')}


# -- versions

def test_constraints_keep_to_the_stated_ranges(settings, constraints):
    "Every stated dependency has a tested version, inside its range."
    stated = [Requirement(text) for key in settings if key.endswith('requirements') for text in settings[key].split()]
    missing = [str(need) for need in stated if canonicalize_name(need.name) not in constraints]
    assert not missing
    for need in stated:
        pin = str(constraints[canonicalize_name(need.name)].specifier).removeprefix('==')
        assert need.specifier.contains(Version(pin), prereleases=True), f'{need} does not allow the tested {pin}'


def test_constraints_name_versions_and_nothing_else(constraints):
    "No range, no address, no local build: the file means the same on every machine."
    for pin in constraints.values():
        assert re.fullmatch(r'==[0-9][0-9a-z.]*', str(pin.specifier)) and not pin.url, pin


def test_the_tested_torch_is_pinned(constraints):
    "An open range would bring a later torch with some gigabytes of CUDA."
    assert str(constraints['torch'].specifier) == '==2.13.0'


def resolve(version, requirements, folder, *options):
    "What would be installed on Python `version`, as name -> version; skips where no registry answers."
    asked = folder/'requirements.in'
    asked.write_text('\n'.join(requirements), encoding='utf-8')
    done = subprocess.run([sys.executable, '-m', 'uv', 'pip', 'compile', '--quiet', '--no-header', '--no-annotate',
                           '--python-version', version, *options, str(asked)], capture_output=True, text=True, timeout=300)
    if re.search(r'Failed to fetch|Request failed|dns error|error sending request', done.stderr): pytest.skip('no package registry answers')
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split('==') for line in done.stdout.splitlines() if '==' in line)


@pytest.mark.parametrize('version', ['3.11.2', '3.12', '3.13'])
def test_ranges_resolve_on_every_python(version, settings, tmp_path):
    "The stated ranges have an answer on each (3.11.2 is Debian 12's)."
    found = resolve(version, settings['requirements'].split(), tmp_path)
    assert {'torch', 'transformers', 'pandas', 'altair'} <= set(found)


@pytest.mark.parametrize('version', ['3.11.2', '3.12', '3.13'])
def test_tested_versions_resolve_on_every_python(version, settings, constraints, tmp_path):
    "So have the tested versions, the tools of authors included."
    both = [*settings['requirements'].split(), *settings['dev_requirements'].split()]
    found = resolve(version, both, tmp_path, '--constraint', str(ROOT/'constraints.txt'))
    assert found['torch'] == '2.13.0'
    loose = set(found) - set(constraints)
    assert not {name for name in loose if not name.startswith(GRAPHICS_CARD_ONLY)} - OTHER_PYTHONS_ONLY, loose


# -- commands

def targets():
    "Names of the targets in the Makefile that a person may type."
    text = (ROOT/'Makefile').read_text(encoding='utf-8')
    return re.findall(r'^([a-z]+):', text, re.M)


@pytest.mark.skipif(not shutil.which('make'), reason='make is not installed')
def test_every_target_explains_itself():
    "`make`, like `make help`, lists each with a sentence."
    shown = subprocess.run(['make', '--no-print-directory'], cwd=ROOT, check=True, capture_output=True, text=True, env=clean_environment()).stdout
    assert {'help', 'demo', 'test', 'lab', 'app'} == set(targets())
    for target in targets(): assert re.search(rf'^make {target}\s+\S+', shown, re.M), target


def clean_environment():
    "The environment without what an outer `make` leaves in it."
    return {name: value for name, value in os.environ.items() if not name.startswith('MAKE') and name not in ('MFLAGS', 'OPTIONS')}


@pytest.mark.skipif(not shutil.which('make'), reason='make is not installed')
def test_values_reach_the_demo_untouched(tmp_path):
    "Spaces, quotes, `<`, `$`, and more: neither make nor the shell reads them."
    for name in ('Makefile', 'tools/demo.sh'):
        (tmp_path/name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT/name, tmp_path/name)
    stand_in(tmp_path/'tools/setup.sh', 'exit 0')
    stand_in(tmp_path/'.venv/bin/python', 'printf "%s\\n" "$@"')
    given = {'DATA': 'my file; `id` $(id) $HOME #1.tsv', 'TEXT': 'benefits,side effects', 'ORDER': "Ineffective<It's \"fair\"<…",
             'MAX_ROWS': '5'}
    asked = ['make', '--no-print-directory', 'demo', *(f'{name}={value}' for name, value in given.items())]
    shown = subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True, text=True, env=clean_environment()).stdout.splitlines()
    assert shown[:2] == ['-m', 'clintrial.demo']
    assert sorted(shown[2:]) == sorted(f"--{name.lower().replace('_', '-')}={value}" for name, value in given.items())


def stand_in(path, command):
    "Write a small program that takes the place of a real one."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/usr/bin/env bash\n{command}\n', encoding='utf-8')
    path.chmod(0o755)


@pytest.mark.parametrize('path', ['.ci/run', 'tools/setup.sh', 'tools/demo.sh', 'tools/test.sh'])
def test_scripts_can_be_run(path):
    "Executable, and readable by bash."
    assert (ROOT/path).stat().st_mode & 0o111
    subprocess.run(['bash', '-n', ROOT/path], check=True)


def test_continuous_integration_only_calls_make_test():
    "The steps live in one place."
    commands = [line for line in (ROOT/'.ci/run').read_text(encoding='utf-8').splitlines() if not line.startswith(('#', 'set ', 'cd '))]
    assert commands == ['exec make test']
