"The frame that an analysis hands to the charts is drawn by them: every estimate of `clintrial.statistics` as a forest plot, survival as curves, balance as a love plot."
import warnings

import numpy as np
import pandas as pd
import pytest

from clintrial.drawing import to_spec
from clintrial.statistics import (adjusted_rmst, ancova, andersen_gill, cox, dose_response, equivalence_means, equivalence_risks, kaplan_meier, logistic, meta_analysis, meta_events,
                                  negative_binomial, odds_ratio, ordinal, reference_imputation, risk_difference, risk_ratio, rmst, standardisation, study_effects, subgroup_effects, t_test)
from clintrial.statistics.baseline import baseline_table
from clintrial.visualizer import forest_plot, love_plot
from clintrial.visualizer import kaplan_meier as curves

draw = np.random.default_rng(0)
N = 160
trial = pd.DataFrame({'arm': np.repeat(['placebo', 'active'], N//2), 'age': draw.normal(60, 9, N).round(), 'sex': draw.choice(['F', 'M'], N), 'base': draw.normal(50, 8, N), 'dose': np.repeat([0, 10], N//2)})
trial['change'] = -.3*(trial['base'] - 50) - 4*(trial['arm'] == 'active') + draw.normal(0, 6, N)
trial['responder'], trial['months'], trial['died'] = trial['change'] < -2, draw.exponential(12, N).round(1) + .1, draw.random(N) < .7
trial['grade'] = pd.Categorical(pd.cut(trial['change'], [-99, -4, 2, 99], labels=['better', 'same', 'worse']), ordered=True)
visits = pd.concat([trial.assign(patient=range(N), visit=visit, value=trial['change']*visit/2 + draw.normal(0, 2, N)) for visit in (1, 2)])
visits = visits[~((visits['visit'] == 2) & (visits['patient'] % 9 == 0))]
relapses = pd.DataFrame([{'patient': patient, 'arm': trial['arm'][patient], 'start': 3.*place, 'stop': 3.*place + 2.5 + patient % 5/10, 'event': (patient + place) % 3 > (trial['arm'][patient] == 'active')}
                         for patient in range(N) for place in range(3)])
studies = pd.DataFrame({'study': list('ABCDE'), 'e1': [4, 11, 8, 20, 3], 'n1': [50, 90, 70, 210, 40], 'e0': [9, 15, 16, 33, 5], 'n0': [52, 88, 69, 205, 41]})
FOUR = 'study', 'e1', 'n1', 'e0', 'n0'

ANALYSES = {
    'ancova': lambda: ancova(trial, 'change', 'arm', ['base']), 't_test': lambda: t_test(trial, 'change', 'arm'), 'dose_response': lambda: dose_response(trial, 'change', 'dose'),
    'risk_difference': lambda: risk_difference(trial, 'arm', 'responder'), 'risk_ratio': lambda: risk_ratio(trial, 'arm', 'responder'), 'odds_ratio': lambda: odds_ratio(trial, 'arm', 'responder'),
    'logistic': lambda: logistic(trial, 'responder', 'arm', ['base']), 'ordinal': lambda: ordinal(trial, 'grade', 'arm'), 'cox': lambda: cox(trial, 'months', 'died', ['age'], arm='arm'),
    'rmst': lambda: rmst(trial, 'months', 'died', 'arm', tau=10), 'adjusted_rmst': lambda: adjusted_rmst(trial, 'months', 'died', 'arm', ['age'], tau=10),
    'standardisation': lambda: standardisation(trial, 'responder', 'arm', ['base']), 'equivalence_means': lambda: equivalence_means(trial, 'change', 'arm', (-9, 9)),
    'equivalence_risks': lambda: equivalence_risks(trial, 'arm', 'responder', -.1, better='higher'), 'andersen_gill': lambda: andersen_gill(relapses, 'start', 'stop', 'event', 'patient', 'arm'),
    'negative_binomial': lambda: negative_binomial(relapses, 'start', 'stop', 'event', 'patient', 'arm'),
    'reference_imputation': lambda: reference_imputation(visits, 'value', 'arm', 'visit', 'patient', ['base'], m=5),
    'subgroup_effects': lambda: subgroup_effects(trial, ['sex'], 'arm', 'change'), 'meta_analysis': lambda: meta_analysis(study_effects(studies, *FOUR)), 'meta_events': lambda: meta_events(studies, *FOUR)}


@pytest.mark.parametrize('name', ANALYSES)
def test_estimates_are_drawn_as_a_forest(name):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        found = ANALYSES[name]()
    spec = to_spec(forest_plot(found.chart_frame, measure='Effect', title=name))
    first = next(row for row in found.chart_frame.itertuples() if np.isfinite(row.estimate))
    assert f'{first.label}' in str(spec), 'the first effect is named'
    assert spec['description']


def test_survival_is_drawn_as_curves():
    frame = kaplan_meier(trial, 'months', 'died', 'arm').chart_frame
    assert 'active' in to_spec(curves(frame, 'time', 'event', 'arm'))['description']


def test_balance_is_drawn():
    assert to_spec(love_plot(baseline_table(trial, 'arm', ['age', 'sex', 'base']).chart_frame))['description'].endswith('.')
