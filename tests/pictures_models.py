"The charts of models and predictions, from fixed data."
import altair as alt
import numpy as np
import pandas as pd

from clintrial import drawing, visualizer
from clintrial.intervals import wilson
from pictures import picture


def cases(n, seed, strength):
    "Patients whose response depends on a score that a model of this strength sees."
    random = np.random.default_rng(seed)
    signal = random.normal(size=n)
    target = random.random(n) < 1/(1 + np.exp(-1.6*signal))
    return pd.DataFrame({'target': target, 'probability': 1/(1 + np.exp(-1.6*(strength*signal + (1 - strength)*random.normal(size=n))))})


def two_models():
    "Three hundred patients, scored by a strong and by a weak model."
    return pd.concat([cases(300, 1, .9).assign(model='language model'), cases(300, 1, .5).assign(model='TF-IDF')], ignore_index=True)


def history():
    "Four hundred steps with four looks at the validation data."
    random, steps = np.random.default_rng(0), np.arange(1, 401)
    training = pd.DataFrame({'step': steps, 'loss': .25 + .45*np.exp(-steps/90) + random.normal(0, .03, 400), 'tokens_per_second': 9000 + random.normal(0, 300, 400)})
    checks = pd.DataFrame({'step': [100, 200, 300, 400], 'eval_loss': [.52, .43, .41, .44], 'eval_roc_auc': [.71, .78, .81, .80],
                           'eval_roc_auc_low': [.67, .74, .77, .76], 'eval_roc_auc_high': [.75, .82, .85, .84]})
    return pd.concat([training, checks], ignore_index=True)


def opponents():
    "Two metrics of three models."
    return pd.DataFrame([('language model', 'roc_auc', .812, .774, .850, 'higher', 480), ('TF-IDF', 'roc_auc', .771, .729, .812, 'higher', 480), ('prevalence', 'roc_auc', .5, .5, .5, 'higher', 480),
                         ('language model', 'brier', .171, .155, .188, 'lower', 480), ('TF-IDF', 'brier', .188, .172, .205, 'lower', 480), ('prevalence', 'brier', .248, .244, .250, 'lower', 480)],
                        columns=['model', 'metric', 'estimate', 'low', 'high', 'better', 'n'])


def four_patients():
    "Two classes, intervals, sets, and one abstention."
    return pd.DataFrame({'prediction': ['responder', 'non-responder', 'responder', 'non-responder'], 'p_non-responder': [.12, .81, .46, .55], 'p_responder': [.88, .19, .54, .45],
                         'low': [.80, .11, .41, .30], 'high': [.94, .29, .66, .61], 'set': [('responder',), ('non-responder',), ('non-responder', 'responder'), ()],
                         'abstain': [False, False, False, True]}, index=['S-001', 'S-002', 'S-003', 'S-004'])


def sets(n, seed):
    "Simulated patients of three grades: their sets and what came true."
    random, grades = np.random.default_rng(seed), ['mild', 'moderate', 'severe']
    truth, size = random.integers(0, 3, n), random.choice([0, 1, 2, 3], n, p=[.02, .55, .33, .10])
    members = [tuple(grades[(one + place) % 3] for place in range(count)) for one, count in zip(np.where(random.random(n) < .9, truth, (truth + 1) % 3), size)]
    return pd.DataFrame({'set': members, 'target': [grades[one] for one in truth]})


@picture
def training_curve():
    checks = history()['eval_loss'].notna().sum()
    return visualizer.training_curve(history()), {'symbol': 2*checks, 'rule': checks}


@picture
def model_comparison():
    table = opponents()
    return visualizer.model_comparison(table), {'symbol': len(table), 'rule': len(table), 'text': len(table)}


@picture
def before_after():
    changes = pd.DataFrame([('roc_auc', .812, .771, .041, .012, .070), ('brier', .171, .188, -.017, -.029, -.005), ('calibration_slope', 1.04, .92, .12, -.03, .27)],
                           columns=['metric', 'first', 'second', 'difference', 'low', 'high'])
    return visualizer.before_after(changes, better={'roc_auc': 'higher', 'brier': 'lower'}), {'symbol': 3*len(changes), 'rule': 3*len(changes), 'text': len(changes)}


@picture
def many_runs():
    draw = np.random.default_rng(0)
    table = pd.DataFrame({'model': [f'run {place}' for place in range(1, 121)], 'estimate': draw.normal(.78, .03, 120).round(3)}).assign(low=lambda rows: rows['estimate'] - .035, high=lambda rows: rows['estimate'] + .03)
    return visualizer.many_runs(table, metric='roc_auc'), {'symbol': len(table), 'rule': len(table) + 1}


@picture
def roc_curve():
    return visualizer.roc_curve(two_models()), {'area': 2*len(visualizer.GRID_OF_RATES), 'line': 2*len(visualizer.GRID_OF_RATES) + 2}


@picture
def precision_recall_curve():
    return visualizer.precision_recall_curve(two_models()), {'area': 2*len(visualizer.RECALLS), 'line': 2*len(visualizer.RECALLS), 'rule': 1}


