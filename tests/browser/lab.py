"JupyterLab and Voilà in a real browser: servers with folders of their own, one page object, nothing but this machine reached."
import ast
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(__file__).parent/'shots'
NAMES = 'chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'
PATIENCE = 60   # seconds that a wait may take: a busy machine is slow, and a wait that is met costs nothing
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']
SETTINGS = {   # what would cover the page, call home, take cells out of it that are not in sight, or repeat a panel's heading unseen in the table of contents
    '@jupyterlab/notebook-extension/tracker': {'windowingMode': 'none'},
    '@jupyterlab/toc-extension/registry': {'includeOutput': False},
    '@jupyterlab/docmanager-extension/plugin': {'autosave': False},
    '@jupyterlab/apputils-extension/notification': {'fetchNews': 'false', 'checkForUpdates': False, 'doNotDisturbMode': True},
}


def browser_path():
    "The browser of this machine, or None; CLINTRIAL_CHROMIUM names another one."
    return next((found for name in (os.environ.get('CLINTRIAL_CHROMIUM'), *NAMES) if name and (found := shutil.which(name))), None)


class Server:
    "A server on 127.0.0.1 with temporary folders; `start` it, `stop` it."
    def __init__(self, folder: Path, *command):
        self.folder, self.token, self.port = folder, secrets.token_hex(8), free_port()
        self.base, self.more, self.modules = f'http://127.0.0.1:{self.port}', {}, [ROOT]
        self.command = [part.format(port=self.port, token=self.token, folder=folder) for part in command]

    def start(self, path='/api/status', seconds=180):
        self.log = (self.folder/'server.log').open('w')
        self.process = subprocess.Popen([sys.executable, '-m', *self.command], cwd=self.folder, env=self.environment(), stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        opener, end = build_opener(ProxyHandler({})), time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try: opener.open(f'{self.base}{path}?token={self.token}', timeout=5)
            except (URLError, OSError): time.sleep(.2)
            else: return self
        self.stop()
        raise RuntimeError(f'The server did not answer:\n{(self.folder/"server.log").read_text()[-3000:]}')

    def environment(self):
        "Of the server and its kernels: the user's own settings are neither read nor written."
        own = {name: str(self.folder/name.lower()) for name in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR', 'HOME')}
        for place in own.values(): Path(place).mkdir(parents=True, exist_ok=True)
        return {**os.environ, **own, **self.more, 'PYTHONPATH': os.pathsep.join(map(str, self.modules)), 'HF_HUB_OFFLINE': '1', 'TRANSFORMERS_OFFLINE': '1', 'TOKENIZERS_PARALLELISM': 'false', 'OMP_NUM_THREADS': '1', 'NO_PROXY': '127.0.0.1'}

    def stop(self):
        self.process.terminate()
        try: self.process.wait(15)
        except subprocess.TimeoutExpired: self.process.kill()
        self.log.close()


def free_port():
    "A port that nobody listens on."
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def lab_server(folder: Path) -> Server:
    "JupyterLab on an empty folder."
    for name, values in SETTINGS.items():
        place = folder/'settings'/f'{name}.jupyterlab-settings'
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(values))
    (folder/'notebooks').mkdir()
    return Server(folder, 'jupyterlab', '--no-browser', '--allow-root', '--ServerApp.ip=127.0.0.1', '--ServerApp.port={port}', '--ServerApp.port_retries=0', '--IdentityProvider.token={token}',
                  '--ServerApp.root_dir={folder}/notebooks', '--LabApp.user_settings_dir={folder}/settings', '--LabApp.workspaces_dir={folder}/workspaces', '--LabApp.expose_app_in_browser=True',
                  '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate', '--LabApp.news_url=None', '--ServerApp.terminals_enabled=False')


# -- a page

class Page:
    "A page that refuses every other host and remembers what went wrong."
    def __init__(self, context, base: str):
        self.context, self.base, self.console, self.errors, self.foreign = context, base, [], [], []
        self.page = context.new_page()
        self.page.route('**/*', self._route)
        self.page.on('console', lambda said: said.type == 'error' and self.console.append(f"{said.text[:500]} ({said.location.get('url', '')[:200]})"))
        self.page.on('pageerror', lambda error: self.errors.append((error.stack or str(error))[:1500]))   # the frames tell whose script it is
        self.page.on('websocket', lambda wire: self._is_ours(wire.url) or self.foreign.append(wire.url))

    def _is_ours(self, address):
        return urlsplit(address).netloc == urlsplit(self.base).netloc or address.startswith(('data:', 'blob:'))

    def _route(self, route):
        if self._is_ours(route.request.url): return route.continue_()
        self.foreign.append(route.request.url[:200])
        route.abort()

    def complaints(self) -> list:
        "Errors in the console, errors of scripts, requests to elsewhere, since the last time that somebody asked."
        found = [f'{kind}: {one}' for kind, some in (('console', self.console), ('script', self.errors), ('request elsewhere', self.foreign)) for one in some]
        self.console, self.errors, self.foreign = [], [], []
        return found

    @property
    def panel(self):
        "The first panel of the page that is alive."
        return self.page.locator('.ct-panel:not(.ct-still)').first

    def axe(self, within='.ct-panel:not(.ct-still)', impacts=('serious', 'critical')) -> list:
        "What axe-core finds serious, as lines."
        from axe_playwright_python.base import AXE_SCRIPT
        if not self.page.evaluate('() => !!window.axe'): self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate("within => axe.run({include: [[within]]}, {resultTypes: ['violations']}).then(found => found.violations)", within)
        return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]} ({len(one['nodes'])} of them)" for one in found if one['impact'] in impacts]

    def shot(self, name: str, whole=False):
        "A picture of the panel, or of the whole page, among the artefacts."
        SHOTS.mkdir(exist_ok=True)
        (self.page if whole else self.panel).screenshot(path=str(SHOTS/f'{name}.png'), animations='disabled')

    def until(self, what: str, seconds=PATIENCE):
        "Wait until an expression of JavaScript is true."
        self.page.wait_for_function(what, timeout=seconds*1000, polling=100)   # a page that draws nothing has no frames to wait for

    def press(self, *keys):
        "Press keys, one after the other."
        for key in keys: self.page.keyboard.press(key)

    def focused(self) -> str:
        "What has the focus, as a screen reader would name it, roughly."
        return self.page.evaluate('''() => { const e = document.activeElement; return (e.getAttribute('aria-label') || (e.labels && e.labels[0] && e.labels[0].textContent) || e.textContent || e.tagName).trim() }''')


