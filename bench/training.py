"""How fast does fine-tuning go? Against the seed document's listing, and against transformers.Trainer at its defaults.

    python bench/training.py --quick            # speed only, under ten minutes on two cores
    python bench/training.py                    # more rows and repeats, and what each step costs in accuracy
    python bench/training.py --rows 800         # so many rows for the speed
    python bench/training.py --accuracy-rows 0  # speed alone; -1, the default: every row for the accuracy

Same weights, data (druglib, binary efficacy, 128 tokens), batch size and number of epochs for all variants, taken in turn within one run; the
figures are ratios of process CPU seconds, medians. Models are built and texts tokenised outside the clock, but for the listing, which tokenises at every access.
"""
import gc
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

sys.path.insert(0, str(Path(__file__).resolve().parent))
import seed_code
from common import arguments, describe_machine, drawn, druglib, embedded_folder, finish, interleaved, medians, progress

from clintrial.batches import build_cache
from clintrial.callbacks import History
from clintrial.metrics import compare
from clintrial.backbones import fast_dtype, matmul_rate
from clintrial.model import TrialModel
from clintrial.trainer import FineTuneConfig, FineTuner, TrialTrainer
from clintrial.tuning import Full, LastK

TOKENS, BATCH = 128, 16
LADDER = {   # each step adds one decision to the one before it
    'fp32, dropout .1, all weights':       dict(tuning=Full(train_embeddings=True), backbone_dropout=None, precision='fp32'),
    '+ frozen embeddings':                 dict(tuning=Full(), backbone_dropout=None, precision='fp32'),
    '+ no dropout':                        dict(tuning=Full(), backbone_dropout=0., precision='fp32'),
    '+ the fastest number format (ours)':  dict(tuning=Full(), backbone_dropout=0., precision='auto'),
    'ours, 4 of 6 layers frozen, cached':  dict(tuning=LastK(2), backbone_dropout=0., precision='auto'),
}


def ours(train, task, tuning, backbone_dropout, precision, cache_folder=None):
    "A trainer of ours, ready to run one epoch, and the seconds that its cache took."
    model = TrialModel.build('minilm', train, task, tuning, window_tokens=TOKENS, max_tokens=TOKENS - 2, backbone_dropout=backbone_dropout)
    config = FineTuneConfig(output_dir=tempfile.mkdtemp(), num_train_epochs=1, per_device_train_batch_size=BATCH, eval_strategy='no', save_strategy='no',
                            load_best_model_at_end=False, disable_tqdm=True, precision=precision, logging_steps=10_000)
    tuner = FineTuner(model, None, config)
    tuner.prepare()
    encoded, begun = model.encode(train), time.process_time()
    depth = tuning.frozen_depth(model)
    if depth: encoded.cache = build_cache(model, encoded, depth, Path(config.output_dir)/'cache')
    return TrialTrainer(model, config, encoded, encoded, Path(config.output_dir), History(), tuner.all_callbacks()), time.process_time() - begun


def settled():
    "Set the process's old objects aside, so that a collection of garbage inside the clock does not pay for other variants; what the variants before have left is freed first."
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def our_epoch(train, task, **options):
    "CPU seconds of one epoch of ours, of its cache, and the real tokens that went through."
    trainer, cache = ours(train, task, **options)
    settled()
    begun = time.process_time()
    trainer.train()
    seconds = time.process_time() - begun
    shutil.rmtree(trainer.args.output_dir)
    return seconds, cache, trainer.history.tokens


def seed_epoch(train, task):
    "CPU seconds of one epoch of the listing."
    model, tokenizer, optimizer = seed_code.build(str(embedded_folder()))
    dataset = seed_code.DrugEffectDataset(train.texts(), task.encode(train.frame).tolist(), tokenizer, TOKENS)
    begun = time.process_time()
    seed_code.train_epoch(model, dataset, BATCH, optimizer)
    return time.process_time() - begun, 0., 0


