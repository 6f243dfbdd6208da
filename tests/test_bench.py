"The benches are too long for the suite; that what they take from the package still exists is checked here."
import ast
import importlib
from pathlib import Path

import pytest

BENCHES = sorted((Path(__file__).parent.parent/'bench').glob('*.py'))


def names_taken(path: Path):
    "Every name that a bench imports from this package, inside its functions too."
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'clintrial':
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize('path', BENCHES, ids=lambda path: path.stem)
def test_a_bench_takes_only_names_that_exist(path):
    "A room that is renamed must not leave a bench behind."
    gone = [f'{module}.{name}' for module, name in names_taken(path) if not hasattr(importlib.import_module(module), name)]
    assert not gone, f'{path.name} takes {gone}'