class Lab(Page):
    "JupyterLab with one notebook open."
    def __init__(self, context, server: Server, workspace='tests'):
        super().__init__(context, server.base)
        self.server, self.path = server, None
        self.page.goto(f'{self.base}/lab/workspaces/{workspace}?reset&token={server.token}', wait_until='domcontentloaded')
        self._ready()

    def _ready(self):
        self.until("() => window.jupyterapp && !document.querySelector('#jupyterlab-splash')", 90)
        self.page.evaluate('() => jupyterapp.restored.then(() => true)')

    def command(self, name: str, **values):
        "Run a command of JupyterLab."
        return self.page.evaluate('([name, values]) => jupyterapp.commands.execute(name, values).then(() => true)', [name, values])

    def open(self, cells: list, name='panel'):
        "A new notebook of these cells, with a kernel of its own; the one before is closed and its kernel ended."
        self.close()
        self.theme('light')
        self.path = f'{name}.ipynb'
        made = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={'kernelspec': {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}})
        nbformat.write(made, self.server.folder/'notebooks'/self.path)
        return self.attach(self.path)

    def attach(self, path: str):
        "Open a notebook that is there."
        self.path = path
        self.command('docmanager:open', path=path, factory='Notebook', kernel={'name': 'python3'})
        return self._connected()

    def _connected(self):
        self.until("() => jupyterapp.shell.currentWidget && jupyterapp.shell.currentWidget.sessionContext && jupyterapp.shell.currentWidget.sessionContext.isReady")
        self.page.evaluate('() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.info.then(() => true)')
        return self

    def run(self, cell=None, seconds=90):
        "Run one cell, or all of them, to the end; raises with what the cell said where it failed."
        self.page.set_default_timeout(seconds*1000)
        self.page.evaluate('''async cell => { const shown = jupyterapp.shell.currentWidget.content;
            if (cell === null) return void await jupyterapp.commands.execute('notebook:run-all-cells');
            shown.activeCellIndex = cell; shown.deselectAll(); await jupyterapp.commands.execute('notebook:run-cell'); }''', cell)
        self.page.set_default_timeout(PATIENCE*1000)
        failed = self.page.locator('.jp-Notebook .jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], .jp-Notebook .jp-RenderedText[data-mime-type="application/vnd.jupyter.error"]')
        if failed.count(): raise AssertionError(f'A cell failed or warned:\n{failed.first.inner_text()[-2000:]}')
        return self

    def write(self, cell: int, source: str):
        "Put other words into a cell."
        self.page.evaluate('([cell, source]) => jupyterapp.shell.currentWidget.content.widgets[cell].model.sharedModel.setSource(source)', [cell, source])
        return self

    def value(self, expression: str):
        "What an expression is worth in the kernel, now, as plain data."
        reply = self.page.evaluate('''async code => (await jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute(
            {code: '', silent: true, store_history: false, user_expressions: {it: code}}).done).content.user_expressions.it''', f'__import__("json").dumps({expression}, default=str)')
        if reply['status'] != 'ok': raise AssertionError(f"{reply['ename']}: {reply['evalue']}")
        return json.loads(ast.literal_eval(reply['data']['text/plain']))

    def until_value(self, expression: str, seconds=PATIENCE):
        "Wait until an expression is true in the kernel; returns its value."
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            if time.monotonic() > end: raise AssertionError(f'{expression} is still {value!r} after {seconds} s')
            time.sleep(.1)
        return value

    def output(self, cell: int) -> str:
        "The words that a cell printed."
        return self.page.locator('.jp-Notebook .jp-Cell').nth(cell).locator('.jp-OutputArea').inner_text()

    def theme(self, mode: str):
        "Switch to the light or the dark theme, without a reload."
        self.command('apputils:change-theme', theme=f'JupyterLab {mode.title()}')
        self.until(f"() => document.body.dataset.jpThemeLight === '{str(mode == 'light').lower()}'")

    def axe_in_both_themes(self) -> list:
        "What axe-core finds serious in the light and in the dark theme; it is light again afterwards."
        found = self.axe()
        self.theme('dark')
        found += self.axe()
        self.theme('light')
        return found

    def save(self): self.command('docmanager:save')

    def reload(self):
        "Save, and load the page anew: the kernel goes on."
        self.save()
        self.page.reload(wait_until='domcontentloaded')
        self._ready()
        return self.attach(self.path)

    def second_tab(self) -> 'Lab':
        "The same notebook, with the same kernel, in another tab."
        self.save()
        return Lab(self.context, self.server, 'second').attach(self.path)

    def close(self):
        "Close the notebook and end its kernel."
        if self.path is None: return
        self.page.evaluate('''async () => { const shown = jupyterapp.shell.currentWidget; if (!shown || !shown.sessionContext) return;
            await shown.sessionContext.shutdown(); shown.dispose(); }''')
        self.path = None


