"FineTunePanel beyond its notebook: runs of other processes, a process that was killed, no ipywidgets, memory as it was estimated."
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import toy_trial

ROOT = Path(__file__).parent.parent
QUICK = {'batch': 8, 'window_tokens': 64, 'precision': 'fp32', 'probe': False, 'baselines': False, 'allow_leaks': True, 'learning_rate': 1e-3}   # the toy's phrase gives the outcome away, on purpose
ELSEWHERE = '''
import sys
sys.path.insert(0, 'tests')
from conftest import toy_trial
from clintrial.jobs import TrainingJob
from clintrial.panels.finetune_settings import build_tuner, tasks_for
import json
backbone, folder, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
splits = toy_trial().split(fractions=(.5, .2, .15, .15), seed=0)
TrainingJob(build_tuner(settings | {'backbone': backbone}, splits, tasks_for(splits.train), folder)).start().wait()
'''


def splits(): return toy_trial().split(fractions=(.5, .2, .15, .15), seed=0)


def panel_of(backbone, folder, **settings):
    from clintrial.panels.finetuning import FineTunePanel
    panel = FineTunePanel(splits(), folder=folder, backbone=backbone, hz=10)
    panel.state = QUICK | settings
    return panel


def until(true, seconds=60):
    end = time.time() + seconds
    while not true():
        assert time.time() < end, 'it did not come true'
        time.sleep(.05)


@pytest.fixture
def elsewhere(tiny_backbone, tmp_path):
    "A training in a process of its own, and its folder."
    panel = panel_of(tiny_backbone, tmp_path, epochs=100, run='far')
    process = subprocess.Popen([sys.executable, '-c', ELSEWHERE, tiny_backbone, str(tmp_path), json.dumps(panel.settings)], cwd=ROOT, env=os.environ | {'OMP_NUM_THREADS': '1'}, stderr=subprocess.DEVNULL)
    panel.close()
    yield process, tmp_path
    if process.poll() is None: process.kill()
    process.wait(10)


def test_a_run_of_another_process_is_found_held_killed_and_taken_over(elsewhere, tiny_backbone):
    "As in Voilà, where each visit has a kernel of its own: found in its folder, paused from here; killed, it is interrupted, and goes on here."
    from clintrial.runs import list_runs
    process, folder = elsewhere
    until(lambda: any((folder/'far'/'checkpoints').glob('checkpoint-*')) if (folder/'far').exists() else False)
    panel = panel_of(tiny_backbone, folder, epochs=100)
    assert panel.job is not None and panel.job.name == 'far' and panel.job.alive
    until(lambda: len(panel.watch.loss.rows) > 3)
    panel.pause.click()
    until(lambda: panel.job.state == 'paused' and 'paused' in panel._said[0], 20)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    until(lambda: not panel.job.alive and panel.watch.state == 'failed', 20)
    assert list_runs(folder).set_index('run').loc['far', 'state'] == 'interrupted'
    assert not panel.resume.disabled and 'go on from checkpoint' in panel._said[0]
    rows = len(panel.job.rows)
    panel.resume.click()
    panel.settle()
    until(lambda: panel.job.alive and panel.job.step > 3 and len(panel.job.rows) >= min(rows, 3), 30)
    panel.stop.click()
    until(lambda: panel.watch.state == 'stopped', 30)
    assert panel.run.status == 'stopped' and panel.job.rows[0]['step'] <= 10
    panel.close()


def test_without_ipywidgets(tiny_backbone, tmp_path):
    "On a server without widgets the panel has the same state, code and still view, and trains."
    script = f'''
import sys
for name in ('ipywidgets', 'anywidget'): sys.modules[name] = None
sys.path.insert(0, 'tests')
from test_panels_finetuning import panel_of, until
panel = panel_of({tiny_backbone!r}, {str(tmp_path)!r}, epochs=1)
panel.train.click(); panel.settle()
until(lambda: panel.job is not None and panel.watch.state == 'done', 40)
still = panel.html()
assert 'run-1 is finished' in still and '<svg' in still, still[:500]
assert 'text/html' in panel._repr_mimebundle_() and 'TrialModel.build' in panel.code
'''
    done = subprocess.run([sys.executable, '-c', script], cwd=ROOT, env=os.environ | {'OMP_NUM_THREADS': '1'}, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_text_of_a_patient_leaves_through_the_panel(tiny_backbone, tmp_path):
    "State, code, still view and messages hold no words of a note."
    panel = panel_of(tiny_backbone, tmp_path, epochs=1)
    shown = panel.html() + panel.code + json.dumps(panel.state) + repr(panel)
    assert not [note for note in toy_trial().frame['note'] if note[12:40] in shown]
    panel.close()


def test_a_setting_can_not_smuggle_html_in(tiny_backbone, tmp_path):
    "What is typed is escaped."
    panel = panel_of(tiny_backbone, tmp_path, run='<b>bold<b>', order='<script>alert(1)<')
    assert '<b>bold' not in panel.html() and '<script' not in panel.html()
    panel.close()
