"Reports that cannot invent: no unsupported number in random reports, every planted error found, the same number in any way of writing accepted."
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from clintrial.loading import DataError
from clintrial.narrative import PLANTERS, Narrative, check, planted_errors, random_narrative, run_frames, tripod, unsupported_in_generated
from clintrial.narrative.facts import Fact, print_number, say
from clintrial.narrative.numerals import chinese_number, numbers_of
from clintrial.narrative.sentences import fill, sentences_from
from clintrial.narrative.verification import Expected, is_supported
from clintrial.narrative.zero_unsupported import NAMES, plant

FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LANGUAGES = st.sampled_from(['en', 'zh'])
SIZES = st.floats(1e-9, 1e9).flatmap(lambda size: st.sampled_from([size, -size])) | st.just(0.)
UNITS = st.sampled_from(['', '%', 'pp', 'p', 'level', 'patients', 'months', 'mg', 'mmol/L'])


def fact_of(value, unit, low=None, high=None):
    "A fact that makes sense: shares and p values lie between 0 and 1, counts are whole."
    if unit in ('%', 'p', 'level'): value = abs(value) % 1
    if unit == 'patients': value = int(abs(value) % 10**6)
    return Fact('x', value, unit, low, high)


# -- numbers

@FEW
@given(SIZES, UNITS, LANGUAGES)
def test_every_printed_number_is_read_back_as_its_fact(value, unit, lang):
    "What one room prints, the other reads, and finds supported; one digit more or less is not."
    fact = fact_of(value, unit)
    found = numbers_of(f'a {say(fact, lang=lang)}, b' if lang == 'en' else f'为 {say(fact, lang=lang)}。', (fact.unit,))
    assert len(found) == 1 and is_supported(Expected(fact, 'value'), found[0]), (say(fact, lang=lang), found)


@FEW
@given(st.integers(0, 99_999_999))
def test_chinese_numerals_are_read(number):
    "A numeral written by the rules is read as its number."
    def section(n):
        words, zero = '', False
        for place, sign in ((1000, '千'), (100, '百'), (10, '十'), (1, '')):
            digit, n = divmod(n, place)
            if digit: words, zero = words + ('零' if zero and words else '') + '零一二三四五六七八九'[digit] + sign, False
            elif words: zero = True
        return words
    high, low = divmod(number, 10_000)
    written = (section(high) + '万' if high else '') + ('零' if high and low and low < 1000 else '') + section(low) or '零'
    assert chinese_number(written)[0] == number


@pytest.mark.parametrize('text', ['76.8%', '76.8 %', '76.8 per cent', '76,8 %', '0.768', '.768', '百分之七十六点八', '百分之76.8', '768‰', '768 per mille', '千分之七百六十八', '７６.８％', '7.68e-1', '7.68×10⁻¹', '76.77%'])
def test_one_share_in_many_ways_of_writing(text):
    "The number counts, not its spelling."
    assert is_supported(Expected(Fact('p', .76767, '%'), 'value'), *numbers_of(text))


@pytest.mark.parametrize('text', ['77%', '76.9%', '76.7%', '76.8', '−76.8%', '76.8‰', '7.68%', '<76.8%', 'more than 76.8%', '百分之七十六', '百分之七十六点九', '七成', 'three quarters', '76.8 months', '76.8 percentage points', '76.8 个百分点', '0.767', '0.8'])
def test_another_share_is_another_share(text):
    "Rounded away, another sign, another unit, a bound."
    assert not is_supported(Expected(Fact('p', .76767, '%'), 'value'), *numbers_of(text)[:1])


@FEW
@given(SIZES, st.floats(.0001, 1e4), LANGUAGES)
def test_an_interval_has_the_decimals_of_its_estimate(value, reach, lang):
    "All parts of a fact are printed alike, and the estimate lies in its interval as printed."
    fact = Fact('x', value, '', value - reach, value + reach, .95)
    parts = [print_number(fact, part) for part in ('low', 'value', 'high')]
    assert parts[0].value <= parts[1].value <= parts[2].value
    plain = [part.text for part in parts if '×' not in part.text]
    assert len({len(text.partition('.')[2]) for text in plain if re.search('[1-9]', text)}) <= 1


# -- reports

@FEW
@given(st.integers(0, 10**6), LANGUAGES)
def test_no_report_claims_what_its_facts_do_not(seed, lang):
    "Verified as a whole; every printed number has a source whose cell holds it; sources and page agree."
    narrative = random_narrative(np.random.default_rng(seed))
    assert narrative.verify().to_dict('records') == []
    assert len(narrative.facts.check()) == 0
    sources = narrative.all_sources(lang)
    assert set(sources['source']) <= set(narrative.frames)
    text = [sentence.text(lang) for sentence in narrative.sentences]
    assert all(row.number in text[row.sentence][row.start:row.end] for row in sources.itertuples())
    page = narrative.html(lang)
    assert '<script' not in page and page.count('class="number"') == int((~sources['part'].isin(['name', 'quote', 'term'])).sum())


