"""How fast are predictions? Rows a second a core, against the seed's way: batches of 16 in the given order, every text padded to 256 tokens.

    python bench/predict.py --quick

Both give the same decisions from the same weights: the seed's way here runs our model's own forward pass on padded batches in fp32, so that nothing but the way differs;
the listing itself, a token classifier, is timed beside it.
"""
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
import seed_code
from common import arguments, describe_machine, druglib, embedded_folder, finish, interleaved, medians

from clintrial.backbones import fast_dtype
from clintrial.model import TrialModel
from clintrial.trainer import FineTuneConfig, FineTuner
from clintrial.tuning import LastK

TOKENS = 256


def fine_tuned(data, task, rows: int):
    "A model that has learned something, so that its decisions mean something."
    import tempfile
    splits = data.split(fractions=(.7, .1, .1, .1), seed=0)
    part = splits.train.take(splits.train.ids[:rows])
    model = TrialModel.build('minilm', part, task, LastK(2), window_tokens=TOKENS, max_tokens=TOKENS - 2)
    with tempfile.TemporaryDirectory() as folder:
        config = FineTuneConfig(output_dir=Path(folder)/'run', num_train_epochs=3, baselines=False, disable_tqdm=True, eval_strategy='no', save_strategy='no', load_best_model_at_end=False)
        tuner = FineTuner(model, splits, config)
        tuner.folder.mkdir(parents=True)
        tuner.train(model.encode(part), model.encode(splits.validation))
    return model


def padded_logits(model, texts) -> np.ndarray:
    "The seed's way with our model: 16 at a time, padded to 256, fp32."
    found, tokenizer = [], model.tokenizer
    model.use_attention(torch.float32)
    with torch.no_grad():
        for start in range(0, len(texts), 16):
            batch = tokenizer(texts[start:start + 16], return_tensors='pt', max_length=TOKENS, padding='max_length', truncation=True)
            n = len(batch['input_ids'])
            found.append(model(batch['input_ids'], batch['attention_mask'], torch.arange(n), n).logits.numpy())
    return np.concatenate(found)


def main():
    options = arguments(__doc__.splitlines()[0], rows=0, repeats=3)
    torch.set_num_threads(1)
    data, task = druglib('binary')
    model = fine_tuned(data, task, 320 if options.quick else 1600)
    rows = data.take(data.ids[:options.rows or (240 if options.quick else 1000)])
    texts = rows.texts()
    listing, tokenizer, _ = seed_code.build(str(embedded_folder()))
    variants = {'the seed’s way': lambda: padded_logits(model, texts), 'the listing': lambda: seed_code.predict(listing, texts, tokenizer),
                'ours': lambda: model.predict_logits(rows), 'ours, bfloat16': lambda: model.predict_logits(rows, torch.bfloat16), 'ours, float32': lambda: model.predict_logits(rows, torch.float32)}
    runs = interleaved(variants, options.repeats)
    seconds = medians(runs)
    answers = {name: runs.loc[runs['variant'] == name, 'value'].iloc[0] for name in variants}
    reference = answers['the seed’s way'] > 0
    same = {name: float(((answers[name] > 0) == reference).mean()) for name in ('ours', 'ours, bfloat16', 'ours, float32')}
    for name, spent in seconds.items(): print(f"{seconds['the seed’s way'] / spent:6.2f} × the seed's way   {len(rows) / spent:7.1f} rows a second a core   {name}")
    finish({'vs_seed_way': seconds['the seed’s way'] / seconds['ours'], 'vs_listing': seconds['the listing'] / seconds['ours'], 'bfloat16_vs_seed_way': seconds['the seed’s way'] / seconds['ours, bfloat16'],
            'rows_per_second_core': len(rows) / seconds['ours'], 'decisions_unchanged': same, 'format': str(fast_dtype()), 'rows': len(rows), 'machine': describe_machine()})


if __name__ == '__main__': main()
