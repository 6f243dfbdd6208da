"""clintrial.analysis_report: the CDISC pilot in one call, mixed and missing files, the notebook from top to bottom."""
import gzip
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clintrial.analysis_report import analysis_report
from clintrial.analysis_report.adam import kind_of_data
from clintrial.analysis_report.plan import Name, Step
from clintrial.loading import DataError
from clintrial.statistics.analyses import TrialWarning

PILOT = Path(os.environ.get('CLINTRIAL_DATA') or Path(__file__).parents[2]/'shared'/'data')/'cdisc_pilot'/'adam'


def write_trial(folder, n=80, seed=1, without=()):
    "A small trial as ADaM files of several kinds, names in lower case in one."
    draw = np.random.default_rng(seed)
    ids, drug = [f'S{one:03d}' for one in range(n)], np.arange(n) % 2
    adsl = pd.DataFrame(dict(STUDYID='TRIAL', USUBJID=ids, TRT01P=np.where(drug, 'Active', 'Placebo'), TRT01A=np.where(drug, 'Active', 'Placebo'), TRT01PN=drug, AGE=draw.normal(60, 9, n).round(), SEX=draw.choice(['F', 'M'], n), SAFFL='Y', ITTFL='Y',
                             DCSREAS=draw.choice(['Completed', 'Adverse event', 'Lost to follow-up'], n, p=[.7, .2, .1])))
    base = draw.normal(30, 5, n)
    adqs = pd.concat([pd.DataFrame(dict(USUBJID=ids, TRTP=adsl.TRT01P, PARAMCD='SCORE', AVISIT=f'Week {week}', AVISITN=week, BASE=base, AVAL=base - week*.2*drug + draw.normal(0, 3, n))) for week in (0, 6, 12)])
    adqs['CHG'] = (adqs.AVAL - adqs.BASE).where(adqs.AVISITN > 0)
    adqs = adqs[(adqs.AVISITN < 12) | (draw.random(len(adqs)) < .8)]
    adtte = pd.DataFrame(dict(USUBJID=ids, PARAMCD='OS', AVAL=draw.exponential(10, n).round(2) + .01, CNSR=draw.integers(0, 2, n)))
    adae = pd.DataFrame(dict(USUBJID=draw.choice(ids, 60), AEDECOD=draw.choice(['HEADACHE', 'NAUSEA', 'RASH'], 60), AEBODSYS='BODY', TRTEMFL='Y'))
    folder.mkdir(exist_ok=True)
    if 'adsl' not in without: adsl.rename(columns=str.lower).to_csv(folder/'ADSL.csv', index=False)
    if 'adqs' not in without: adqs.to_csv(folder/'adqs.csv.gz', index=False)
    if 'adtte' not in without: adtte.to_parquet(folder/'times.parquet')
    if 'adae' not in without: adae.to_csv(folder/'adae.tsv', sep='\t', index=False)
    return folder


