"""Does the audit find what is wrong, and keep silent where nothing is? Planted faults caught, and false alarms on clean tables.

    python bench/audit.py --quick
    python bench/audit.py --first-seed 5000

A fault is caught where the right check names the right column (and, where rows were planted, these rows) with at least the stated severity.
A false alarm is a run of one check on one clean table that raises a warning or worse; the share of clean tables with a severe finding is counted too.
Thresholds were chosen on seeds below 1000; figures are reported on seeds from 5000.
"""
import random
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import arguments, describe_machine, finish, progress

SEVERITY = ('note', 'warning', 'severe')


# -- clean tables

class Table(NamedTuple):
    "A table, its roles, and how it is to be split."
    kind: str
    frame: pd.DataFrame
    roles: dict

    def data(self):
        from clintrial.dataset import TrialData
        from clintrial.schema import Schema
        roles = {role: columns for role, columns in self.roles.items() if columns}
        return TrialData(self.frame, Schema(**roles)) if roles.get('text') else self.frame

    def input(self, role, *columns):
        "The same table with more inputs."
        return self._replace(roles=self.roles | {role: (*self.roles.get(role, ()), *columns)})


OUTCOMES = ['improvement', 'severity', 'event_time', 'event']
SAYINGS = ('the pain was {} in the morning', 'sleep was {} since the last visit', 'the appetite is {}', 'walking the stairs is {}', 'the family finds the mood {}', 'the blood pressure was {} at home',
           'the nurse calls the wound {}', 'the cough is {} at night', 'the skin looks {}', 'the tablets were {} to swallow')
GRADES = ('much better', 'somewhat better', 'about the same', 'somewhat worse', 'much worse')
PLACES = ('at the kitchen table', 'after breakfast', 'in the garden', 'on the ward', 'by telephone', 'in the presence of a relative', 'after the walk', 'before the infusion', 'on the bus home', 'in the waiting room')


def notes(rng, latent, sentences=5) -> list:
    "Notes of a few sentences whose grades follow a latent number, with much noise."
    texts = []
    for value in latent:
        grade = np.clip(np.round(2 - .7 * value + rng.normal(0, 1.2, sentences)), 0, 4).astype(int)
        said = [f"{SAYINGS[rng.integers(len(SAYINGS))].format(GRADES[g])} {PLACES[rng.integers(len(PLACES))]} on day {rng.integers(1, 400)}" for g in grade]
        texts.append('. '.join(part[0].upper() + part[1:] for part in said) + '.')
    return texts


def trial(seed, language='en', n=500, **options) -> Table:
    "A simulated trial without its other outcomes."
    from clintrial.simulate import simulate_trial
    made = simulate_trial(n, seed=seed, language=language, **options)
    frame = made.frame.drop(columns=OUTCOMES)
    planted = [name for name in ('closeout_code', 'rescue_packs') if name in frame]
    roles = dict(text=('narrative',), numeric=('age', 'bmi', 'disease_years', 'baseline_score', *[name for name in planted if name == 'rescue_packs']),
                 categorical=('area', 'sex', 'smoker', 'marker', *[name for name in planted if name == 'closeout_code']), target=('response',), subject='subject', arm='arm', time='enrolled', site='site')
    return Table(f'trial_{language}', frame, roles)


def registry(seed, n=600) -> Table:
    "Three classes of outcome, two texts, hospitals, no randomisation."
    rng = np.random.default_rng([seed, 1])
    latent = rng.normal(size=n)
    outcome = np.digitize(latent + rng.normal(0, 1, n), [-.8, .8])
    frame = pd.DataFrame({
        'patient': [f'R{number:06d}' for number in rng.permutation(n * 7)[:n]], 'hospital': [f'H{number:02d}' for number in rng.integers(0, 15, n)],
        'admitted': pd.Timestamp('2021-03-01') + pd.to_timedelta(np.sort(rng.integers(0, 900, n)), 'D'), 'age': rng.normal(63, 11, n).round().clip(18, 89),
        'creatinine': rng.lognormal(0, .3, n).round(2), 'stage': rng.choice(['I', 'II', 'III', 'IV'], n, p=[.3, .3, .25, .15]), 'sex': rng.choice(['F', 'M'], n),
        'history': notes(rng, latent * .4, 4), 'examination': notes(rng, latent, 4), 'course': np.array(['worse', 'same', 'better'])[outcome]}, index=[f'row-{number}' for number in range(n)])
    frame['creatinine'] = frame['creatinine'].mask(rng.random(n) < .08)
    return Table('registry', frame, dict(text=('history', 'examination'), numeric=('age', 'creatinine'), categorical=('stage', 'sex'), target=('course',), subject='patient', time='admitted', site='hospital'))


def visits(seed, patients=200) -> Table:
    "Four visits a patient; the outcome is the patient's, so that visits share it."
    rng = np.random.default_rng([seed, 2])
    latent = rng.normal(size=patients)
    good = latent + rng.normal(0, 1, patients) > 0
    who, number = np.repeat(np.arange(patients), 4), np.tile(np.arange(1, 5), patients)
    start = pd.Timestamp('2022-01-10') + pd.to_timedelta(rng.integers(0, 300, patients), 'D')
    frame = pd.DataFrame({
        'participant': [f'V{value:04d}' for value in who], 'visit': number, 'enrolled': start[who], 'visit_date': start[who] + pd.to_timedelta(number * 28 + rng.integers(-3, 4, len(who)), 'D'),
        'arm': np.array(['A', 'B'])[rng.permutation(patients) % 2][who], 'weight': (rng.normal(75, 12, patients)[who] + rng.normal(0, 1, len(who))).round(1), 'region': rng.choice(['north', 'south', 'east'], patients)[who],
        'note': notes(rng, latent[who], 4), 'responded': np.where(good, 'yes', 'no')[who]})
    return Table('visits', frame, dict(text=('note',), numeric=('weight',), categorical=('region',), target=('responded',), subject='participant', arm='arm', time='enrolled'))


