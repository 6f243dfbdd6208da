"""What does a panel cost, and how quickly does it obey? Training under the live view against training without it, in a real kernel and a real browser.

    python bench/panels.py --quick       # under ten minutes on two cores
    python bench/panels.py               # more repeats, and a whole hour's refreshes in the browser

One training runs in a kernel while the live view is switched on and off in blocks, in an order drawn by lot; the cost of a step is compared within each pair of blocks,
and the interval is a bootstrap over pairs. The browser gets the refreshes of a chart faster than in life, and its heap is read after garbage was collected.
"""
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import ROOT, arguments, describe_machine, finish, progress

HOUR = 7200   # refreshes, at two a second


# -- inside the kernel

def begin(folder: str):
    "Start a fine-tuning of the embedded backbone that nobody ends, and the live view that follows it."
    import numpy as np
    import pandas as pd
    import torch
    from clintrial.dataset import Schema, TrialData
    from clintrial.jobs import TrainingJob
    from clintrial.model import TrialModel
    from clintrial.panels.finetune_watching import Watch
    from clintrial.tasks import Binary
    from clintrial.trainer import FineTuneConfig, FineTuner
    torch.set_num_threads(1)
    better = np.random.default_rng(0).random(400) < .5
    notes = [f'Visit {place}: the pain {"has gone and she sleeps well" if good else "is worse and she can not sleep"}.' for place, good in enumerate(better)]
    data = TrialData(pd.DataFrame({'note': notes, 'response': np.where(better, 'yes', 'no')}), Schema(text=('note',), target=('response',)))
    splits = data.split(fractions=(.5, .2, .15, .15), seed=0)
    config = FineTuneConfig(output_dir=folder, num_train_epochs=10_000, per_device_train_batch_size=8, logging_steps=1, eval_strategy='no', save_strategy='no', load_best_model_at_end=False,
                            baselines=False, probe=False, allow_leaks=True, cache_frozen=False, precision='fp32')
    steps = Steps()
    job = TrainingJob(FineTuner(TrialModel.build('minilm', splits.train, Binary('response'), window_tokens=128), splits, config, callbacks=(steps.callback(),))).start()
    while job.step < 3: job.wait(.05)
    watch = Watch(lambda words, **values: words.format(**values))
    watch.follow(job)
    return job, watch, steps


class Steps:
    "Processor and wall seconds of each step, under the arm that was on from its begin to its end."
    def __init__(self): self.arm, self.block, self.rows, self.last = None, 0, [], None

    def callback(self):
        from transformers import TrainerCallback
        outer = self
        class Clock(TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs): outer.tick()
        return Clock()

    def tick(self):
        now = (self.arm, self.block, time.perf_counter(), time.process_time())
        if self.last is not None and self.last[:2] == now[:2] and self.arm: self.rows.append((*now[:2], now[2] - self.last[2], now[3] - self.last[3]))
        self.last = now


def cost(watch, steps, pairs: int, seconds: float) -> list:
    "Switch the live view on and off; one row a pair: processor ratio, wall ratio, steps."
    for block in range(pairs):
        for arm in random.sample(['with', 'without'], 2):
            watch.pump.stop(last=False)
            if arm == 'with': watch.pump.start()
            steps.arm, steps.block = arm, block
            time.sleep(seconds)
    watch.pump.stop(last=False)
    steps.arm = None
    found = []
    for block in range(pairs):
        ours, bare = ([row for row in steps.rows if row[0] == arm and row[1] == block] for arm in ('with', 'without'))
        if ours and bare: found.append([statistics.mean(row[3] for row in ours)/statistics.mean(row[3] for row in bare), statistics.mean(row[2] for row in ours)/statistics.mean(row[2] for row in bare), len(ours) + len(bare)])
    return found


