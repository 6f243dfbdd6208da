"Pictures of documents: the text is the text, whatever patients write; every mark can be read; long ones stay small."
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clintrial.drawing import INK, MODES, MUTED, PAPER, contrast, recoloured, to_spec
from clintrial.loading import DataError
from clintrial.visualizer.attributions import attribution_bars, counterfactual_chart, parts_of
from clintrial.visualizer.documents import background, document_heatmap, map_parts
from clintrial.visualizer.kernels import kernel_view


class Page(HTMLParser):
    "What a reader gets to read in each text of a page, the tags, the anchors and the links."
    def __init__(self, page):
        super().__init__()
        self.depth, self.texts, self.tags, self.anchors, self.links, self.scored = 0, [], [], [], [], []
        self.feed(page)
        self.close()
    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        if 'id' in found: self.anchors.append(found['id'])
        if found.get('href', '').startswith('#'): self.links.append(found['href'][1:])
        if tag == 'mark': self.scored.append(found['title'])
        if self.depth: self.depth += 1
        elif found.get('class') == 'text': self.depth, self.texts = 1, [*self.texts, '']
    def handle_endtag(self, tag): self.depth = max(0, self.depth - 1)
    def handle_data(self, data):
        if self.depth: self.texts[-1] += data


def shown(text: str) -> str:
    "What a page can hold of a text."
    return re.sub('[\ud800-\udfff\0]', '\ufffd', text)


odd_text = st.one_of(st.text(max_size=120), st.text(alphabet='<>&"\'#;=()@ \r\n\tab0072B2نصé😀\u200d\u0301—。中', max_size=200),
                     st.lists(st.sampled_from(['<script>', '&amp;', ' #0072B2', 'href=http://x', '\r\n', 'مرحبا', '👩‍⚕️', 'url(//a)', ' onload="x"', '中文。', 'pain ', '</div>', '<!--', ']]>', '\x0b', '\x85']), max_size=30).map(''.join))


@st.composite
def documents(draw):
    "One to three texts, each with spans that do not overlap, some of it without a score."
    cells, rows = {}, []
    for field in draw(st.lists(st.sampled_from(['note', 'history', 'letter <b>']), min_size=1, max_size=3, unique=True)):
        text = cells[field] = draw(odd_text)
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=24)))
        for start, end in zip(cuts, cuts[1:]):
            if draw(st.booleans()): rows.append((field, start, end, text[start:end], draw(st.one_of(st.just(0.), st.floats(-5, 5), st.sampled_from([1e-12, -1e9])))))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in zip(('field', 'start', 'end', 'text', 'score'), zip(*rows))} if rows else {name: pd.Series(dtype=object) for name in ('field', 'start', 'end', 'text', 'score')})
    return cells, frame.assign(document='P1')


@settings(max_examples=60, deadline=None)
@given(documents(), st.sampled_from(['word', 'sentence']), st.sampled_from(list(MODES)))
def test_the_original_text_stands_whole_and_in_order(drawn, level, mode):
    "In every page: the text content of the HTML is the cells; every link leads somewhere; nothing runs or fetches."
    cells, frame = drawn
    if frame.empty: return
    picture = document_heatmap(frame, cells, level=level, fields=list(cells))
    page = Page(picture.markup(mode))
    assert page.texts == [shown(text) for text in cells.values()]
    assert set(page.links) <= set(page.anchors) and len(page.anchors) == len(set(page.anchors))
    assert 'script' not in page.tags and 'img' not in page.tags
    assert picture.page(mode).encode('utf-8') and picture.drawn(mode)


@settings(max_examples=30, deadline=None)
@given(documents(), st.integers(1, 80))
def test_the_map_holds_all_of_the_mass(drawn, parts):
    cells, frame = drawn
    fields = [(name, text, pd.DataFrame({'start': own['start'].astype(int), 'end': own['end'].astype(int), 'score': own['score'].astype(float)}).sort_values('start')) for name, text in cells.items() for own in [frame[frame['field'] == name]]]
    cut = map_parts(fields, parts)
    assert np.isclose((cut['favour'] + cut['against']).sum(), frame['score'].astype(float).sum(), rtol=1e-9, atol=1e-6)
    assert (cut['favour'] >= 0).all() and (cut['against'] <= 0).all()


@pytest.mark.parametrize('mode', MODES)
def test_text_can_be_read_on_every_background(mode):
    "4.5 : 1 (WCAG 2.2, 1.4.3); stronger steps are darker in steps that can be told apart."
    for step in range(-4, 5): assert contrast(recoloured(INK, mode), background(step, mode)) >= 4.5
    assert contrast(recoloured(MUTED, mode), recoloured(PAPER, mode)) >= 4.5
    for sign in (-1, 1):
        steps = [contrast(background(sign*step, mode), recoloured(PAPER, mode)) for step in range(5)]
        assert all(one < other for one, other in zip(steps, steps[1:]))


