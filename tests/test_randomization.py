"What holds for every way of allocating, and what an audit must find."
import hashlib
import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.randomization import (
    AtkinsonCoin, BiasedCoin, BigStick, Minimisation, PermutedBlock, Seal, Simple, StratifiedBlock, Urn, balance_report, group_patients, joint_strata, leads, load_list,
    procedure_from,
    rerandomisation_test, sealed_list, verify)
from clintrial.statistics.analyses import TrialWarning

SEAL = Seal('5a'*32, 'c3'*16)
PROCEDURES = [Simple(), Simple(ratio=(1, 2)), PermutedBlock(), PermutedBlock(sizes=(2, 4, 8)), StratifiedBlock(sizes=(4, 6)), BiasedCoin(), BigStick(), Urn(), Urn(start=2.,
        added=3.), AtkinsonCoin(burn_in=4),
              *(Minimisation(measure=measure) for measure in ('range', 'variance', 'marginal')), Minimisation(p=1.), Minimisation(arms=('a', 'b', 'c'), p=.8), Urn(arms=('a',
                      'b', 'c'))]
procedures = st.sampled_from(PROCEDURES)


def told(procedure, codes):
    "What the procedure takes of the factors."
    return joint_strata(codes) if isinstance(procedure, StratifiedBlock) else codes.astype(float) if isinstance(procedure, AtkinsonCoin) else codes


@pytest.mark.parametrize('procedure', PROCEDURES, ids=lambda one: f'{type(one).__name__}-{one.k}')
def test_a_described_procedure_comes_back(procedure):
    "Through JSON and back."
    assert procedure_from(json.loads(json.dumps(procedure.description()))) == procedure