def obedience(job, times: int) -> dict:
    "Steps that were ended after a pause, and after the stop, was asked for; and seconds until it was so."
    held, waited = [], []
    for _ in range(times):
        time.sleep(random.uniform(.1, 1.))
        begun, asked = time.perf_counter(), job.step
        job.pause()
        while job.state != 'paused': time.sleep(.002)
        waited.append(time.perf_counter() - begun)
        time.sleep(.3)
        held.append(job.step - asked)   # the step that ran, and no other
        job.resume()
    time.sleep(random.uniform(.1, 1.))
    begun, asked = time.perf_counter(), job.step
    job.stop()
    while job.phase != 'finishing' and not job.ended: time.sleep(.002)
    ended = time.perf_counter() - begun
    job.wait(120)
    return {'pause_steps_worst': max(held), 'pause_seconds_median': statistics.median(waited), 'pause_seconds_worst': max(waited), 'stop_steps': job.step - asked, 'stop_seconds_with_checkpoint': ended,
            'state': job.state, 'step_seconds': statistics.median(later['seconds'] - one['seconds'] for one, later in zip(job.rows[5:60], job.rows[6:61]))}


# -- outside

class Kernel:
    "A kernel of its own, whose messages are read as a page would read them."
    def __init__(self):
        from jupyter_client.manager import KernelManager
        self.manager = KernelManager()
        self.manager.start_kernel(env={**os.environ, 'PYTHONPATH': f"{ROOT}{os.pathsep}{ROOT/'bench'}", 'OMP_NUM_THREADS': '1', 'TOKENIZERS_PARALLELISM': 'false', 'HF_HUB_OFFLINE': '1'}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code: str, seconds=1200):
        "Run a cell; what it printed last, as JSON."
        said = []
        reply = self.client.execute_interactive(code, timeout=seconds, output_hook=lambda message: said.append(message['content'].get('text', '')))
        if reply['content']['status'] != 'ok': raise SystemExit('\n'.join(reply['content']['traceback']))
        lines = ''.join(said).strip().splitlines()
        return json.loads(lines[-1]) if lines and lines[-1][:1] in '[{' else None

    def latency(self, times: int) -> dict:
        "Seconds until `1 + 1` is answered."
        found = []
        for _ in range(times):
            begun = time.perf_counter()
            self.run('1 + 1')
            found.append(time.perf_counter() - begun)
            time.sleep(random.uniform(.02, .1))
        found.sort()
        return {'median': found[len(found)//2], 'p95': found[int(.95*len(found))], 'worst': found[-1]}


def ratio(values: list, draws=2000) -> dict:
    "The median ratio of the pairs, and its 95 % bootstrap interval."
    generator = random.Random(0)
    drawn = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(draws))
    return {'ratio': statistics.median(values), 'low': drawn[int(.025*draws)], 'high': drawn[int(.975*draws)], 'pairs': len(values)}


def in_a_kernel(quick: bool) -> dict:
    "Cost, answers of other cells, obedience."
    kernel = Kernel()
    try:
        kernel.run('import json, panels')
        idle = kernel.latency(60)
        progress(f'an idle kernel answers within {1e3*idle["p95"]:.0f} ms (p95)')
        kernel.run(f'job, watch, steps = panels.begin({str(Path(tempfile.mkdtemp())/"run")!r})\nwatch.widget')
        found = kernel.run(f'print(json.dumps(panels.cost(watch, steps, {20 if quick else 60}, {3. if quick else 5.})))')
        cpu, wall = (ratio([row[place] for row in found]) for place in (0, 1))
        progress(f'under the live view: × {cpu["ratio"]:.3f} processor time, × {wall["ratio"]:.3f} on the clock')
        kernel.run('watch.pump.start()')
        busy = kernel.latency(100 if quick else 400)
        progress(f'another cell is answered within {1e3*busy["p95"]:.0f} ms (p95)')
        obeyed = kernel.run(f'print(json.dumps(panels.obedience(job, {8 if quick else 40})))')
    finally:
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel(now=True)
    return {'cpu': cpu, 'wall': wall, 'steps': sum(row[2] for row in found), 'answer_seconds': busy, 'answer_seconds_idle': idle, 'obeyed': obeyed}


CHART = """
import altair as alt, math, threading, time
from clintrial.live import LiveChart
lines = alt.Chart(alt.NamedData('live'), title='Loss').mark_line().encode(x='step:Q', y=alt.Y('loss:Q', scale=alt.Scale(zero=False)), color='split:N')
chart = LiveChart(lines.properties(width=440, height=160))
def feed(refreshes, hz, rows=2):
    for _ in range(refreshes):
        step = len(chart.rows)
        chart.append([{'step': step + place, 'loss': 1/(1 + step/500) + .05*math.sin((step + place)*7.3), 'split': 'training' if (step + place) % 10 else 'validation'} for place in range(rows)])
        time.sleep(1/hz)
def begin(refreshes, hz): threading.Thread(target=feed, args=(refreshes, hz), daemon=True).start()
"""
TOLD = "() => { const words = document.querySelector('.clintrial-live p'); const seen = ((words && words.textContent) || '').match(/([\\d,]+) values/g) || []; return seen.reduce((sum, one) => sum + Number(one.replace(/[^\\d]/g, '')), 0) }"


def in_a_browser(quick: bool) -> dict:
    "Heap of the page over many refreshes, and how soon a chart is whole after a reload in the middle of them."
    sys.path.insert(0, str(ROOT/'tests'/'browser'))
    try:
        from lab import FLAGS, Lab, browser_path, lab_server
        from playwright.sync_api import sync_playwright
    except ImportError as missing: return {'skipped': str(missing)}
    if browser_path() is None: return {'skipped': 'no chromium on this machine'}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), headless=True, args=FLAGS)
        server = lab_server(Path(folder)).start()
        try:
            lab = Lab(browser.new_context(), server)
            lab.open([CHART, 'chart']).run()
            return heap(lab, 1200 if quick else HOUR, 15.) | reload(lab, 2 if quick else 6)
        finally:
            server.stop()
            browser.close()


