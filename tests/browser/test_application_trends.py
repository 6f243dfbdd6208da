"Trends in a browser: four pages by mouse, by keyboard alone, light and dark."
import pytest


@pytest.fixture(scope='module')
def notebook(lab_page):
    "A kernel with two and a half years of weekly counts."
    return lab_page.open(['from clintrial.application_panels.trends import TrendsPanel\nfrom clintrial.trends import simulate_surveillance\nweekly = simulate_surveillance(weeks=190, seed=3, changes=((120, 2.),)).frame', "panel = TrendsPanel(weekly, data_name='weekly')\npanel"], 'trends').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def test_pages_by_mouse(panel):
    "Compute, turn to each page; nothing serious for axe, in the light and in the dark."
    page = panel.page
    page.get_by_label('Steps ahead', exact=True).fill('3')
    page.get_by_role('button', name='Compute', exact=True).click()
    panel.until_value("'Forecast' in panel.kept")
    page.get_by_text('are forecast').first.wait_for()
    panel.shot('trends_light')
    for title in ('Changes', 'Reproduction number', 'Series', 'Forecast'):
        page.get_by_role('tab', name=title).click()
        assert not panel.axe()
    assert not panel.axe_in_both_themes()


def test_by_keyboard_alone(panel):
    "A bad number is refused beside its field; Enter computes, the arrow turns the page."
    page = panel.page
    field = page.get_by_label('Steps ahead', exact=True)
    field.fill('0')
    panel.press('Tab')
    page.get_by_text('at least 1').first.wait_for()
    field.fill('3')
    page.get_by_role('button', name='Compute', exact=True).focus()
    panel.press('Enter')
    panel.until_value("'Forecast' in panel.kept")
    page.get_by_role('tab', name='Forecast').focus()
    panel.press('ArrowRight')
    assert panel.focused() == 'Changes'