@picture
def confusion_matrix():
    grades = pd.DataFrame({'target': ['mild']*50 + ['moderate']*30 + ['severe']*8, 'predicted': ['mild']*44 + ['moderate']*6 + ['moderate']*21 + ['mild']*7 + ['severe']*2 + ['severe']*5 + ['moderate']*3})
    classes = grades['target'].nunique()
    return visualizer.confusion_matrix(grades, labels=['mild', 'moderate', 'severe']), {'rect': classes**2 + classes, 'text': 2*classes**2}


@picture
def decision_curve():
    return visualizer.decision_curve(two_models()), {'area': 2*80, 'line': 2*80 + 2*80}


@picture
def reliability_diagram():
    return visualizer.reliability_diagram(two_models()), {'rule': 2*10, 'symbol': 2*10}


@picture
def subgroup_calibration():
    random = np.random.default_rng(5)
    patients = cases(900, 5, .9).assign(sex=random.choice(['female', 'male'], 900), site=random.choice(['Aarhus', 'Bergen', 'Cork'], 900, p=[.5, .4, .1]))
    rows = 1 + patients['sex'].nunique() + patients['site'].nunique()
    return visualizer.subgroup_calibration(patients, ['sex', 'site']), {'symbol': 4*rows, 'rule': 3*rows + 2}


@picture
def predicted_observed():
    random = np.random.default_rng(2)
    expected = random.uniform(1, 10, 300)
    ratings = pd.DataFrame({'predicted': expected, 'observed': np.clip(expected*.85 + .9 + random.normal(0, 1.1, 300), 1, 10)})
    return visualizer.predicted_observed(ratings, unit='points'), {'symbol': len(ratings) + 10, 'rule': 10}


@picture
def predicted_observed_in_cells():
    random = np.random.default_rng(2)
    many = pd.DataFrame({'prediction': random.normal(130, 15, 20_000)})
    many['observed'] = many['prediction'] + random.normal(0, 8, 20_000)
    domain = visualizer.padded(many.to_numpy().min(), many.to_numpy().max())
    cells = (np.histogram2d(many['prediction'], many['observed'], bins=40, range=[domain, domain])[0] > 0).sum()
    return visualizer.predicted_observed(many, unit='mmHg'), {'rect': cells, 'symbol': 10}


@picture
def two_classes():
    return visualizer.patient_distribution(four_patients()), {'symbol': 4, 'rule': 4, 'text': 4}


@picture
def many_classes():
    frame = pd.DataFrame({'p_mild': [.70, .15], 'p_moderate': [.25, .45], 'p_severe': [.05, .40], 'set': [('mild',), ('moderate', 'severe')]}, index=['S-101', 'S-102'])
    return visualizer.patient_distribution(frame), {'rect': 6, 'text': 6}


@picture
def numbers_of_patients():
    frame = pd.DataFrame({'mean': [6.2, 3.9, 8.1], 'sd': [.9, 1.4, .6], 'low': [4.6, 1.4, 7.0], 'high': [7.8, 6.4, 9.2]}, index=['S-201', 'S-202', 'S-203'])
    return visualizer.patient_distribution(frame, unit='rating points'), {'area': 3*61, 'symbol': 3, 'rule': 3}


@picture
def survival_of_patients():
    frame = pd.DataFrame({f'S_{time}': [.97**time, .90**time] for time in range(3, 37, 3)}, index=['S-301', 'S-302'])
    return visualizer.patient_distribution(frame, unit='months'), {'line': 2*13}


@picture
def coverage_by_subgroup():
    held = pd.DataFrame({'subgroup': ['', 'sex', 'sex', 'site', 'site'], 'value': ['', 'female', 'male', 'Aarhus', 'Bergen'], 'held': [540, 290, 250, 330, 210], 'n': [600, 300, 300, 350, 250]})
    limits = np.array([wilson(*pair) for pair in zip(held['held'], held['n'])])
    return visualizer.coverage_by_subgroup(held.assign(estimate=held['held']/held['n'], low=limits[:, 0], high=limits[:, 1])), {'symbol': len(held), 'rule': len(held) + 1, 'text': len(held)}


@picture
def set_sizes():
    frame = sets(400, 0)
    count = len({len(members) for members in frame['set']})
    return visualizer.set_sizes(frame, promised=.9), {'rect': count, 'rule': 2*count + 1, 'symbol': count}


@picture
def interval_widths():
    random = np.random.default_rng(1)
    spread = random.gamma(9, .2, 500)
    return visualizer.interval_widths(pd.DataFrame({'low': 5 - spread, 'high': 5 + spread, 'target': 5 + random.normal(0, 1, 500)}), unit='points', promised=.9), {'rect': 20, 'rule': 1}


@picture
def linked_bars():
    notes = pd.DataFrame({'site': ['Aarhus']*3 + ['Bergen']*5 + ['Cork']*2, 'note': [f'Note {place} of a patient.' for place in range(10)]})
    counts = notes.groupby('site', as_index=False).agg(n=('note', 'size'))
    bars = drawing.titled(alt.Chart(counts).mark_bar(color=drawing.BLUE).encode(x='n:Q', y='site:N').properties(width=300, height=90), 'Errors by site', '', 'Bergen 5, Aarhus 3, Cork 2.')
    return visualizer.linked(bars, notes, by='site'), {'rect': 3, 'text': 2*10 + 2}
