"Charts of patients and trials, from fixed data."
import pandas as pd

from clintrial.visualizer import verdicts
from pictures import picture


@picture
def verdict_grid():
    words = [('Age between 18 and 75 years', 'inclusion'), ('Confirmed diagnosis of asthma', 'inclusion'), ('History of stroke', 'exclusion')]
    answers = ['eligible', 'not', 'unknown', 'eligible', 'eligible', 'not', 'unknown', 'eligible', 'eligible']
    rows = [(patient, 'NCT1', *words[place], answers[3*number + place]) for number, patient in enumerate(('P1', 'P2', 'P3')) for place in range(3)]
    frame = pd.DataFrame(rows, columns=['patient', 'nct_id', 'criterion', 'kind', 'verdict']).assign(p_eligible=.7, p_not=.2, p_unknown=.6, by=['rule', 'model', 'model']*3)
    return verdicts.verdict_grid(frame, across='patient'), {'symbol': 9, 'text': 9}


@picture
def attrition_chart():
    table = pd.DataFrame({'criterion': ['Age 18 to 75 years', 'Platelet count ≥ 100,000 /mm3', 'History of stroke', 'Current treatment with warfarin'], 'kind': ['inclusion', 'inclusion', 'exclusion', 'exclusion'], 'share': [.2, .1, .3, .05], 'low': [.12, .05, .2, .02],
                          'high': [.31, .2, .42, .14], 'n': 60, 'excluded': [12, 6, 18, 3], 'alone': [5, 1, 11, 0], 'unknown': [0, 20, 9, 30], 'left': [48, 44, 31, 30]})
    return verdicts.attrition_chart(table), {'rect': 8, 'rule': 4, 'text': 4}
