"One server, one browser, one page for each process that runs tests; a test fails where the console shows an error or the page reaches for another machine."
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import FLAGS, PATIENCE, App, Lab, browser_path, lab_server, voila_server


@pytest.fixture(scope='session')
def chromium():
    "A headless browser; tests are skipped, with the reason, where there is none."
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    path = browser_path()
    if path is None: pytest.skip('no chromium on this machine: tools/browser.sh installs it where it can')
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope='session')
def context(chromium):
    "A window of the browser, with its cache: wide, light, in English."
    opened = chromium.new_context(viewport={'width': 1400, 'height': 1000}, color_scheme='light', locale='en-US', permissions=['clipboard-read', 'clipboard-write'])
    opened.set_default_timeout(PATIENCE*1000)
    yield opened
    opened.close()


@pytest.fixture(scope='session')
def lab_page(context, tmp_path_factory):
    "JupyterLab, open in the browser."
    pytest.importorskip('jupyterlab', reason='jupyterlab is not installed')
    server = lab_server(tmp_path_factory.mktemp('lab')).start()
    try: yield Lab(context, server)
    finally: server.stop()


@pytest.fixture(scope='module')
def lab_page_7(context, tmp_path_factory, ipykernel_7):
    "JupyterLab whose kernels are of ipykernel 7."
    server = lab_server(tmp_path_factory.mktemp('lab7'))
    server.modules.append(ipykernel_7)
    server.start()
    opened = Lab(context, server)
    try: yield opened
    finally:
        opened.page.close()
        server.stop()


def without_complaints(page):
    "The page; then, that its console showed no error and that it reached for nothing elsewhere."
    page.complaints()
    yield page
    complaints = page.complaints()
    assert not complaints, '\n'.join(complaints)


@pytest.fixture
def lab(lab_page):
    "JupyterLab: `lab.open([cells])`, `lab.run()`, `lab.panel` …; the test fails for an error in the console or a request to elsewhere."
    yield from without_complaints(lab_page)


@pytest.fixture
def lab_7(lab_page_7):
    "The same under ipykernel 7."
    yield from without_complaints(lab_page_7)


@pytest.fixture(scope='module')
def app_page(context, tmp_path_factory, tiny_backbone):
    "Voilà, open in the browser; its models are tiny."
    pytest.importorskip('voila', reason='voila is not installed')
    server = voila_server(tmp_path_factory.mktemp('voila'))
    server.more |= {'CLINTRIAL_APP': str(server.folder/'runs'), 'CLINTRIAL_APP_BACKBONE': tiny_backbone}
    server.start(path='/')
    opened = App(context, server)
    try: yield opened
    finally:
        opened.page.close()
        server.stop()


@pytest.fixture
def app(app_page):
    "Voilà: `app.open(app.serve([cells]))`; the test fails for an error in the console or a request to elsewhere."
    yield from without_complaints(app_page)
