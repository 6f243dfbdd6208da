"""Does the monitor find planted signals in time, and rarely cry wolf? Does the detector find adverse-event sentences, the extractor drugs and events?

    python bench/safety.py --quick                         # 20 streams; 1,500 sentences for each model; under ten minutes on two cores
    python bench/safety.py --streams 100 --sentences 12000
    python bench/safety.py --parts streams                 # or detector, extractor

Streams are simulated (`clintrial.safety.streams`): signals of rate ratio 3 to 5, at least 6 reports expected a quarter. Counted: planted pairs that are alerted in their first or second quarter, and alerts on pairs without a signal, a pair and quarter.
Detector: fine-tuned on `ade_corpus` train, judged on its validation part, on which nothing was chosen. Extractor: trained on simulated sentences only, judged on sentences of `ade_corpus` marked by hand (`tests/golden/ade_spans.csv`: one reader, positions and hashes).
"""
import hashlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import ROOT, ade_corpus, arguments, data_folder, describe_machine, finish, progress

from clintrial.safety.signal_rule import AlertRule, signals_at
from clintrial.safety.streams import simulate_reports


# -- streams

def watch(stream, rule: AlertRule) -> dict:
    "First alert of every pair of one stream, against the truth."
    alerted = {}
    for quarter in stream.quarters:
        for row in signals_at(stream.reports, quarter, rule).itertuples(): alerted.setdefault((row.drug, row.event), quarter)
    truth = {(row.drug, row.event): row.first for row in stream.signals.itertuples()}
    delay = [pd.Period(alerted[pair], 'Q').ordinal - pd.Period(first, 'Q').ordinal if pair in alerted else np.inf for pair, first in truth.items()]
    first = stream.reports.groupby(['drug', 'event'])['quarter'].min()
    last = pd.Period(stream.quarters[-1], 'Q').ordinal
    watched = sum(min(last, pd.Period(truth[pair], 'Q').ordinal - 1 if pair in truth else last) - pd.Period(since, 'Q').ordinal + 1 for pair, since in first.items())
    false = sum(pair not in truth or pd.Period(quarter, 'Q') < pd.Period(truth[pair], 'Q') for pair, quarter in alerted.items())
    return {'signals': len(truth), 'in_time': sum(0 <= one <= 1 for one in delay), 'at_once': sum(one == 0 for one in delay), 'ever': sum(0 <= one < np.inf for one in delay), 'false': false, 'pair_quarters': watched}


def mean_interval(values, level=.95, seed=0):
    "Mean of a ratio of sums over streams, with its bootstrap interval over streams."
    top, bottom = np.array(values, float).T
    drawn = np.random.default_rng(seed).multinomial(len(top), np.full(len(top), 1/len(top)), size=4000)
    low, high = np.quantile((drawn@top)/(drawn@bottom), [(1 - level)/2, (1 + level)/2])
    return {'estimate': top.sum()/bottom.sum(), 'low': low, 'high': high}


def measure_streams(streams: int) -> dict:
    "Sensitivity within two quarters and false alerts a thousand pair-quarters."
    rule, began, rows = AlertRule(), time.perf_counter(), []
    for seed in range(1000, 1000 + streams):
        rows.append(watch(simulate_reports(seed=seed), rule))
        if len(rows) % 5 == 0: progress(f'{len(rows)} of {streams} streams')
    table = pd.DataFrame(rows)
    rate = mean_interval(1000*table[['false']].to_numpy().repeat(2, 1)*[1, 0] + table[['pair_quarters']].to_numpy()*[0, 1])
    in_time, false, quarters = table['in_time'].sum(), int(table['false'].sum()), int(table['pair_quarters'].sum())
    wilson = stats.binomtest(int(in_time), int(table['signals'].sum())).proportion_ci(method='wilson')
    return {'streams': streams, 'signals': int(table['signals'].sum()), 'in_two_quarters': mean_interval(table[['in_time', 'signals']]), 'in_two_quarters_wilson': [wilson.low, wilson.high], 'at_once': mean_interval(table[['at_once', 'signals']]),
            'ever': mean_interval(table[['ever', 'signals']]), 'false_alerts': false, 'pair_quarters': quarters, 'false_per_1000': rate,
            'false_per_1000_exact': [1000*stats.chi2.ppf(.025, 2*false)/2/quarters if false else 0, 1000*stats.chi2.ppf(.975, 2*false + 2)/2/quarters], 'seconds': time.perf_counter() - began, 'asked': 'in two quarters >= 0.9, false per 1,000 <= 1'}


# -- text

METRICS = ('roc_auc', 'average_precision', 'macro_f1')


def f1_interval(true, said, seed=0):
    "F1 of the positive class with its bootstrap interval over sentences."
    counts = np.column_stack([true & said, true, said]).astype(float)
    drawn = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1/len(counts)), size=1000)@counts
    def f1(sums): return 2*sums[..., 0]/(sums[..., 1] + sums[..., 2])
    low, high = np.quantile(f1(drawn), [.025, .975])
    return {'estimate': f1(counts.sum(0)), 'low': low, 'high': high}


