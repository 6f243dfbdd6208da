"Signals: counts that no chunk, disk or repeated row changes; published scores to the printed digit; another package's formulas to 1e-6; error rates that hold."
import itertools
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammainc
from scipy.stats import hypergeom

from clintrial.loading import DataError
from clintrial.loading.files import read
from clintrial.narrative import Narrative
from clintrial.safety.counts import PairCounter, count_pairs
from clintrial.safety.disproportionality import cells, information_component, measures, ratio_measures, screen, stratified
from clintrial.safety.sequential import binomial_alpha, binomial_critical, binomial_llr, group_critical, maxsprt, monitor_pair, poisson_alpha, poisson_critical, subgroup_signals, time_course
from clintrial.safety.shrinkage import Prior, bins_for, fit_prior, log_likelihood, posterior, shrink, squash
from clintrial.safety.trial_events import double_false_discovery, trial_events
from clintrial.statistics.analyses import TrialWarning

ROWS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from('abcd'), st.sampled_from('uvwx'), st.sampled_from('FM')), min_size=1, max_size=60)
VIGNETTE = Prior(3.25379356, .39988854, 2.02612692, 1.9080797, .06534557)


def frame_of(rows):
    "Reports whose sex is that of their first row."
    frame = pd.DataFrame(rows, columns=['report', 'drug', 'event', 'sex'])
    return frame.assign(sex=frame.groupby('report')['sex'].transform('first'))


def simulated(size=4000, seed=0, planted=60):
    "Reports of two years with one pair that women have too often."
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(dict(report=range(size), drug=draw.choice([f'drug {place}' for place in range(12)], size), event=draw.choice([f'event {place}' for place in range(12)], size),
                              sex=draw.choice(['F', 'M'], size), received=pd.to_datetime('2023-01-01') + pd.to_timedelta(draw.integers(0, 730, size), 'D')))
    more = pd.DataFrame(dict(report=range(size, size + planted), drug='drug 3', event='event 7', sex='F', received=pd.to_datetime('2024-02-01') + pd.to_timedelta(draw.integers(0, 300, planted), 'D')))
    return pd.concat([frame, more], ignore_index=True)


# -- counting

@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_counts_are_those_of_distinct_reports(rows):
    "Every count and margin, and the stratified expected count, against plain Python."
    frame = frame_of(rows)
    counts, triples = count_pairs(frame, strata='sex'), set(frame.itertuples(index=False, name=None))
    for row in counts.table.itertuples():
        assert row.n == len({report for report, drug, event, _ in triples if (drug, event) == (row.drug, row.event)})
        assert row.drug_n == len({report for report, drug, *_ in triples if drug == row.drug})
        assert row.event_n == len({report for report, _, event, _ in triples if event == row.event})
        expected = 0.
        for sex in 'FM':
            inside = [one for one in triples if one[3] == sex]
            if inside: expected += len({one[0] for one in inside if one[1] == row.drug})*len({one[0] for one in inside if one[2] == row.event})/len({one[0] for one in inside})
        assert row.expected == pytest.approx(expected)
    assert counts.repeated == len(frame) - len(triples)
    assert set(zip(counts.table.drug, counts.table.event)) == {one[1:3] for one in triples}


@settings(max_examples=20, deadline=None)
@given(ROWS, st.integers(1, 20), st.integers(1, 30), st.booleans())
def test_chunks_disk_order_and_repeats_change_nothing(rows, chunk, hold, as_text):
    "A frame whole, shuffled, doubled, in pieces and by way of the disk gives the same table."
    frame = frame_of(rows)
    if as_text: frame['report'] = 'R' + frame['report'].astype(str)
    whole = count_pairs(frame, strata='sex').table
    counter = PairCounter(strata='sex', hold=hold)
    doubled = pd.concat([frame, frame]).sample(frac=1, random_state=1)
    for start in range(0, len(doubled), chunk): counter.add(doubled.iloc[start:start + chunk])
    pd.testing.assert_frame_equal(counter.counts().table, whole)
    counter.add(frame)
    pd.testing.assert_frame_equal(counter.counts().table, whole)


