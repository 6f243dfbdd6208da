"Charts of safety signals, from fixed data."
import numpy as np
import pandas as pd

from clintrial.visualizer import safety
from pictures import picture


def pairs(size):
    "Pairs with few reports and wide limits, some of them signals."
    rng = np.random.default_rng(0)
    reports = np.ceil(rng.pareto(1.1, size)).clip(1, 400)
    ratio = np.exp(rng.normal(0, .35, size) + (rng.random(size) < .02)*rng.normal(1.6, .4, size))
    reach = np.exp(1.7/np.sqrt(reports + 1))
    return pd.DataFrame({'term': [f'drug {place//40} – event {place % 40}' for place in range(size)], 'n': reports, 'estimate': ratio, 'low': ratio/reach, 'high': ratio*reach, 'signal': ratio/reach >= 2})


@picture
def signal_scatter():
    table = pairs(3000)                                             # more than are drawn one by one
    signals = int(table['signal'].sum())
    return safety.signal_scatter(table, bar=2), {'symbol': signals, 'rule': 2 + signals, 'rect': len(safety.log_cells(table.loc[~table['signal'], ['n', 'estimate']].set_axis(['x', 'y'], axis=1)))}


@picture
def signal_scatter_small():
    table = pairs(400)
    return safety.signal_scatter(table), {'symbol': 400, 'rule': 1 + int(table['signal'].sum())}


@picture
def sequential_course():
    looks = pd.DataFrame({'term': [f'{year}-Q{quarter}' for year in (2022, 2023) for quarter in (1, 2, 3, 4)], 'n': [1, 4, 9, 15, 20, 29, 33, 44], 'expected': np.arange(1, 9)*1.8, 'needed': [7, 11, 13, 17, 19, 22, 25, 28]})
    return safety.sequential_course(looks), {'line': 3*8, 'symbol': 8 + 1, 'text': 1}