def tabular(seed, n=400) -> Table:
    "No text; a number is predicted."
    rng = np.random.default_rng([seed, 3])
    age, dose, marker = rng.normal(55, 12, n), rng.choice([10., 20, 40], n), rng.lognormal(2, .5, n)
    frame = pd.DataFrame({'age': age.round(), 'dose': dose, 'marker': marker.round(3), 'platelets': rng.normal(250, 60, n).round(), 'ecog': rng.choice(['0', '1', '2'], n, p=[.5, .35, .15]), 'prior_lines': rng.poisson(1.2, n).astype(float),
                          'arm': np.array(['control', 'drug', 'drug'])[rng.permutation(n) % 3], 'pain': (50 - .2 * age + .3 * dose + 3 * np.log(marker) + rng.normal(0, 8, n)).round(1)})
    frame['marker'] = frame['marker'].mask(rng.random(n) < .1)
    return Table('tabular', frame, dict(numeric=('age', 'dose', 'marker', 'platelets', 'prior_lines'), categorical=('ecog',), target=('pain',), arm='arm', text=()))


def sentences(seed, n=800) -> Table:
    "A label that is a fact of the text: does the sentence report a reaction of the skin?"
    rng = np.random.default_rng([seed, 4])
    skin = ('an itching rash on the {}', 'red weals over the {}', 'a burning of the skin at the {}', 'blisters along the {}')
    calm = ('no complaint about the {}', 'a bruise from a fall on the {}', 'pain on movement of the {}', 'swelling after a long flight of the {}')
    parts = ('left arm', 'right arm', 'back', 'neck', 'left knee', 'right hand', 'ankle', 'shoulder')
    kind = rng.random(n) < .4
    said = [f"{['On', 'About', 'Since'][rng.integers(3)]} day {rng.integers(1, 600)} {['she', 'he', 'the boy', 'the girl'][rng.integers(4)]} had {(skin if yes else calm)[rng.integers(4)].format(parts[rng.integers(8)])} {PLACES[rng.integers(len(PLACES))]}, {rng.integers(1, 99)} days after the dose"
            for yes in kind]
    frame = pd.DataFrame({'sentence': said, 'article': [f'A{value:04d}' for value in rng.integers(0, n, n)], 'reaction': np.where(kind, 'skin', 'none')})
    return Table('sentences', frame, dict(text=('sentence',), target=('reaction',), subject='article'))


def demanding(seed, n=360) -> Table:
    "Nothing is wrong, but much looks like it: sixty columns of noise, a strong honest predictor, a rare outcome, three unequal arms, suspicious names, numbers in the text, short answers that many give."
    rng = np.random.default_rng([seed, 5])
    latent = rng.normal(size=n)
    good = latent + rng.normal(0, .8, n) > 1.5
    remarks = ('None', 'N/A', 'no complaints', 'as before', 'nothing new to report')
    said = ('Protocol ABC-{a}-{b}, NCT0{c}, visit {d}.', 'BP 1{d}/8{e} mmHg, pulse {a}, ALT {d}-{b} U/L, eGFR >{a} mL/min/1.73 m2.', 'Batch 20{d}{b}{c}, 2.5-10 mg, 08:{d} to 17:{d}.', 'Platelets {b} 000 per microlitre since 2012-2014.',
            'Dr was informed; the Patient and the Nurse agreed.', 'Crohn disease, Parkinson disease and a Hodgkin lymphoma in the family.', 'See doi 10.1000/{b}.{c} and page {a}-{b}.')
    fill = lambda: said[rng.integers(len(said))].format(a=rng.integers(10, 99), b=rng.integers(100, 999), c=rng.integers(1000000, 9999999), d=rng.integers(10, 59), e=rng.integers(0, 9))
    start = pd.Timestamp('2023-01-05') + pd.to_timedelta(np.sort(rng.integers(0, 400, n)), 'D')
    frame = pd.DataFrame({
        'person': [f'{value:07d}' for value in rng.permutation(n * 11)[:n]], 'centre': [f'C{value}' for value in rng.integers(0, 9, n)], 'started': start,
        'allocated': np.array(['low', 'high', 'high', 'none'])[rng.permutation(n) % 4], 'risk_score': (latent + rng.normal(0, 1.2, n)).round(2), 'prior_relapse': rng.choice(['Y', 'N'], n), 'family_history_of_death': rng.choice(['Y', 'N'], n),
        'days_since_last_visit': rng.poisson(40, n).astype(float), 'creatine_kinase': rng.lognormal(5, 1, n).round(), 'cell_count': rng.integers(4000, 11000, n), 'birth_date': (pd.Timestamp('1955-01-01') + pd.to_timedelta(rng.integers(0, 12000, n), 'D')).strftime('%Y-%m-%d').to_numpy(dtype=object),
        'onset_start': (start - pd.to_timedelta(rng.integers(30, 900, n), 'D')).strftime('%Y-%m').to_numpy(dtype=object), 'onset_end': [f'{day:%Y-%m}' for day in start],
        'remark': rng.choice(remarks, n), 'note': [f'{text} {fill()} {fill()}' for text in notes(rng, latent, 3)], 'remission_at_a_year': np.where(good, 'yes', 'no')})
    noise = {f'm{place:02d}': rng.normal(size=n) if place % 3 else rng.choice(list('abcd'), n) for place in range(60)}
    gone = {name: pd.Series(values).mask(rng.random(n) < rng.choice([0, .05, .3])) for name, values in noise.items()}
    numeric, classes = ([name for name in noise if (int(name[1:]) % 3 == 0) == wanted] for wanted in (False, True))
    return Table('demanding', pd.concat([frame, pd.DataFrame(gone)], axis=1), dict(
        text=('remark', 'note'), numeric=('risk_score', 'days_since_last_visit', 'creatine_kinase', 'cell_count', *numeric), categorical=('prior_relapse', 'family_history_of_death', *classes),
        target=('remission_at_a_year',), subject='person', arm='allocated', time='started', site='centre'))


CLEAN = {'trial_en': trial, 'trial_zh': lambda seed: trial(seed, 'zh'), 'trial_small': lambda seed: trial(seed, n=160), 'trial_missing': lambda seed: trial(seed, missing=('MCAR', 'MAR', 'MNAR')[seed % 3], label_noise=.1),
         'registry': registry, 'visits': visits, 'tabular': tabular, 'sentences': sentences, 'demanding': demanding}


class CountingTokenizer:
    "A tokenizer that knows every word of letters, digits and Chinese: what a fitting backbone would."
    unk_token_id, model_max_length = 0, 512

    def __call__(self, text):
        import re
        return [1 if re.fullmatch(r'[\x00-\x7f\u2000-\u206f\u3000-\u9fff\uff00-\uffef\u00b0-\u00ff\u0370-\u03ff\u2190-\u22ff]+', word) else 0 for word in re.findall(r'[\u4e00-\u9fff]|\w+|[^\w\s]', text)]