@settings(max_examples=20, deadline=None)
@given(ROWS)
def test_drugs_and_events_listed_apart_are_crossed(rows):
    "Each drug of a report meets each of its events; a report with drugs only is none."
    frame = frame_of(rows)
    kind = np.arange(len(frame)) % 3
    apart = frame.assign(drug=frame['drug'].where(kind != 1), event=frame['event'].where(kind != 2))
    known = {report: (set(part['drug'].dropna()), set(part['event'].dropna())) for report, part in apart.groupby('report')}
    pairs = [pair for drugs, events in known.values() for pair in itertools.product(drugs, events)]
    if not pairs:
        with pytest.raises(DataError, match='No report names'): count_pairs(apart, crossed=True)
        return
    table = count_pairs(apart, crossed=True).table
    assert dict(zip(zip(table.drug, table.event), table.n)) == pd.Series(pairs).value_counts().to_dict()
    assert table.total[0] == sum(bool(drugs and events) for drugs, events in known.values())


def test_files_are_counted_in_chunks(tmp_path):
    "CSV and parquet, read a few rows at a time, give what the frame gives, and nothing stays in the folder."
    frame, spare = simulated(800), tmp_path/'spare'
    spare.mkdir()
    frame.to_csv(tmp_path/'reports.csv', index=False)
    frame.to_parquet(tmp_path/'reports.parquet')
    whole = count_pairs(frame, strata='sex', date='received')
    for name in ('reports.csv', 'reports.parquet'):
        counter = count_pairs(tmp_path/name, strata='sex', date='received', rows=97, folder=spare)
        pd.testing.assert_frame_equal(counter.table, whole.table)
        pd.testing.assert_frame_equal(counter.by_period('drug 3', 'event 7'), whole.by_period('drug 3', 'event 7'))
    assert not list(spare.iterdir())


def test_a_report_with_two_sexes_is_counted_once_and_said():
    "Margins of strata add up to the reports, whatever the file says."
    frame = pd.DataFrame(dict(report=[1, 1, 2], drug=['a', 'b', 'a'], event=['u', 'u', 'v'], sex=['F', 'M', None]))
    counts = count_pairs(frame, strata='sex')
    assert counts.groups['reports'].sum() == counts.reports == 2
    assert any('more than one stratum' in note for note in counts.notes) and any("'missing'" in note for note in counts.notes)


def test_two_strata_give_the_expected_sum():
    "Expected counts over sex and age together."
    frame = simulated(600).assign(age=lambda rows: np.where(rows['report'] % 3, 'young', 'old'))
    both = count_pairs(frame, strata=['sex', 'age']).table
    joint = count_pairs(frame.assign(group=frame['sex'] + frame['age']), strata='group').table
    np.testing.assert_allclose(both['expected'], joint['expected'])
    assert (both['expected'] != both['expected_crude']).any()


# -- published values

@pytest.fixture(scope='module')
def caers(request):
    "The CAERS counts and what openEBGM prints for them."
    folder = request.getfixturevalue('real_data')/'caers_signals'
    if not (folder/'caers.csv').exists(): pytest.skip('no CLINTRIAL_DATA')
    return count_pairs(folder/'caers.csv', report='id', drug='var1', event='var2'), json.loads((folder/'expected.json').read_text())


def test_published_scores_are_reproduced(caers):
    "N, E, RR, PRR to the printed digit; EBGM to the printed digit and its limits within .01 under the printed prior."
    counts, published = caers
    assert len(counts.table) == published['n_pairs'] and counts.repeated == 239 and counts.reports == 3356
    every = counts.table.join(ratio_measures(counts.table)).set_index(['drug', 'event'])
    prior = Prior(*(published['theta_hat'][name] for name in ('alpha1', 'beta1', 'alpha2', 'beta2', 'P')))
    for drug, event, n, expected, rr, prr, ebgm, low, high in published['head6']:
        row = every.loc[(drug, event)]
        assert (row.n, round(row.expected, 10), round(row.rrr, 2)) == (n, expected, rr)
        assert ('Inf' if np.isinf(row.prr) else round(row.prr, 2)) == prr
        found = posterior(row.n, row.expected, prior).iloc[0]
        assert round(found.ebgm, 2) == ebgm and abs(found.low - low) < .01 and abs(found.high - high) < .01