@FEW
@given(st.integers(0, 10**6), LANGUAGES, st.sampled_from(list(PLANTERS)))
def test_a_planted_error_is_found(seed, lang, kind):
    "A digit, a sign, a unit, a direction, a name: whatever is planted."
    draw = np.random.default_rng(seed)
    narrative = random_narrative(draw)
    planted = plant(narrative, draw, lang, kind)
    assert planted is None or len(narrative.verify(planted[1], lang)), planted


def test_the_two_figures():
    "No unsupported claim in generated reports; every planted error found, of every kind."
    assert unsupported_in_generated(30, seed=11) == 0
    found = planted_errors(3*len(PLANTERS), seed=11)
    assert found['caught'].all() and set(found['kind']) == set(PLANTERS)


def test_a_changed_cell_is_found():
    "The facts are looked up again, not remembered."
    narrative = random_narrative(np.random.default_rng(3), 'run')
    narrative.frames['sizes'].loc['test', 'rows'] += 1
    assert narrative.verify()['kind'].tolist().count('source') >= 1


# -- rephrasing

@FEW
@given(st.integers(0, 10**6), LANGUAGES, st.sampled_from(list(PLANTERS)))
def test_a_rephraser_cannot_bring_an_error_in(seed, lang, kind):
    "A rephraser that plants an error wherever it can leaves a narrative without one."
    draw = np.random.default_rng(seed)
    narrative = random_narrative(draw)
    wrong = {}
    for sentence in narrative.sentences:
        try: wrong[sentence.house_text(lang)] = PLANTERS[kind](sentence, lang, draw, narrative)
        except LookupError: pass
    again = narrative.said_by(lambda text: wrong.get(text, text), lang)
    assert again.verify().to_dict('records') == []
    assert again.text(lang) == narrative.text(lang)


TOLD = sentences_from(('wins', 'The difference is {d} ({d.level} interval {d.low} to {d.high}; p {p}), higher for “{name}” than for “{other}”.', '差值为 {d}（{d.level} 区间 {d.low} 至 {d.high}，p {p}），“{name}”高于“{other}”。', ('d.low', '>', 0)))


def shown():
    "A sentence with a difference, its interval, a p value and two arms."
    return fill(TOLD, 'wins', d=Fact('difference', .0614, 'pp', .0042, .1196, .95, signed=True), p=Fact('p', 2e-5, 'p'), name=Fact('arm', 'drug A', kind='name'), other=Fact('arm', 'placebo', kind='name'))


@pytest.mark.parametrize('text', ['A gap of 6.1 percentage points (95 % CI .4 pp to 12.0 pp, p less than .001) was seen, larger in “drug A” than in “placebo”.',
                                  'We saw a difference of +6.1 percentage points [95%: 0.4 percentage points to 12.0 percentage points; p < 0.001], above in “drug A” as compared with “placebo”.'])
def test_an_honest_rephrasing_is_taken(text):
    "Other words, the same claims."
    assert check(shown(), text) == []


@pytest.mark.parametrize('text', ['The difference is 6.1 percentage points (p < 0.001), higher for “drug A” than for “placebo”.',                                                        # no interval
                                  'The difference is 6.1% (95% interval 0.4% to 12.0%; p < 0.001), higher for “drug A” than for “placebo”.',                                            # a share is no difference of shares
                                  'The difference is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p > 0.001), higher for “drug A” than for “placebo”.',
                                  'The difference is six percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), higher for “drug A” than for “placebo”.',
                                  'The difference is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), higher for “placebo” than for “drug A”.',
                                  'The difference is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), hardly higher for “drug A” than for “placebo”.',
                                  'The difference is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), significantly higher for “drug A” than for “placebo”.',
                                  'The difference is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), higher for “drug A” than for “placebo”, as Aspirin would be.',
                                  'The hazard ratio is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), higher for “drug A” than for “placebo”.',
                                  'The difference in mortality is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; p < 0.001), higher for “drug A” than for “placebo”.',
                                  'The difference is 6.1 percentage points (95% standard error 0.4 to 12.0 percentage points; p < 0.001), higher for “drug A” than for “placebo”.',
                                  'The difference is 6.1 percentage points (95% interval 0.4 to 12.0 percentage points; q < 0.001), higher for “drug A” than for “placebo”.'])
def test_a_dishonest_rephrasing_is_refused(text):
    "What a careless writer does to a result."
    assert check(shown(), text)


@pytest.mark.parametrize('text, fine', [('差值为6.1个百分点（95%区间0.4至12.0个百分点，p<0.001），“drug A”更高，与“placebo”相比。', True), ('差值达百分之六点一（95%区间0.4至12.0个百分点，p<0.001），“drug A”高于“placebo”。', False),
                                        ('差值为6.1个百分点（百分之九十五区间0.4至12.0个百分点，p小于0.001），“drug A”高于“placebo”。', True), ('差值为6.1个百分点（95%区间0.4至12.0个百分点，p<0.001），“drug A”不高于“placebo”。', False),
                                        ('差值为六点一个百分点（95%区间0.4至12.0个百分点，p<0.001），“drug A”高于“placebo”。', True), ('差值为6.1个百分点（95%区间0.4至12.0个百分点，p<0.001），“drug A”显著高于“placebo”。', False)])