@settings(max_examples=40, deadline=None)
@given(procedure=procedures, n=st.integers(1, 40), factors=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_a_trial_does_not_depend_on_what_comes_later(procedure, n, factors, seed):
    "The allocation of the first patients is the same whether more follow or not, and whether other trials run beside it."
    generator = np.random.default_rng(seed)
    uniforms, codes = generator.random((3, n, 2)), generator.integers(0, 3, (n, factors))
    whole = procedure.assign(uniforms, told(procedure, codes))
    part = procedure.assign(uniforms[1:2, :n//2 + 1], told(procedure, codes)[:n//2 + 1])
    assert (whole[1, :n//2 + 1] == part[0]).all() and whole.min() >= 0 and whole.max() < procedure.k


@settings(max_examples=30, deadline=None)
@given(procedure=st.sampled_from([one for one in PROCEDURES if one.k == 2 and not (isinstance(one, Simple) and one.ratio)]), seed=st.integers(0, 2**31))
def test_arms_are_exchangeable(procedure, seed):
    "Mirrored uniform numbers give the mirrored list, so each arm is as likely."
    generator = np.random.default_rng(seed)
    uniforms, codes = generator.random((2, 24, 2)), generator.integers(0, 2, (24, 2))
    mirrored = np.stack([1 - uniforms[..., 0], uniforms[..., 1]], axis=2)
    assert (procedure.assign(mirrored, told(procedure, codes)) == 1 - procedure.assign(uniforms, told(procedure, codes))).all()


@settings(max_examples=40, deadline=None)
@given(procedure=procedures, n=st.integers(2, 30), place=st.integers(0, 29), what=st.sampled_from(['patient', 'code', 'known', 'hash', 'previous', 'gone', 'forged']),
       seed=st.integers(0, 2**31))
def test_an_audit_finds_and_places_every_change(procedure, n, place, what, seed):
    "Any one change to any one entry is found, and the first entry named is that one."
    place, generator = place % n, np.random.default_rng(seed)
    codes = generator.integers(0, 3, (n, 2))
    listed = sealed_list(procedure, SEAL, [f'P{number}' for number in range(n)], told(procedure, codes))
    assert verify(listed, SEAL).sound
    if what == 'gone':
        if place == n - 1: place -= 1
        changed = replace(listed, entries=listed.entries.drop(index=place), arms=())
    elif what == 'forged': changed = listed.forged(place + 1, code=hashlib.sha256(b'other').hexdigest())
    else:
        entries = listed.entries.copy()
        entries.at[place, what] = [9, 9] if what == 'known' else 'other'
        changed = replace(listed, entries=entries)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        found = verify(changed, SEAL if what == 'forged' else None, {n: listed.head})
    assert not found.sound and found.first == place + 1


def test_a_list_survives_its_file(tmp_path):
    "Saved, read, verified; a broken file says so."
    listed = sealed_list(Minimisation(), SEAL, range(20), np.random.default_rng(0).integers(0, 2, (20, 3)))
    listed.save(tmp_path/'list.json')
    assert verify(load_list(tmp_path/'list.json'), SEAL).sound and load_list(tmp_path/'list.json').arms == listed.arms
    listed.public.save(tmp_path/'public.json')
    assert not any(arm in (tmp_path/'public.json').read_text().split('entries')[1] for arm in listed.procedure.arms)
    (tmp_path/'list.json').write_text('{"commitment": ')
    with pytest.raises(DataError, match='no list'): load_list(tmp_path/'list.json')


def test_a_list_from_known_numbers():
    "The allocation can be worked out by any program: here by hashlib alone."
    import hmac
    first = int.from_bytes(hmac.new(bytes.fromhex(SEAL.seed), b'uniform 1', hashlib.sha256).digest()[:8], 'big')/2**64
    assert sealed_list(Simple(), SEAL, ['P1']).arms == (('control', 'treatment')[first >= .5],)


def test_minimisation_keeps_the_arms_together():
    "Eight factors, a hundred patients, p = .9: at most two apart in 95 %, over 1,000 trials."
    generator = np.random.default_rng(5)
    factors = generator.integers(0, 2, (1000, 100, 8))
    overall, mean, _ = leads(Minimisation().draw(100, generator, 1000, factors), factors)
    assert (overall <= 2).mean() >= .95 and mean.mean() < 2.6


@settings(max_examples=12, deadline=None)
@given(procedure=st.sampled_from([PermutedBlock(), BiasedCoin(), Minimisation(), Urn()]), shift=st.floats(-3, 3), seed=st.integers(0, 2**31))
def test_interval_and_p_value_agree(procedure, shift, seed):
    "The interval holds no effect exactly where the test does not reject; it moves with the treated outcomes."
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({'arm': np.array(procedure.arms)[procedure.draw(40, generator)[0]], 'y': generator.normal(size=40)})
    if frame['arm'].nunique() < 2: return
    first = rerandomisation_test(frame, 'y', 'arm', procedure, draws=999).table.iloc[0]
    moved = rerandomisation_test(frame.assign(y=frame['y'] + shift*(frame['arm'] == 'treatment')), 'y', 'arm', procedure, draws=999).table.iloc[0]
    assert np.allclose([moved['low'] - first['low'], moved['high'] - first['high']], shift, atol=1e-3)
    if abs(first['p_value'] - .05) > .003: assert (first['p_value'] <= .05) == (first['low'] > 0 or first['high'] < 0)


def test_grouping_says_when_there_is_nothing():
    "Groups that are there come back; noise is called unstable."
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 4, 200)
    clear = group_patients(generator.normal(size=(4, 12))[kinds]*3 + generator.normal(size=(200, 12)), groups=(3, 4, 5), draws=8)
    assert len(clear.table) == 4 and clear.table['stable'].all()
    with pytest.warns(TrialWarning, match='unstable groups'): group_patients(generator.normal(size=(200, 12)), groups=4, draws=8)


def test_balance_report_is_calm_where_the_list_was_followed():
    "Replays of the procedure itself are not called unusual."
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({'sex': generator.choice(['F', 'M'], 80), 'age': generator.normal(60, 9, 80)})
    frame['arm'] = np.array(['control', 'treatment'])[PermutedBlock().draw(80, generator)[0]]
    report = balance_report(frame, 'arm', ['sex', 'age'], PermutedBlock(), draws=500)
    assert not report.warnings and report.sentence('zh').startswith('各组例数')
