"Tests that look at pictures: every chart against its committed picture, its marks against its data, its words, its size, and every page that it may stand on."
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest
import vl_convert
from PIL import Image, ImageDraw

import pictures
from clintrial import drawing
from clintrial.drawing import INK, LIMIT, PARTNERS, Drawing, as_svg, chart_description, save, size_of, to_spec
from pictures import REFERENCES, everything, likeness, marks_of, packed, rendered, scene_of

ENOUGH = .96           # likeness of the same chart drawn by another version; see `test_likeness_sees_…`
NAMES = sorted(everything())


@pytest.fixture(scope='module')
def charts():
    "Every chart once."
    return {name: everything()[name]() for name in NAMES}


@pytest.fixture(scope='module')
def scenes(charts):
    "What is drawn of each chart on a dark page."
    return {name: scene_of(chart, 'dark') for name, (chart, _) in charts.items()}


@pytest.mark.parametrize('name', NAMES)
def test_picture(name, charts):
    "The chart looks like its reference; where it does not, the new picture is written beside it."
    reference, fresh = REFERENCES/f'{name}.png', REFERENCES/f'{name}.new.png'
    assert reference.exists(), f'no picture of {name}: run python tests/pictures.py {name}, and look at it'
    shown, known = rendered(charts[name][0]), Image.open(reference).convert('RGB')
    alike = likeness(known, shown) if same_shape(known, shown) else 0.
    if alike < ENOUGH: fresh.write_bytes(packed(shown))
    else: fresh.unlink(missing_ok=True)
    assert alike >= ENOUGH, f'{name}: likeness {alike:.3f}; compare {fresh.name} with {reference.name}, and renew it with python tests/pictures.py {name} where the change is meant'


def same_shape(one, other):
    "Sizes that fonts alone can explain."
    return all(abs(a - b) <= max(.08*a, 8) for a, b in zip(one.size, other.size))


@pytest.mark.parametrize('name', NAMES)
def test_number_of_marks(name, charts, scenes):
    "As many marks as the data ask for."
    asked, found = charts[name][1], marks_of(scenes[name])
    assert asked, f'{name} asks for no mark'
    assert {kind: found[kind] for kind in asked} == {kind: int(number) for kind, number in asked.items()}


@pytest.mark.parametrize('name', NAMES)
def test_words_and_size(name, charts):
    "A description made from the data, numbers in it, a title, and less than 1 MB."
    chart = charts[name][0]
    said = chart_description(chart)
    assert len(said) > 40 and re.search(r'\d', said) and said.rstrip().endswith(('.', '。')), said
    if isinstance(chart, Drawing):
        assert chart.title and 'role="img"' in (chart.drawn() if chart.svg else 'role="img"')
        assert len(chart.svg + chart.html) < LIMIT
        return
    spec = to_spec(chart)
    assert size_of(spec) < LIMIT and spec['description'] == said
    assert all(len(rows) <= 5000 for rows in spec.get('datasets', {}).values())   # what Altair itself allows
    assert not re.findall(r'"url":|"https?://(?!vega\.github\.io/schema/)', json.dumps(spec))


@pytest.mark.parametrize('name', NAMES)
def test_dark_page(name, scenes):
    "On a dark page there are only the colours that belong there, and greys."
    drawn = scenes[name] if isinstance(scenes[name], str) else json.dumps(scenes[name])
    coloured = {code.upper() for code in re.findall(r'(?<![&\w])#[0-9A-Fa-f]{6}(?!\w)', drawn) if len({code[1:3], code[3:5], code[5:]}) > 1}
    assert coloured <= set(PARTNERS.values())
    assert INK not in drawn.upper()


def test_print(charts):
    "On paper there is no colour."
    for name in ('roc_curve', 'set_sizes', 'two_classes'):
        paper = as_svg(to_spec(charts[name][0], 'print'))
        assert not [code for code in re.findall(r'(?<![&\w])#[0-9A-Fa-f]{6}(?!\w)', paper) if len({code[1:3], code[3:5], code[5:]}) > 1]


# -- does the comparison see what a person would?

def test_likeness_sees_no_other_version(charts):
    "The same charts drawn by the newest engine at hand are alike enough."
    for name in ('model_comparison', 'confusion_matrix', 'roc_curve', 'set_sizes'):
        one, other = rendered(charts[name][0]), rendered(charts[name][0], engine=vl_convert.get_vegalite_versions()[-1])
        assert same_shape(one, other) and likeness(one, other) >= ENOUGH, (name, likeness(one, other))


