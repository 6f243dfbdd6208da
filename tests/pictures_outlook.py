"Charts of outlooks, from fixed numbers."
import numpy as np
import pandas as pd

from clintrial.visualizer import outlook
from pictures import picture


@picture
def course_outlook():
    grid = np.array([0., 15, 30, 60, 90])
    curves = pd.concat([pd.DataFrame({'problem': name, 'day': grid, 'estimate': risk*grid/90, 'low': .6*risk*grid/90, 'high': np.minimum(1, 1.4*risk*grid/90)}) for name, risk in (('fall with injury', .12), ('acute kidney injury', .46), ('liver injury', .04))])
    days = np.array([0, 27, 55, 84, 113, 140])
    labs = pd.concat([pd.DataFrame({'day': days, 'test': test, 'value': values}) for test, values in (('creatinine', [78, 80, 79, 92, 108, 150.]), ('ALT', [24, 31, 22, 27, 25, 90.]))])
    begun = pd.DataFrame({'day': [40, 135], 'term': ['heart failure', 'acute kidney injury']})
    chart = outlook.course_outlook(pd.DataFrame({'day': days}), curves, 120, labs, begun)
    return chart, {'rule': 6, 'area': 3*2*5 - 15, 'line': 2*5 + 3*5, 'symbol': 2*5 + 1, 'text': 1}


@picture
def problem_outlook():
    answers = pd.DataFrame({'problem': ['acute kidney injury', 'fall with injury', 'depressive episode', 'stroke'], 'estimate': [.46, .12, .05, np.nan], 'low': [.34, .08, .02, np.nan], 'high': [.6, .18, .11, np.nan],
                            'base': [.11, .12, .1, np.nan], 'abstain': [False, False, True, True], 'reason': ['', '', 'only 8 events to calibrate on', '5 events among 771 at risk, 25 are needed']})
    return outlook.problem_outlook(answers, 90), {'symbol': 3, 'rule': 3}


@picture
def site_performance():
    rows = [(site, measure, reader, value, value - .08, value + .09, 120) for site, shift in (('Aarhus', 0), ('Bergen', .03), ('Evora', -.05)) for measure, middle in (('concordance', .74), ('observed/expected', 1.02))
            for reader, less in (('all sites seen', 0), ('site never seen', .04)) for value in (middle + shift - less,)]
    table = pd.DataFrame(rows, columns=['site', 'measure', 'reader', 'estimate', 'low', 'high', 'n'])
    return outlook.site_performance(table), {'symbol': 12, 'rule': 12 + 2}