def trainer_epoch(train, task):
    "CPU seconds of one epoch of transformers.Trainer at its defaults."
    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    model = AutoModelForSequenceClassification.from_pretrained(embedded_folder(), num_labels=2, dtype=torch.float32)
    encoded = tokenizer(train.texts(), truncation=True, max_length=TOKENS)
    rows = [{'input_ids': ids, 'labels': int(label)} for ids, label in zip(encoded['input_ids'], task.encode(train.frame))]
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(folder, num_train_epochs=1, per_device_train_batch_size=BATCH, save_strategy='no', report_to='none', disable_tqdm=True)
        trainer = Trainer(model, settings, DataCollatorWithPadding(tokenizer), train_dataset=rows)
        settled()
        begun = time.process_time()
        trainer.train()
        return time.process_time() - begun, 0., 0


def work_of_a_token(width=384, inner=1536, layers=6, tokens=TOKENS) -> float:
    "Floating-point operations a real token costs in one step of full tuning: forward, and twice that backwards."
    return 3 * layers * (2 * (4 * width**2 + 2 * width * inner) + 4 * tokens * width)


def accuracy(data, task):
    "Of each later step of the ladder: its validation AUC after four epochs against that of the first step, paired."
    splits, first = data.split(fractions=(.7, .15, .05, .1), seed=0), None
    fitted = task.fit(splits.train.frame)
    for name, step in LADDER.items():
        model = TrialModel.build('minilm', splits.train, task, step['tuning'], window_tokens=TOKENS, max_tokens=TOKENS - 2, backbone_dropout=step['backbone_dropout'])
        with tempfile.TemporaryDirectory() as folder:
            config = FineTuneConfig(output_dir=Path(folder)/'run', precision=step['precision'], baselines=False, disable_tqdm=True, load_best_model_at_end=False, save_strategy='no')
            run = FineTuner(model, splits, config).fit()
            targets, distribution = run.targets('validation'), run.distribution(split='validation')
        if first is None:
            first = distribution
            continue
        difference = compare(fitted, targets, distribution, first, metrics=('roc_auc',))['roc_auc']
        yield name, {'difference': difference.difference, 'low': difference.low, 'high': difference.high}
        progress(f'{name}: AUC against the first step {difference.difference:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]')


def main():
    options = arguments(__doc__.splitlines()[0], rows=0, repeats=3, accuracy_rows=-1)
    torch.set_num_threads(1)
    data, task = druglib('binary')
    train = data.take(data.ids[:options.rows or (96 if options.quick else 640)])
    task = task.fit(train.frame)
    variants = {'the listing': lambda: seed_epoch(train, task), 'transformers.Trainer': lambda: trainer_epoch(train, task),
                **{name: lambda step=step: our_epoch(train, task, **step) for name, step in LADDER.items()}}
    runs = interleaved(variants, options.repeats)
    runs['epoch'], runs['cache'], runs['tokens'] = zip(*runs['value'])
    epoch, cache = medians(runs, 'epoch'), medians(runs, 'cache')
    seed, full, frozen = (epoch[name] for name in ('the listing', '+ the fastest number format (ours)', 'ours, 4 of 6 layers frozen, cached'))
    peaks = {str(dtype).split('.')[1]: matmul_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    rate = runs.loc[runs['variant'] == '+ the fastest number format (ours)', 'tokens'].median() * work_of_a_token() / full
    build = cache['ours, 4 of 6 layers frozen, cached']
    for name, seconds in epoch.items(): print(f'{seed / seconds:6.2f} × the listing   {seconds:7.2f} s   {name}')
    finish({'full_vs_seed': seed / full, 'full_vs_hf_trainer': epoch['transformers.Trainer'] / full, 'cached4_vs_seed': seed / frozen,
            'cached4_5_epochs_vs_seed': 5 * seed / (build + 5 * frozen), 'peak_share': rate / peaks['bfloat16'], 'fastest_peak_share': rate / max(peaks.values()),
            'format': str(fast_dtype()), 'gflops': {name: peak / 1e9 for name, peak in peaks.items()}, 'seconds': epoch, 'rows': len(train), 'repeats': options.repeats,
            'accuracy': {} if options.quick or not options.accuracy_rows else dict(accuracy(drawn(data, max(options.accuracy_rows, 0)), task)), 'machine': describe_machine()})


if __name__ == '__main__': main()