def heap(lab, refreshes: int, hz: float) -> dict:
    "Megabytes that the page grows by in an hour at two refreshes a second."
    wire = lab.page.context.new_cdp_session(lab.page)
    wire.send('Performance.enable')
    def used():
        for _ in range(3): wire.send('HeapProfiler.collectGarbage')
        return next(one['value'] for one in wire.send('Performance.getMetrics')['metrics'] if one['name'] == 'JSHeapUsedSize')/1e6
    seen = []
    for part in range(7):   # the first one warms up
        lab.value(f'begin({refreshes//6}, {hz})')
        rows = (part + 1)*2*(refreshes//6)
        lab.until(f'() => ({TOLD})() >= {rows}', 30 + 4*refreshes/hz)
        seen.append(used())
        progress(f'{rows//2} refreshes: {seen[-1]:.1f} MB')
    growth = (seen[-1] - seen[0])/(refreshes//6*6)
    return {'heap_mb': seen, 'refreshes': refreshes//6*6, 'heap_mb_in_an_hour': growth*HOUR, 'later_half_mb_in_an_hour': (seen[-1] - seen[3])/(refreshes//6*3)*HOUR}


def reload(lab, times: int) -> dict:
    "Seconds from the reload of the page until the chart has every row there was, and from the moment the notebook is there."
    whole, after = [], []
    for _ in range(times):
        lab.value('begin(400, 2)')
        lab.save()
        before, begun = lab.value('len(chart.rows)'), time.perf_counter()
        lab.page.reload(wait_until='domcontentloaded')
        lab.page.wait_for_selector('.jp-Notebook', timeout=120_000)
        there = time.perf_counter()
        lab.until(f"() => document.querySelector('.clintrial-live .mark-line path') && ({TOLD})() >= {before}", 60)
        whole.append(time.perf_counter() - begun)
        after.append(time.perf_counter() - there)
        lab._ready()
        lab._connected()
        progress(f'whole {whole[-1]:.1f} s after the reload, {after[-1]:.1f} s after the notebook was there')
    return {'reload_seconds': whole, 'reload_seconds_after_the_notebook': after}


def main():
    options = arguments(__doc__.splitlines()[0])
    kernel, page = in_a_kernel(options.quick), in_a_browser(options.quick)
    print(f"processor × {kernel['cpu']['ratio']:.3f} [{kernel['cpu']['low']:.3f}, {kernel['cpu']['high']:.3f}], clock × {kernel['wall']['ratio']:.3f} [{kernel['wall']['low']:.3f}, {kernel['wall']['high']:.3f}]")
    finish(kernel | {'browser': page, 'machine': describe_machine()})


if __name__ == '__main__': main()
