"Explanations against a real, tiny model: removal, randomisation and counterfactual edits."
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from clintrial.explainer.answers import Answers
from clintrial.explainer.attributions import Attribution, word_spans, word_table
from clintrial.explainer.counterfactuals import counterfactuals, edited, measured, sentence_edits, sentence_units, value_edits
from clintrial.explainer.faithfulness import against_truth, faithfulness, fingerprint, infidelity_of, randomisation_check, top_masks, without_words
from clintrial.loading import DataError
from clintrial.mentions import find_mentions
from clintrial.predictor import Predictor
from clintrial.simulate import simulate_trial


@pytest.fixture(scope='module')
def toy(tiny_backbone, tmp_path_factory):
    "A run of toy patients: its predictor and its splits."
    from conftest import toy_trial, toy_tuner
    run = toy_tuner(tiny_backbone, tmp_path_factory.mktemp('faithful')/'run').fit()
    return Predictor(run), toy_trial().split(fractions=(.5, .2, .15, .15), seed=0)


def left_out(answers, frame, target=None):
    "Each word's score: what is lost when it goes."
    targets = answers.targets(frame) if target is None else target
    rows, documents, whole = [], [], answers.scores(frame, targets)
    for (label, row), one, score in zip(frame.iterrows(), targets, whole):
        spans = word_spans(row['note'])
        fewer = pd.DataFrame([{**row, 'note': without_words(row['note'], [span])} for span in spans]).astype(frame.dtypes)
        rows += [(label, 'note', start, end, row['note'][start:end], score - other) for (start, end), other in zip(spans, answers.scores(fewer, [one]*len(spans)))]
        documents.append({'document': label, 'target': one, 'score': score, 'baseline_score': np.nan, 'completeness_error': np.nan, 'relative_error': np.nan, 'n_tokens': len(spans), 'steps': 1})
    return Attribution(word_table(rows), pd.DataFrame(documents), frame, 'occlusion', 'removal')


@pytest.fixture(scope='module')
def explained(toy):
    "Answers, rows and their attribution."
    predictor, splits = toy
    answers = Answers(predictor)
    frame = answers.data(splits.test.frame.iloc[:6])
    return answers, frame, left_out(answers, frame)


def test_leaving_words_out_beats_chance(explained):
    "Scores that come from removal do better under removal than random ones, and each number has its interval or reason."
    answers, frame, attribution = explained
    found = faithfulness(attribution, answers, shares=(.1, .2, .5), draws=3, perturbations=10, n_resamples=200, progress=False,
                         attribute=lambda rows, target: left_out(answers, rows, target), typing_errors=1)
    assert found['comprehensiveness above random']['estimate'] > 0
    assert found['beats_random']['estimate'] >= .5
    assert found['unexplained']['estimate'] < found['random_unexplained']['estimate']
    assert found.table['sensitivity'].notna().all()
    np.testing.assert_allclose(found.table['score'], answers.scores(frame, attribution.documents['target'].tolist()), atol=1e-5)
    assert faithfulness(attribution.of([frame.index[0]]), answers, removal='mask', shares=(.2,), draws=1, perturbations=2, progress=False).removal == '[MASK]'


def test_randomisation_leaves_the_model_alone(explained):
    "A copy is randomised; the original keeps every bit and every answer."
    answers, frame, attribution = explained
    one = attribution.of(list(frame.index[:3]))
    before, mark = answers.scores(frame), fingerprint(answers.model)
    check = randomisation_check(one, answers.model, lambda model, rows, target: left_out(Answers(model), rows, target), n_resamples=100, progress=False)
    assert check.untouched and fingerprint(answers.model) == mark
    np.testing.assert_array_equal(answers.scores(frame), before)
    assert check.table['stage'].tolist() == ['head', 'layer 3', 'layer 2', 'layer 1', 'embeddings']
    assert check.table['n_parameters'].sum() == sum(parameter.numel() for parameter in answers.model.parameters())
    assert abs(check.table['estimate'].iloc[-1]) < .9


