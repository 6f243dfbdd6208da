"Non-inferiority and equivalence: golden values of R, test and interval agree, error rates, words that never overstate."
import warnings

import numpy as np
import pandas as pd
import pytest
from comparisons import calls, check, survival
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from clintrial.loading import DataError
from clintrial.statistics.analyses import TrialWarning
from clintrial.statistics.association import patients_of
from clintrial.statistics.binary import score
from clintrial.statistics.equivalence import against_margin, equivalence_means, equivalence_risks, verdict_of
from clintrial.statistics.hazards import cox
from clintrial.visualizer import forest_plot


@pytest.mark.parametrize('function, arguments', calls('equivalence_risks', 'equivalence_means', 'against_margin'))
def test_golden(function, arguments): check(function, arguments)


def two_arms(a, n, c, m): return patients_of({('new', 1): a, ('new', 0): n - a, ('old', 1): c, ('old', 0): m - c}, ['arm', 'event'])


@given(st.tuples(*[st.integers(0, 30)]*4).filter(lambda t: t[0] + t[1] > 1 and t[2] + t[3] > 1), st.floats(.03, .4), st.sampled_from(['farrington-manning', 'miettinen-nurminen']), st.booleans())
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings('ignore::clintrial.statistics.analyses.TrialWarning')
def test_test_and_interval_never_contradict_each_other(counts, margin, method, both):
    a, x, c, y = counts
    found = equivalence_risks(two_arms(a, a + x, c, c + y), 'arm', 'event', (-margin, margin) if both else -margin, None if both else 'higher', method=method, reference='old')
    p, row = found.table.p_value[0], found.table.iloc[0]
    if abs(p - .025) > 1e-6: assert (p < .025) == (found.verdict == 'shown')
    assert row.low <= row.estimate + 1e-9 and row.estimate <= row.high + 1e-9
    for lang in ('en', 'zh'): assert not any(words in found.sentence(lang).lower() for words in ('no difference', '无差异', 'nan', 'equally'))
    assert {'shown': 'is shown', 'not shown': 'is not shown', 'inconclusive': 'inconclusive'}[found.verdict] in found.sentence()


@given(st.integers(0, 10_000), st.floats(.1, 3))
@settings(max_examples=20, deadline=None)
def test_means_mirror_when_arms_and_signs_are_exchanged(seed, margin):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(dict(arm=np.repeat(['a', 'b'], 12), y=rng.normal(size=24)))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', TrialWarning)
        first, second = equivalence_means(frame, 'y', 'arm', -margin, 'higher', reference='a'), equivalence_means(frame, 'y', 'arm', margin, 'lower', reference='b')
    assert first.verdict == second.verdict and first.table.p_value[0] == pytest.approx(second.table.p_value[0])
    assert (first.table.p_value[0] < .025) == (first.verdict == 'shown')


def test_error_rate_at_the_margin():
    "Exact: the chance that Farrington and Manning's test calls a treatment non-inferior that is worse by just the margin."
    n, p, margin = 100, .8, .1
    new, old = binom.pmf(np.arange(n + 1), n, p - margin), binom.pmf(np.arange(n + 1), n, p)
    likely = [(a, c) for a in range(50, 90) for c in range(62, 96) if new[a]*old[c] > 1e-6]
    found = sum(new[a]*old[c] for a, c in likely if score(-margin, 'difference', a, n, c, n)*np.sqrt(2*n/(2*n - 1)) > norm.isf(.025))
    assert .015 < found < .03


def test_hazard_ratio_and_chart():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', TrialWarning)
        found = against_margin(cox(survival, 'time', 'died', arm='arm', reference='placebo'), 1.3, 'lower', historical=.5)
    assert found.verdict == 'shown' and found.assumptions.verdict.eq('not checked').any() and found.question == 'non-inferiority'
    assert forest_plot(found.chart_frame, 'Hazard ratio').to_dict() and '非劣效性成立' in found.sentence('zh') and '<table' in found._repr_html_()
    assert found.table.margin_high[0] == 1.3 and np.isneginf(found.table.margin_low[0])


def test_bad_input_is_named():
    trial = two_arms(40, 50, 41, 50)
    with pytest.warns(TrialWarning, match='margin too wide'): equivalence_risks(trial, 'arm', 'event', -.2, 'higher', reference='old', historical=.1)
    with pytest.warns(TrialWarning, match='no events'): equivalence_risks(two_arms(0, 50, 9, 50), 'arm', 'event', .1, 'lower', reference='old')
    cases = [(lambda: equivalence_risks(trial, 'arm', 'event', .1, 'higher'), 'unfavourable side'), (lambda: equivalence_risks(trial, 'arm', 'event', -.1), 'which side'), (lambda: equivalence_risks(trial, 'arm', 'event', (.1, .2)), 'do not enclose'),
             (lambda: equivalence_risks(trial, 'arm', 'event', -.1, 'higher', 'logit'), "no scale 'logit'"), (lambda: equivalence_risks(trial, 'arm', 'event', -.1, 'higher', method='wald'), "no method 'wald'"),
             (lambda: equivalence_means(trial, 'dose', 'arm', -1, 'higher'), "no column 'dose'"), (lambda: equivalence_risks(trial.assign(arm='new'), 'arm', 'event', -.1, 'higher'), '1 arm')]
    for run, words in cases:
        with pytest.raises(DataError, match=words): run()
    assert verdict_of(-1, 1, (-1, 1)) == 'inconclusive'