def embed(texts):
    "Shares of 48 hashed kinds of words: a stand-in for a backbone."
    import re
    import zlib
    rows = np.zeros((len(texts), 48))
    for row, text in zip(rows, texts):
        for word in re.findall(r'[\u4e00-\u9fff]|[^\W\d]+', text): row[zlib.crc32(word.lower().encode('utf-8', 'replace')) % 48] += 1
        row /= max(row.sum(), 1)
    return rows


# -- faults: each takes a clean table and a random generator, and gives what is to be found

class Planted(NamedTuple):
    "A spoilt table, and what the audit must say of it."
    table: Table
    check: str
    column: object          # None: of no single column
    severity: str           # at least
    rows: object = None     # labels that must be named
    splits: object = None   # None: none; 'random': a random split of the spoilt table; else the splits
    options: dict = {}      # of audit


FAULTS = {}


def fault(*kinds):
    "Register a fault for kinds of tables."
    def register(plant):
        FAULTS[plant.__name__] = (kinds, plant)
        return plant
    return register


BINARY = ('trial_en', 'trial_zh', 'visits')
CLASSES = (*BINARY, 'registry')
WITH_TEXT = ('trial_en', 'trial_zh', 'registry')


def codes(table):
    "The target as numbers, and one of its classes as truth."
    cells = table.frame[table.roles['target'][0]]
    return (cells == cells.iloc[0]).to_numpy()


def with_column(table, name, values, role='numeric'):
    "The table with one more input."
    return table._replace(frame=table.frame.assign(**{name: values})).input(role, name)


def some(rng, table, share=.05, where=None):
    "Positions of some rows."
    pool = np.arange(len(table.frame)) if where is None else np.flatnonzero(where)
    return rng.permutation(pool)[:max(2, int(share * len(table.frame)))]


def text_of(table): return table.roles['text'][-1]


def rewritten(table, column, positions, write):
    "The table with some texts rewritten: write(text, place) → text."
    cells = table.frame[column].to_numpy(dtype=object).copy()
    for place, position in enumerate(positions): cells[position] = write(cells[position], place)
    return table._replace(frame=table.frame.assign(**{column: pd.Series(cells, index=table.frame.index, dtype=object)}))


# columns that give the target away

@fault(*CLASSES, 'sentences')
def copied_target(table, rng):
    return Planted(with_column(table, 'form_code', np.where(codes(table), 'F7', 'F2'), 'categorical'), 'target_column', 'form_code', 'severe')

@fault(*CLASSES)
def noisy_proxy(table, rng):
    return Planted(with_column(table, 'kit_count', np.where(codes(table), 3.2, 0) + rng.normal(size=len(table.frame))), 'target_column', 'kit_count', 'severe')

@fault(*CLASSES)
def weaker_proxy(table, rng):
    return Planted(with_column(table, 'kit_count', np.where(codes(table), 2.1, 0) + rng.normal(size=len(table.frame))), 'target_column', 'kit_count', 'warning')

@fault('trial_en', 'trial_zh', 'registry')
def proxy_high_at_both_ends(table, rng):
    n = len(table.frame)
    return Planted(with_column(table, 'offset', np.where(codes(table), 0, rng.choice([-6, 6], n)) + rng.normal(size=n)), 'target_column', 'offset', 'severe')

@fault('trial_en', 'trial_zh', 'registry')
def code_of_a_few(table, rng):
    chosen = codes(table) & (rng.random(len(table.frame)) < .3)
    return Planted(with_column(table, 'ward', np.where(chosen, 'W9', rng.choice(['W1', 'W2', 'W3'], len(table.frame))), 'categorical'), 'target_column', 'ward', 'warning', set(table.frame.index[chosen]))

@fault('trial_en', 'registry')
def dates_give_away(table, rng):
    day = pd.Timestamp('2020-01-01') + pd.to_timedelta(np.where(codes(table), 0, 60) + rng.integers(0, 40, len(table.frame)), 'D')
    return Planted(with_column(table, 'form_printed', day.strftime('%Y-%m-%d').to_numpy(dtype=object), 'categorical'), 'target_column', 'form_printed', 'severe')

@fault('trial_en', 'trial_zh')
def flag_of_outcome(table, rng):
    flag = codes(table) ^ (rng.random(len(table.frame)) < .02)
    return Planted(with_column(table, 'query_open', flag, 'categorical'), 'target_column', 'query_open', 'severe')

@fault('registry', 'trial_en', 'trial_zh')
def longer_text_for_one_class(table, rng):
    column, chosen = text_of(table), np.flatnonzero(codes(table))
    spoilt = rewritten(table, column, chosen, lambda text, _: text + ' ' + ' '.join(rng.permutation(('Height and weight were measured twice and the cuff was changed, then the form was copied and put into the folder of the week, '
                                                                                                     'and the next appointment was made by the office before the bus left').split() * 5)))
    return Planted(spoilt, 'target_column', column, 'severe')

@fault('tabular')
def copy_of_a_number(table, rng):
    return Planted(with_column(table, 'scale_b', table.frame['pain'] * 2.5 + 4 + rng.normal(0, .3, len(table.frame))), 'target_column', 'scale_b', 'severe')

@fault('tabular')
def near_copy_of_a_number(table, rng):
    return Planted(with_column(table, 'scale_b', table.frame['pain'] + rng.normal(0, 2.5, len(table.frame))), 'target_column', 'scale_b', 'warning')

@fault('trial_en', 'trial_zh')
def simulated_column_leak(table, rng):
    return Planted(trial(int(rng.integers(10**6)), table.kind[-2:], leaks=('column',)), 'target_column', 'closeout_code', 'severe')

@fault('trial_en', 'trial_zh')
def simulated_proxy_leak(table, rng):
    return Planted(trial(int(rng.integers(10**6)), table.kind[-2:], leaks=('proxy',)), 'target_column', 'rescue_packs', 'severe')

@fault('trial_en', 'registry')
def leak_in_few_patients(table, rng):
    small = table._replace(frame=table.frame.iloc[:90])
    return Planted(with_column(small, 'form_code', np.where(codes(small), 'F7', 'F2'), 'categorical'), 'target_column', 'form_code', 'severe')

# being filled in