def test_the_printed_prior_is_the_maximum_of_our_likelihood(caers):
    "Fitted by ourselves on the same squashed counts, openEBGM's prior comes out; the whole mixture has another maximum, with a higher likelihood of its own kind."
    counts, published = caers
    printed = tuple(published['theta_hat'][name] for name in ('alpha1', 'beta1', 'alpha2', 'beta2', 'P'))
    own, mixture = fit_prior(counts), fit_prior(counts, truncation='mixture')
    np.testing.assert_allclose(own.parameters, printed, rtol=1e-3)
    points = squash(counts.table['n'], counts.table['expected'])
    assert log_likelihood(*points, printed, truncation='components') == pytest.approx(own.log_likelihood, abs=1e-3)
    assert mixture.log_likelihood > log_likelihood(*points, printed)


@pytest.mark.parametrize('horizon, least, value', [(1, 1, 2.853937), (5, 1, 3.297183), (10, 1, 3.467952), (20, 1, 3.628123), (100, 1, 3.952321), (1, 2, 2.366638), (1, 3, 1.774218)])
def test_published_critical_values(horizon, least, value):
    "Kulldorff 2011, table 2, and the values that R's Sequential carries."
    assert poisson_critical(float(horizon), .05, least) == pytest.approx(value, abs=2e-6)


# -- another package

@pytest.fixture(scope='module')
def vigipy_container():
    "The simulated counts as vigipy takes them, without empty cells."
    vigipy = pytest.importorskip('vigipy', reason='vigipy is not installed')
    table = count_pairs(simulated()).table
    table = table[np.min(cells(table), axis=0) > 0].reset_index(drop=True)
    data = table.rename(columns={'drug': 'product_name', 'event': 'ae_name', 'n': 'events', 'drug_n': 'product_aes', 'event_n': 'count_across_brands'})
    return vigipy, vigipy.DataContainer(data=data, N=int(table.total[0])), table


def matched(result, table):
    "vigipy's rows in the order of ours."
    return result.all_signals.set_index(['Product', 'Adverse Event']).loc[list(zip(table.drug, table.event))].reset_index()


def test_ratios_agree_with_vigipy(vigipy_container):
    "PRR and ROR to 1e-6."
    vigipy, container, table = vigipy_container
    ours = ratio_measures(table)
    for name in ('prr', 'ror'):
        theirs = matched(getattr(vigipy, name)(container, min_events=1), table)
        np.testing.assert_allclose(ours[name], theirs[name.upper()], rtol=1e-6)


def test_information_component_agrees_with_vigipy(vigipy_container):
    "Bate's lower limit to 1e-6, under normal intervals."
    vigipy, container, table = vigipy_container
    theirs = matched(vigipy.bcpnn(container, min_events=1, MC=False, ranking_statistic='quantile'), table)
    np.testing.assert_allclose(information_component(table, 'bate')['ic_low'], theirs['quantile'], atol=1e-6)


def test_shrinkage_agrees_with_vigipy(vigipy_container):
    "EBGM to 1e-6 under one prior; our limits solve the equation that vigipy's solve to its 1e-5."
    vigipy, container, table = vigipy_container
    theirs = matched(vigipy.gps(container, min_events=1, prior_param=list(VIGNETTE.parameters)), table)
    ours = posterior(table['n'], table['expected'], VIGNETTE)
    np.testing.assert_allclose(ours['ebgm'], theirs['EBGM'], rtol=1e-6)
    np.testing.assert_allclose(ours['low'], theirs['LowerBound'], atol=2e-3)
    def chance(limit): return ours['first']*gammainc(VIGNETTE.alpha1 + table['n'], (VIGNETTE.beta1 + table['expected'])*limit) + (1 - ours['first'])*gammainc(VIGNETTE.alpha2 + table['n'], (VIGNETTE.beta2 + table['expected'])*limit)
    np.testing.assert_allclose(chance(ours['low']), .05, atol=1e-9)
    np.testing.assert_allclose(chance(theirs['LowerBound']), .05, atol=1.1e-5)


# -- properties

MARGINS = st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(0, 40), st.integers(0, 200)).filter(lambda four: sum(four) > 0 and four[0] + four[1] > 0 and four[0] + four[2] > 0)


@settings(max_examples=60, deadline=None)
@given(MARGINS)
def test_every_measure_lies_within_its_limits(four):
    "Whatever the table: estimate within limits or nothing at all, no half added, infinite only where the event has no other drug."
    a, b, c, d = four
    found = measures(pd.DataFrame([dict(n=a, drug_n=a + b, event_n=a + c, total=a + b + c + d)])).iloc[0]
    for name in ('prr', 'ror', 'rrr', 'ic'):
        if np.isfinite(found[name]): assert found[f'{name}_low'] <= found[name] + 1e-9 and found[name] <= found[f'{name}_high'] + 1e-9
        elif np.isinf(found[name]): assert np.isinf(found[f'{name}_high']) and np.isfinite(found[f'{name}_low'])
    assert np.isinf(found['prr']) == (a > 0 and c == 0 and d > 0)
    assert 0 <= found['p_value'] <= 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.floats(1e-4, 400)), min_size=1, max_size=20))
