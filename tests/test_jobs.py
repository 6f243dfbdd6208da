"Work in the background: obeyed within a step, found again after a kill, heard in every kernel, and never in the way of another cell."
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from transformers import TrainerCallback

from clintrial.jobs import Card, Job, Pump, TrainingJob, attach, running_jobs
from conftest import toy_tuner

ENDLESS = dict(num_train_epochs=1000, eval_strategy='no', save_strategy='no', load_best_model_at_end=False)


def until(true, seconds=60):
    "Wait for a condition."
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it never came true'
        time.sleep(.01)


class At(TrainerCallback):
    "Does something in the middle of a step, as a click does."
    def __init__(self, step, act): self.step, self.act, self.ended = step, act, []
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step: self.act()
    def on_step_end(self, args, state, control, **kwargs): self.ended.append(state.global_step)


# -- obeyed within a step

@pytest.fixture
def started(tiny_backbone, tmp_path):
    "Starts trainings, and ends those that a test left behind."
    jobs = []
    def start(name='run', at=(), resume=False, **options):
        tuner = toy_tuner(tiny_backbone, tmp_path/name, callbacks=tuple(at), **{'probe': False, **ENDLESS, **options})
        jobs.append(TrainingJob(tuner, resume))
        return jobs[-1]
    yield start
    for job in jobs: job.stop().wait(60)


def test_stop_ends_the_step_that_runs_and_no_other(started):
    pressed = At(5, lambda: job.stop())
    job = started(at=[pressed])
    assert job.start().wait(60) == 'stopped'
    assert pressed.ended[-1] == 6                      # step 6 had begun when the button was pressed
    assert job.result.status == 'stopped' and [row['step'] for row in job.rows] == list(range(1, 7))


def test_pause_holds_after_the_step_that_runs(started):
    pressed = At(5, lambda: job.pause())
    job = started(at=[pressed])
    job.start()
    until(lambda: job.state == 'paused')
    held = len(job.rows)
    time.sleep(.2)
    assert job.step == 6 and len(job.rows) == held       # step 6 had begun when the button was pressed
    job.resume()
    until(lambda: len(job.rows) > held + 2)
    assert [row['step'] for row in job.rows] == list(range(1, len(job.rows) + 1))


def test_a_paused_training_can_be_stopped(started):
    job = started().start()
    until(lambda: job.step > 1)
    job.pause()
    until(lambda: job.state == 'paused')
    assert job.stop().wait(60) == 'stopped'


def test_stopped_in_a_panel_ends_at_the_same_bits(started, tiny_backbone, tmp_path):
    "Stop and go on, in the background, is the training that was left alone."
    whole = toy_tuner(tiny_backbone, tmp_path/'whole', probe=False, num_train_epochs=2).fit()
    job = started('parts', at=[At(4, lambda: job.stop())], num_train_epochs=2, eval_strategy='epoch', save_strategy='epoch', load_best_model_at_end=True)
    assert job.start().wait(60) == 'stopped'
    onward = attach(tmp_path/'parts', toy_tuner(tiny_backbone, tmp_path/'parts', probe=False, num_train_epochs=2))
    assert onward.start().wait(60) == 'done'
    assert (onward.result.logits('test')[2] == whole.logits('test')[2]).all()
    assert [row['step'] for row in onward.rows if 'loss' in row] == [row for row in whole.history.dropna(subset='loss')['step']]


# -- another process, and its death

def test_a_killed_process_is_told_and_its_run_goes_on(tiny_backbone, tmp_path):
    folder, repository = tmp_path/'run', Path(__file__).parent
    code = (f'import sys; sys.path.insert(0, {str(repository)!r}); from conftest import toy_tuner; from clintrial.jobs import TrainingJob\n'
            f'TrainingJob(toy_tuner({tiny_backbone!r}, {str(folder)!r}, probe=False, num_train_epochs=500)).start().wait()')
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: Card(folder).works() and any((folder/'checkpoints').glob('checkpoint-*/manifest.json')), 120)
        far = attach(folder)
        until(lambda: far.step > 0, 10)   # the card is written anew twice a second
        assert far.state == 'running' and far.alive and far.steps and not far.can_resume
        with pytest.raises(Exception, match='being trained already'): TrainingJob(toy_tuner(tiny_backbone, folder, probe=False), resume=True).start()
        far.pause()
        until(lambda: far.state == 'paused')
        held = len(far.rows)
        far.resume()
        until(lambda: len(far.rows) > held)
    finally: process.kill()
    process.wait()
    assert (far.state, far.alive, far.can_resume) == ('failed', False, True) and 'ended before the run was finished' in far.error
    onward = attach(folder, toy_tuner(tiny_backbone, folder, probe=False, num_train_epochs=500))
    onward.start()
    until(lambda: onward.step > 0 and len(onward.rows) > 3)
    assert onward.stop().wait(60) == 'stopped'
    steps = [row['step'] for row in onward.rows if 'loss' in row]
    assert steps == list(range(1, len(steps) + 1))


