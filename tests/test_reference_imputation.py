"""clintrial.statistics.reference_imputation: against joint normal distributions written out, closed forms, the mixed model; odd data."""
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.missing.combining import pool
from clintrial.statistics.analyses import Analysis, TrialWarning
from clintrial.statistics.continuous import ancova
from clintrial.statistics.reference_imputation import METHODS, reference_imputation, tipping_point

ROLES = ('change', 'arm', 'week', 'id')


def trial(n=200, visits=3, seed=1, gaps=0.):
    "Two arms; patients leave after a visit, more of them in the drug arm."
    draw = np.random.default_rng(seed)
    drug = np.arange(n) % 2
    base = draw.normal(size=n)
    spread = np.where(drug[:, None], 1.4, 1.)*(draw.multivariate_normal(np.zeros(visits), .5 + .5*np.eye(visits), n) + .4*base[:, None])
    full = spread - drug[:, None]*np.arange(1, visits + 1)*.5
    stay = np.minimum(draw.geometric(np.where(drug, .25, .12)), visits)
    seen = (np.arange(visits) < stay[:, None]) & ~((draw.random((n, visits)) < gaps) & (np.arange(visits) < stay[:, None] - 1))
    return pd.DataFrame(dict(id=np.repeat(np.arange(n), visits), arm=np.repeat(np.where(drug, 'drug', 'placebo'), visits), base=np.repeat(base, visits), week=np.tile(np.arange(1, visits + 1), n), change=np.where(seen, full, np.nan).ravel()))


def chain(values, last):
    "Maximum likelihood of a normal distribution from monotone data: mean and covariance, visit by visit."
    visits = values.shape[1]
    mean, sigma = np.zeros(visits), np.zeros((visits, visits))
    for t in range(visits):
        rows = values[last > t, :t + 1]
        x = np.c_[np.ones(len(rows)), rows[:, :t]]
        beta = np.linalg.lstsq(x, rows[:, t], rcond=None)[0]
        mean[t] = beta[0] + beta[1:] @ mean[:t]
        sigma[t, :t] = sigma[:t, t] = beta[1:] @ sigma[:t, :t]
        sigma[t, t] = ((rows[:, t] - x @ beta)**2).mean() + beta[1:] @ sigma[:t, :t] @ beta[1:]
    return mean, sigma


def conditional_mean(method, own, reference, seen, values):
    "Expected later values by the joint distributions of Carpenter, Roger & Kenward 2013, with their covariance written out."
    (mu, a), (other, r) = own, reference
    p, visits = len(seen), len(mu)
    if p == 0: return mu if method in ('MAR', 'LMCF') else other
    if method == 'MAR': mean, sigma = mu, a
    elif method == 'CR': mean, sigma = other, r
    elif method == 'LMCF': mean, sigma = np.r_[mu[:p], np.repeat(mu[p - 1], visits - p)], a
    else:
        mean = np.r_[mu[:p], other[p:] if method == 'J2R' else mu[p - 1] + other[p:] - other[p - 1]]
        b = r[p:, :p] @ np.linalg.inv(r[:p, :p])
        low = b @ a[:p, :p]
        sigma = np.block([[a[:p, :p], low.T], [low, r[p:, p:] - b @ (r[:p, :p] - a[:p, :p]) @ b.T]])
    return mean[p:] + sigma[p:, :p] @ np.linalg.solve(sigma[:p, :p], values[:p] - mean[:p])


@pytest.mark.parametrize('method', METHODS)
def test_against_joint_distributions(method):
    frame = trial(1600, 3)
    wide = frame.pivot(index='id', columns='week', values='change').to_numpy()
    drug, last = np.arange(1600) % 2 == 1, (~np.isnan(wide)).sum(1)
    laws = {one: chain(wide[drug == one], last[drug == one]) for one in (True, False)}
    filled = wide.copy()
    for row in np.flatnonzero(last < 3): filled[row, last[row]:] = conditional_mean(method, laws[bool(drug[row])], laws[False], wide[row, :last[row]], wide[row])
    wanted = filled[drug, 2].mean() - filled[~drug, 2].mean()
    found = reference_imputation(frame, *ROLES, method=method, m=300)
    assert abs(found.table.estimate[0] - wanted) < 4*found.pooled.table.simulation_error.iloc[0] + .004, (found.table.estimate[0], wanted)


def test_one_visit_has_a_closed_form():
    "Jump to reference at a single visit: the observed share of the difference."
    frame = trial(600, 1).assign(change=lambda rows: rows.change.where((rows.arm == 'placebo') | (rows.id % 3 > 0)))
    means = frame.groupby('arm').change.mean()
    share = frame[frame.arm == 'drug'].change.notna().mean()
    found = reference_imputation(frame, *ROLES, m=2000)
    assert abs(found.table.estimate[0] - share*(means['drug'] - means['placebo'])) < .01