@fault('trial_en', 'trial_zh', 'registry')
def remark_for_one_class(table, rng):
    spoilt = with_column(table, 'remark', np.where(codes(table), 'seen again by the study nurse', None), 'text')
    return Planted(spoilt, 'target_presence', 'remark', 'severe')

@fault(*CLASSES)
def value_missing_by_outcome(table, rng):
    n = len(table.frame)
    gone = np.where(codes(table), rng.random(n) < .99, rng.random(n) < .02)
    return Planted(with_column(table, 'ferritin', np.where(gone, np.nan, rng.normal(120, 30, n))), 'target_presence', 'ferritin', 'severe')

@fault('trial_en', 'trial_zh', 'registry')
def value_missing_for_a_few(table, rng):
    n = len(table.frame)
    gone = codes(table) & (rng.random(n) < .25)
    return Planted(with_column(table, 'ferritin', np.where(gone, np.nan, rng.normal(120, 30, n))), 'target_presence', 'ferritin', 'warning', set(table.frame.index[gone]))

@fault('tabular')
def class_missing_for_low_numbers(table, rng):
    low = (table.frame['pain'] < table.frame['pain'].median()).to_numpy()
    spoilt = table._replace(frame=table.frame.assign(eased=np.where(low, 'yes', 'no')), roles=table.roles | dict(target=('eased',)))
    return Planted(with_column(spoilt, 'grade', np.where(low, None, rng.choice(['a', 'b'], len(low))), 'categorical'), 'target_presence', 'grade', 'severe')

# words

@fault('trial_en', 'trial_zh')
def simulated_text_leak(table, rng):
    return Planted(trial(int(rng.integers(10**6)), table.kind[-2:], leaks=('text',)), 'target_term', 'narrative', 'severe')

@fault('trial_en', 'registry', 'visits')
def neutral_phrase_of_one_class(table, rng):
    chosen = np.flatnonzero(codes(table) & (rng.random(len(table.frame)) < .5))
    return Planted(rewritten(table, text_of(table), chosen, lambda text, _: text + ' Filed in the green folder.'), 'target_term', text_of(table), 'warning')

@fault('trial_en', 'trial_zh', 'visits')
def word_that_decides(table, rng):
    good = codes(table)
    write = lambda text, place: text + (' zenith' if good[place] else ' nadir')
    return Planted(rewritten(table, text_of(table), np.arange(len(table.frame)), write), 'target_term', text_of(table), 'severe')

@fault('trial_en', 'registry')
def end_of_study_told(table, rng):
    chosen = np.flatnonzero(codes(table) & (rng.random(len(table.frame)) < .35))
    return Planted(rewritten(table, text_of(table), chosen, lambda text, _: text + ' The patient withdrew from the study.'), 'target_term', text_of(table), 'severe')

@fault('tabular')
def phrase_of_high_numbers(table, rng):
    high = (table.frame['pain'] > table.frame['pain'].median()).to_numpy()
    said = np.where(high, 'asked for a higher dose today', 'asked about the parking place')
    return Planted(with_column(table, 'comment', said, 'text'), 'target_term', 'comment', 'warning')

# known afterwards

def named_after(name, values, role, severity, kinds):
    "A fault whose column has a name that tells."
    def plant(table, rng): return Planted(with_column(table, name, values(rng, len(table.frame), codes(table)), role), 'after_outcome', name, severity)
    plant.__name__ = f'after_{name}'
    fault(*kinds)(plant)

def flags(rng, n, good): return rng.choice(['Y', 'N'], n)
def reasons(rng, n, good): return np.where(good, rng.choice(['completed', 'lost'], n, p=[.9, .1]), rng.choice(['lack of efficacy', 'completed'], n))

for name, values, role, severity, kinds in (
        ('DTHFL', flags, 'categorical', 'severe', ('trial_en', 'visits')), ('AEOUT', flags, 'categorical', 'severe', ('trial_en', 'registry')), ('EOSSTT', reasons, 'categorical', 'severe', ('trial_en', 'trial_zh')),
        ('DCSREAS', reasons, 'categorical', 'severe', ('trial_en',)), ('PCHG', lambda rng, n, good: rng.normal(size=n), 'numeric', 'severe', ('trial_en', 'visits')),
        ('reason_for_discontinuation', reasons, 'categorical', 'severe', ('trial_en', 'registry')), ('weightChangeFromBaseline', lambda rng, n, good: rng.normal(size=n), 'numeric', 'warning', ('trial_en', 'registry')),
        ('discharge_ward', flags, 'categorical', 'warning', ('registry', 'visits')), ('days_on_study', lambda rng, n, good: rng.normal(100, 20, n) + 30 * good, 'numeric', 'severe', ('trial_en', 'trial_zh')),
        ('AVAL', lambda rng, n, good: rng.normal(size=n) + 1.2 * good, 'numeric', 'warning', ('trial_en', 'visits')), ('出院去向', flags, 'categorical', 'warning', ('trial_zh',)),
        ('last_contact_mood', flags, 'categorical', 'warning', ('trial_en',))): named_after(name, values, role, severity, kinds)

@fault('trial_en', 'registry')
def label_tells(table, rng):
    spoilt = with_column(table, 'VAR17', flags(rng, len(table.frame), None), 'categorical')
    spoilt.frame.attrs['labels'] = {'VAR17': 'Reason for Early Termination'}
    return Planted(spoilt, 'after_outcome', 'VAR17', 'warning')

@fault('trial_en', 'registry', 'visits')
def date_after_enrolment(table, rng):
    day = table.frame[table.roles['time']] + pd.to_timedelta(rng.integers(10, 200, len(table.frame)), 'D')
    return Planted(with_column(table, 'form_printed', day.dt.strftime('%Y-%m-%d').to_numpy(dtype=object), 'categorical'), 'after_outcome', 'form_printed', 'warning')

@fault('trial_en', 'registry')
def date_after_outcome(table, rng):
    outcome = table.frame[table.roles['time']] + pd.to_timedelta(100, 'D')
    printed = outcome + pd.to_timedelta(rng.integers(-5, 30, len(table.frame)), 'D')
    spoilt = with_column(table._replace(frame=table.frame.assign(outcome_date=outcome)), 'form_printed', printed.dt.strftime('%Y-%m-%d').to_numpy(dtype=object), 'categorical')
    return Planted(spoilt, 'after_outcome', 'form_printed', 'severe')