def test_jobs_do_not_hear_each_other(capsys):
    "Two jobs and a cell print at once: every line arrives once, where it belongs."
    def talk(job):
        for place in range(500): print(f'{job.name} {place}')
    jobs = [Job(talk, name).start() for name in ('a', 'b')]
    for place in range(100): print(f'cell {place}')
    for job in jobs: assert job.wait(30) == 'done'
    for job in jobs: assert job.lines == [f'{job.name} {place}' for place in range(500)]
    assert capsys.readouterr().out.splitlines() == [f'cell {place}' for place in range(100)]


def test_a_pump_survives_what_it_shows():
    "A failing refresh is kept as a message; the next one shows again."
    shown, faults = [], iter([ValueError('closed'), None, None])
    def write(found):
        fault = next(faults, None)
        if fault: raise fault
        shown.append(found)
    pump = Pump(lambda: 'row', write, hz=100).start()
    until(lambda: len(shown) > 2, 5)
    assert pump.stop().error == 'closed' and not pump.alive


# -- in real kernels

KERNELS = '6', '7'   # the installed one, and its successor


class Kernel:
    "A kernel that runs cells and says how long they took."
    def __init__(self, more=()):
        from jupyter_client.manager import KernelManager
        paths = [*map(str, more), str(Path(__file__).parent.parent), str(Path(__file__).parent)]
        self.manager = KernelManager()
        self.manager.start_kernel(env={**os.environ, 'PYTHONPATH': os.pathsep.join(paths), 'OMP_NUM_THREADS': '1', 'TOKENIZERS_PARALLELISM': 'false'}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=90)

    def run(self, code: str, seconds=90) -> str:
        "What a cell prints; raises where it fails."
        said = []
        reply = self.client.execute_interactive(code, timeout=seconds, output_hook=lambda message: said.append(message['content'].get('text', '')))
        assert reply['content']['status'] == 'ok' or reply['content'].get('ename') == 'KeyboardInterrupt', reply['content'].get('traceback')
        return ''.join(said)

    def latency(self, code='1 + 1', times=40) -> list:
        "Seconds until an answer, sorted."
        found = []
        for _ in range(times):
            begun = time.perf_counter()
            self.run(code)
            found.append(time.perf_counter() - begun)
            time.sleep(.02)
        return sorted(found)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(params=KERNELS)
def kernel(request):
    "Each kind of kernel."
    opened = Kernel([request.getfixturevalue('ipykernel_7')] if request.param == '7' else [])
    try:
        assert opened.run('import ipykernel; print(ipykernel.__version__)').startswith(request.param + '.')
        yield opened
    finally: opened.close()


TALK = """
import logging, time, warnings
from clintrial.jobs import Job
def talk(job):
    for place in range(1000):
        print('printed', place)
        logging.getLogger('trial').warning('logged %d', place)
        if place % 100 == 0: time.sleep(.01)
job = Job(talk).start()
"""


def test_no_line_is_lost_in_a_kernel(kernel):
    "A thread prints and logs while other cells run and print."
    kernel.run(TALK)
    for place in range(20): assert f'cell {place}' in kernel.run(f"print('cell {place}')")
    seen = kernel.run("job.wait(30); print(len([one for one in job.lines if one.startswith('printed')]), len([one for one in job.lines if 'logged' in one]), job.lines == "
                      "[line for place in range(1000) for line in (f'printed {place}', f'WARNING trial: logged {place}')])")
    assert seen.split()[-3:] == ['1000', '1000', 'True']


TRAIN = """
from clintrial.jobs import TrainingJob, attach
from conftest import toy_tuner
job = TrainingJob(toy_tuner({backbone!r}, {folder!r}, probe=False, num_train_epochs=1000, eval_strategy='no', save_strategy='no', load_best_model_at_end=False)).start()
while job.step < 2: job.wait(.05)
"""


def test_an_interrupt_loses_nothing_and_cells_answer(kernel, tiny_backbone, tmp_path):
    "The interrupt ends the waiting cell; the training goes on, and every other cell is answered."
    idle = kernel.latency()
    kernel.run(TRAIN.format(backbone=tiny_backbone, folder=str(tmp_path/'run')))
    busy = kernel.latency()
    assert busy[int(.95*len(busy))] < .25 + idle[int(.95*len(idle))], f'idle {idle[-3:]}, training {busy[-3:]}'
    threading.Timer(1, kernel.manager.interrupt_kernel).start()
    kernel.run('job.wait(60)')
    before = int(kernel.run('print(job.step)').split()[-1])
    after, state = kernel.run('import time; time.sleep(1); print(job.step, job.state)').split()[-2:]
    assert int(after) > before and state == 'running'
    facts = json.loads(kernel.run("import json; job.stop().wait(60); print(json.dumps([job.state, [row['step'] for row in job.rows], attach(job.folder).can_resume]))").splitlines()[-1])
    assert facts[0] == 'stopped' and facts[1] == list(range(1, len(facts[1]) + 1)) and facts[2]


def test_a_kernel_that_is_shut_down_stops_its_training_with_a_checkpoint(tiny_backbone, tmp_path):
    opened = Kernel()
    try:
        opened.run(TRAIN.format(backbone=tiny_backbone, folder=str(tmp_path/'run')))
        assert attach(tmp_path/'run').state == 'running'
        opened.manager.shutdown_kernel(now=False)
    finally: opened.close()
    assert attach(tmp_path/'run').can_resume