def test_the_parts_agree():
    frame = trial(seed=4)
    found = reference_imputation(frame, *ROLES, ['base'], m=10)
    one = [ancova(rows.assign(base=rows.base), 'change', 'arm', ['base'], reference='placebo').table.iloc[0] for rows in (found.completed(k)[lambda rows: rows.week == 3] for k in range(10))]
    pooled = pool([row.estimate for row in one], [row.se**2 for row in one], one[0].df).table.iloc[0]
    assert np.allclose(found.table.iloc[0][['estimate', 'se', 'df', 'p_value']].astype(float), pooled[['estimate', 'se', 'df', 'p_value']])
    seen = frame.sort_values(['id', 'week']).change
    assert np.allclose(found.completed(7).change[seen.notna().to_numpy()], seen.dropna())


def test_what_must_not_matter():
    frame = trial(seed=2, gaps=.1)
    before = frame.copy()
    first = reference_imputation(frame, *ROLES, ['base'], m=10, seed=3).table
    pd.testing.assert_frame_equal(frame, before)
    shuffled = frame.dropna(subset='change').sample(frac=1, random_state=1)
    kept = reference_imputation(shuffled, *ROLES, ['base'], m=10, seed=3).table
    assert np.allclose(first[['estimate', 'se']], kept[['estimate', 'se']])                      # missing rows are missing values
    again = reference_imputation(frame.assign(change=10*frame.change + 3), *ROLES, ['base'], m=10, seed=3, burn=200).table
    assert abs(again.estimate[0]/10 - first.estimate[0]) < .1


def test_stories_by_arm_and_delta():
    frame = trial(seed=6)
    plain, moved = (reference_imputation(frame, *ROLES, method='MAR', m=40, delta=delta).table.iloc[0] for delta in (0., 1.))
    share = frame[(frame.week == 3) & (frame.arm == 'drug')].change.isna().mean()
    assert abs(moved.estimate - plain.estimate - share) < 1e-9
    steps = reference_imputation(frame, *ROLES, method='MAR', m=40, delta={'drug': 1.}, growing=True).table.iloc[0]
    assert steps.estimate > moved.estimate
    same = reference_imputation(frame, *ROLES, method={'drug': 'J2R', 'placebo': 'MAR'}, m=40).table.iloc[0]
    assert abs(same.estimate - reference_imputation(frame, *ROLES, method='J2R', m=40).table.estimate[0]) < 1e-9


def test_tipping_point_is_where_p_crosses():
    tip = tipping_point(trial(300, seed=3), *ROLES, ['base'], m=30)
    assert tip.tipping > 0 and abs(tip.table.p_value.iloc[1] - .05) < 1e-5
    assert tip.grid.p_value.is_monotonic_increasing or tip.grid.p_value.max() > .05
    with pytest.warns(TrialWarning, match='not significant'): flat = tipping_point(trial(60, seed=5).assign(change=lambda rows: rows.change + .5*rows.week*(rows.arm == 'drug')), *ROLES, m=10)
    assert flat.tipping == 0


@given(st.integers(0, 10_000), st.sampled_from(sorted(METHODS)), st.integers(8, 40), st.integers(1, 4), st.sampled_from([0., .2]))
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_odd_data_gives_numbers_or_named_reasons(seed, method, n, visits, gaps):
    frame = trial(n, visits, seed, gaps).round(1)
    with warnings.catch_warnings():
        warnings.simplefilter('error', RuntimeWarning)
        warnings.simplefilter('ignore', TrialWarning)
        try: found = reference_imputation(frame, *ROLES, ['base'], method=method, m=5, burn=5)
        except DataError: return
    assert isinstance(found, Analysis) and 'nan' not in found.sentence().lower() and found.sentence('zh')
    assert np.isfinite(found.table[['estimate', 'low', 'high']]).all().all()


def test_names_of_errors():
    frame = trial()
    with pytest.raises(DataError, match='twice'): reference_imputation(pd.concat([frame, frame[:1]]), *ROLES)
    with pytest.raises(DataError, match='no method'): reference_imputation(frame, *ROLES, method='BOCF')
    with pytest.raises(DataError, match='no visit'): reference_imputation(frame, *ROLES, at=99)
    with pytest.raises(DataError, match='Nobody has a value'): reference_imputation(frame.assign(change=frame.change.where(frame.week < 3)), *ROLES)
    with pytest.raises(DataError, match='no covariance'): reference_imputation(frame, *ROLES, covariance='ar1')
    with pytest.raises(DataError, match='no arm'): reference_imputation(frame, *ROLES, delta={'sham': 1.})
    with pytest.raises(DataError, match='has no method'): reference_imputation(frame, *ROLES, method={'drug': 'J2R'})