def test_shrunk_ratios_lie_within_their_limits_and_grow_with_the_count(rows):
    "EB05 below EBGM below EB95, and one more report never lowers any of them."
    n, expected = np.array(rows).T
    first, more = posterior(n, expected, VIGNETTE), posterior(n + 1, expected, VIGNETTE)
    assert ((first.low < first.ebgm) & (first.ebgm < first.high)).all()
    assert (more[['ebgm', 'low', 'high']] >= first[['ebgm', 'low', 'high']] - 1e-9).all().all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.floats(.001, 20)), min_size=1, max_size=300))
def test_squashing_keeps_pairs_and_expected_sums(rows):
    "Weights add up to the pairs of each count, and weighted expected counts to their sum."
    n, expected = np.array(rows).T
    squashed = squash(n, expected, bins=((1, 5, 3), (2, 4, 0)))
    for count in np.unique(n):
        mine = squashed[0] == count
        assert squashed[2][mine].sum() == (n == count).sum() and (squashed[2]*squashed[1])[mine].sum() == pytest.approx(expected[n == count].sum())
    assert {one[0] for one in bins_for(n)} <= {1, 2}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(.2, 6), min_size=1, max_size=6), st.sampled_from([.01, .05, .2]), st.integers(1, 4))
def test_any_schedule_keeps_its_error_rate(steps, alpha, least):
    "Group boundaries never exceed alpha, whatever the looks."
    looks = tuple(np.cumsum(steps))
    critical = group_critical(looks, alpha, least)
    assert poisson_alpha(critical, looks[-1], least, looks) <= alpha + 1e-9


@pytest.mark.parametrize('most, share', [(10, .5), (40, .2), (60, .05)])
def test_binomial_boundary_keeps_its_error_rate(most, share):
    "At the critical value the chance of a false signal is at most alpha; at the next smaller value of the statistic it is more."
    critical = binomial_critical(most, share)
    values = np.unique(np.concatenate([binomial_llr(np.arange(total + 1), total, share) for total in range(1, most + 1)]).round(10))
    assert binomial_alpha(critical, most, share) <= .05 < binomial_alpha(values[values < critical - 1e-9].max(), most, share)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from('abcde')), min_size=1, max_size=40), st.floats(.01, .3))
def test_double_false_discovery_flags_within_kept_systems(rows, rate):
    "No flag outside a kept system, and smaller p values of the same system are flagged before larger ones."
    p, groups = zip(*rows)
    found = double_false_discovery(p, groups, rate)
    assert not (found['adewale'] & (found['q_group'] > rate)).any() and not (found['heyse'] & (found['q_group'] > rate/2)).any()
    for _, part in found.groupby('group'):
        flagged = part[part['adewale']]['p_value']
        if len(flagged): assert part[part['p_value'] <= flagged.max()]['adewale'].all()


def test_false_flags_are_held_under_no_difference():
    "Nothing differs: some term is flagged in no more than the nominal share of trials (with three standard errors)."
    draw, groups = np.random.default_rng(1), np.repeat(np.arange(12), 6)
    hits = [double_false_discovery(draw.random(72), groups, .1)[['adewale', 'heyse', 'single']].any() for _ in range(200)]
    assert (pd.DataFrame(hits).mean() < .1 + 3*np.sqrt(.09/200)).all()


# -- results

@pytest.fixture(scope='module')
def counted():
    "Simulated reports with a planted pair, counted by sex and quarter."
    return count_pairs(simulated(), strata='sex', date='received')


def results(counts):
    "Every kind of result on the planted pair."
    return {'screen': screen(counts), 'shrink': shrink(counts, Prior(3., 1., 3., 3., .1), bar=1.), 'monitor': monitor_pair(counts, 'drug 3', 'event 7', horizon=120.), 'course': time_course(counts, 'drug 3', 'event 7'),
            'strata': subgroup_signals(counts, 'drug 3', 'event 7')}


