"The safety panel in a browser: an alert is seen, acknowledged and closed, by mouse and by keyboard."
import pytest


@pytest.fixture(scope='module')
def notebook(lab_page, tmp_path_factory):
    "A kernel with a monitor that has four quarters of reports and has not looked yet."
    folder = tmp_path_factory.mktemp('safety')
    lines = ['from clintrial.application_panels.safety import SafetyPanel', 'from clintrial.safety.audit_trail import utc', 'from clintrial.safety.outbox import FileSender', 'from clintrial.safety.streams import simulate_reports', 'from clintrial.safety.surveillance import Monitor',
             f"monitor = Monitor({str(folder)!r}, channels={{'authority': FileSender({str(folder/'authority')!r})}}, clock=lambda: utc('2023-07-02T08:00:00Z'))", "monitor.receive(simulate_reports(reports=900, quarters=4, drugs=6, events=8, signals=2, seed=3).reports, 'four quarters')"]
    return lab_page.open(['\n'.join(lines), 'panel = SafetyPanel(monitor)\npanel'], 'safety').run(0)


@pytest.fixture
def panel(lab, notebook): return lab.run(1)


def test_an_alert_is_seen_acknowledged_and_closed(panel):
    "Look, push, acknowledge without and with a name, close; nothing serious for axe in the light and in the dark."
    page = panel.page
    page.get_by_role('button', name='Look', exact=True).click()
    page.get_by_text('is reported with').first.wait_for(timeout=90_000)   # a look counts every pair; a busy machine takes its time
    page.get_by_role('button', name='Push', exact=True).click()
    panel.until_value("(monitor.outbox.table['state'] == 'sent').all()")
    page.get_by_role('button', name='Acknowledge', exact=True).click()
    page.get_by_text('Write your name.').first.wait_for()
    assert not panel.axe()
    page.get_by_label('Your name', exact=True).fill('Dr. Lindqvist')
    panel.press('Tab')
    panel.until_value("panel.by.value == 'Dr. Lindqvist'")              # what stood beside the field may go and move the button: not under the mouse
    page.get_by_role('button', name='Acknowledge', exact=True).click()
    panel.until_value("(monitor.alerts.table['status'] == 'acknowledged').sum() == 1")
    page.get_by_text('acknowledged by Dr. Lindqvist').first.wait_for()
    assert not panel.axe_in_both_themes()


def test_by_keyboard_alone(panel):
    "Name and reason typed, the alert closed with Enter."
    page = panel.page
    for label, words in (('Your name', 'Dr. Novak'), ('Reason', 'Label changed')):
        page.get_by_label(label, exact=True).focus()
        page.keyboard.type(words)
        panel.press('Tab')
    page.get_by_role('button', name='Close alert', exact=True).focus()
    panel.press('Enter')
    panel.until_value("(monitor.alerts.table['status'] == 'closed').sum() == 1")
