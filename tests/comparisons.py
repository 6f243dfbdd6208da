"Golden values of the rooms that compare and combine: tests/golden/comparisons.csv (base R) and comparisons_published.csv."
import json
import re
import warnings
from importlib import import_module
from pathlib import Path

import pandas as pd

from clintrial.statistics.analyses import TrialWarning
from clintrial.statistics.association import patients_of

GOLDEN = Path(__file__).parent/'golden'
values = pd.concat([pd.read_csv(GOLDEN/name) for name in ('comparisons.csv', 'comparisons_published.csv')])
long, survival = pd.read_csv(GOLDEN/'statistics_trial.csv'), pd.read_csv(GOLDEN/'survival_data.csv')
trial = long[(long.visit == 4) & (long.arm != 'Low')].dropna(subset='change')
BCG = pd.DataFrame([(4, 123, 11, 139), (6, 306, 29, 303), (3, 231, 11, 220), (62, 13598, 248, 12867), (33, 5069, 47, 5808), (180, 1541, 372, 1451), (8, 2545, 10, 629), (505, 88391, 499, 88391), (29, 7499, 45, 7277),
                    (17, 1716, 65, 1665), (186, 50634, 141, 27338), (5, 2498, 3, 2341), (27, 16913, 29, 17854)], columns=['tb', 'n', 'tb_control', 'n_control']).assign(trial=lambda rows: [f'trial {place}' for place in rows.index])
COUNTS = dict(study='trial', events='tb', n='n', events_reference='tb_control', n_reference='n_control')


def room(name): return import_module(f'clintrial.statistics.{name}')


def called(function: str, given: dict):
    "The analysis of one golden call."
    if function == 'graph_test':
        rooms = room('multiplicity')
        return rooms.graph_test(rooms.Graph([f'H{place}' for place in range(len(given['weights']))], given['weights'], given['transitions']), given['p_values'], given.get('alpha', .05))
    if function in ('adjust', 'closed_test'): return getattr(room('multiplicity'), function)(given.pop('p_values'), **given)
    if function == 'equivalence_risks':
        a, n, c, m = given.pop('counts')
        return room('equivalence').equivalence_risks(patients_of({('new', 1): a, ('new', 0): n - a, ('old', 1): c, ('old', 0): m - c}, ['arm', 'event']), 'arm', 'event', reference='old', **given)
    if function == 'equivalence_means': return room('equivalence').equivalence_means(trial, 'change', 'arm', reference='Placebo', **given)
    if function == 'against_margin': return room('equivalence').against_margin(room('hazards').cox(survival, 'time', 'died', ['age'], arm='arm', reference='placebo'), term='arm[drug]', **given)
    if function == 'meta_analysis': return room('meta_analysis').meta_analysis(room('meta_analysis').study_effects(BCG, **COUNTS, measure=given.pop('measure')), **given)
    if function == 'meta_events': return room('meta_analysis').meta_events(BCG, **COUNTS, **given)
    kind = given['kind']
    if kind == 'hazard ratio': return room('subgroups').subgroup_effects(survival, given.pop('by'), 'arm', 'died', time='time', reference='placebo', **given)
    return room('subgroups').subgroup_effects(trial, given.pop('by'), 'arm', 'change' if kind == 'mean' else 'response', reference='Placebo', **given)


def calls(*functions):
    "Function and arguments of every golden call of these."
    return values.loc[values.function.isin(functions), ['function', 'arguments']].drop_duplicates().to_numpy().tolist()


def check(function: str, arguments: str):
    "Every value of one golden call."
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', TrialWarning)
        found = called(function, json.loads(arguments))
    for row in values[(values.function == function) & (values.arguments == arguments)].itertuples():
        frame, column, place = re.fullmatch(r'(\w+)\.(\w+)\[(\d+)\]', row.name).groups()
        ours = float(getattr(found, frame)[column].iloc[int(place)])
        assert abs(ours - row.value) <= row.tolerance*max(1, abs(row.value)), (row.name, ours, row.value, row.source)