def test_chinese_rephrasings(text, fine):
    "百分之, 个百分点, numerals and negations."
    assert (check(shown(), text, 'zh') == []) is fine


# -- runs and faults

def run_folder(folder, kind, draw):
    "A run folder of one kind of task with predictions of 60 cases and nothing else."
    from clintrial.checkpoint import seal
    from clintrial.run import FineTuneRun
    from clintrial.tasks import Binary, Regression, Survival
    task = {'binary': Binary('y', classes=('no', 'yes'), prior=(0.,)), 'regression': Regression('y', mean=3., scale=2., prior=(0., 0.)), 'survival': Survival('months', 'event', times=(3., 6., 12.), prior=(-2., -2., -2.))}[kind]
    (folder/'predictions').mkdir(parents=True)
    for part in ('calibration', 'test'):
        signal = draw.normal(0, 1, 60)
        columns = {'binary': lambda: {'y': (draw.random(60) < 1/(1 + np.exp(-signal))).astype(int), 'language_model_logit_0': signal}, 'regression': lambda: {'y': 3 + 2*signal + draw.normal(0, 1, 60), 'language_model_logit_0': signal, 'language_model_logit_1': np.zeros(60)},
                   'survival': lambda: {'y_0': draw.exponential(6*np.exp(-signal)), 'y_1': draw.integers(0, 2, 60).astype(float), **{f'language_model_logit_{place}': signal - 1 for place in range(3)}}}[kind]()
        pd.DataFrame(columns, index=[f'{part}{place}' for place in range(60)]).to_parquet(folder/'predictions'/f'{part}.parquet')
    facts = {'status': 'finished', 'task': task.to_dict(), 'schema': {'text': ['note'], 'numeric': [], 'categorical': []}, 'targets': list(task.columns), 'backbone': 'bert', 'tuning': 'lora', 'parameters': {'trainable': 10, 'total': 1000}, 'steps': 5, 'best_step': None,
             'opponents': ['language_model'], 'sizes': {'train': 100, 'validation': 30, 'calibration': 60, 'test': 60}}
    (folder/'run.json').write_text(json.dumps(facts))
    (folder/'splits.json').write_text(json.dumps({'how': {'by': 'site', 'group': 'equal text'}, 'ids': {}}))
    seal(folder)
    return FineTuneRun(folder)


@pytest.mark.parametrize('kind', ['binary', 'regression', 'survival'])
def test_a_run_folder_is_told(tmp_path, kind):
    "From the folder to sentences that hold, and to a checklist with gaps."
    frames = run_frames(run_folder(tmp_path/'run', kind, np.random.default_rng(0)), n_resamples=100)
    narrative = Narrative.of_run(frames)
    assert len(narrative.verify()) == 0 and len(narrative.all_sources()) > 10
    assert 'No simple model was fitted' in narrative.text() and 'at another site' not in narrative.text()
    checklist = tripod(tmp_path/'run', n_resamples=100) if kind == 'binary' else None
    assert checklist is None or (checklist['23a'].status == 'partly' and checklist['18a'].status == 'gap')


def test_saved_and_opened(tmp_path):
    "Nothing is lost, nothing is overwritten unasked."
    for seed in range(6):
        narrative = random_narrative(np.random.default_rng(seed))
        opened = Narrative.load(narrative.save(tmp_path/f'{seed}.json'))
        assert (opened.text(), opened.text('zh')) == (narrative.text(), narrative.text('zh')) and len(opened.verify()) == 0
    with pytest.raises(FileExistsError): narrative.save(tmp_path/'5.json')


def test_no_patient_text_in_errors():
    "A message names the place, not the words."
    frame = pd.DataFrame({'prediction': ['yes'], 'p_no': [.2], 'p_yes': [.8]}, index=['P1'])
    words = pd.DataFrame({'document': ['P1'], 'field': ['note'], 'text': ['secretword'], 'score': [1.]})
    with pytest.raises(DataError) as told: Narrative.of_prediction(frame, attribution=words)
    assert 'secretword' not in str(told.value)


def test_no_torch_is_imported():
    "The rooms of sentences are light."
    import subprocess, sys
    assert subprocess.run([sys.executable, '-c', "import clintrial.narrative, sys; sys.exit('torch' in sys.modules)"]).returncode == 0


def test_names_that_confuse_are_only_names():
    "Digits, negations and signs inside a name are not read as claims."
    for name in NAMES:
        frame = pd.DataFrame({'arm': [name], 'estimate': [.5], 'low': [.4], 'high': [.6]})
        assert len(Narrative.of_analysis(frame, name).verify()) == 0
