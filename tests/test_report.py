"A saved report in a real browser that reaches nothing."
import re
import shutil
import subprocess

import pandas as pd
import pytest

from clintrial.report import Report
from clintrial.visualizer import model_comparison, roc_curve, training_curve

BROWSER = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
QUIET = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--virtual-time-budget=20000', '--enable-logging=stderr']


@pytest.fixture(scope='module')
def report():
    "Three charts of three shapes."
    table = pd.DataFrame({'model': ['a', 'b'], 'metric': 'roc_auc', 'estimate': [.8, .7], 'low': [.7, .6], 'high': [.9, .8]})
    scores = pd.DataFrame({'target': [0, 1]*20, 'probability': [place/40 for place in range(40)]})
    history = pd.DataFrame({'step': range(40), 'loss': [1/(1 + step) for step in range(40)]})
    return Report('Trial').add_chart(model_comparison(table)).add_chart(roc_curve(scores)).add_chart(training_curve(history))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason='no Chromium on this machine')
def test_every_chart_is_drawn_without_a_complaint(report, tmp_path):
    "Each still drawing gives way to a live one, and the console stays empty."
    page = report.save(tmp_path/'report.html')
    shown = subprocess.run([BROWSER, *QUIET, f'--user-data-dir={tmp_path}/profile', '--dump-dom', page.as_uri()], capture_output=True, text=True, timeout=180)
    assert shown.stdout.count('class="chart drawn"') == 3
    assert not re.findall(r'CONSOLE.*', shown.stderr)


def test_the_page_names_no_address_to_fetch(report):
    "Outside the program itself, which only names standards, nothing points anywhere."
    page = re.sub(r'<script>.*?</script>', '', report.html(), flags=re.S)
    assert set(re.findall(r'https?://[^"\s<\\]+', page)) <= {'https://vega.github.io/schema/vega-lite/v6.json'}
    assert "default-src 'none'" in page