# identifiers

@fault('trial_en', 'registry', 'tabular')
def counter(table, rng):
    return Planted(with_column(table, 'entry', np.arange(len(table.frame)) + 1001), 'identifier', 'entry', 'warning')

@fault('trial_en', 'tabular')
def counter_with_gaps_shuffled(table, rng):
    return Planted(with_column(table, 'entry', rng.permutation(int(1.6 * len(table.frame)))[:len(table.frame)]), 'identifier', 'entry', 'warning')

@fault('trial_en', 'registry', 'tabular')
def long_code(table, rng):
    return Planted(with_column(table, 'barcode', rng.choice(9 * 10**7, len(table.frame), replace=False) + 10**7), 'identifier', 'barcode', 'warning')

@fault('trial_en', 'tabular')
def hashes(table, rng):
    made = random.Random(int(rng.integers(10**9)))
    return Planted(with_column(table, 'token', [f'{made.getrandbits(128):032x}' for _ in range(len(table.frame))], 'categorical'), 'identifier', 'token', 'warning')

@fault('registry', 'visits')
def uuids(table, rng):
    made = random.Random(int(rng.integers(10**9)))
    return Planted(with_column(table, 'token', [str(uuid.UUID(int=made.getrandbits(128))) for _ in range(len(table.frame))], 'categorical'), 'identifier', 'token', 'warning')

@fault('trial_en', 'registry')
def site_in_the_number(table, rng):
    sites = table.frame[table.roles['site']]
    return Planted(with_column(table, 'screening', [f'{site[-2:]}-{place:04d}' for place, site in enumerate(sites)], 'categorical'), 'identifier', 'screening', 'warning')

@fault('visits')
def number_of_the_patient(table, rng):
    numbers = dict(zip(table.frame['participant'].unique(), rng.permutation(10**6)[:table.frame['participant'].nunique()]))
    return Planted(with_column(table, 'badge', [f'B-{numbers[who]}' for who in table.frame['participant']], 'categorical'), 'identifier', 'badge', 'warning')

@fault('trial_en', 'registry')
def subject_as_feature(table, rng):
    return Planted(table.input('categorical', table.roles['subject']), 'identifier', table.roles['subject'], 'warning')

# two sides of a split

def by_hand(table, places=None, by='hand', extra=None):
    "A split by place, not by subject; `extra`: part → more positions."
    from clintrial.dataset import Splits
    data, n = table.data(), len(table.frame)
    places = np.arange(n) if places is None else places
    parts = np.split(places, [int(.6 * n), int(.75 * n), int(.85 * n)])
    parts = [np.r_[part, (extra or {}).get(number, [])].astype(int) for number, part in enumerate(parts)]
    return Splits(*(data.take(table.frame.index[part]) for part in parts), {'by': by})

@fault('visits')
def visits_parted(table, rng):
    return Planted(table, 'subject_overlap', 'participant', 'severe', splits=by_hand(table, rng.permutation(len(table.frame))))

@fault('trial_en', 'registry')
def one_subject_twice(table, rng):
    subject, places = table.roles['subject'], rng.permutation(len(table.frame))
    cells = table.frame[subject].to_numpy(dtype=object).copy()
    cells[places[-1]] = cells[places[0]]
    spoilt = table._replace(frame=table.frame.assign(**{subject: cells}))
    return Planted(spoilt, 'subject_overlap', subject, 'severe', {table.frame.index[places[0]], table.frame.index[places[-1]]}, by_hand(spoilt, places))

@fault('trial_en', 'registry')
def rows_in_two_parts(table, rng):
    return Planted(table, 'subject_overlap', None, 'severe', set(table.frame.index[:3]), by_hand(table, extra={3: [0, 1, 2]}))

@fault('trial_en', 'trial_zh', 'registry')
def copied_texts(table, rng):
    n, source = len(table.frame), np.arange(4)
    spoilt, copies = table, n - 1 - source
    for column in table.roles['text']:
        cells = table.frame[column].to_numpy(dtype=object)
        spoilt = rewritten(spoilt, column, copies, lambda text, place: cells[source[place]].upper().replace(' ', '  '))
    return Planted(spoilt, 'text_overlap', ', '.join(table.roles['text']), 'severe', set(table.frame.index[np.r_[source, copies]]), by_hand(spoilt))

@fault('registry')
def one_field_copied(table, rng):
    n, cells = len(table.frame), table.frame['examination'].to_numpy(dtype=object)
    spoilt = rewritten(table, 'examination', n - 1 - np.arange(8), lambda text, place: cells[place])
    return Planted(spoilt, 'text_overlap', 'examination', 'warning', set(table.frame.index[n - 8:]), by_hand(spoilt))

@fault('trial_en', 'trial_zh')
def simulated_duplicates(table, rng):
    return Planted(trial(int(rng.integers(10**6)), table.kind[-2:], leaks=('duplicate',)), 'text_overlap', 'narrative', 'warning', splits='random')

@fault('trial_en', 'trial_zh', 'registry')
def near_copies(table, rng):
    n, many = len(table.frame), int(.03 * len(table.frame))
    spoilt = table
    for column in table.roles['text']:
        cells = table.frame[column].to_numpy(dtype=object)
        spoilt = rewritten(spoilt, column, n - 1 - np.arange(many), lambda text, place: cells[place] + ' Ok.')
    return Planted(spoilt, 'near_text_overlap', ', '.join(table.roles['text']), 'severe', set(table.frame.index[n - many:]), by_hand(spoilt))

@fault('trial_en', 'registry')
def few_near_copies(table, rng):
    n, spoilt = len(table.frame), table
    for column in table.roles['text']:
        cells = table.frame[column].to_numpy(dtype=object)
        spoilt = rewritten(spoilt, column, n - 1 - np.arange(3), lambda text, place: 'Later: ' + cells[place])
    return Planted(spoilt, 'near_text_overlap', ', '.join(table.roles['text']), 'warning', set(table.frame.index[n - 3:]), by_hand(spoilt))

# time

@fault('trial_en', 'registry')
def future_in_train(table, rng):
    time, order = table.roles['time'], np.argsort(table.frame[table.roles['time']].to_numpy(), kind='stable')
    swapped = order.copy()
    swapped[[5, -5]] = swapped[[-5, 5]]
    return Planted(table, 'time_split', time, 'severe', {table.frame.index[order[-5]]}, by_hand(table, swapped, by='time'))

