"Comparing runs in a browser: five pages by mouse, by keyboard alone, light and dark."
import pytest

from toys import toy_trial, toy_tuner


@pytest.fixture(scope='module')
def notebook(lab_page, tiny_backbone, tmp_path_factory):
    "A kernel with two runs on the same cases."
    folder = tmp_path_factory.mktemp('comparing')
    runs = {name: str(toy_tuner(tiny_backbone, folder/name, num_train_epochs=1, learning_rate=rate).fit().folder) for name, rate in (('slow', 1e-4), ('fast', 3e-3))}
    toy_trial().frame.to_parquet(folder/'patients.parquet')
    return lab_page.open([f'import pandas\nfrom clintrial.panels.comparing import ComparePanel\nruns, patients = {runs!r}, pandas.read_parquet({str(folder/"patients.parquet")!r})', 'panel = ComparePanel(runs, patients, n_resamples=50)\npanel'], 'comparing').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def compared(panel, page):
    page.get_by_text('on the same').wait_for()
    panel.until_value("'Differences' in panel.kept")


def test_five_pages(panel):
    "Compare, turn to each page, choose a subgroup; nothing serious for axe, in the light and in the dark."
    page = panel.page
    page.get_by_label('sex', exact=True).check()
    page.get_by_role('button', name='Compare', exact=True).click()
    compared(panel, page)
    panel.shot('comparing_light')
    for title in ('Disagreement', 'Calibration', 'Subgroups', 'Cost'):
        page.get_by_role('tab', name=title).click()
        panel.until_value(f'{title!r} in panel.kept')
    page.get_by_text('learning_rate').first.wait_for()
    assert not panel.axe()
    page.get_by_role('tab', name='Differences').click()
    panel.theme('dark')
    assert not panel.axe()
    panel.shot('comparing_dark')
    panel.theme('light')


def test_by_keyboard_alone(panel):
    "A run is left out with Space, the refusal stands beside the field; with both, Enter compares and arrows turn the page."
    page = panel.page
    page.get_by_label('slow', exact=True).focus()
    panel.press('Space')
    page.get_by_role('button', name='Compare', exact=True).focus()
    panel.press('Enter')
    page.get_by_text('Choose two runs or more').wait_for()
    page.get_by_label('slow', exact=True).focus()
    panel.press('Space')
    page.get_by_role('button', name='Compare', exact=True).focus()
    panel.press('Enter')
    compared(panel, page)
    page.get_by_role('tab', name='Differences').focus()
    panel.press('ArrowRight')
    panel.until_value("'Disagreement' in panel.kept")
    assert panel.focused() == 'Disagreement'


def test_a_run_that_is_none(panel):
    "A folder without a run is refused beside its field."
    page = panel.page
    page.get_by_label('Add a run', exact=True).fill('/nowhere/at/all')
    page.get_by_role('button', name='Add', exact=True).click()
    page.get_by_text('no run folder').first.wait_for()