def run_notebook(found):
    "All code cells, one after another."
    space = {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for cell in found.notebook().cells:
            if cell.cell_type == 'code': exec(compile(cell.source, 'cell', 'exec'), space)
    return space


@pytest.fixture(scope='module')
def small(tmp_path_factory): return analysis_report(write_trial(tmp_path_factory.mktemp('adam')/'data'))


@pytest.mark.skipif(not PILOT.is_dir(), reason='no CLINTRIAL_DATA')
def test_cdisc_pilot_prints_the_published_figures():
    "Tables 14-1.02, 14-3.01 and 14-5.01 of the study report."
    found = analysis_report(PILOT)
    rows = found['primary'].table.set_index('term')
    low, high = (rows.loc[f'Xanomeline {dose} Dose - Placebo'] for dose in ('Low', 'High'))
    assert [round(low.estimate, 1), round(low.se, 2), round(low.low, 1), round(low.high, 1), round(low.p_value, 3)] == [-.5, .82, -2.1, 1.1, .569]
    assert [round(high.estimate, 1), round(high.se, 2), round(high.low, 1), round(high.high, 1), round(high.p_value, 3)] == [-1., .84, -2.7, .7, .233]
    assert found['harms'].table.iloc[0][['events', 'events_reference']].tolist() == [77, 65]
    flow = found['flow'].set_index(['step', 'arm'])
    assert [int(flow.loc[('allocated', arm), 'n']) for arm in found.plan.arms] == [86, 84, 84]
    text = found.report.html()
    assert all(words in text for words in ('Disposition', 'Baseline characteristics', 'Efficacy', 'Kaplan', 'Harms', 'Limitations', 'J2R', 'LOCF')) and '<script src' not in text


def test_small_trial_whole(small, tmp_path):
    assert not small.adam.missing and small.plan.arms == ('Placebo', 'Active')
    assert {'diagram', 'baseline', 'balance', 'primary', 'over_time', 'sensitivity', 'curves', 'hazards', 'restricted', 'harms', 'harm_chart'} <= set(small.results)
    page, book = small.save(tmp_path/'out')
    assert page.stat().st_size > 100_000 and book.exists()
    with pytest.raises(FileExistsError): small.save(tmp_path/'out')
    small.save(tmp_path/'out', overwrite=True)


def test_notebook_runs_from_top_to_bottom(small):
    import nbformat
    nbformat.validate(small.notebook())
    space = run_notebook(small)
    for name in ('primary', 'over_time', 'sensitivity', 'hazards', 'harms'): pd.testing.assert_frame_equal(space[name].table, small[name].table)


def test_what_is_missing_is_said(tmp_path):
    found = analysis_report(write_trial(tmp_path/'part', without=('adqs', 'adae')))
    said = ' '.join(one.en for one in found.limitations)
    assert 'no adverse events' in said and 'no measurements' in said and 'hazards' in found.results and 'primary' not in found.results
    run_notebook(found)
    with pytest.raises(DataError, match='one row a subject'): analysis_report(write_trial(tmp_path/'none', without=('adsl',)))


def test_a_step_that_fails_is_a_limitation(tmp_path):
    folder = write_trial(tmp_path/'odd')
    times = pd.read_parquet(folder/'times.parquet')
    times.assign(CNSR=1).to_parquet(folder/'times.parquet')
    found = analysis_report(folder)
    assert any('holds no event' in one.en for one in found.limitations) and 'hazards' not in found.results and 'primary' in found.results
    assert 'holds no event' in found.report.html()


def test_chinese(tmp_path):
    found = analysis_report(write_trial(tmp_path/'zh', without=('adtte',)), lang='zh', out=tmp_path/'out')
    text = (tmp_path/'out'/'analysis_report.html').read_text(encoding='utf-8')
    assert 'lang="zh"' in text and all(words in text for words in ('受试者分布', '基线特征', '安全性', '局限性', '置信区间', '估计目标'))


def test_asked_for(tmp_path):
    folder = write_trial(tmp_path/'asked', without=('adae', 'adtte'))
    found = analysis_report(folder, reference='Active', visit=6, endpoint='SCORE')
    assert found['primary'].table.term.tolist() == ['Placebo - Active'] and set(found['last_visit'].AVISITN) == {6}
    for wrong, words in ((dict(endpoint='X'), 'no parameter'), (dict(reference='Sham'), 'no arm'), (dict(arm='GROUP'), 'no column'), (dict(lang='fr'), 'no language'), (dict(visit=99), None)):
        if words is None: assert 'primary' not in analysis_report(folder, **wrong).results
        else:
            with pytest.raises(DataError, match=words): analysis_report(folder, **wrong)


def test_kinds_by_columns():
    assert kind_of_data(pd.DataFrame(dict(USUBJID=['a', 'b'], ARM='x'))) == 'subjects'
    assert kind_of_data(pd.DataFrame(dict(USUBJID=['a', 'a'], ARM='x'))) == ''
    assert kind_of_data(pd.DataFrame(dict(USUBJID=['a'], AVAL=1, CNSR=0, PARAMCD='OS', AVISIT='x'))) == 'time to event'
    assert Step('x', 'efficacy', 'ancova', (Name('rows'), 'CHG'), dict(reference='P')).code == "x = ancova(rows, 'CHG', reference='P')"
