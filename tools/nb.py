"""Write notebooks as text, and keep what they show.

    python tools/nb.py open nbs/01_model.ipynb   # -> .edit/01_model.py, a percent script to edit
    python tools/nb.py save .edit/01_model.py    # -> nbs/01_model.ipynb: cell ids and true outputs kept
    python tools/nb.py run  nbs/01_model.ipynb   # run it in a kernel, keep its outputs, clean it
    python tools/nb.py render                    # nbs/index.ipynb -> README.md, without Quarto
"""
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

import jupytext
import nbformat
from execnb.nbio import write_nb
from jupytext.combine import combine_inputs_with_outputs
from nbclient import NotebookClient
from nbdev.clean import clean_nb
from nbdev.config import add_init, get_config
from nbdev.doclinks import _build_modidx
from nbdev.export import nb_export
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NBS  = ROOT/'nbs'
EDIT = ROOT/'.edit'   # ignored by git: the notebook is the only source

NO_METADATA = {'jupytext': {'notebook_metadata_filter': '-all', 'cell_metadata_filter': '-all'}}
KERNEL = {'kernelspec': {'display_name': 'python3', 'language': 'python', 'name': 'python3'}}
STILL_CHARTS = 'from clintrial.drawing import enable_renderer; enable_renderer(); del enable_renderer'   # as a user sees them
LIVE_CHART = 'application/vnd.vegalite.v5+json', 'image/svg+xml'
LIVE_VIEW = 'application/vnd.jupyter.widget-view+json'
PLACES = (   # of this run and this machine alone
    (re.compile(r'[\w/.-]{0,60}/ipykernel_\d+/\d+\.py:(\d+)'), r'line \1 of this cell'),
    (re.compile(r'[\w/.-]{0,60}/ipykernel_\d+/\d+\.py'), 'this cell'),
    (re.compile(re.escape(tempfile.gettempdir()) + r'/tmp[a-z0-9_]{8}'), 'temporary_folder'),
)


# -- open and save

def open_as_script(notebook: Path) -> Path:
    "Write `notebook` as a percent script, ready for any text editor."
    nb = nbformat.read(notebook, as_version=4)
    nb.metadata = nbformat.from_dict(NO_METADATA)
    script = EDIT/f'{notebook.stem}.py'
    script.parent.mkdir(exist_ok=True)
    jupytext.write(nb, script, fmt='py:percent')
    return script


def save_as_notebook(script: Path) -> Path:
    "Merge `script` into its notebook. Unchanged cells keep outputs; matched cells keep ids."
    notebook = NBS/f'{script.stem}.ipynb'
    nb = jupytext.read(script, fmt='py:percent')
    new_ids = {cell.id for cell in nb.cells}
    if notebook.exists():
        old = nbformat.read(notebook, as_version=4)
        source_of = {cell.id: cell.source for cell in old.cells}
        nb = combine_inputs_with_outputs(nb, old, fmt='py:percent')
        for cell in nb.cells:
            edited = source_of.get(cell.id) != cell.source
            if edited and cell.cell_type == 'code': cell.outputs = []   # no longer true
    taken = {cell.id for cell in nb.cells} - new_ids
    for cell in nb.cells:
        if cell.id in new_ids: cell.id = id_from_source(cell, taken)
        taken.add(cell.id)
    return write_clean(nb, notebook)


def id_from_source(cell, taken: set) -> str:
    "An id made from what the cell says, so that a rebuilt notebook gets the same ids."
    for salt in range(1000):
        digest = hashlib.sha1(f'{salt}{cell.cell_type}{cell.source}'.encode()).hexdigest()[:8]
        if digest not in taken: return digest


def export(notebooks: list[Path]):
    "The modules of these notebooks, which other notebooks import; `nbdev_export` makes all of them."
    for notebook in notebooks: nb_export(notebook)
    add_init(get_config().lib_path)
    _build_modidx()


# -- run

def run_notebook(notebook: Path) -> Path:
    "Run `notebook` in its own kernel, with charts as pictures, and keep what it shows."
    os.environ.update(TOKENIZERS_PARALLELISM='false', OMP_NUM_THREADS='1')
    nb = nbformat.read(notebook, as_version=4)
    client = Runner(nb, timeout=900, kernel_name='python3', record_timing=False,
                    resources={'metadata': {'path': str(NBS)}})
    client.on_notebook_start = lambda notebook: client.kc.execute(STILL_CHARTS, silent=True)
    client.execute()
    for cell in nb.cells:
        if cell.source.startswith('show_doc('): cell.outputs = []   # holds line numbers; the docs remake it
        if 'outputs' in cell: cell.outputs = [settle(output) for output in cell.outputs if not is_bar(output)]
    return write_clean(nb, notebook)


