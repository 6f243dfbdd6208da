"FineTunePanel in JupyterLab: train, reload in mid-training and find it again, two tabs, stop; the keyboard alone; light and dark."
import pytest

SETUP = '''
import os, sys, tempfile, warnings
from pathlib import Path
os.environ['OMP_NUM_THREADS'] = '1'
warnings.simplefilter('ignore')
import numpy as np, pandas as pd, torch
torch.set_num_threads(1)
from transformers import AutoModel, AutoTokenizer, BertConfig
from transformers.utils import logging; logging.disable_progress_bar()
from clintrial.backbones import minilm_folder
from clintrial.dataset import Schema, TrialData
from clintrial.panels.finetuning import FineTunePanel
home = Path(tempfile.mkdtemp())
config = BertConfig(vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64)
AutoModel.from_config(config).save_pretrained(home/'backbone')
AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(home/'backbone')
draw = np.random.default_rng(0)
better = draw.random(96) < .5
notes = [f'Visit {day}: the pain {"has gone" if good else "is worse"}.' for day, good in zip(draw.integers(1, 90, 96), better)]
splits = TrialData(pd.DataFrame({'note': notes, 'response': np.where(better, 'yes', 'no')}), Schema(text=('note',), target=('response',))).split(fractions=(.5, .2, .15, .15), seed=0)
'''
PANEL = '''
panel = FineTunePanel(splits, folder=home/'runs', backbone=str(home/'backbone'))
panel.state = {'epochs': 100, 'batch': 1, 'window_tokens': 48, 'probe': False, 'precision': 'fp32', 'allow_leaks': True}
panel
'''
STEP, POINTS = 'panel.job.step if panel.job else 0', '() => Number((document.querySelector(".ct-panel progress") || {}).value) > %d'


@pytest.fixture
def opened(lab):
    "The panel in a fresh notebook."
    lab.open([SETUP, PANEL, '6*7'], 'finetuning').run(seconds=120)
    lab.panel.get_by_role('button', name='Train', exact=True).wait_for()
    return lab


def test_trains_survives_a_reload_and_stops(opened):
    "Click Train; other cells answer; reload in mid-training: the chart is whole again; a second tab shows the same; Stop stops."
    lab = opened
    assert not lab.axe(), lab.axe()
    lab.shot('finetuning-settings-light')
    lab.panel.get_by_role('button', name='Train', exact=True).click()
    lab.until_value(f'({STEP}) > 8')
    lab.run(2)
    assert '42' in lab.output(2)
    lab.reload()
    lab.panel.get_by_role('tab', name='Training').wait_for()
    before = lab.value(STEP)
    assert lab.value('panel.job.alive'), lab.value('[panel.job.state, panel.job.error]')
    lab.until(POINTS % before)
    lab.until("() => document.querySelectorAll('.ct-panel .clintrial-live svg').length >= 1")
    assert not lab.axe(), lab.axe()
    second = lab.second_tab()
    try:
        second.panel.get_by_role('button', name='Pause', exact=True).click()
        lab.until_value("panel.job.state == 'paused'")
        held = lab.value(STEP)
        assert lab.value(STEP) == held
    finally: second.page.close()
    lab.theme('dark')
    lab.until("() => document.querySelectorAll('.ct-panel .clintrial-live svg').length >= 1")
    lab.shot('finetuning-training-dark')
    lab.theme('light')
    lab.until("() => document.querySelectorAll('.ct-panel .clintrial-live svg').length >= 1")
    lab.shot('finetuning-training-light')
    lab.panel.get_by_role('button', name='Stop', exact=True).click()
    lab.until_value("panel.job.state == 'stopped' and panel.watch.state == 'stopped'")
    assert lab.value(STEP) <= held + 1
    lab.panel.get_by_role('tab', name='Runs').click()
    lab.panel.get_by_role('table').filter(has_text='run-1').first.wait_for()
    lab.shot('finetuning-runs-light')


def test_keyboard_alone_and_bad_input(opened):
    "Tab to a field, type nonsense: it is said beside it; Train by Enter, Stop by Space."
    lab = opened
    epochs = lab.panel.get_by_label('Epochs', exact=True)
    epochs.focus()
    lab.press('Control+a', 'x', 'Tab')
    lab.panel.get_by_text('Give a number').first.wait_for()
    assert lab.value("panel.state['epochs']") == 100
    epochs.focus()
    lab.press('Control+a', '1', '0', '0', 'Tab')
    lab.until_value("not panel.fields['epochs'].wrong")
    lab.panel.get_by_role('slider').first.focus()
    lab.press('ArrowRight')
    lab.until_value("panel.state['learning_rate'] > 1e-4")
    lab.panel.get_by_role('button', name='Train', exact=True).focus()
    lab.press('Enter')
    lab.until_value(f'({STEP}) > 2')
    lab.panel.get_by_role('button', name='Stop', exact=True).focus()
    lab.press('Space')
    lab.until_value("panel.job.ended and panel.watch.state == 'stopped'")
    assert lab.value('panel.job.state') == 'stopped'
