"Charts of tables, missing values and trials, from fixed data."
import numpy as np
import pandas as pd

from clintrial.missing import missing_pattern
from clintrial.visualizer import missingness, tables, trial_effects, trial_flow, trial_patients, trial_time
from pictures import picture


def two_arms(n=240):
    "Patients of two arms with gaps in two columns."
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({'arm': np.repeat(['drug', 'placebo'], n//2), 'age': rng.normal(60, 9, n).round(), 'crp': rng.lognormal(1, .5, n), 'grade': rng.choice(['I', 'II', 'III'], n)})
    frame.loc[rng.random(n) < np.where(frame['arm'] == 'drug', .2, .1), 'crp'] = np.nan
    frame.loc[rng.random(n) < .05, 'age'] = np.nan
    return frame


@picture
def missing_share():
    table = missing_pattern(two_arms(), by='arm').table            # 3 columns × 2 arms
    return missingness.missing_share(table), {'symbol': 6, 'rule': 6}


@picture
def missingness_matrix():
    frame = pd.DataFrame({'a': [1, None, None, None], 'b': [1, 2, None, 4.], 'c': 1.})
    return missingness.missingness_matrix(frame), {'rect': 3 + 3 + 4, 'rule': 3}   # bars, pale columns, cells with a gap


@picture
def missing_patterns():
    patterns = missing_pattern(two_arms()).patterns                 # none, crp, age, both
    return missingness.missing_patterns(patterns), {'rect': 2*len(patterns) + len(patterns), 'rule': len(patterns), 'text': len(patterns)}


@picture
def dropout_curve():
    visits = pd.DataFrame([(subject, week, 1.) for subject in range(60) for week in (0, 4, 8, 12) if week <= 4*(subject % 4) + 4*(subject % 2)], columns=['subject', 'week', 'score'])
    dropout = missing_pattern(visits.assign(arm=np.where(visits['subject'] % 2, 'drug', 'placebo')), columns='score', by='arm', visit='week', subject='subject').dropout
    return missingness.dropout_curve(dropout, unit='weeks'), {'symbol': 8, 'rule': 8, 'text': 8}


@picture
def imputation_trace():
    rng = np.random.default_rng(2)
    trace = pd.DataFrame([(chain, 0, cycle, 'crp', 3 + rng.normal(0, .3), 1 + rng.random()/4, 40) for chain in range(1, 6) for cycle in range(1, 11)], columns=['chain', 'group', 'iteration', 'column', 'mean', 'sd', 'cells'])
    return missingness.imputation_trace(trace), {'line': 2*(5 + 1)*10}


@picture
def class_balance():
    return tables.class_balance(two_arms(), 'grade', by='arm'), {'rect': 6, 'rule': 6, 'text': 6}


@picture
def histograms_by_arm():
    start = np.arange(40., 80, 10)
    bins = pd.concat([pd.DataFrame({'column': column, 'arm': arm, 'start': start, 'end': start + 10, 'count': counts}) for column in ('age', 'weight') for arm, counts in (('drug', [5, 20, 22, 7]), ('placebo', [9, 18, 19, 9]))])
    return tables.histograms_by_arm(bins), {'line': 2*2*5, 'area': 2*2*5}                                    # each step line ends at the edge of its last bin


@picture
def text_lengths():
    rng = np.random.default_rng(3)
    texts = pd.DataFrame({'tokens': np.r_[rng.lognormal(5.6, .5, 900), rng.lognormal(6.2, .6, 700)].round(), 'part': np.repeat(['phase 2', 'phase 3'], [900, 700])})
    bins = tables.length_bins(texts['tokens'].to_numpy(), texts['part'].to_numpy(), 40)
    return tables.text_lengths(texts, by='part', window=512), {'rect': int((bins['count'] > 0).sum()), 'rule': 2*(3 + 1)}


@picture
def drift_chart():
    row = dict(role='numeric', reference='train', n_reference=400, n_part=200, low=np.nan, high=np.nan, by_chance=np.nan, p_value=np.nan)
    shifts = pd.DataFrame([row | dict(column=column, part=part, measure='standardised difference', value=value, low=value - .17, high=value + .17) for column, part, value in
                           (('age', 'test', .31), ('age', 'validation', .05), ('crp', 'test', -.08), ('crp', 'validation', .02))] +
                          [row | dict(column='grade', part=part, measure='total variation', value=value, by_chance=.05) for part, value in (('test', .04), ('validation', .21))])
    return tables.drift_chart(shifts), {'symbol': 6, 'rule': 4 + 2, 'rect': 2}                                # intervals and null lines; ticks of chance


@picture
def term_bars():
    terms = pd.DataFrame([dict(column='note', grouping='arm', group=group, rank=rank, term=term, rows=30 - rank, subjects=25 - rank, share=.1, tf_idf=np.nan, log_odds=2/rank + .5, z=6/rank)
                          for group, words in (('drug', ['itching', 'rash', 'patch']), ('placebo', ['fall', 'cough', 'sleep'])) for rank, term in enumerate(words, 1)])
    return tables.term_bars(terms), {'rect': 6, 'rule': 6}


@picture
def forest_plot():
    effects = pd.DataFrame([('All patients', None, .71, .56, .91, 686, True), ('Pre', 'Menopausal status', .86, .52, 1.42, 290, False), ('Post', 'Menopausal status', .66, .50, .88, 396, False),
                            ('I', 'Tumour grade', None, None, None, 81, False), ('II', 'Tumour grade', .72, .53, .97, 444, False), ('III', 'Tumour grade', .63, .38, 1.06, 161, False)],
                           columns=['label', 'group', 'estimate', 'low', 'high', 'n', 'summary'])
    return trial_effects.forest_plot(effects, columns=['n'], favours=('hormone', 'no hormone')), {'symbol': 4, 'rule': 4 + 1, 'area': 3, 'text': 3*(8 + 1)}


@picture
def volcano():
    rng = np.random.default_rng(4)
    effect = rng.normal(0, .5, 300) + 3*(np.arange(300) < 6)
    outcomes = pd.DataFrame({'label': [f'term {number}' for number in range(300)], 'effect': effect, 'p_value': np.exp(-2*effect**2)})
    return trial_effects.volcano(outcomes, unit='log2 rate ratio'), {'symbol': 300, 'rule': 2}


@picture
def love_plot():
    balance = pd.DataFrame([(name, stage, value*(.2 if stage == 'after' else 1), value*(.2 if stage == 'after' else 1) - .16, value*(.2 if stage == 'after' else 1) + .16)
                            for name, value in (('age', .42), ('sex: female', -.2), ('severity', .7)) for stage in ('before', 'after')], columns=['covariate', 'stage', 'difference', 'low', 'high'])
    return trial_effects.love_plot(balance), {'symbol': 6, 'rule': 6 + 3}


@picture
def consort():
    flow = pd.DataFrame([('assessed', None, None, 306), ('excluded', None, 'Screen failure', 52), ('randomised', None, None, 254)] +
                        [(step, arm, None, n) for arm, size, lost, analysed in (('Placebo', 86, 1, 79), ('Low dose', 84, 1, 81), ('High dose', 84, 0, 74))
                         for step, n in (('allocated', size), ('received', size), ('lost', lost), ('analysed', analysed), ('not analysed', size - analysed))], columns=['step', 'arm', 'reason', 'n'])
    return trial_flow.consort(flow), {'rect': 1 + 4 + 3 + 3*3, 'polyline': 2 + 3*3}                           # page, stages, top boxes, three boxes an arm; arrows


@picture
def patient_flow():
    course = pd.DataFrame([(patient, visit, ['well', 'ill', 'worse'][(patient*7 + place*(patient % 3)) % 3]) for patient in range(40) for place, visit in enumerate(['baseline', 'week 8', 'week 16']) if (patient + place) % 9], columns=['patient', 'visit', 'state'])
    counts, moves = trial_flow.flow_tables(course, 'patient', 'visit', 'state', ['baseline', 'week 8', 'week 16'], ['ill', 'well', 'worse', 'not seen'])
    return trial_flow.patient_flow(course), {'path': sum(int((move > 0).sum()) for move in moves), 'rect': 1 + int((counts > 0).sum()) + int(counts.any(0).sum())}


@picture
def waterfall():
    rng = np.random.default_rng(5)
    best = pd.DataFrame({'change': np.r_[rng.normal(-20, 35, 39).clip(-100, 95), 135].round(1)})
    best['response'] = pd.cut(best['change'], [-101, -99.9, -30, 20, 1000], labels=['CR', 'PR', 'SD', 'PD']).astype(object)
    return trial_patients.waterfall(best, group='response'), {'rect': 40, 'rule': 2, 'text': 1}


@picture
def spider():
    course = pd.DataFrame([(patient, week, week*(patient - 7)/3, 'PR' if patient < 5 else 'SD') for patient in range(12) for week in (0, 8, 16, 24)], columns=['patient', 'time', 'change', 'response'])
    return trial_patients.spider(course, group='response'), {'line': 48, 'symbol': 12, 'rule': 2}


@picture
def spider_bands():
    rng = np.random.default_rng(6)
    course = pd.DataFrame({'patient': np.repeat(np.arange(200), 5), 'time': np.tile(np.arange(0, 40, 8), 200), 'change': (rng.normal(-1, 1, (200, 1))*np.arange(0, 40, 8)).ravel()})
    return trial_patients.spider(course), {'line': 5, 'area': 10, 'rule': 5 + 2}


@picture
def swimmer():
    lanes = pd.DataFrame({'patient': [f'P{number:02d}' for number in range(12)], 'duration': np.arange(60., 0, -5), 'response': ['PR', 'SD', 'PD']*4, 'ongoing': [True]*3 + [False]*9})
    events = pd.DataFrame({'patient': ['P00', 'P03', 'P05', 'P05'], 'time': [12, 10, 20, 35], 'event': ['response', 'response', 'progression', 'death']})
    return trial_patients.swimmer(lanes, events, group='response', ongoing='ongoing'), {'rect': 12, 'symbol': 3 + 4}


@picture
def kaplan_meier():
    rng = np.random.default_rng(7)
    until, lost = rng.exponential(np.repeat([30, 18], 60)), rng.uniform(6, 48, 120)
    patients = pd.DataFrame({'arm': np.repeat(['drug', 'placebo'], 60), 'time': np.minimum(until, lost).round(1), 'event': (until <= lost).astype(int)})
    censored = patients[patients['event'] == 0].drop_duplicates(['arm', 'time'])
    steps = sum(part['time'].nunique() + 1 for _, part in patients.groupby('arm'))
    return trial_time.kaplan_meier(patients, by='arm', unit='months', outcome='Overall survival'), {'line': steps, 'area': steps, 'rect': len(censored)}


@picture
def disease_trend():
    rng, at = np.random.default_rng(8), np.arange(48)
    level = 40 + .4*at + 9*np.sin(at*np.pi/6)
    cases = pd.DataFrame({'time': pd.date_range('2021-01-01', periods=48, freq='MS'), 'value': np.where(at < 42, level + rng.normal(0, 2, 48), np.nan)})
    for percent, z in ((5, -1.645), (25, -.674), (50, 0), (75, .674), (95, 1.645)): cases[f'q{percent:02d}'] = np.where(at > 35, level + z*(2 + .45*(at - 35)), np.nan)
    return trial_time.disease_trend(cases, words='Cases a month'), {'line': 42 + 12, 'area': 24, 'symbol': 42}


@picture
def group_sequential():
    looks = pd.DataFrame({'information': [.2, .4, .6, .8, 1], 'upper': 2.040*np.sqrt(5/np.arange(1, 6)), 'lower': [-1, 0, .7, 1.4, 2.04], 'z': [.6, 1.7, 2.75, None, None]})
    return trial_time.group_sequential(looks), {'symbol': 5 + 5 + 3, 'line': 5 + 5 + 3, 'area': 10, 'text': 3 + 2, 'rule': 1}
