"The panels as a web page: the same controls, nothing fetched from elsewhere."
import re
import shutil

from lab import ROOT
from test_base import PANEL


def test_a_panel_as_a_page(app):
    "The panel works by mouse and keyboard, has its names, and copies its code."
    page = app.open(app.serve([PANEL + 'Dose()'])).page
    page.get_by_label('Weight (kg)').fill('80')
    page.get_by_label('Weight (kg)').press('Tab')
    app.press('End')
    page.get_by_role('button', name='Compute').press('Enter')
    page.locator('.total', has_text='800 mg').wait_for()
    page.get_by_label('Weight (kg)').fill('heavy')
    page.get_by_label('Weight (kg)').press('Tab')
    page.get_by_text('Give a number at least 30 at most 250.').wait_for()
    assert app.axe() == []
    assert page.get_by_role('region', name='Dose of a patient').count() == 1
    app.shot('voila-base')


def test_the_app(app):
    "The page of `make app`: six panels in the order of a project, each alive, each with its name; nothing serious for axe-core."
    shutil.copy(ROOT/'nbs'/'94_app.ipynb', app.server.folder/'notebooks')
    page = app.open('94_app.ipynb', seconds=240).page
    regions = page.get_by_role('region', name=re.compile('.')).and_(page.locator('.ct-panel:not(.ct-still)'))
    app.until("() => document.querySelectorAll('.ct-panel:not(.ct-still)[role=region]').length === 6", 120)
    assert len(set(regions.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))"))) == 6
    assert page.get_by_role('heading', level=2).count() >= 6
    assert app.axe('#rendered_cells') == []
    app.shot('voila-app', whole=True)
