"""How fast, exact and faithful are explanations? Integrated gradients against Captum's own loop; every method against the true signal spans of a simulated trial; a document of 8,000 tokens.

    python bench/explain.py --quick

Captum's loop is `LayerIntegratedGradients` with 50 steps, one text at a time, fp32, on the same model; seconds are of the process, runs interleaved. The reference for rank correlations is Captum
with 300 steps. Completeness errors are those of the integral itself: nothing is rescaled so that it adds up. Texts, outcomes and spans are simulated, so the bench needs no data.
"""
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from captum.attr import LayerIntegratedGradients
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, describe_machine, finish, interleaved, medians, peak_memory_mb, progress

from clintrial.dataset import Schema, TrialData
from clintrial.explainer import Explainer, against_truth
from clintrial.explainer.attributions import pieces_to_words, word_spans
from clintrial.model import TrialModel
from clintrial.simulate import simulate_trial
from clintrial.tasks import Binary
from clintrial.trainer import FineTuneConfig, FineTuner
from clintrial.tuning import LastK

TARGET = 'responder'


# -- the trial and its model

def fine_tuned(rows: int):
    "A model that has learned from simulated narratives, the trial, and patients that it has not seen."
    trial = simulate_trial(2 * rows, seed=0, length=100)
    data = TrialData(trial.frame[['narrative', 'response']], Schema(text='narrative', target='response'))
    splits = data.split(fractions=(.7, .1, .1, .1), seed=0)
    part = splits.train.take(splits.train.ids[:rows])
    model = TrialModel.build('minilm', part, Binary('response', positive=TARGET), LastK(3))
    with tempfile.TemporaryDirectory() as folder:
        config = FineTuneConfig(output_dir=Path(folder)/'run', num_train_epochs=5, learning_rate=3e-4, baselines=False, disable_tqdm=True, eval_strategy='no', save_strategy='no', load_best_model_at_end=False)
        tuner = FineTuner(model, splits, config)
        tuner.folder.mkdir(parents=True)
        tuner.train(model.encode(part), model.encode(splits.validation))
    return model.eval(), trial, splits.test


# -- Captum's own loop

def captum_words(model, text: str, n_steps: int) -> np.ndarray:
    "Word scores of one text by Captum's loop."
    encoded = model.tokenizer(text, return_offsets_mapping=True, return_tensors='pt')
    ids, mask = encoded['input_ids'], encoded['attention_mask']
    special = torch.isin(ids, torch.tensor([model.tokenizer.cls_token_id, model.tokenizer.sep_token_id]))
    logit = lambda ids, mask: model(ids, mask, torch.arange(len(ids)), len(ids)).logits[:, 0]
    method = LayerIntegratedGradients(logit, model.backbone.get_input_embeddings())
    scores = method.attribute(ids, torch.where(special, ids, model.tokenizer.pad_token_id), additional_forward_args=(mask,), n_steps=n_steps, internal_batch_size=50).sum(-1)[0].detach().double().numpy()
    starts, ends = encoded['offset_mapping'][0].numpy().T
    return pieces_to_words(text, word_spans(text), starts, ends, scores)[0]


def our_words(attribution) -> list:
    "Word scores of each document."
    words = attribution.table.dropna(subset=['start'])
    return [words.loc[words['document'] == label, 'score'].to_numpy() for label in attribution.documents['document']]


def speed(model, texts: list, n_reference: int, repeats: int) -> dict:
    "Ours against Captum's loop on texts of one window: seconds, rank correlation, completeness."
    explainer = Explainer(model)
    variants = {'Captum, 50 steps': lambda: [captum_words(model, text, 50) for text in texts], 'ours': lambda: explainer.attribute(texts, TARGET),
                'ours, 5 steps': lambda: explainer.attribute(texts, TARGET, steps=5)}
    runs = interleaved(variants, repeats, warm_up=False)
    seconds = medians(runs)
    answers = {name: runs.loc[runs['variant'] == name, 'value'].iloc[0] for name in variants}
    reference = [captum_words(model, text, 300) for text in texts[:n_reference]]
    found = {}
    for name, answer in answers.items():
        words = answer if isinstance(answer, list) else our_words(answer)
        ranks = [spearmanr(mine, exact).statistic for mine, exact in zip(words, reference)]
        found[name] = {'seconds': seconds[name], 'vs_captum_loop': seconds['Captum, 50 steps'] / seconds[name], 'rank_correlation': float(np.mean(ranks)), 'lowest_rank_correlation': float(np.min(ranks))}
        if not isinstance(answer, list): found[name] |= exactness(answer)
        print(f'{name:18s}', {key: round(value, 4) for key, value in found[name].items()}, flush=True)
    return found


