"""How fast does fine-tuning go? Against the seed document's listing, and against transformers.Trainer at its defaults.

    python bench/training.py --quick                                  # speed only, under ten minutes on two cores
    python bench/training.py                                          # more rows and repeats, and what each step costs in accuracy
    python bench/training.py --parts speed --rows 800                 # one part alone
    python bench/training.py --parts accuracy --accuracy-rows 700 --seeds 0,1,2

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
from common import arguments, describe_machine, druglib, embedded_folder, finish, interleaved, medians, progress
from quality import splits_for

from clintrial.batches import build_cache
from clintrial.callbacks import History
from clintrial.metrics import compare, evaluate
from clintrial.backbones import fast_dtype, matmul_rate
from clintrial.model import TrialModel
from clintrial.trainer import FineTuneConfig, FineTuner, TrialTrainer
from clintrial.tuning import Full, LastK

TOKENS, BATCH = 128, 16
FASTEST, FROZEN = '+ the fastest number format (ours)', 'ours, 4 of 6 layers frozen, cached'
LADDER = {   # each step adds one decision to the one before it
    'fp32, dropout .1, all weights':       dict(tuning=Full(train_embeddings=True), backbone_dropout=None, precision='fp32'),
    '+ frozen embeddings':                 dict(tuning=Full(), backbone_dropout=None, precision='fp32'),
    '+ no dropout':                        dict(tuning=Full(), backbone_dropout=0., precision='fp32'),
    FASTEST:                               dict(tuning=Full(), backbone_dropout=0., precision='auto'),
    FROZEN:                                dict(tuning=LastK(2), backbone_dropout=0., precision='auto'),
}


def ours(train, task, tuning, backbone_dropout, precision):
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


def probabilities(splits, task, step, seed):
    "What one step of the ladder says of the held-out cases, after four epochs with the best one kept."
    model = TrialModel.build('minilm', splits.train, task, step['tuning'], seed=seed, window_tokens=TOKENS, max_tokens=TOKENS - 2, backbone_dropout=step['backbone_dropout'])
    with tempfile.TemporaryDirectory() as folder:
        run = FineTuner(model, splits, FineTuneConfig(output_dir=Path(folder)/'run', seed=seed, precision=step['precision'], baselines=False, probe=False, disable_tqdm=True)).fit()
        return run.task, run.targets(), run.distribution()


def accuracy(data, task, rows, seeds):
    "A row a step and a seed: its ROC-AUC on held-out cases against that of the step named first, paired. A step that computes the same as the one before it is left out."
    steps = {name: step for name, step in LADDER.items() if name != FASTEST or fast_dtype() != torch.float32}
    for seed in seeds:
        splits, first = splits_for(data, seed, rows), None
        for name, step in steps.items():
            fitted, targets, said = probabilities(splits, task, step, seed)
            auc, one = evaluate(fitted, targets, said, metrics=('roc_auc',))['roc_auc'], None
            if first is None: first = said
            else: one = compare(fitted, targets, said, first, metrics=('roc_auc',))['roc_auc']
            yield {'step': name, 'seed': seed, 'rows': len(splits.train), 'roc_auc': [auc.estimate, auc.low, auc.high], **({'difference': one.difference, 'low': one.low, 'high': one.high} if one else {})}
            progress(f'seed {seed}, {name}: ROC-AUC {auc.estimate:.3f} [{auc.low:.3f}, {auc.high:.3f}]' + (f', against the first step {one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]' if one else ''))


def speed(train, task, repeats):
    "Every variant in turn: a line each, then the ratios and shares."
    variants = {'the listing': lambda: seed_epoch(train, task), 'transformers.Trainer': lambda: trainer_epoch(train, task),
                **{name: lambda step=step: our_epoch(train, task, **step) for name, step in LADDER.items()}}
    runs = interleaved(variants, repeats)
    runs['epoch'], runs['cache'], runs['tokens'] = zip(*runs['value'])
    epoch, cache = medians(runs, 'epoch'), medians(runs, 'cache')
    seed, full, frozen = (epoch[name] for name in ('the listing', FASTEST, FROZEN))
    peaks = {str(dtype).split('.')[1]: matmul_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    rate = runs.loc[runs['variant'] == FASTEST, 'tokens'].median() * work_of_a_token() / full
    for name, seconds in epoch.items(): print(f'{seed / seconds:6.2f} × the listing   {seconds:7.2f} s   {name}')
    return {'full_vs_seed': seed / full, 'full_vs_hf_trainer': epoch['transformers.Trainer'] / full, 'cached4_vs_seed': seed / frozen,
            'cached4_5_epochs_vs_seed': 5 * seed / (cache[FROZEN] + 5 * frozen), 'peak_share': rate / peaks['bfloat16'], 'fastest_peak_share': rate / max(peaks.values()),
            'format': str(fast_dtype()), 'gflops': {name: peak / 1e9 for name, peak in peaks.items()}, 'seconds': epoch, 'rows': len(train), 'repeats': repeats}


def main():
    options = arguments(__doc__.splitlines()[0], parts='', rows=0, repeats=3, accuracy_rows=0, seeds='0,1,2')
    torch.set_num_threads(1)
    parts = options.parts.split(',') if options.parts else ['speed'] if options.quick else ['speed', 'accuracy']
    data, task = druglib('binary')
    train = data.take(data.ids[:options.rows or (96 if options.quick else 640)])
    found = speed(train, task.fit(train.frame), options.repeats) if 'speed' in parts else {}
    if 'accuracy' in parts: found['accuracy'] = list(accuracy(data, task, options.accuracy_rows, map(int, options.seeds.split(','))))
    finish({**found, 'machine': describe_machine()})


if __name__ == '__main__': main()