@fault('trial_en', 'registry')
def nearly_by_time(table, rng):
    time, order = table.roles['time'], np.argsort(table.frame[table.roles['time']].to_numpy(), kind='stable')
    swapped = order.copy()
    swapped[[5, -5]] = swapped[[-5, 5]]
    return Planted(table, 'time_split', time, 'warning', {table.frame.index[order[-5]]}, by_hand(table, swapped))

@fault('visits')
def visit_before_enrolment(table, rng):
    rows = some(rng, table, .01)
    frame = table.frame.assign(visit_date=table.frame['visit_date'].where(~table.frame.index.isin(rows), table.frame['enrolled'] - pd.Timedelta(9, 'D')))
    return Planted(table._replace(frame=frame), 'time_order', 'enrolled, visit_date', 'warning', set(rows.tolist()))

@fault('visits')
def visits_out_of_order(table, rng):
    frame = table.frame.copy()
    frame.loc[[1, 2], 'visit_date'] = frame.loc[[2, 1], 'visit_date'].to_numpy()
    return Planted(table._replace(frame=frame), 'time_order', 'visit, visit_date', 'warning', {2})

@fault('trial_en', 'registry')
def death_before_birth(table, rng):
    n = len(table.frame)
    born = pd.Timestamp('1950-01-01') + pd.to_timedelta(rng.integers(0, 9000, n), 'D')
    died = np.where(rng.random(n) < .1, '2024-05-01', None)
    row = int(np.flatnonzero(died != None)[0])   # noqa: E711
    died[row] = '1939-05-01'
    frame = table.frame.assign(birth_date=born.strftime('%Y-%m-%d').to_numpy(dtype=object), death_date=died)
    return Planted(table._replace(frame=frame), 'time_order', 'birth_date, death_date', 'warning', {table.frame.index[row]})

@fault('trial_en', 'registry')
def end_before_start(table, rng):
    start = pd.Timestamp('2023-01-01') + pd.to_timedelta(rng.integers(0, 300, len(table.frame)), 'D')
    rows = some(rng, table, .01)
    end = start + pd.to_timedelta(np.where(np.isin(np.arange(len(start)), rows), -3, 12), 'D')
    frame = table.frame.assign(AESTDTC=start.strftime('%Y-%m-%d').to_numpy(dtype=object), AEENDTC=end.strftime('%Y-%m-%d').to_numpy(dtype=object))
    return Planted(table._replace(frame=frame), 'time_order', 'AESTDTC, AEENDTC', 'warning', set(table.frame.index[rows]))

@fault('registry', 'trial_zh')
def columns_of_dates_swapped(table, rng):
    start = pd.Timestamp('2023-01-01') + pd.to_timedelta(rng.integers(0, 300, len(table.frame)), 'D')
    swapped = rng.random(len(start)) < .2
    stop = start + pd.to_timedelta(30, 'D')
    frame = table.frame.assign(infusion_start=np.where(swapped, stop, start), infusion_end=np.where(swapped, start, stop))
    return Planted(table._replace(frame=frame), 'time_order', 'infusion_start, infusion_end', 'severe', set(table.frame.index[swapped]))

# labels

def contradicted(table, rng, pairs):
    "Pairs of rows with one text and two labels."
    target = table.roles['target'][0]
    labels, spoilt = table.frame[target].to_numpy(dtype=object), table
    first = rng.permutation(np.flatnonzero(labels == labels[0]))[:pairs]
    second = rng.permutation(np.flatnonzero(labels != labels[0]))[:pairs]
    for column in table.roles['text']:
        cells = table.frame[column].to_numpy(dtype=object)
        spoilt = rewritten(spoilt, column, second, lambda text, place: cells[first[place]])
    return spoilt, set(table.frame.index[np.r_[first, second]])

@fault('trial_en', 'trial_zh', 'registry')
def a_text_with_two_labels(table, rng):
    spoilt, rows = contradicted(table, rng, 2)
    return Planted(spoilt, 'contradicting_labels', table.roles['target'][0], 'warning', rows)

@fault('trial_en', 'registry')
def many_texts_with_two_labels(table, rng):
    spoilt, rows = contradicted(table, rng, int(.05 * len(table.frame)))
    return Planted(spoilt, 'contradicting_labels', table.roles['target'][0], 'severe', rows)

@fault('tabular')
def equal_numbers_two_labels(table, rng):
    frame = table.frame.assign(eased=np.where(table.frame['pain'] < table.frame['pain'].median(), 'yes', 'no'))
    first, second = (int(np.flatnonzero((frame['eased'] == label) & frame['marker'].notna())[3]) for label in ('yes', 'no'))
    for column in (*table.roles['numeric'], *table.roles['categorical']): frame.loc[second, column] = frame.loc[first, column]
    return Planted(table._replace(frame=frame, roles=table.roles | dict(target=('eased',))), 'contradicting_labels', 'eased', 'warning', {first, second})

def flipped(share):
    def plant(table, rng):
        rows = some(rng, table, share)
        cells = table.frame['reaction'].to_numpy(dtype=object).copy()
        cells[rows] = np.where(cells[rows] == 'skin', 'none', 'skin')
        return Planted(table._replace(frame=table.frame.assign(reaction=cells)), 'label_errors', 'reaction', 'warning', set(rows.tolist()))
    plant.__name__ = f'labels_flipped_{share:.0%}'
    return plant

for share in (.01, .03, .06): fault('sentences')(flipped(share))

@fault('sentences')
def labels_flipped_in_one_class(table, rng):
    rows = some(rng, table, .02, table.frame['reaction'] == 'skin')
    cells = table.frame['reaction'].to_numpy(dtype=object).copy()
    cells[rows] = 'none'
    return Planted(table._replace(frame=table.frame.assign(reaction=cells)), 'label_errors', 'reaction', 'warning', set(rows.tolist()))

@fault('trial_en', 'registry')
def rare_class(table, rng):
    target = table.roles['target'][0]
    cells, rows = table.frame[target].to_numpy(dtype=object).copy(), some(rng, table, .015)
    cells[rows] = 'unclear'
    return Planted(table._replace(frame=table.frame.assign(**{target: cells})), 'small_classes', target, 'warning', set(table.frame.index[rows]))

