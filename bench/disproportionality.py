"""Twenty million reports: how long does counting take, and how much memory? Run as `python bench/disproportionality.py`; `--quick` counts two million.

Reports are written to a parquet file first (not timed): ids as text, 1 to 4 drug–event rows each, 6,000 drugs and 9,000 events with frequencies like 1/rank, sex as a stratum; 2 % of the rows are repeated, some of them far from their report.
The file is then read chunk by chunk and counted by distinct report. Wanted for 20 million reports: under 5 minutes and 8 GB. The counts of a few pairs are checked against pandas on the quick size.

Then: all measures and EBGM for every pair with three reports, and how the fitted prior compares with openEBGM's printed one on the CAERS reports (where the data are at hand).
"""
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, data_folder, describe_machine, finish, peak_memory_mb, progress

from clintrial.safety.counts import count_pairs
from clintrial.safety.disproportionality import screen
from clintrial.safety.shrinkage import fit_prior, posterior, shrink

DRUGS, EVENTS, ROWS = 6_000, 9_000, 1_000_000


def ranked(names: int, size: int, draw) -> np.ndarray:
    "Codes whose frequency falls like 1/rank."
    return np.minimum(np.exp(draw.random(size)*np.log(names)).astype(np.int32), names - 1)


def write_reports(path: Path, reports: int, seed: int) -> int:
    "A parquet file of simulated reports; how many rows it has."
    drugs, events = pa.array([f'DRUG {place:05d}' for place in range(DRUGS)]), pa.array([f'EVENT {place:05d}' for place in range(EVENTS)])
    draw, writer, rows, earlier = np.random.default_rng(seed), None, 0, None
    for start in range(0, reports, ROWS//2):
        ids = np.arange(start, min(start + ROWS//2, reports))
        report = np.repeat(ids, draw.integers(1, 4, len(ids)))
        parts = [report, ranked(DRUGS, len(report), draw), ranked(EVENTS, len(report), draw)]
        again = draw.integers(0, len(report), len(report)//100)
        parts = [np.concatenate([part, part[again], *([] if earlier is None else [earlier[place]])]) for place, part in enumerate(parts)]
        earlier = [part[again] for part in parts]
        table = pa.table({'report': pa.array(parts[0]).cast(pa.string()), 'drug': drugs.take(pa.array(parts[1])), 'event': events.take(pa.array(parts[2])), 'sex': pa.array(np.where(parts[0] % 7 < 4, 'F', 'M'))})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        rows += len(table)
    writer.close()
    return rows


def counted_by_pandas(path: Path, counts) -> bool:
    "Do ten pairs and their margins agree with pandas on the whole file?"
    frame = pd.read_parquet(path).drop_duplicates(['report', 'drug', 'event'])
    for row in counts.table.sample(10, random_state=0).itertuples():
        of_drug, of_event = frame['drug'] == row.drug, frame['event'] == row.event
        known = [frame.loc[mask, 'report'].nunique() for mask in (of_drug & of_event, of_drug, of_event)]
        if known != [row.n, row.drug_n, row.event_n]: return False
    return counts.reports == frame['report'].nunique()


def caers() -> dict:
    "Published and own prior on the CAERS reports, and the published scores given the published prior."
    folder = data_folder()/'caers_signals'
    published = json.loads((folder/'expected.json').read_text())
    counts = count_pairs(folder/'caers.csv', report='id', drug='var1', event='var2')
    fits = {'squashed, components': fit_prior(counts), 'every pair, components': fit_prior(counts, squashing=False), 'squashed, mixture': fit_prior(counts, truncation='mixture')}
    ours = [list(one.parameters) for one in fits.values()]
    head = pd.DataFrame(published['head6'], columns=published['head6_columns'])
    found = posterior(head['N'], head['E'], fits['squashed, components'])
    return {'pairs': len(counts.table), 'printed': list(published['theta_hat'].values()), **dict(zip(fits, ours)), 'largest difference of EBGM with the own prior': (found['ebgm'] - head['EBGM']).abs().max(),
            'of EB05': (found['low'] - head['EB05']).abs().max(), 'of EB95': (found['high'] - head['EB95']).abs().max(), 'pairs with EB05 of at least 2': {name: len(shrink(counts, prior).signals) for name, prior in fits.items()}}


def main():
    options = arguments(__doc__.splitlines()[0], reports=20_000_000, seed=0)
    reports, figures = 2_000_000 if options.quick else options.reports, {'machine': describe_machine()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)/'reports.parquet'
        rows = write_reports(path, reports, options.seed)
        progress(f'{rows:,} rows of {reports:,} reports written ({path.stat().st_size/2**20:.0f} MB)')
        before, cpu, wall = peak_memory_mb(), time.process_time(), time.perf_counter()
        counts = count_pairs(path, strata='sex', folder=folder)
        figures['counting'] = {'reports': counts.reports, 'rows': counts.rows, 'repeated': counts.repeated, 'pairs': len(counts.table), 'wall_seconds': time.perf_counter() - wall, 'cpu_seconds': time.process_time() - cpu, 'peak_mb': peak_memory_mb(), 'peak_mb_before': before}
        progress(f"{counts.reports:,} reports counted: {figures['counting']['wall_seconds']:.0f} s on the clock, {figures['counting']['cpu_seconds']:.0f} s of processor time, peak {peak_memory_mb():.0f} MB")
        if options.quick: figures['counting']['as_pandas'] = counted_by_pandas(path, counts)
    for name, run in {'screen': lambda: screen(counts), 'shrink': lambda: shrink(counts, minimum=3)}.items():
        cpu = time.process_time()
        result = run()
        figures[name] = {'pairs': len(result.table), 'cpu_seconds': time.process_time() - cpu, 'signals': len(result.signals), 'peak_mb': peak_memory_mb()}
        progress(f'{name}: {figures[name]}')
    try: figures['caers'] = caers()
    except SystemExit: progress('no CLINTRIAL_DATA: nothing to compare with openEBGM')
    finish(figures)


if __name__ == '__main__': main()