class Runner(NotebookClient):
    "Passes over the cells that `nbdev_test` passes over."
    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if cell.cell_type == 'code' and is_skipped(cell.source): return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)


def is_skipped(source: str) -> bool:
    "Does a directive, or a call of `nbdev_export`, keep this cell from running?"
    directives = re.findall(r'^#\|\s*(.+?)\s*$', source, re.M)
    flags = set(get_config().tst_flags.split())
    return ('nbdev_export(' in source or 'eval: false' in directives
            or any(line.split()[0] in flags for line in directives))


def is_bar(output) -> bool:
    "Is this what a progress bar left behind?"
    shown = output.get('data', {})
    text = output.get('text') or shown.get('text/plain', '')
    return bool(re.search(r'\d%\|.*\|', text)) or '<progress' in shown.get('text/html', '')


def settle(output):
    "Make `output` small, still, and the same at every run."
    shown = output.get('data', {})
    if 'text' in output: output['text'] = placeless(output['text'])
    shown.update({kind: placeless(words) for kind, words in shown.items() if kind.startswith('text/')})
    if shown.pop(LIVE_VIEW, None): shown['text/plain'] = '(a live panel: run this notebook to use it)'
    if 'image/png' in shown:
        shown['image/png'] = fewer_colours(shown['image/png'])
        for kind in LIVE_CHART: shown.pop(kind, None)   # who runs the notebook gets it again
    return output


def placeless(words: str) -> str:
    "The same words without the names of temporary files."
    for pattern, instead in PLACES: words = pattern.sub(instead, words)
    return words


def fewer_colours(png: str, colours: int = 256) -> str:
    "The same picture with a palette, about a tenth of the size."
    picture = Image.open(io.BytesIO(b64decode(png))).convert('RGB').quantize(colours)
    packed = io.BytesIO()
    picture.save(packed, 'PNG', optimize=True)
    return b64encode(packed.getvalue()).decode()


# -- write

def write_clean(nb, notebook: Path) -> Path:
    "Write `nb` just as `nbdev_clean` would, so that cleaning it again changes nothing."
    plain = json.loads(nbformat.v4.writes(nb))
    plain.update(metadata=KERNEL, nbformat=4, nbformat_minor=5)
    clean_nb(plain)
    write_nb(plain, notebook)
    return notebook


def render_readme() -> Path:
    "Make README.md, and its pictures, from nbs/index.ipynb."
    from nbconvert import MarkdownExporter
    nb = nbformat.read(NBS/'index.ipynb', as_version=4)
    nb.metadata['language_info'] = {'name': 'python'}
    nb.cells = [cell for cell in nb.cells if '#| hide' not in cell.source]
    for cell in nb.cells:
        if '#| echo: false' in cell.source: cell.metadata['transient'] = {'remove_source': True}
        cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    body, found = MarkdownExporter(exclude_input_prompt=True).from_notebook_node(nb,
        resources={'output_files_dir': 'nbs/images', 'unique_key': 'index'})
    shutil.rmtree(NBS/'images', ignore_errors=True)
    for name, data in found['outputs'].items():
        (ROOT/name).parent.mkdir(exist_ok=True)
        (ROOT/name).write_bytes(data)
    body = re.sub(r'\n{3,}', '\n\n', body).strip().replace('](pictures/', '](nbs/pictures/')   # README stands above nbs
    readme = ROOT/'README.md'
    readme.write_text(f'<!-- Made from nbs/index.ipynb by tools/nb.py: edit the notebook. -->\n\n{body}\n')
    return readme


ACTIONS = {'open': open_as_script, 'save': save_as_notebook, 'run': run_notebook}

if __name__ == '__main__':
    action, *paths = sys.argv[1:] or ['help']
    if action == 'render': print(render_readme())
    elif action in ACTIONS:
        done = [ACTIONS[action](Path(path).resolve()) for path in paths]
        print(*done, sep='\n')
        if action == 'save': export(done)
    else: sys.exit(__doc__)