# -- Voilà

def voila_server(folder: Path) -> Server:
    "Voilà on an empty folder, with the page that `make app` uses."
    (folder/'notebooks').mkdir()
    server = Server(folder, 'voila', '{folder}/notebooks', '--no-browser', '--template=clintrial', '--Voila.ip=127.0.0.1', '--port={port}', '--Voila.port_retries=0',
                    '--VoilaConfiguration.extension_denylist=jupyterlab-jupytext', '--Voila.token={token}')
    server.more = {'JUPYTER_PATH': str(ROOT/'tools'/'app')}
    return server


class App(Page):
    "A notebook as a web page."
    def __init__(self, context, server: Server):
        super().__init__(context, server.base)
        self.server = server

    def open(self, notebook: str, seconds=120):
        "Visit a notebook of the server's folder; every visit has a kernel of its own."
        self.page.goto(f'{self.base}/voila/render/{notebook}?token={self.server.token}', wait_until='domcontentloaded', timeout=seconds*1000)
        self.page.locator('#rendered_cells').wait_for(state='visible', timeout=seconds*1000)
        failed = self.page.locator('[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type="application/vnd.jupyter.error"]').or_(self.page.get_by_text('There was an error when executing cell'))
        if failed.count(): raise AssertionError(f'A cell failed or warned:\n{failed.first.inner_text()[-2000:]}')
        return self

    def serve(self, cells: list, name='panel') -> str:
        "Put a notebook of these cells into the server's folder; its name."
        made = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={'kernelspec': {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}})
        nbformat.write(made, self.server.folder/'notebooks'/f'{name}.ipynb')
        return f'{name}.ipynb'
