"Predicting one patient in a browser: by mouse, by keyboard alone, what-if while typing, light and dark, Chinese."
import pytest

from toys import toy_trial, toy_tuner


@pytest.fixture(scope='module')
def toy_run(tiny_backbone, tmp_path_factory):
    "A run folder, and its patients as a file."
    folder = tmp_path_factory.mktemp('predicting')
    run = toy_tuner(tiny_backbone, folder/'run', num_train_epochs=1, baselines=True).fit()
    toy_trial().frame.to_parquet(folder/'patients.parquet')
    return run.folder, folder/'patients.parquet'


@pytest.fixture(scope='module')
def notebook(lab_page, toy_run):
    "A kernel with a predictor and patients."
    run, patients = toy_run
    return lab_page.open([f'import pandas\nfrom clintrial.panels.predicting import PredictPanel\nfrom clintrial.predictor import Predictor\npredictor, patients = Predictor({str(run)!r}), pandas.read_parquet({str(patients)!r})\n'
                          'warm = predictor.predict(patients.iloc[:1])', 'panel = PredictPanel(predictor, patients)\npanel', "panel = PredictPanel(predictor, patients, lang='zh')\npanel"], 'predicting').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def test_choose_change_and_turn_pages(panel):
    "A row is chosen, its answer shown; a changed number moves it; neighbours and second opinion are on their pages."
    page = panel.page
    page.get_by_label('Patient', exact=True).select_option('P003')
    page.get_by_text('Prediction: ').first.wait_for()
    page.get_by_label('age', exact=True).fill('31')
    page.get_by_text('not what would happen to the patient').wait_for()
    assert panel.until_value("panel.found['what_if'] and list(panel.found['what_if'].changes)") == ['age']
    page.get_by_role('tab', name='Nearest patients').click()
    page.get_by_text('two rows taken at random').wait_for()
    page.get_by_role('tab', name='Second opinion').click()
    page.get_by_text('tfidf').first.wait_for()
    page.get_by_role('button', name='Back to the start').click()
    page.get_by_text('Change a field: the answer follows at once.').wait_for()
    panel.until_value('panel.latest.idle.is_set()')
    assert not panel.axe()


def test_by_keyboard_alone(panel):
    "Tab reaches the fields in the order of the eye; a row is chosen with arrows, an age typed; bad input is said beside it."
    page = panel.page
    page.get_by_label('Patient', exact=True).focus()
    panel.press('ArrowDown', 'ArrowDown')
    panel.until_value("panel.found is not None and panel.found['row'].index[0] == 'P001'")
    order = []
    for _ in range(12):
        panel.press('Tab')
        order.append(panel.focused())
        if order[-1] == 'age': break
    assert order[-1] == 'age' and [one for one in order if one in ('note', 'age')] == ['note', 'age'], order
    page.keyboard.press('Control+a')
    page.keyboard.type('fifty')
    page.get_by_text('Give a number').first.wait_for()
    page.keyboard.press('Control+a')
    page.keyboard.type('50')
    panel.until_value("panel.found['what_if'] is not None and panel.found['what_if'].changes['age'][1] == 50")
    assert page.get_by_label('age', exact=True).get_attribute('aria-invalid') is None


def test_light_dark_and_chinese(panel):
    "Pictures in both themes; the Chinese panel has no serious finding either."
    page = panel.page
    page.get_by_label('Patient', exact=True).select_option('P005')
    page.get_by_label('age', exact=True).fill('44')
    page.get_by_text('not what would happen to the patient').wait_for()
    panel.until_value('panel.latest.idle.is_set()')
    panel.shot('predicting_light')
    panel.theme('dark')
    assert not panel.axe()
    panel.shot('predicting_dark')
    panel.theme('light')
    panel.write(1, '')
    panel.run(1).run(2)
    page.get_by_text('预测单个患者').first.wait_for()
    page.get_by_label('患者', exact=True).select_option('P002')
    page.get_by_text('预测：').first.wait_for()
    panel.until_value('panel.latest.idle.is_set()')
    panel.shot('predicting_chinese')
    assert not panel.axe()