@fault('trial_en', 'registry')
def class_in_test_only(table, rng):
    target = table.roles['target'][0]
    cells = table.frame[target].to_numpy(dtype=object).copy()
    cells[-12:] = 'unclear'
    spoilt = table._replace(frame=table.frame.assign(**{target: cells}))
    return Planted(spoilt, 'small_classes', target, 'severe', set(table.frame.index[-12:]), by_hand(spoilt))

@fault('trial_en', 'sentences')
def one_class(table, rng):
    target = table.roles['target'][0]
    return Planted(table._replace(frame=table.frame.assign(**{target: 'same'})), 'small_classes', target, 'severe')

# arms

def one_arm(table):
    arms = table.frame[table.roles['arm']]
    return (arms == arms.iloc[0]).to_numpy()

@fault('trial_en', 'trial_zh', 'tabular')
def older_arm(table, rng):
    return Planted(table._replace(frame=table.frame.assign(age=table.frame['age'] + 9. * one_arm(table))), 'arm_balance', 'age', 'warning')

@fault('trial_en', 'trial_zh')
def smokers_in_one_arm(table, rng):
    n = len(table.frame)
    return Planted(table._replace(frame=table.frame.assign(smoker=np.where(one_arm(table) & (rng.random(n) < .4), 'current', table.frame['smoker']))), 'arm_balance', 'smoker', 'warning')

@fault('trial_en', 'tabular')
def missing_in_one_arm(table, rng):
    column = 'bmi' if 'bmi' in table.frame else 'platelets'
    gone = one_arm(table) & (rng.random(len(table.frame)) < .3)
    return Planted(table._replace(frame=table.frame.assign(**{column: table.frame[column].mask(gone)})), 'arm_balance', column, 'warning')

@fault('trial_en', 'trial_zh')
def longer_notes_in_one_arm(table, rng):
    spoilt = rewritten(table, 'narrative', np.flatnonzero(one_arm(table)), lambda text, _: text + text[:int(.4 * len(text))])
    return Planted(spoilt, 'arm_balance', 'narrative', 'warning')

@fault('trial_en', 'trial_zh')
def arm_lost_patients(table, rng):
    large = pd.concat([table.frame] * 5, ignore_index=True)
    large = large.assign(subject=[f'S{place}' for place in range(len(large))])
    active = np.flatnonzero((large['arm'] == 'active').to_numpy())
    return Planted(table._replace(frame=large.drop(index=rng.permutation(active)[:int(.2 * len(active))]).reset_index(drop=True)), 'arm_ratio', 'arm', 'warning')

@fault('trial_en', 'trial_zh')
def site_with_one_arm(table, rng):
    busiest = table.frame['site'].value_counts().index[0]
    rows = table.frame['site'] == busiest
    return Planted(table._replace(frame=table.frame.assign(arm=np.where(rows, 'active', table.frame['arm']))), 'site_arm', 'site', 'warning', set(table.frame.index[rows]))

@fault('trial_en')
def sites_lean(table, rng):
    rows = table.frame['site'].isin(table.frame['site'].value_counts().index[:2]).to_numpy() & (rng.random(len(table.frame)) < .75)
    return Planted(table._replace(frame=table.frame.assign(arm=np.where(rows, 'active', table.frame['arm']))), 'site_arm', 'site', 'warning')

# the backbone

@fault('trial_en', 'registry')
def unreadable_script(table, rng):
    spoilt = rewritten(table, text_of(table), np.arange(len(table.frame)), lambda text, _: ' '.join('ทดสอบ' if rng.random() < .4 else word for word in text.split()))
    return Planted(spoilt, 'unknown_tokens', text_of(table), 'severe')