def measure_detector(sentences: int, seed: int = 0) -> dict:
    "Area under the ROC curve and F1 on the validation part of ade_corpus, language model and TF-IDF."
    from clintrial.dataset import Schema, Splits, TrialData
    from clintrial.metrics import compare, evaluate
    from clintrial.run import LANGUAGE_MODEL
    from clintrial.safety.detector import fit_detector
    from clintrial.tuning import LastK
    data, _ = ade_corpus()
    valid = pd.read_csv(data_folder()/'ade_corpus'/'valid.csv', keep_default_na=False)
    valid['label'] = valid['label'].map({0: 'no event', 1: 'adverse drug event'})
    valid = valid.set_axis([f'v{row}' for row in range(len(valid))])[['text', 'label']]
    parts = data.split(fractions=(.8, .1, .05, .05), seed=seed)
    def drawn(part, most): return part if len(part) <= most else part.take(np.random.default_rng(seed).choice(part.ids, most, replace=False))
    train = drawn(parts.train, sentences)
    schema = Schema(text=('text',), target=('label',))
    plain = [TrialData(part.frame[['text', 'label']], schema) for part in (train, drawn(parts.validation, max(300, sentences//6)), drawn(parts.calibration, 400))]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = fit_detector(Splits(*plain, TrialData(valid, schema), {'by': 'official parts', 'seed': seed}), Path(folder)/'run', tuning=LastK(3), num_train_epochs=3, seed=seed)
        progress('detector trained')
        found = {name: evaluate(run.task, run.targets(), run.distribution(name), metrics=METRICS) for name in (LANGUAGE_MODEL, 'tfidf')}
        positive = {name: f1_interval(run.targets() == 1, run.distribution(name)[:, 1] >= .5) for name in found}
        against = compare(run.task, run.targets(), run.distribution(LANGUAGE_MODEL), run.distribution('tfidf'), metrics=('roc_auc', 'macro_f1'))
    figures = {name: {metric: {'estimate': one[metric].estimate, 'low': one[metric].low, 'high': one[metric].high} for metric in METRICS} | {'f1': positive[name]} for name, one in found.items()}
    return {'train': len(train), 'valid': len(valid), **figures, 'difference': {row.metric: {'difference': row.difference, 'low': row.low, 'high': row.high} for row in against.table.itertuples()}, 'cpu_seconds': time.process_time() - began}


def marked_sentences() -> tuple:   # texts, spans
    "The sentences that were marked by hand."
    texts = pd.read_csv(data_folder()/'ade_corpus'/'valid.csv', keep_default_na=False)['text']
    known = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    marks = pd.read_csv(ROOT/'tests'/'golden'/'ade_spans.csv')
    spans = {sentence: [(int(row.start), int(row.end), row.kind) for row in rows.dropna(subset=['start']).itertuples()] for sentence, rows in marks.groupby('sentence', sort=False)}
    return [known[sentence] for sentence in spans], list(spans.values())


def measure_extractor(sentences: int, seed: int = 0) -> dict:
    "F1 of drug and event spans: on simulated sentences with new names, and on those marked by hand; the lexicon and the linear tagger beside it."
    from clintrial.safety.detector import SpanExtractor, fit_extractor, lexicon_spans, marked_splits, score_spans
    texts, true = marked_sentences()
    splits, began = marked_splits(sentences, seed=seed), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = fit_extractor(Path(folder)/'run', splits, num_train_epochs=2, learning_rate=1e-4, seed=seed)
        progress('extractor trained')
        extractor = SpanExtractor(run)
        simulated = splits.test.frame
        frame = pd.DataFrame({'text': texts, 'spans': [[] for _ in texts]})
        from clintrial.dataset import Schema, TrialData
        tagged = run.load_baselines().distribution('tagger', TrialData(frame, Schema(text=('text',), target=('spans',))))
        scores = {'marked by hand': {'extractor': score_spans(true, extractor.spans(texts)), 'lexicon': score_spans(true, [lexicon_spans(text) for text in texts]), 'tagger': score_spans(true, [[span[:3] for span in case] for case in tagged])},
                  'simulated, new names': {'extractor': score_spans(list(simulated['spans']), extractor.spans(simulated['text'])), 'lexicon': score_spans(list(simulated['spans']), [lexicon_spans(text) for text in simulated['text']])}}
    return {'train': len(splits.train), 'sentences': len(texts), 'cpu_seconds': time.process_time() - began,
            **{on: {name: {row.term: [row.estimate, row.low, row.high] for row in one.table.itertuples()} for name, one in by.items()} for on, by in scores.items()}}


if __name__ == '__main__':
    asked = arguments(__doc__, streams=0, sentences=0, parts='streams,detector,extractor')
    streams, sentences = asked.streams or (20 if asked.quick else 100), asked.sentences or (1500 if asked.quick else 12000)
    measure = {'streams': lambda: measure_streams(streams), 'detector': lambda: measure_detector(sentences), 'extractor': lambda: measure_extractor(sentences)}
    figures = {}
    for part in asked.parts.split(','):
        figures[part] = measure[part]()
        progress(f'{part}: {figures[part]}')
    finish({**figures, 'machine': describe_machine()})
