"What the data panel does is what the rooms above it do: same tables, same logs, same parts; a state is JSON."
import json

import pandas as pd
import pytest

pytest.importorskip('ipywidgets')

from clintrial.audit import audit
from clintrial.cleaning import clean
from clintrial.loading import DataError
from clintrial.panels.data import DataPanel
from clintrial.repair import Fix, apply_fix, prepare, propose_fixes, rules_named
from clintrial.simulate import simulate_trial


@pytest.fixture(scope='module')
def trial(): return simulate_trial(120, seed=2, length=40, leaks=('column',), phi=.2)


def test_the_panel_cleans_as_clean_does(trial):
    frame = trial.data.frame.assign(smoker=trial.data.frame.smoker.astype(str) + '  ')
    panel = DataPanel(frame, target='response')
    panel.widget
    panel.apply_rules()
    panel.settle()
    expected, log = clean(panel.stack[0], rules_named(panel.rules, panel.schema))
    pd.testing.assert_frame_equal(panel.data.frame, expected.frame)
    assert len(panel.logs[0]) == len(log) > 0
    pd.testing.assert_frame_equal(panel.logs[0].undo(panel.data).frame, panel.stack[0].frame)
    panel.undo()
    pd.testing.assert_frame_equal(panel.data.frame, frame)
    panel.close()


def test_a_state_is_json_and_travels(trial):
    panel = DataPanel(trial.data)
    panel.state = {'by': 'time', 'seed': 3, 'steps': [{'do': 'leave out', 'columns': ['closeout_code']}], 'split': True}
    kept = json.loads(json.dumps(panel.state))
    other = DataPanel(trial.data.frame)
    other.state = kept
    assert other.state == kept and list(other.splits.test.ids) == list(panel.splits.test.ids) and other.splits.how['by'] == 'time'
    assert 'closeout_code' not in other.data.schema.categorical
    for bad in ({'by': 'moon'}, {'train': 2}, {'roles': {'narrative': 'poem'}}, {'steps': [{'do': 'drop rows', 'rows': ['nobody']}]}, {'colour': 1}, {'rules': ['polish']}, {'path': '/nowhere.csv'}):
        with pytest.raises(DataError): other.state = {'seed': 9, **bad}
        assert other.state == kept
    panel.close(); other.close()


def test_every_fix_that_is_offered_can_be_done(trial):
    "And takes its finding away, unless another split is what it takes."
    splits = trial.data.split()
    for finding in audit(trial.data, splits, progress=False).findings:
        for fix in propose_fixes(finding, trial.data, splits):
            assert Fix(**json.loads(json.dumps(fix.to_dict()))) == fix and fix.sentence('zh')
            mended, _ = apply_fix(trial.data, fix)
            pd.testing.assert_frame_equal(mended.frame, prepare(trial.data.frame, trial.data.schema, (fix,))[0].frame)
            if fix.do in ('leave out', 'mask'):
                left = audit(mended, checks=finding.check, progress=False).findings
                assert not any(one.column == finding.column and one.severity == 'severe' for one in left), fix


def test_a_table_that_becomes_fit_by_cleaning(trial):
    "Numbers with 'unknown' among them have their role before they are numbers."
    frame = trial.data.frame.astype({'age': object})
    frame.loc[frame.index[:5], 'age'] = 'unknown'
    panel = DataPanel(frame.assign(age=frame.age.map(str)), target='response')
    panel.state = {'roles': {'age': 'numeric'}, 'steps': [{'do': 'clean', 'rules': ['missing codes']}]}
    assert panel.data.frame.age.isna().sum() == 5 and panel.roles['age'] == 'numeric'
    panel.close()