@fault('trial_en', 'trial_zh')
def partly_unreadable(table, rng):
    spoilt = rewritten(table, text_of(table), some(rng, table, .3), lambda text, _: text + ' ' + 'ทดสอบ ' * (len(CountingTokenizer()(text)) // 2))
    return Planted(spoilt, 'unknown_tokens', text_of(table), 'warning')

@fault('trial_en', 'registry')
def beyond_the_window(table, rng):
    spoilt = rewritten(table, text_of(table), np.arange(len(table.frame)), lambda text, _: ' '.join([text] * 20))
    return Planted(spoilt, 'beyond_window', text_of(table), 'warning')

@fault('trial_en', 'registry')
def other_population_in_test(table, rng):
    n = len(table.frame)
    spoilt = table
    for column in table.roles['text']: spoilt = rewritten(spoilt, column, np.arange(int(.85 * n), n), lambda text, _: text + ' Hospice bed, palliative nurse, hospice doctor, morphine pump.')
    return Planted(spoilt, 'embedding_drift', ', '.join(table.roles['text']), 'warning', splits=by_hand(spoilt))

# personal data

@fault('trial_en', 'trial_zh')
def simulated_personal_data(table, rng):
    return Planted(trial(int(rng.integers(10**6)), table.kind[-2:], phi=.05), 'personal_data', 'narrative', 'severe')

def personal(name, said, kinds, share=.005, severity='warning'):
    "A fault that adds a sentence with personal data to some texts."
    def plant(table, rng):
        rows = some(rng, table, share)
        return Planted(rewritten(table, text_of(table), rows, lambda text, place: text + said[place % len(said)]), 'personal_data', text_of(table), severity, set(table.frame.index[rows]))
    plant.__name__ = f'personal_{name}'
    fault(*kinds)(plant)

for name, said, kinds in (
        ('email', [' Letters to anna.berg@example.org please.', ' mail: kim_77@example.co.uk'], ('trial_en', 'registry')), ('phone', [' Call her at +49 30 901820 after five.', ' Tel. (212) 555-0187.'], ('trial_en', 'registry')),
        ('name', [' Seen by Dr. Helga Lindqvist.', ' Patient name: Robert Moreau'], ('trial_en', 'registry')), ('address', [' She lives at 14 Harbor Road.', ' Moved to 221 West Mill Lane, flat 3.'], ('trial_en', 'registry')),
        ('record', [' MRN 4829137 was merged.', ' Chart no. 77120934.'], ('trial_en', 'registry')), ('birth', [' DOB 03/05/1951.', ' Born on 12 May 1948.'], ('trial_en', 'registry')),
        ('ssn', [' SSN 536-90-4399.', ' social security number 219-09-9998'], ('trial_en',)), ('nhs', [' 943 476 5919 on the wristband.'], ('registry',)), ('card', [' Paid with 4454 7945 1139 0933.'], ('registry',)),
        ('chinese', ['身份证110105194912310021。'.replace('110105194912310021', '11010519491231002X'), '联系电话13800001234。'], ('trial_zh',)), ('chinese_name', ['患者姓名：王秀英。', '联系人李伟，电话13912345678。'], ('trial_zh',)),
        ('iban', [' Refund to GB82 WEST 1234 5698 7654 32.'], ('trial_en',))): personal(name, said, kinds)


# -- running

def caught(planted: Planted) -> str:
    "'' where the fault was found as it must be, else what was wrong."
    from clintrial.audit import audit
    table, splits = planted.table, planted.splits
    data = table.data()
    if isinstance(splits, str): splits = data.split(seed=1)
    roles = {} if not isinstance(data, pd.DataFrame) else {role: columns for role, columns in table.roles.items() if columns}
    report = audit(data, splits, tokenizer=CountingTokenizer(), embed=embed, checks=[planted.check], progress=False, **roles)
    if planted.check in report.skipped: return f'skipped: {report.skipped[planted.check]}'
    right = [finding for finding in report.findings if finding.check == planted.check and finding.column == planted.column]
    if not right: return 'nothing' if not report.findings else f'only at {[finding.column for finding in report.findings]}'
    best = max(right, key=lambda finding: SEVERITY.index(finding.severity))
    if SEVERITY.index(best.severity) < SEVERITY.index(planted.severity): return f'only a {best.severity}: {best.evidence}'
    if planted.rows is None: return ''
    share = len(set(best.ids) & planted.rows) / len(planted.rows)
    return '' if share >= (.7 if planted.check == 'label_errors' else 1) else f'{share:.0%} of the rows'


def plant_all(seed: int, at_most=None) -> pd.DataFrame:
    "Every fault in every kind of table that it fits: one row a fault and table."
    rows = []
    for name, (kinds, plant) in FAULTS.items():
        for kind in kinds[:at_most]:
            rng = np.random.default_rng([seed, sum(map(ord, name))])
            planted = plant(CLEAN[kind](seed), rng)
            rows.append({'fault': name, 'table': kind, 'check': planted.check, 'missed': caught(planted)})
            if rows[-1]['missed']: progress(f"{name} in {kind} (seed {seed}): {rows[-1]['missed']}")
    return pd.DataFrame(rows)


def clean_runs(seeds, kinds=None) -> pd.DataFrame:
    "Every check on clean tables: one row a check and table, with the worst severity or 'passed' or 'skipped'."
    from clintrial.audit import audit
    rows = []
    for kind in kinds or CLEAN:
        for seed in seeds:
            table = CLEAN[kind](seed)
            data = table.data()
            roles = {} if not isinstance(data, pd.DataFrame) else {role: columns for role, columns in table.roles.items() if columns}
            splits = data.split(seed=seed) if not isinstance(data, pd.DataFrame) else None
            report = audit(data, splits, tokenizer=CountingTokenizer(), embed=embed, progress=False, **roles)
            worst = {name: 'skipped' if name in report.skipped else 'passed' for name in report.titles}
            for finding in reversed(report.findings): worst[finding.check] = finding.severity
            rows += [{'table': kind, 'seed': seed, 'check': name, 'worst': severity} for name, severity in worst.items()]
            for finding in report.findings:
                if finding.severity != 'note': progress(f'{kind} {seed}: {finding.severity} {finding.check} {finding.column}: {finding.evidence}')
        progress(f'{kind}: {len(seeds)} clean tables')
    return pd.DataFrame(rows)


def rates(runs: pd.DataFrame) -> dict:
    "Share of check runs with a warning or worse, and share of tables with a severe finding; each with a 95 % upper limit."
    from scipy.stats import beta
    ran = runs[runs['worst'] != 'skipped']
    loud = ran['worst'].isin(['warning', 'severe'])
    tables = ran.groupby(['table', 'seed'])['worst'].agg(lambda worst: (worst == 'severe').any())
    upper = lambda k, n: float(beta.ppf(.95, k + 1, n - k)) if k < n else 1.
    return {'clean_tables': len(tables), 'clean_runs': len(ran), 'false_alarm_rate': float(loud.mean()), 'false_alarm_upper': upper(int(loud.sum()), len(ran)),
            'warnings': int((ran['worst'] == 'warning').sum()), 'severe': int((ran['worst'] == 'severe').sum()), 'tables_with_severe': float(tables.mean()), 'tables_with_severe_upper': upper(int(tables.sum()), len(tables)),
            'tables_with_any_alarm': float(ran.assign(loud=loud).groupby(['table', 'seed'])['loud'].any().mean()), 'by_check': {name: int(count) for name, count in ran[loud]['check'].value_counts().items()}}


def real_tables() -> dict:
    "Severe leaks that would stop a training on public data sets: figures only."
    from clintrial.audit import audit_leaks
    import common
    found = {}
    for name in ('druglib', 'ade_corpus', 'top_phase1', 'nli4ct'):
        try: data, _ = getattr(common, name)()
        except (SystemExit, FileNotFoundError): continue
        report = audit_leaks(data.split(seed=0))
        found[name] = {'rows': report.rows, 'leaks': [finding.check for finding in report.leaks], 'warnings': [finding.check for finding in report.of_severity('warning')], 'seconds': sum(report.seconds.values())}
    return found


def main():
    options = arguments(__doc__.splitlines()[0], first_seed=5000)
    seeds = range(options.first_seed, options.first_seed + (5 if options.quick else 25))
    begun = time.perf_counter()
    planted = pd.concat([plant_all(seed, 1 if options.quick else None) for seed in list(seeds)[:1 if options.quick else 3]])
    missed = planted[planted['missed'] != '']
    progress(f'{len(planted) - len(missed)} of {len(planted)} planted faults caught')
    alarms = rates(clean_runs(seeds))
    finish({'planted': len(planted), 'caught': len(planted) - len(missed), 'kinds_of_fault': planted['fault'].nunique(), 'fault_and_table': len(planted.drop_duplicates(['fault', 'table'])), 'checks_with_faults': planted['check'].nunique(),
            'missed': [f'{row.fault} in {row.table}' for row in missed.itertuples()], **alarms, 'real': real_tables(), 'first_seed': options.first_seed, 'seconds': time.perf_counter() - begun, 'machine': describe_machine()})


if __name__ == '__main__': main()
