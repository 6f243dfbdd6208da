"""Does cost grow as it should? Rows from 1,000 to 64,000 and tokens from 64 to 4,096: time linear in both, peak memory flat.

    python bench/growth.py --quick

Each point is a process of its own, so that its peak memory is its own. Rows: reading, splitting and tokenising into Arrow, and a training step's share by a tiny backbone.
Tokens: one training step and one prediction with the embedded backbone on documents of that length, the same number of tokens in all.
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

SENTENCE = 'the patient reported mild nausea after the second dose of 40 mg and felt better at the visit in week six. '


def table(n: int, words: int = 24):
    "A table of n short notes."
    import pandas as pd
    from clintrial.dataset import Schema, TrialData
    choose = np.random.default_rng(0)
    vocabulary = np.array(SENTENCE.split())
    notes = [' '.join(vocabulary[row]) for row in choose.integers(0, len(vocabulary), (n, words))]
    frame = pd.DataFrame({'note': [f'{note} {row}' for row, note in enumerate(notes)], 'response': choose.choice(['no', 'yes'], n)})
    return TrialData(frame, Schema(text=('note',), target=('response',)))


def tiny_backbone(folder: Path) -> str:
    "A random-weight BERT, small enough that 64,000 rows train in a minute."
    import torch
    from transformers import AutoModel, AutoTokenizer, BertConfig
    from clintrial.backbones import minilm_folder
    torch.manual_seed(0)
    AutoModel.from_config(BertConfig(vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(folder)
    return str(folder)


def rows_point(n: int) -> dict:
    "Seconds and memory for one epoch over n rows, all stages."
    import torch
    from clintrial.model import TrialModel
    from clintrial.tasks import Binary
    from clintrial.trainer import FineTuneConfig, FineTuner
    torch.set_num_threads(1)
    data = table(n)
    with tempfile.TemporaryDirectory() as folder:
        backbone = tiny_backbone(Path(folder)/'backbone')
        before, begun = peak_memory_mb(), time.process_time()
        splits = data.split(seed=0)
        model = TrialModel.build(backbone, splits.train, Binary('response'), window_tokens=64, overlap=8)
        config = FineTuneConfig(output_dir=Path(folder)/'run', num_train_epochs=1, per_device_train_batch_size=64, baselines=False, disable_tqdm=True)
        FineTuner(model, splits, config).fit()
        return {'seconds': time.process_time() - begun, 'memory_mb': peak_memory_mb(), 'memory_before_mb': before}


def tokens_point(n: int) -> dict:
    "Seconds and memory for the same 16,384 tokens as documents of n tokens: training steps, and prediction."
    import torch
    from clintrial.model import TrialModel, cut_by_length
    from clintrial.tasks import Binary
    torch.set_num_threads(1)
    total = 16_384
    data = table(max(total // n, 2), words=int(n / 1.15))
    model = TrialModel.build('minilm', data, Binary('response'), window_tokens=128, max_tokens=n)
    model.chunk_tokens = 4096
    encoded, before, begun = model.encode(data), peak_memory_mb(), time.process_time()
    read = int(np.minimum(encoded.lengths, n).sum())
    for piece in cut_by_length([model.document(encoded, row) for row in range(len(encoded))], 4096):
        model(**model.collate(encoded, piece)).loss.backward()
    trained, begun = time.process_time() - begun, time.process_time()
    model.predict_logits(encoded, batch_tokens=4096)
    return {'seconds_per_1000_tokens': 1000 * trained / read, 'prediction_per_1000_tokens': 1000 * (time.process_time() - begun) / read, 'memory_mb': peak_memory_mb(), 'memory_before_mb': before}


def measured(kind: str, n: int) -> dict:
    "One point, in a process of its own."
    answer = subprocess.run([sys.executable, __file__, '--point', f'{kind}:{n}'], capture_output=True, text=True)
    if answer.returncode: raise SystemExit(answer.stderr[-2000:])
    found = json.loads(answer.stdout.splitlines()[-1])
    progress(f'{kind} {n:>6,}: ' + ', '.join(f'{name} {value:.3g}' for name, value in found.items()))
    return found


def exponent(sizes, seconds) -> float:
    "Slope on log-log axes: 1 is linear."
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def main():
    options = arguments(__doc__.splitlines()[0], point='')
    if options.point:
        kind, n = options.point.split(':')
        return print(json.dumps({'rows': rows_point, 'tokens': tokens_point}[kind](int(n))))
    sizes = (1000, 4000, 16_000) if options.quick else (1000, 4000, 16_000, 64_000)
    lengths = (64, 256, 1024, 4096)
    rows, tokens = [measured('rows', n) for n in sizes], [measured('tokens', n) for n in lengths]
    beyond = [point['seconds_per_1000_tokens'] for point, n in zip(tokens, lengths) if n > 128]
    marginal = (rows[-1]['seconds'] - rows[0]['seconds']) / (sizes[-1] - sizes[0]) * 1000
    finish({'row_exponent': exponent(sizes[1:], [point['seconds'] for point in rows[1:]]), 'seconds_per_1000_rows': marginal,
            'rows_memory_ratio': rows[-1]['memory_mb'] / rows[0]['memory_mb'], 'token_cost_ratio_beyond_window': max(beyond) / min(beyond),
            'tokens_memory_ratio': max(point['memory_mb'] for point in tokens) / min(point['memory_mb'] for point in tokens),
            'rows': dict(zip(sizes, rows)), 'tokens': dict(zip(lengths, tokens)), 'machine': describe_machine()})


if __name__ == '__main__': main()
