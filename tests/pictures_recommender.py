"Charts of the recommender, from fixed data."
import pandas as pd

from clintrial.visualizer import recommender
from pictures import picture


@picture
def ranked_drugs():
    rows = [('drug A', 'benefit', .11, .04, .18, 1, 'warning'), ('drug A', 'harm', .05, .02, .08, 1, 'warning'), ('drug B', 'benefit', .08, .01, .15, 2, 'allowed'), ('drug B', 'harm', .06, .02, .1, 2, 'allowed'),
            ('drug C', 'benefit', .04, -.06, .14, None, 'unknown'), ('drug C', 'harm', .02, -.02, .06, None, 'unknown'), ('drug D', 'benefit', .2, .1, .3, None, 'refused'), ('drug D', 'harm', .01, -.03, .05, None, 'refused')]
    frame = pd.DataFrame(rows, columns=['drug', 'measure', 'estimate', 'low', 'high', 'rank', 'guard'])
    return recommender.ranked_drugs(frame, reference='no treatment'), {'symbol': 8, 'rule': 8 + 2}   # intervals, and a line of no effect a panel


@picture
def policy_gain():
    rows = [('the rule', .48, .46, .50, .028, .012, .044), ('only where surely better', .47, .45, .49, .018, .008, .028), ('everyone active', .452, .435, .47, 0., 0., 0.), ('everyone placebo', .44, .42, .46, -.012, -.04, .016), ('by lot', .446, .431, .461, -.006, -.011, -.001)]
    table = pd.DataFrame(rows, columns=['term', 'estimate', 'low', 'high', 'gain', 'gain_low', 'gain_high'])
    return recommender.policy_gain(table, unit='Share of responders'), {'symbol': 10, 'rule': 10 + 1}