def test_likeness_sees_what_is_gone(charts):
    "A bar less, a curve less, another colour, an empty plot: not alike."
    sizes, curve, matrix = (rendered(charts[name][0]) for name in ('set_sizes', 'roc_curve', 'confusion_matrix'))
    without_bar, without_curve, empty = sizes.copy(), curve.copy(), curve.copy()
    width, height = sizes.size
    ImageDraw.Draw(without_bar).rectangle([width*.32, height*.12, width*.52, height*.55], fill='white')
    ImageDraw.Draw(without_curve).rectangle([curve.width*.15, curve.height*.2, curve.width*.5, curve.height*.6], fill='white')
    ImageDraw.Draw(empty).rectangle([0, 0, *empty.size], fill='white')
    red, green, blue = matrix.split()
    other_colours = Image.merge('RGB', (blue, green, red))
    for known, changed in ((sizes, without_bar), (curve, without_curve), (curve, empty), (matrix, other_colours)):
        assert likeness(known, changed) < ENOUGH


# -- files and notebooks without a network

@pytest.mark.parametrize('name', ['roc_curve', 'linked_bars'])
def test_saved_page_fetches_nothing(name, charts, tmp_path):
    "No script, style, picture or data comes from elsewhere, and the page's own policy forbids it."
    page = save(charts[name][0], tmp_path/'chart.html').read_text(encoding='utf-8')
    outside_program = re.sub(r'<script>.*?</script>', '', page, flags=re.S)
    assert not re.findall(r'(?:src|href|srcset|action)\s*=', outside_program) and 'url(' not in outside_program
    assert "default-src 'none'" in page and '<script src' not in page
    assert chart_description(charts[name][0])[:30] in outside_program.replace('&#x27;', "'")


BROWSER = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
CLICK = """<script>setTimeout(() => {
  const bar = document.querySelectorAll('.mark-rect.role-mark path')[2], box = bar.getBoundingClientRect(), place = {bubbles: true, clientX: box.x + box.width/2, clientY: box.y + box.height/2};
  for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click']) bar.dispatchEvent(new (kind.startsWith('pointer') ? PointerEvent : MouseEvent)(kind, place));
  setTimeout(() => { document.title = 'shown: ' + [...document.querySelectorAll('.mark-text.role-mark text')].map(word => word.textContent).join('|') }, 1500) }, 2500)</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason='no Chromium on this machine')
def test_a_click_on_a_bar_shows_its_documents(charts, tmp_path):
    "In a real browser, without a network: the third bar's two notes stay, and the console stays empty."
    page = save(charts['linked_bars'][0], tmp_path/'linked.html')
    before, after = page.read_text(encoding='utf-8').rsplit('</body>', 1)
    page.write_text(before + CLICK + after, encoding='utf-8')
    shown = subprocess.run([BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=15000', '--enable-logging=stderr', f'--user-data-dir={tmp_path}/profile', '--dump-dom', page.as_uri()],
                           capture_output=True, text=True, timeout=180)
    assert re.search(r'<title>(.*?)</title>', shown.stdout)[1] == 'shown: Cork|Cork|Note 8 of a patient.|Note 9 of a patient.|site|note'
    assert not re.findall(r'CONSOLE.*', shown.stderr)


def test_every_format(charts, tmp_path):
    "PNG, SVG, PDF, HTML and JSON of a chart."
    for kind, start in {'png': b'\x89PNG', 'svg': b'<svg', 'pdf': b'%PDF', 'html': b'<!DOCTYPE', 'json': b'{'}.items():
        assert save(charts['roc_curve'][0], tmp_path/f'chart.{kind}').read_bytes().startswith(start)


def test_many_rows_meet_no_limit():
    "Altair's own limit of 5,000 rows never reaches a user of ours, and no setting is left changed."
    import altair as alt
    before = alt.data_transformers.active, dict(alt.data_transformers.options), alt.renderers.active
    chart = alt.Chart(pd.DataFrame({'x': range(20_000), 'y': range(20_000)})).mark_line().encode(x='x:Q', y='y:Q')
    spec = to_spec(chart, limit=200_000)
    assert size_of(spec) < 200_000 and 'of 20,000 rows are drawn' in spec['description']
    with drawing.enable_renderer(): assert 'image/png' in chart._repr_mimebundle_()
    assert (alt.data_transformers.active, dict(alt.data_transformers.options), alt.renderers.active) == before


def test_references_are_small_and_none_is_left_over():
    "The folder stays under 1.5 MB, a picture a chart."
    files = [path for path in REFERENCES.glob('*.png') if not path.name.endswith('.new.png')]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    assert {path.stem for path in files} == set(pictures.PICTURES)