def test_counterfactuals_say_what_the_model_says(toy, explained):
    "Each row's probability is the predictor's for the edited file, and a changed decision is one."
    predictor, splits = toy
    answers, frame, _ = explained
    found = counterfactuals(answers, frame.iloc[[0]], splits.train)
    assert found.n_tried > 3 and found.sentence('en') and found.sentence('zh')
    first = predictor.predict(frame.iloc[[0]], .95).iloc[0]
    assert found.first['prediction'] == first['prediction'] and found.probability == pytest.approx(first['p_yes'], abs=1e-4)
    single = found.table[(found.table['combination'] == 0) & (found.table['kind'] == 'change column')]
    assert len(single)
    for row in single.to_dict('records'):
        changed = frame.iloc[[0]].assign(**{row['field']: row['after']})
        assert row['probability'] == pytest.approx(answers.probabilities(changed, .95)['p_yes'].item(), abs=1e-4)
        assert row['changes_decision'] == (answers.probabilities(changed, .95)['prediction'].item() != first['prediction'])
    assert (found.table['low'] <= found.table['high']).all()
    assert found.table['changes_decision'].is_monotonic_decreasing


@pytest.fixture(scope='module')
def narratives():
    "Simulated notes, English and Chinese."
    return [*simulate_trial(30, seed=5, length=90).frame['narrative'], *simulate_trial(10, seed=5, length=90, language='zh').frame['narrative']]


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 39))
def test_edits_leave_texts_whole(narratives, place):
    "Sentences go whole; numbers change, and nothing else that a text names does."
    text = narratives[place]
    units = sentence_units(text)
    for edit in sentence_edits('note', text):
        left = edited({'note': text}, [edit])['note']
        assert left.strip() and text.replace(edit.before, '', 1).split() == left.split()
        assert (edit.start, edit.end) in units
    for edit in value_edits('note', text, {}, {}):
        left = edited({'note': text}, [edit])['note']
        assert len(find_mentions(left)) == len(find_mentions(text)) and left != text
        before, after = measured(text), measured(left)
        assert [(one.name, one.mention.unit) for one in before] == [(one.name, one.mention.unit) for one in after]
        assert 0 < edit.size <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.sampled_from([.01, .05, .1, .5, 1.]), st.integers(0, 99))
def test_top_masks(n, share, seed):
    "At least one word, never more than the share rounded up, and none left out scores higher."
    scores = np.random.default_rng(seed).normal(size=n)
    mask, = top_masks(scores, [share])
    assert mask.sum() == max(1, int(np.ceil(share*n - 1e-9)))
    assert mask.all() or scores[mask].min() >= scores[~mask].max()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.floats(.1, 10))
def test_infidelity_of_additive_models(seed, scale):
    "Scores of an additive model explain all; another scale costs infidelity and no share."
    draw = np.random.default_rng(seed)
    scores, masks = draw.normal(size=12), draw.random((20, 12)) < .4
    masks[:, 0] |= ~masks.any(1)
    assert infidelity_of(scores, masks, masks @ scores) == pytest.approx((0, 0), abs=1e-9)
    assert infidelity_of(scores*scale, masks, masks @ scores)[1] == pytest.approx(0, abs=1e-9)


def test_truth_against_sklearn():
    "Average precision is scikit-learn's, over words that overlap a span."
    trial = simulate_trial(5, seed=2, length=60)
    draw, frame = np.random.default_rng(0), trial.frame[['narrative']]
    rows = [(label, 'narrative', start, end, text[start:end], draw.normal()) for label, text in frame['narrative'].items() for start, end in word_spans(text)]
    documents = pd.DataFrame({'document': frame.index, 'target': None})
    found = against_truth(Attribution(word_table(rows), documents, frame, 'random', 'none'), trial).table
    for label, own in word_table(rows).groupby('document'):
        spans = trial.spans[(trial.spans['subject'] == trial.frame.at[label, 'subject']) & (trial.spans['effect'] != 0)]
        truth = [bool(((spans['start'] < end) & (spans['end'] > start)).any()) for start, end in zip(own['start'], own['end'])]
        assert found.set_index('document').at[label, 'average_precision'] == pytest.approx(average_precision_score(truth, own['score'].abs()))


def test_faults(explained):
    "What cannot be explained is refused."
    answers, frame, attribution = explained
    with pytest.raises(DataError, match='removal'): faithfulness(attribution, answers, removal='burn', progress=False)
    with pytest.raises(DataError, match='kind of edit'): counterfactuals(answers, frame.iloc[[0]], kinds=('rewrite',))
    with pytest.raises(DataError, match='documents were given'): counterfactuals(answers, frame)