def test_the_planted_pair_is_found_everywhere(counted):
    "First in both screens, signalled after it began, in women only, and in both languages."
    found = results(counted)
    assert found['screen'].table.iloc[0]['term'] == found['shrink'].table.iloc[0]['term'] == 'drug 3 – event 7'
    assert found['monitor'].signal_at >= '2024-Q1'
    assert found['strata'].table.set_index('term')['signal'].to_dict() == {'F': True, 'M': False, 'all strata': True} and found['strata'].interaction_p < .01
    for one in found.values():
        assert one.sentence('en') != one.sentence('zh') and 'drug 3' in one.sentence('en') and 'drug 3' in one.sentence('zh')
        with pytest.raises(DataError, match='no language'): one.sentence('de')


def test_results_are_told_without_an_unsupported_number(counted):
    "The narrative of each result bears out, in both languages."
    for name, one in results(counted).items():
        columns = [column for column in ('term', 'n', 'expected', 'estimate', 'low', 'high') if column in one.table]
        assert len(Narrative.of_analysis(one.table[columns].head(4), one.name).verify()) == 0, name


def test_strata_agree_with_fisher_where_there_is_one(counted):
    "With one stratum the pooled ratio is the crude one, and the excess p value is near the exact hypergeometric one."
    single = count_pairs(simulated().assign(sex='F'), strata='sex')
    rows = stratified(single, single.table.head(20))
    np.testing.assert_allclose(rows['ror_mh'], rows['ror'])
    np.testing.assert_allclose(rows['prr_mh'], rows['prr'])
    table = single.table.head(20)
    exact = hypergeom.sf(table['n'] - 1, table['total'], table['drug_n'], table['event_n'])
    assert (np.abs(measures(table)['p_value'] - exact) < .06).all()


def test_an_event_of_one_drug_only_is_infinite_and_said():
    "Infinite ratio, open interval with a finite lower limit, a named warning."
    frame = pd.concat([simulated(300, planted=0), pd.DataFrame(dict(report=range(900, 905), drug='drug 1', event='rare', sex='F'))])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        row = screen(count_pairs(frame)).table.query("event == 'rare'").iloc[0]
    assert 'infinite ratio' in [one.message.name for one in caught if isinstance(one.message, TrialWarning)]
    assert np.isinf(row.prr) and np.isinf(row.prr_high) and row.prr_low > 1 and np.isfinite(row.ic)


def test_faults_are_refused_by_name(counted):
    "Unknown drug, unknown event, empty reports, no dates, nothing expected."
    with pytest.raises(DataError, match='Closest names: drug 3'): counted.pair('drug 3x', 'event 7')
    with pytest.raises(DataError, match='No report names this event'): counted.pair('drug 3', 'zzz')
    with pytest.raises(DataError, match='No report names a drug and an event'): count_pairs(simulated().assign(event=None))
    with pytest.raises(DataError, match='no date'): count_pairs(simulated(50).assign(received='soon'), date='received')
    with pytest.raises(DataError, match='whole number'): count_pairs(simulated(50).assign(report=.5))
    with pytest.raises(DataError, match='Nothing was expected'): maxsprt(pd.DataFrame(dict(n=[1], expected=[0.])))
    with pytest.raises(DataError, match='too few to learn'): fit_prior(count_pairs(simulated(10, planted=0)))


def test_trial_events_of_the_pilot_study(real_data):
    "Counts as in table 14-5.01; the double rate flags the patch's skin reactions, and fewer terms than raw p values do."
    folder = real_data/'cdisc_pilot'/'adam'
    adae, adsl = (getattr(frame, 'frame', frame) for frame in (read(folder/'adae.xpt'), read(folder/'adsl.xpt')))
    found = trial_events(adae[adae.TRTEMFL == 'Y'], adsl[adsl.SAFFL == 'Y'], 'TRT01A', reference='Placebo')
    high = found.table[found.table.comparison.str.startswith('Xanomeline High')].set_index('term')
    assert high.loc['PRURITUS', ['events', 'n', 'events_reference', 'n_reference']].tolist() == [26, 84, 8, 86]
    assert {'PRURITUS', 'APPLICATION SITE PRURITUS', 'APPLICATION SITE ERYTHEMA'} <= set(high[high.flag].index)
    assert found.table.adewale.sum() < found.table.none.sum() and not found.table[~found.table.tested].flag.any()