def exactness(attribution) -> dict:
    "Completeness errors and steps of an attribution."
    documents = attribution.documents
    large = (documents['score'] - documents['baseline_score']).abs() >= .3
    kept = np.where(large, documents['relative_error'] <= .01, documents['completeness_error'] <= .005)
    return {'completeness_error': float(documents.loc[large, 'relative_error'].max()) if large.any() else 0., 'absolute_error_elsewhere': float(documents.loc[~large, 'completeness_error'].max()) if (~large).any() else 0.,
            'within_tolerance': float(kept.mean()), 'steps': float(documents['steps'].mean())}


# -- true spans and faithfulness

def faithfulness(model, trial, patients, n: int, n_removal: int) -> dict:
    "Mean average precision of each method against the true signal spans, and how often integrated gradients beats random scores."
    explainer, frame, found = Explainer(model), patients.frame[['narrative']], {}
    for method in ('integrated_gradients', 'gradient_x_input', 'attention_rollout', 'occlusion', 'shapley'):
        begun = time.process_time()
        attribution = explainer.attribute(frame.iloc[:n_removal if method in ('occlusion', 'shapley') else n], TARGET, method)
        truth = against_truth(attribution, trial)['average_precision']
        found[method] = {'average_precision': truth['estimate'], 'low': truth['low'], 'high': truth['high'], 'n': int(truth['n']), 'seconds_a_document': (time.process_time() - begun) / len(attribution)}
        print(f'{method:22s}', {key: round(value, 4) for key, value in found[method].items()}, flush=True)
        if method == 'integrated_gradients':
            trust = explainer.faithfulness(attribution, sensitivity=False, progress=False)
            beats = trust['beats_random']
            found['beats_random'] = {name: float(beats[name]) for name in ('estimate', 'low', 'high', 'n')}
            chance = against_truth(attribution, trial)['random_average_precision']['estimate']
            print(trust, flush=True)
    found['random'] = {'average_precision': float(chance)}
    return found


# -- one long document

def long_document(model) -> dict:
    "A document of 8,000 tokens: seconds on one core, memory, and whether every token has a score."
    text = simulate_trial(1, seed=3, length=8000).frame['narrative'].iloc[0]
    pieces = model.tokenizer(f'{text}\n{text}', add_special_tokens=False, return_offsets_mapping=True, verbose=False)['offset_mapping'][:8000]
    text, before, begun, cpu = f'{text}\n{text}'[:pieces[-1][1]], peak_memory_mb() / 1024, time.perf_counter(), time.process_time()
    attribution = Explainer(model).attribute([text], TARGET)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    words = attribution.table.dropna(subset=['start'])
    found = {'tokens': int(attribution.documents['n_tokens'].iloc[0]), 'seconds': seconds, 'processor_seconds': cpu, 'memory_gb_before': before, 'memory_gb': peak_memory_mb() / 1024,
             'tokens_attributed': float((words['score'] != 0).mean()), **exactness(attribution)}
    print('8,000 tokens', {key: round(value, 4) for key, value in found.items()}, flush=True)
    return found


def unsupported_numbers(n: int):
    "Numbers in generated reports that no fact supports."
    from clintrial.narrative import unsupported_in_generated
    return int(unsupported_in_generated(n, seed=0))


def main():
    options = arguments(__doc__.splitlines()[0], rows=0, repeats=2)
    torch.set_num_threads(1)
    model, trial, patients = fine_tuned(options.rows or (700 if options.quick else 3000))
    progress(f'fine-tuned: {time.process_time():.0f} s of processor time so far')
    long = long_document(model)
    texts = patients.texts()
    fits = [text for text in texts if len(model.tokenizer(text)['input_ids']) <= model.config.window_tokens]
    fast = speed(model, fits[:8 if options.quick else 40], 3 if options.quick else 20, options.repeats)
    progress(f'speed measured: {time.process_time():.0f} s')
    n = 24 if options.quick else 150
    faith = faithfulness(model, trial, patients, n, 8 if options.quick else 60)
    progress(f'faithfulness measured: {time.process_time():.0f} s')
    whole = exactness(Explainer(model).attribute(patients.frame[['narrative']].iloc[:n], TARGET))
    finish({'completeness_error': max(whole['completeness_error'], fast['ours']['completeness_error'], long['completeness_error']), 'within_tolerance': whole['within_tolerance'], 'beats_random': faith['beats_random']['estimate'],
            'tokens_attributed': long['tokens_attributed'], 'vs_captum_loop': fast['ours']['vs_captum_loop'], 'rank_correlation': fast['ours']['rank_correlation'], 'unsupported_numbers': unsupported_numbers(1000),
            'speed': fast, 'faithfulness': faith, 'long_document': long, 'machine': describe_machine()})


if __name__ == '__main__': main()