def long_document(n=8000, seed=0):
    "Words with scores, as many as a long file has tokens."
    draw = np.random.default_rng(seed)
    words = draw.choice(['pain', 'denies', 'improved', 'the', 'dizziness', 'of', 'hyperkalaemia', '&', '<5'], n)
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
    frame = pd.DataFrame({'document': 'P1', 'field': 'file', 'start': starts, 'end': starts + [len(word) for word in words], 'text': words, 'score': draw.normal(0, 1, n)})
    return frame, ' '.join(words)


@pytest.mark.parametrize('worst', [False, True])
def test_eight_thousand_tokens_stay_under_a_megabyte(worst):
    "Also where no two neighbours are alike and all are as strong as can be. Each strong word has its score; the tab key has an end."
    frame, text = long_document()
    if worst: frame['score'] = np.where(np.arange(len(frame)) % 2, 1., -1.)
    picture = document_heatmap(frame, {'file': text})
    assert len(picture.html.encode()) < 1_000_000 and len(picture.svg.encode()) < 100_000
    page = Page(picture.html)
    assert page.texts == [text] and len(page.scored) >= 10 and all(re.match('[+−]', title) for title in page.scored)
    assert picture.html.count(' tabindex=0') <= 41 and len(page.links) >= 50


def test_words_without_a_score_are_said_as_such():
    frame, text = long_document(50)
    kept = frame.drop(index=[3, 4, 20])
    picture = document_heatmap(kept, {'file': text})
    lost = [word for word in frame.loc[[3, 4, 20], 'text'] if re.search(r'\w', word)]
    assert f'{len(lost)} word' in picture.description
    assert re.findall('<s>([^<]*)</s>', picture.html)[1:] == [re.search(r'\w+', word)[0] for word in lost]   # the first is the scale's own example


def test_a_row_that_was_not_explained_is_refused():
    "A score on a word that it does not belong to is worse than none; no text goes into the error."
    frame, text = long_document(50)
    with pytest.raises(DataError, match='does not fit the text') as caught: document_heatmap(frame, {'file': 'secret ' + text})
    assert 'secret' not in str(caught.value)
    with pytest.raises(DataError, match='does not fit the text'): document_heatmap(pd.concat([frame, frame.head(1)]), {'file': text})
    with pytest.raises(DataError, match='2 documents'): document_heatmap(pd.concat([frame, frame.assign(document='P2')]), {'file': text})


@settings(max_examples=20, deadline=None)
@given(documents(), st.sampled_from(['word', 'sentence', 'field']))
def test_bars_add_up(drawn, level):
    "The bars and the rest are the total, whatever the text; the chart is drawn."
    cells, frame = drawn
    if frame.empty: return
    chart = attribution_bars(frame, level, row=cells, n=5)
    bars, left = parts_of(frame.astype({'score': float}), level, cells)
    assert np.isclose(bars['score'].sum() + left, frame['score'].astype(float).sum(), rtol=1e-9, atol=1e-6)
    assert chart.to_dict(validate=False) and chart.description


def test_a_probability_that_is_no_number_is_refused():
    edits = pd.DataFrame({'kind': ['change value'], 'field': ['note'], 'before': ['1'], 'after': ['2'], 'probability': [np.nan], 'low': [0.], 'high': [1.], 'prediction': ['yes'], 'changes_decision': [True]})
    with pytest.raises(DataError, match='not a finite number'): counterfactual_chart(edits)


def test_a_real_profile_is_drawn(tmp_path, tiny_backbone):
    "The frames of a profile go into the charts as they are, under a megabyte."
    from conftest import toy_tuner
    from clintrial.kernels import profile_steps
    result = profile_steps(toy_tuner(tiny_backbone, tmp_path/'run'), steps=1, repeats=2, progress=False)
    for operators in (result.operators, result.categories):
        chart = kernel_view(operators, result.memory, result.utilisation, result.table)
        assert len(str(to_spec(chart))) < 1_000_000 and 'peak' in chart.description


def test_charts_load_no_model():
    "A picture needs no model library."
    code = "import sys, clintrial.visualizer.documents, clintrial.visualizer.attributions, clintrial.visualizer.kernels; assert not {'torch', 'transformers', 'captum'} & set(sys.modules)"
    subprocess.run([sys.executable, '-c', code], check=True)
