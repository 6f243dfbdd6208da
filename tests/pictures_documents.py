"Pictures of documents, attributions and kernels."
import re

import numpy as np
import pandas as pd
from pictures import picture

from clintrial.visualizer import attributions, documents, kernels

NOTE = 'Pain is gone since the second dose. She sleeps well and walks two miles.\nBut: nausea <mild>, a rash & more fatigue than before. No fever.'
SCORES = {'gone': .62, 'sleeps': .31, 'well': .24, 'walks': .18, 'nausea': -.41, 'rash': -.22, 'more': -.12, 'fatigue': -.33, 'No': .15, 'fever': .08}


def words() -> pd.DataFrame:
    "An attribution of one note, with a column of the table and what has no place."
    spans = [(match.start(), match.end()) for match in re.finditer(r'\w+', NOTE)]
    rows = pd.DataFrame({'start': [start for start, _ in spans], 'end': [end for _, end in spans], 'text': [NOTE[start:end] for start, end in spans]}).assign(document='P1', field='note')
    rows['score'] = rows['text'].map(SCORES).fillna(.01)
    beside = pd.DataFrame({'document': 'P1', 'field': ['age', None], 'start': None, 'end': None, 'text': ['64', 'special tokens'], 'score': [-.15, .03]})
    return pd.concat([rows.astype({'start': 'Int64', 'end': 'Int64'}), beside.astype({'start': 'Int64', 'end': 'Int64'})], ignore_index=True)


@picture
def document_heatmap():
    chart = documents.document_heatmap(words(), {'note': NOTE}, target='responder')
    cut = documents.map_parts(documents.fields_of(words(), {'note': NOTE}, None))
    strongest = 4   # three sentences for, one against: squares and a triangle
    bars = int((cut['favour'] > 0).sum() + (cut['against'] < 0).sum())
    return chart, {'rect': 1 + len(cut) + bars + strongest - 1, 'path': 1, 'line': 1, 'text': 2 + strongest}


@picture
def attribution_bars():
    chart = attributions.attribution_bars(words(), target='responder')
    return chart, {'rect': 12}


@picture
def attribution_bars_of_sentences():
    return attributions.attribution_bars(words(), 'sentence', row={'note': NOTE}), {'rect': 5}   # four sentences and the age


@picture
def reliance_bars():
    means = np.array([.42, .31, .12, -.05, -.22, -.36])
    cohort = pd.DataFrame({'kind': 'concept', 'name': ['denies pain', 'sleeps well', 'walks', 'cough', 'nausea', 'worse'], 'mean': means, 'low': means - .08, 'high': means + .09, 'documents': [80, 41, 33, 28, 54, 21]})
    return attributions.reliance_bars(cohort, target='improvement'), {'rect': 6 + 12, 'rule': 6 + 1}   # bars and the ends of their intervals; intervals and the zero


@picture
def counterfactual_chart():
    edits = pd.DataFrame({'combination': [0, 0, 0, 1, 1], 'kind': ['remove sentence', 'change value', 'change column', 'remove sentence', 'change dose'], 'field': ['note', 'note', 'age', 'note', 'note'],
                          'before': ['The pain is worse than before the first dose.', '9.1 %', '81', 'Sleeps badly.', '20 mg'], 'after': ['', '7.2 %', '64', '', '40 mg'],
                          'probability': [.71, .55, .41, .62, .62], 'low': [.60, .41, .30, .52, .52], 'high': [.80, .66, .52, .72, .72], 'prediction': ['responder', 'responder', 'non-responder', 'responder', 'responder'],
                          'changes_decision': [True, True, False, True, True]})
    return attributions.counterfactual_chart(edits, before=(.34, .25, .45), of='responder'), {'symbol': 4, 'rule': 4 + 4 + 2}


def profile() -> tuple:
    "Frames as of a profile: kinds of work, memory, utilisation, measures."
    kinds = {'matrix multiply': .52, 'attention': .14, 'no operator': .11, 'optimiser': .09, 'copies and casts': .06, 'normalisation': .04, 'elementwise': .03, 'data': .01}
    shares = np.array(list(kinds.values()))
    categories = pd.DataFrame({'device': 'cpu', 'category': list(kinds), 'calls': 40., 'self_ms': 120*shares, 'share': shares, 'low': .85*shares, 'high': 1.15*shares})
    draw, edges, time = np.random.default_rng(0), np.linspace(0, 120, 41), np.linspace(0, 120, 200)
    memory = pd.concat([pd.DataFrame({'device': 'cpu', 'repeat': repeat, 'time_ms': time, 'allocated_mb': 90 + 60*np.sin(time/120*np.pi) + draw.normal(0, 2, 200)}) for repeat in range(1, 4)], ignore_index=True)
    busy = pd.concat([pd.DataFrame({'device': 'cpu', 'repeat': repeat, 'start_ms': edges[:-1], 'end_ms': edges[1:], 'busy': np.clip(np.where(edges[:-1] < 9, .1, .93) + draw.normal(0, .04, 40), 0, 1)}) for repeat in range(1, 4)], ignore_index=True)
    table = pd.DataFrame([('matrix multiplies of real tokens', 'cpu', 'GFLOP/s', 58., 55, 61), ('measured peak', 'cpu', 'GFLOP/s', 124., 120, 128), ('share of peak', 'cpu', '', .468, .44, .50)], columns=['measure', 'device', 'unit', 'value', 'low', 'high'])
    return categories, memory, busy, table


@picture
def operator_time():
    return kernels.operator_time(profile()[0]), {'rect': 8 + 16, 'rule': 8}


@picture
def operator_time_of_a_gpu():
    times = np.array([4.1, .8, 1.6, 2., .5, .3, .1])
    frame = pd.DataFrame({'device': 'cuda', 'name': ['nvjet_tst_128x256_64x4_h_bz_TNT', 'flash_fwd_kernel', 'flash_bwd_kernel', 'no operator', 'multi_tensor_apply_kernel', 'vectorized_layer_norm_kernel', 'Memcpy HtoD'],
                          'category': ['matrix multiply', 'attention', 'attention', 'no operator', 'optimiser', 'normalisation', 'copies and casts'], 'calls': [36., 6, 6, 0, 4, 13, 3],
                          'self_ms': times, 'share': times/times.sum(), 'low': .9*times/times.sum(), 'high': 1.1*times/times.sum()})
    return kernels.operator_time(frame), {'rect': 7 + 14, 'rule': 7}


@picture
def memory_over_time():
    return kernels.memory_over_time(profile()[1]), {'line': 600, 'rule': 1}


@picture
def utilisation():
    return kernels.utilisation(profile()[2]), {'rect': 40, 'rule': 40 + 1}


@picture
def peak_share():
    return kernels.peak_share(profile()[3]), {'rect': 1 + 2, 'rule': 1 + 1}


@picture
def kernel_view():
    return kernels.kernel_view(*profile()), {'rect': 24 + 3 + 40, 'rule': 8 + 2 + 41 + 1, 'line': 600}
