"""A million rows cleaned and audited: time and peak memory against the number of rows, and against plain pandas string methods.

    python bench/data.py --quick

Each point is a process of its own, so that its peak memory is its own. A row: four texts of 60 words, age, weight, sex, a visit date, a subject; about one text in seven needs mending.
The whole job: `clean_file` streams the table from disk to disk with its log, `audit` reads the result. Up to 100,000 rows also `clean` in memory, and plain pandas: the same work on the texts by `Series.str` and
`Series.map`, without any record of it.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, describe_machine, finish, peak_memory_mb, progress

TEXTS = ('history', 'course', 'side_effects', 'comment')
SIZES = (10_000, 100_000, 1_000_000)
PLANTED = ((.03, lambda text: text.replace(' ', '  ', 3)), (.02, lambda text: text + ' '), (.02, lambda text: f'<p>{text}</p>'), (.02, lambda text: text.replace(' and ', ' &amp; ')),
           (.015, lambda text: text + ' MÃ¼digkeit'), (.03, lambda text: text + ' 40MG'), (.01, lambda text: '\ufeff' + text), (.01, lambda text: text + ' at 25 μg'))


def vocabulary() -> np.ndarray:
    "8,000 invented words and some real ones; some are outside ASCII."
    choose = np.random.default_rng(0)
    words = [''.join(choose.choice(list('abcdefghijklmnoprstuvwy'), choose.integers(2, 10))) for _ in range(8000)]
    return np.array([*words, *'and the 40 mg daily 120 mmHg nausea Müdigkeit naïve since week patient reported without'.split() * 40])


def chunk(start: int, rows: int, words: np.ndarray):
    "Rows `start` to `start + rows`, the same for any chunking that begins at `start`."
    import pandas as pd
    choose = np.random.default_rng([start, rows])
    columns = {'subject': [f'S{row:07}' for row in range(start, start + rows)], 'age': choose.integers(18, 90, rows), 'weight': choose.normal(75, 12, rows).round(1),
               'sex': choose.choice(['male', 'female', 'Male'], rows, p=[.5, .495, .005]), 'visit': pd.date_range('2020-01-01', periods=rows, freq='h').strftime('%Y-%m-%d'),
               'response': choose.choice(['yes', 'no'], rows)}
    for name in TEXTS:
        picked = words[(len(words) * choose.random((rows, 60))**1.5).astype(int)]
        texts = [' '.join(row) + '.' for row in picked]
        for share, damage in PLANTED:
            for row in np.flatnonzero(choose.random(rows) < share): texts[row] = damage(texts[row])
        columns[name] = texts
    return pd.DataFrame(columns)


def write_table(path: Path, rows: int, step: int = 25_000):
    "The table as a parquet file, made chunk by chunk."
    import pyarrow as pa
    import pyarrow.parquet as parquet
    words, writer = vocabulary(), None
    for start in range(0, rows, step):
        table = pa.Table.from_pandas(chunk(start, min(step, rows - start), words), preserve_index=False)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def schema():
    "Roles of the columns."
    from clintrial.schema import Schema
    return Schema(text=TEXTS, numeric=('age', 'weight'), categorical=('sex',), target=('response',), subject='subject', time='visit')


def timed(work) -> tuple:
    "(result, seconds on the clock, seconds of processor time)."
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    return value, time.perf_counter() - wall, time.process_time() - cpu


def whole_job(path: str) -> dict:
    "Clean the file in chunks, then audit the result in memory."
    import pandas as pd
    from clintrial.audit import audit
    from clintrial.cleaning import clean_file
    from clintrial.dataset import TrialData
    figures = {'memory_before_mb': peak_memory_mb()}
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        done, figures['clean_seconds'], figures['clean_cpu_seconds'] = timed(lambda: clean_file(path, Path(folder)/'clean.parquet', schema=schema(), progress=True))
        figures |= {'rows': done.rows, 'changes': int(done.summary.changed.sum()), 'flags': int(done.summary.flagged.sum()), 'clean_memory_mb': peak_memory_mb()}
        cleaned = TrialData(pd.read_parquet(done.output), schema())
    figures |= {'text_mb': sum(cleaned.frame[name].str.len().sum() for name in TEXTS) / 1e6}
    report, figures['audit_seconds'], figures['audit_cpu_seconds'] = timed(lambda: audit(cleaned))
    return figures | {'seconds': figures['clean_seconds'] + figures['audit_seconds'], 'findings': len(report.table), 'memory_mb': peak_memory_mb()}


def in_memory(path: str) -> dict:
    "Clean a table that is in memory, with its log."
    import pandas as pd
    from clintrial.cleaning import clean
    frame = pd.read_parquet(path)
    (cleaned, log), wall, cpu = timed(lambda: clean(frame, schema=schema()))
    _, undo_wall, _ = timed(lambda: log.undo(cleaned))
    return {'rows': len(frame), 'changes': len(log), 'seconds': wall, 'cpu_seconds': cpu, 'undo_seconds': undo_wall, 'memory_mb': peak_memory_mb()}


def write(told: str) -> dict:
    "Make the table, in a process of its own: a child's peak memory counts from that of its parent."
    rows, path = told.split(',', 1)
    write_table(Path(path), int(rows))
    return {'rows': int(rows)}


def plain_pandas(path: str) -> dict:
    "The same work on the texts, as one would write it with pandas' string methods."
    import html
    import pandas as pd
    from ftfy import fix_encoding
    from clintrial.cleaning.rules import BLOCK_TAG, INLINE_TAG
    from clintrial.cleaning.units import CANONICAL, QUANTITY

    def mended(texts):
        texts = texts.map(fix_encoding).str.replace(BLOCK_TAG.pattern, '\n', regex=True, case=False).str.replace(INLINE_TAG.pattern, '', regex=True, case=False).map(html.unescape)
        texts = texts.str.replace('[\u00ad\u200b\u2060\ufeff]', '', regex=True).str.normalize('NFC').str.replace('[\u00a0\u2000-\u200a]', ' ', regex=True)
        texts = texts.str.replace(r'[ \t]{2,}', ' ', regex=True).str.replace(r'[ \t]+(?=\n|$)', '', regex=True).str.replace(r'\n{3,}', '\n\n', regex=True).str.strip()
        return texts.str.replace(QUANTITY.pattern, lambda found: f'{found[1]} {CANONICAL[found[2]]}{found[3]}', regex=True)

    frame = pd.read_parquet(path)
    _, wall, cpu = timed(lambda: [mended(frame[name]) for name in TEXTS])
    return {'rows': len(frame), 'seconds': wall, 'cpu_seconds': cpu, 'memory_mb': peak_memory_mb()}


def measured(kind: str, path) -> dict:
    "One point, in a process of its own."
    answer = subprocess.run([sys.executable, __file__, '--point', f'{kind}:{path}'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if answer.returncode: raise SystemExit(answer.stderr[-2000:])
    found = json.loads(answer.stdout.splitlines()[-1])
    progress(f"{kind} {found['rows']:>9,}: " + ', '.join(f'{name} {value:,.4g}' for name, value in found.items() if name != 'rows'))
    return found


def exponent(points: list, column: str) -> float | None:
    "Slope of seconds over rows on log-log axes: 1 is linear."
    if any(column not in point for point in points) or len(points) < 2: return None
    return float(np.polyfit(np.log([point['rows'] for point in points]), np.log([point[column] for point in points]), 1)[0])


def main():
    options = arguments(__doc__.splitlines()[0], point='', rows=0)
    if options.point:
        kind, path = options.point.split(':', 1)
        return print(json.dumps({'whole_job': whole_job, 'in_memory': in_memory, 'plain_pandas': plain_pandas, 'write': write}[kind](path), default=float))
    largest = options.rows or (100_000 if options.quick else SIZES[-1])
    sizes, points = sorted({*(size for size in SIZES if size < largest), largest}), {kind: [] for kind in ('whole_job', 'in_memory', 'plain_pandas')}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder)/f'{size}.parquet'
            measured('write', f'{size},{path}')
            for kind in points:
                if kind == 'whole_job' or size <= 100_000: points[kind].append(measured(kind, path))
            path.unlink()
    jobs, last, ours, pandas_last = points['whole_job'], points['whole_job'][-1], points['in_memory'][-1], points['plain_pandas'][-1]
    finish({'rows': last['rows'], 'minutes': last['seconds'] / 60, 'memory_mb': last['memory_mb'], 'minutes_per_million_rows': last['seconds'] / last['rows'] * 1e6 / 60, 'row_exponent': exponent(jobs, 'seconds'),
            'clean_exponent': exponent(jobs, 'clean_seconds'), 'audit_exponent': exponent(jobs, 'audit_seconds'), 'clean_memory_ratio': last['clean_memory_mb'] / jobs[0]['clean_memory_mb'],
            'plain_pandas_over_clean': pandas_last['cpu_seconds'] / ours['cpu_seconds'], 'points': points, 'machine': describe_machine()})


if __name__ == '__main__': main()
