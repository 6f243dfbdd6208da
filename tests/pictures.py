"""Every chart from fixed data, for the tests that look at pictures.

To add a chart: write a function that takes nothing, makes its data from fixed numbers (a seeded generator, never a model or a file), and returns the chart and how many marks
it must have, counted from the data and not from the chart. Decorate it with `@picture`. The function's name is the picture's name.

    @picture
    def forest_plot():
        table = …                                      # five subgroups
        return visualizer.forest_plot(table), {'symbol': len(table), 'rule': len(table)}

Marks are those of Vega's scenegraph: 'symbol' (points), 'rect' (bars, cells), 'rule', 'text', 'line' and 'area' (one a point of the line), 'arc', 'path', 'trail', 'shape'; those of axes and
legends do not count. For a `Drawing` they are elements of its SVG ('rect', 'path', 'text', 'circle' …), or of its HTML ('span', 'mark' …) where it has no SVG. Name the kinds that tell
something; others are not looked at.

Rooms written apart have a file of their own beside this one, `tests/pictures_<room>.py`, with `from pictures import picture`; each such file is found by its name.

Make or renew references, then look at them:

    python tests/pictures.py                # those that are missing
    python tests/pictures.py roc_curve …    # these, again
    python tests/pictures.py --all          # all of them
"""
import importlib
import io
import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import vl_convert
from PIL import Image

from clintrial.drawing import ENGINE, Drawing, to_spec

REFERENCES = Path(__file__).parent/'pictures'
PICTURES = {}  # name -> function() -> (chart, marks)


def picture(function):
    "Enter a chart into the list."
    assert function.__name__ not in PICTURES or PICTURES[function.__name__].__module__ == function.__module__, f'{function.__name__} is there already'
    PICTURES[function.__name__] = function
    return function


def everything():
    "All pictures, also those of rooms written apart."
    for path in sorted(Path(__file__).parent.glob('pictures_*.py')): importlib.import_module(path.stem)
    return PICTURES


# -- what a chart looks like

FONT = 'Liberation Sans'  # comes with vl-convert, so that pictures do not hang on the fonts of a machine


def rendered(chart, mode='light', engine=ENGINE) -> Image.Image:
    "The chart at half of its size."
    if isinstance(chart, Drawing): png = vl_convert.svg_to_png(chart.drawn(mode).replace('sans-serif', FONT), scale=1)
    else: png = vl_convert.vegalite_to_png(json.loads(json.dumps(to_spec(chart, mode)).replace('sans-serif', FONT)), vl_version=engine, scale=1, allowed_base_urls=[])
    shown = Image.open(io.BytesIO(png)).convert('RGBA')
    page = Image.new('RGBA', shown.size, '#FFFFFF')
    page.alpha_composite(shown)
    return page.convert('RGB').resize([max(side//2, 1) for side in shown.size], Image.Resampling.LANCZOS)


def packed(image: Image.Image) -> bytes:
    "A small PNG."
    store = io.BytesIO()
    image.quantize(200).save(store, 'PNG', optimize=True)
    return store.getvalue()


def scene_of(chart, mode='light'):
    "What Vega draws, as data; of a drawing, its SVG or its HTML."
    if isinstance(chart, Drawing): return chart.drawn(mode) if chart.svg else chart.markup(mode)
    return vl_convert.vegalite_to_scenegraph(to_spec(chart, mode), vl_version=ENGINE, allowed_base_urls=[])


def marks_of(scene) -> Counter:
    "How many marks of each kind are drawn, without those of axes and legends."
    if isinstance(scene, str): return Counter(re.findall(r'<([a-z]+)[\s>/]', scene))
    found = Counter()
    def visit(item):
        if item.get('marktype') and item.get('role') == 'mark' and item['marktype'] != 'group': found[item['marktype']] += len(item.get('items', []))
        if item.get('role') in (None, 'mark', 'frame', 'scope') or str(item.get('role')).startswith(('row', 'column', 'cell')):
            for child in item.get('items', []): visit(child)
    visit(scene['scenegraph'])
    return found


# -- how far two pictures are apart

def likeness(one: Image.Image, other: Image.Image, width=110) -> float:
    """Structural similarity (Wang et al. 2004, IEEE Trans Image Process 13:600) of the pictures made small and soft, in each colour, 1 for the same.

    A little wider words move the plot or widen the page, so the second picture is laid on the first as it is and stretched, and shifted by a little; the best
    counts. The worst twentieth of the neighbourhoods counts as much as their mean, so that one lost bar shows."""
    size = (width, max(round(width*one.height/one.width), 8))
    first, *others = [np.asarray(image.resize(size, Image.Resampling.BOX), dtype=float)/255 for image in (one, other.resize(one.size, Image.Resampling.BOX), laid_on(one, other))]
    shifts = [(down, right) for down in (0, -1, 1) for right in (0, -1, 1)]
    best = 0.
    for second, shift in ((second, shift) for shift in shifts for second in others):
        best = max(best, similarity(first, np.roll(second, shift, (0, 1))))
        if best > .99: break
    return best


def laid_on(one, other):
    "The second picture on a page of the size of the first, from its upper left corner."
    page = Image.new('RGB', one.size, '#FFFFFF')
    page.paste(other, (0, 0))
    return page


def similarity(first, second, window=7) -> float:
    "The mean of the structural similarity's map, and its worst twentieth, half and half."
    mean, other = soft(first, window), soft(second, window)
    spread, spread_other, both = soft(first**2, window) - mean**2, soft(second**2, window) - other**2, soft(first*second, window) - mean*other
    steady, steadier = .02, .02
    scores = ((2*mean*other + steady)*(2*both + steadier)/((mean**2 + other**2 + steady)*(spread + spread_other + steadier))).ravel()
    return float(scores.mean()/2 + np.sort(scores)[:max(len(scores)//20, 1)].mean()/2)


def soft(values, window):
    "The mean of each square neighbourhood, by running sums."
    sums = np.pad(values, ((1, 0), (1, 0), (0, 0))).cumsum(0).cumsum(1)
    return (sums[window:, window:] - sums[:-window, window:] - sums[window:, :-window] + sums[:-window, :-window])/window**2


# -- renewing

def renew(names) -> None:
    "Write the references of these charts."
    for name in names:
        chart, marks = everything()[name]()
        image = packed(rendered(chart))
        (REFERENCES/f'{name}.png').write_bytes(image)
        print(f'{name}: {len(image)/1000:.1f} kB, marks {dict(marks_of(scene_of(chart)))}, asked {marks}')


def asked(arguments) -> list:
    "Which charts the command names."
    names = list(everything())
    if arguments == ['--all']: return names
    return arguments or [name for name in names if not (REFERENCES/f'{name}.png').exists()]


if __name__ == '__main__':
    sys.modules['pictures'] = sys.modules['__main__']
    renew(asked(sys.argv[1:]))
