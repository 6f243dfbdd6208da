"Charts of trends, from fixed data."
import numpy as np
import pandas as pd

from clintrial.visualizer import trends
from pictures import picture

DATES = pd.date_range('2024-01-01', periods=40, freq='7D')


@picture
def forecast_record():
    values = 30 + 12*np.sin(np.arange(40)/6).round(1)
    seen = pd.DataFrame({'time': DATES[:36], 'value': values[:36]})
    ahead = pd.DataFrame({'time': DATES[36:], 'value': np.nan, 'q05': [20, 18, 16, 15], 'q50': [29, 30, 30, 31], 'q95': [40, 45, 50, 56]})
    held = pd.DataFrame({'time': np.repeat(DATES[16:36], 2), 'horizon': np.tile([1, 2], 20), 'observed': np.repeat(values[16:36], 2), 'low': 20., 'high': 40.})
    held['inside'] = held['observed'].between(held['low'], held['high'])
    return trends.forecast_record(pd.concat([seen, ahead], ignore_index=True), held), {'symbol': 36 + 40}   # a point an observed value, one a past forecast


@picture
def reproduction_chart():
    truth = np.where(np.arange(40) < 20, 1.5, .8)
    middle = truth + .1*np.sin(np.arange(40))
    return trends.reproduction_chart(pd.DataFrame({'time': pd.date_range('2024-01-01', periods=40), 'estimate': middle, 'low': middle - .12, 'high': middle + .12, 'true': truth})), {'area': 40, 'line': 80, 'rule': 1}


@picture
def nowcast_chart():
    rows = pd.DataFrame({'time': pd.date_range('2024-01-01', periods=8), 'reported': [50, 48, 46, 44, 38, 30, 12, 2], 'estimate': [50, 48, 48, 49, 47, 48, 50, np.nan], 'true': [50, 48, 49, 50, 48, 46, 52, 50]})
    return trends.nowcast_chart(rows.assign(low=rows['estimate'] - np.arange(8), high=rows['estimate'] + 1.4*np.arange(8))), {'rect': 8 + 8, 'rule': 7, 'symbol': 7}


@picture
def change_chart():
    levels = pd.DataFrame({'time': DATES, 'observed': np.r_[20 + np.arange(25) % 5, 42 + np.arange(15) % 6], 'level': np.r_[np.full(25, 22.), np.full(15, 44.)], 'segment': np.r_[np.full(25, 1), np.full(15, 2)]})
    changes = pd.DataFrame({'term': ['2024-06-24'], 'estimate': [2.], 'low': [1.8], 'high': [2.3], 'earliest': ['2024-06-17'], 'latest': ['2024-07-08']})
    return trends.change_chart(levels, changes), {'rect': 1, 'line': 40 + 40}
