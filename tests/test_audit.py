"The audit: planted faults are found, clean tables are left in peace, nothing that a patient said gets into a report, and it is quick."
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'bench'))
import audit as bench   # the planted faults

from clintrial.audit import audit, audit_checks, audit_leaks, find_personal, thresholds
from clintrial.loading import DataError
from clintrial.schema import Schema

FEW = [name for name, (kinds, _) in bench.FAULTS.items() if not name.startswith(('simulated', 'labels'))]
CHEAP = [name for name in audit_checks().index if name != 'label_errors']


@pytest.mark.parametrize('name', sorted(FEW)[::3])
def test_a_planted_fault_is_found(name):
    "The right check fires at the right column and rows with at least the stated severity; `bench/audit.py` tries all of them."
    kinds, plant = bench.FAULTS[name]
    planted = plant(bench.CLEAN[kinds[-1]](41), np.random.default_rng(41))
    assert bench.caught(planted) == ''


def test_every_check_has_planted_faults():
    tables = {kind: bench.CLEAN[kind](3) for kind in bench.CLEAN}
    checks = {plant(tables[kinds[0]], np.random.default_rng(3)).check for kinds, plant in bench.FAULTS.values() if not plant.__name__.startswith('simulated')}
    assert checks == set(audit_checks().index)
    assert sum(len(kinds) for kinds, _ in bench.FAULTS.values()) >= 60


def test_clean_tables_raise_no_alarm():
    for kind in ('trial_small', 'registry', 'tabular', 'demanding'):
        table = bench.CLEAN[kind](42)
        data = table.data()
        roles = {} if not isinstance(data, pd.DataFrame) else {role: columns for role, columns in table.roles.items() if columns}
        splits = None if isinstance(data, pd.DataFrame) else data.split()
        report = audit(data, splits, tokenizer=bench.CountingTokenizer(), embed=bench.embed, checks=CHEAP, progress=False, **roles)
        assert [finding for finding in report.findings if finding.severity != 'note'] == [], kind


def test_no_word_of_a_patient_gets_into_a_report():
    "A phrase is shown only if many patients wrote it; what one wrote appears nowhere, not even beside personal data."
    table = bench.trial(7, phi=.2)
    secret = [f'zq{place}xv' for place in range(len(table.frame))]
    frame = table.frame.assign(narrative=[f'{text} {word} call {word}@example.org, Dr. Zq{word}' for text, word in zip(table.frame['narrative'], secret)])
    data = table._replace(frame=frame).data()
    report = audit(data, bench.by_hand(table._replace(frame=frame)), checks=CHEAP, progress=False)
    written = ' '.join([repr(report), report._repr_html_(), report.to_json(), report.sentence(), report.sentence('zh'), report.table.to_string()])
    assert 'personal_data' in {finding.check for finding in report.severe}
    assert not [word for word in secret if word in written]


def test_the_report_is_plain_data():
    report = audit(bench.trial(8, leaks=('column', 'text')).data(), checks=CHEAP, progress=False)
    assert list(report.table.columns[:4]) == ['check', 'severity', 'column', 'rows']
    assert json.loads(report.to_json())['findings'][0]['severity'] == 'severe'
    assert set(report.passed) | set(report.skipped) | {finding.check for finding in report.findings} == set(CHEAP)
    assert not set(report.passed) & set(report.skipped)
    assert all(reason for reason in report.skipped.values())
    assert thresholds()['reason'].str.len().min() > 10


cells = st.one_of(st.none(), st.text(max_size=40), st.integers(-10**9, 10**9), st.floats(allow_nan=True, allow_infinity=False), st.booleans(), st.dates().map(str))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.integers(1, 30))
def test_any_table_can_be_audited(data, rows):
    "Whatever the cells are, the audit ends with a report or with a DataError that names the trouble."
    kinds = data.draw(st.lists(st.sampled_from(['mixed', 'text', 'number', 'date', 'class']), min_size=1, max_size=4))
    draw = {'mixed': cells, 'text': st.one_of(st.none(), st.text(max_size=80)), 'number': st.one_of(st.none(), st.floats(-1e6, 1e6)), 'date': st.dates().map(str), 'class': st.sampled_from(['a', 'b', None])}
    columns = {f'{kind}_{place}': pd.Series(data.draw(st.lists(draw[kind], min_size=rows, max_size=rows)), dtype=object) for place, kind in enumerate(kinds)}
    frame = pd.DataFrame(columns)
    target = data.draw(st.sampled_from([None, *columns]))
    try: report = audit(frame, target=target, checks=CHEAP, progress=False)
    except DataError: return
    assert report.rows == rows and report.sentence()


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10**6))
def test_order_of_rows_does_not_matter(seed):
    "Rows in another order, the same findings (identifiers look at the order, and are left out)."
    table = bench.registry(11)
    spoilt = bench.FAULTS['code_of_a_few'][1](table, np.random.default_rng(1)).table
    names = ['target_column', 'target_presence', 'target_term', 'after_outcome', 'contradicting_labels', 'small_classes', 'personal_data']
    shuffled = spoilt._replace(frame=spoilt.frame.sample(frac=1, random_state=seed))
    first, second = (audit(one.data(), checks=names, progress=False) for one in (spoilt, shuffled))
    key = lambda report: {(finding.check, finding.column, finding.severity, frozenset(finding.ids)) for finding in report.findings if finding.ids}
    assert key(first) == key(second)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_personal_spans_lie_in_the_text_and_do_not_overlap(text):
    spans = find_personal(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in zip(spans, spans[1:]))


def test_leaks_before_a_training_are_quick():
    "5,000 rows of long text in under two seconds of processor time."
    rng, words = np.random.default_rng(0), np.array('patient nurse visit morning evening reports walks sleeps eats well badly tired pain dose week calm cough fever knee hip'.split())
    frame = pd.DataFrame({'note': [' '.join(row) for row in words[rng.integers(0, len(words), (5000, 600))]], 'age': rng.normal(60, 9, 5000), 'response': rng.choice(['no', 'yes'], 5000)})
    from clintrial.dataset import TrialData
    splits = TrialData(frame, Schema(text='note', numeric='age', target='response')).split()
    audit_leaks(splits)
    begun = time.process_time()
    report = audit_leaks(splits)
    assert time.process_time() - begun < 2 and report.leaks == () and not report.of_severity('warning')


def test_no_model_is_imported():
    said = subprocess.run([sys.executable, '-c', 'import clintrial.audit, sys; print([name for name in ("torch", "transformers", "cleanlab", "sklearn") if name in sys.modules])'], capture_output=True, text=True)
    assert said.stdout.strip() == '[]', said.stdout + said.stderr
