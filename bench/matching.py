"""How well patients and trials are matched: judged criteria by nested cross-validation over patients, statements about trial reports, Chinese criteria, and ranking on simulated cases.

    python bench/matching.py [--quick] [--fine-tune] [--only trialgpt,nli4ct,chip_ctc,ranking]

Needs $CLINTRIAL_DATA (or ../shared/data). The rules were written by somebody who has seen the sentences of trialgpt_criteria: their accuracy there is no test. The judge's figures are out of fold by patient.
"""
import argparse
import ast
import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from common import data_folder, finish, nli4ct, progress
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from clintrial.intervals import wilson
from clintrial.matching import VERDICTS, Embedder, TrialIndex, evaluate_judge, fit_judge, match, note_facts, simulate_cases, trials_of
from clintrial.matching.pairs import pair_table, sentence_scores
from clintrial.matching.scoring import by_patient

VERDICT = {'included': 'eligible', 'not excluded': 'eligible', 'not included': 'not', 'excluded': 'not', 'not enough information': 'unknown'}
GPT4 = .873   # Jin et al., Nature Communications 2024: agreement of TrialGPT (GPT-4) with the experts over the full set


def judged_criteria() -> pd.DataFrame:
    "The judged pairs of TrialGPT, without those that are not applicable."
    frame = pd.read_csv(data_folder()/'trialgpt_criteria'/'dev.csv')
    frame = frame[frame['expert_eligibility'].isin(VERDICT)].reset_index(drop=True)
    return frame.rename(columns={'patient_id': 'patient', 'criterion_type': 'kind', 'criterion_text': 'criterion', 'trial_title': 'title'}).assign(verdict=frame['expert_eligibility'].map(VERDICT))


def trialgpt(embedder: Embedder, quick: bool) -> dict:
    "Accuracy with interval, baselines on the same folds, what the rules decide, the evidence."
    pairs = judged_criteria()
    found = evaluate_judge(pairs, embedder, n_resamples=300 if quick else 2000, reference=(GPT4, 'GPT-4 (Jin et al. 2024)'))
    progress(found.sentence())
    figures = {f'{row.by}: {row.metric}': {'estimate': row.estimate, 'low': row.low, 'high': row.high, 'n': row.n} for row in found.table.itertuples()}
    _, rules, evidence = pair_table(pairs, embedder)
    truth = [set(ast.literal_eval(cell)) for cell in pairs['expert_sentences']]
    shown = [set(rule.sentences) if rule.decided else set(places) for rule, places in zip(rules, evidence)]
    hits = sum(len(one & other) for one, other in zip(truth, shown))
    figures['evidence'] = {'precision': hits/max(sum(map(len, shown)), 1), 'recall': hits/max(sum(map(len, truth)), 1)}
    without = fit_judge(simulate_cases(16, 6).pairs, embedder).judge(pairs)
    right = (without['verdict'] == pairs['verdict']).to_numpy()
    figures['judge of simulated cases, no judged pair seen: accuracy'] = dict(zip(('estimate', 'low', 'high'), by_patient(lambda at: float(right[at].mean()), pairs['patient'].to_numpy(), 300)))
    by_label = pd.crosstab(found.predictions['verdict'], found.predictions['predicted'])
    figures['confusion (truth → predicted)'] = {str(name): {str(column): int(value) for column, value in row.items()} for name, row in by_label.iterrows()}
    return figures | {'patients': found.n_patients, 'gpt4': GPT4, 'pairs': len(pairs), 'majority of the kind over all 648 rows, not applicable counted as wrong': (115 + 301)/648}


def shares(right: np.ndarray) -> dict:
    "A share with Wilson's interval."
    return dict(zip(('estimate', 'low', 'high', 'n'), (right.mean(), *wilson(int(right.sum()), len(right)), len(right))))


def paired(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    "Two vectors, their product and their distance."
    return np.hstack([one, other, one*other, np.abs(one - other)])


def statements(embedder: Embedder, quick: bool) -> dict:
    "nli4ct: fitted on train, measured on dev (no choice was made there); accuracy, since all-Entailment has F1 .667."
    data, _ = nli4ct()
    folder = data_folder()/'nli4ct'
    rows = json.loads((folder/'dev.json').read_text(encoding='utf-8'))
    with zipfile.ZipFile(folder/'ct_json.zip') as archive:
        reports = {Path(name).stem: json.loads(archive.read(name)) for name in archive.namelist() if name.endswith('.json') and not name.startswith('__MACOSX')}
    section = lambda row: '\n'.join(line for trial in (row['Primary_id'], row.get('Secondary_id')) if trial for line in reports[trial][row['Section_id']])
    dev = pd.DataFrame([{'statement': row['Statement'], 'report': section(row), 'label': row['Label']} for row in rows.values()])
    train = data.frame.head(600) if quick else data.frame
    found = {'majority': shares((dev['label'] == train['label'].mode()[0]).to_numpy())}
    joined = lambda frame: frame['statement'] + ' ' + frame['report'].str.slice(0, 3000)
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), LogisticRegression(max_iter=2000)).fit(joined(train), train['label'])
    found['TF-IDF'] = shares((model.predict(joined(dev)) == dev['label']).to_numpy())
    vectors = lambda frame: paired(embedder.vectors(frame['statement'].tolist()), embedder.vectors(frame['report'].str.slice(0, 1500).tolist()))
    model = LogisticRegression(C=1., max_iter=2000).fit(vectors(train), train['label'])
    found['frozen pair vectors'] = shares((model.predict(vectors(dev)) == dev['label']).to_numpy())
    return found


def chinese_statements() -> dict:
    "nli4ct_zh, the rows whose reports exist: character TF-IDF."
    folder = data_folder()/'nli4ct_zh'
    with zipfile.ZipFile(folder/'m2m100_ct_json.zip') as archive:
        reports = {Path(name).stem: json.loads(archive.read(name)) for name in archive.namelist() if name.endswith('.json') and not name.startswith('__MACOSX')}
    def table(part):
        rows = json.loads((folder/f'm2m100_{part}.json').read_text(encoding='utf-8'))
        found = []
        for row in rows.values():
            trials = [trial for trial in (row['Primary_id'], row.get('Secondary_id')) if trial]
            if all(trial in reports for trial in trials): found.append((row['Statement'] + ' ' + ' '.join(str(line) for trial in trials for line in reports[trial].get(row['Section_id'], [])), row['Label']))
        return pd.DataFrame(found, columns=['text', 'label']), len(rows)
    (train, n_train), (dev, n_dev) = table('train'), table('dev')
    model = make_pipeline(TfidfVectorizer(analyzer='char', ngram_range=(1, 3), sublinear_tf=True, min_df=2, max_features=60_000), LogisticRegression(max_iter=2000)).fit(train['text'], train['label'])
    return {'character TF-IDF': shares((model.predict(dev['text']) == dev['label']).to_numpy()), 'majority': shares((dev['label'] == train['label'].mode()[0]).to_numpy()), 'rows with a report': {'train': len(train), 'of': n_train, 'dev': len(dev), 'dev of': n_dev}}


def chinese_criteria(embedder: Embedder, quick: bool) -> dict:
    "chip_ctc: five folds; macro-F1 over the classes of ten sentences or more, bootstrap of sentences (resamples lose rarer classes); what the backbone does not know."
    frame = pd.read_csv(data_folder()/'chip_ctc'/'sample.tsv', sep='\t')
    labels, texts = frame['label'].to_numpy(), frame['text'].to_numpy()
    vectors = embedder.vectors(texts.tolist())
    made = {'character TF-IDF': (texts, lambda: make_pipeline(TfidfVectorizer(analyzer='char', ngram_range=(1, 3), sublinear_tf=True), LogisticRegression(C=30., class_weight='balanced', max_iter=3000))),
            'embedding of the backbone': (vectors, lambda: LogisticRegression(C=10., class_weight='balanced', max_iter=3000))}
    found = {'majority': np.full(len(labels), frame['label'].mode()[0], dtype=object)}
    for name, (inputs, model) in made.items():
        found[name] = np.empty(len(labels), dtype=object)
        for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(texts, pd.Series(labels).where(pd.Series(labels).map(frame['label'].value_counts()) >= 5, 'rare')): found[name][test] = model().fit(inputs[train], labels[train]).predict(inputs[test])
    common = frame['label'].value_counts().loc[lambda count: count >= 10].index.tolist()
    macro = lambda name: lambda at: float(f1_score(labels[at], found[name][at], labels=common, average='macro', zero_division=0))
    figures = {name: {'macro F1': dict(zip(('estimate', 'low', 'high'), by_patient(macro(name), np.arange(len(labels)), 100 if quick else 500))), 'accuracy': shares(found[name] == labels)} for name in found}
    return figures | {'classes': int(frame['label'].nunique()), 'of ten sentences or more': len(common), 'sentences': len(frame), 'unknown tokens': dict(zip(('estimate', 'low', 'high'), embedder.unknown_share(texts.tolist())))}


def gain_at(relevant: list, n=10) -> float:
    "Discounted cumulative gain of the first n (Järvelin & Kekäläinen 2002)."
    return float(sum((2**grade - 1)/np.log2(place + 2) for place, grade in enumerate(relevant[:n])))


def ranking(embedder: Embedder, quick: bool) -> dict:
    "Simulated patients and trials with known eligibility: nDCG@10 and recall@10 of each way, mean over patients that any trial suits, bootstrap of patients."
    cases = simulate_cases(20 if quick else 40, 60 if quick else 120, seed=7)
    trials = trials_of(cases.trials)
    judge, truth, index = fit_judge(simulate_cases(16, 6, seed=1).pairs, embedder), cases.eligible.set_index(['patient', 'nct_id'])['relevant'], TrialIndex(trials, embedder)
    ways = {way: {row.patient: index.search(row.note, len(trials), way)['nct_id'].tolist() for row in cases.patients.itertuples()} for way in ('bm25', 'embedding', 'hybrid')}
    matched = match(cases.patients, trials, judge, top=20)
    ways['hybrid, then criteria'] = {patient: part['nct_id'].tolist() for patient, part in matched.table.groupby('patient', sort=False)}
    rows = []
    for way, lists in ways.items():
        for patient, order in lists.items():
            grades = truth[patient]
            if not grades.sum(): continue
            rows.append((way, patient, gain_at([grades[trial] for trial in order])/gain_at(sorted(grades, reverse=True)), sum(grades[trial] > 0 for trial in order[:10])/min((grades > 0).sum(), 10)))
    table, figures = pd.DataFrame(rows, columns=['way', 'patient', 'ndcg', 'recall']), {}
    for way, part in table.groupby('way', sort=False):
        figures[way] = {f'{name}@10': dict(zip(('estimate', 'low', 'high'), by_patient(lambda at: float(part[name].to_numpy()[at].mean()), part['patient'].to_numpy(), 500, share=True))) for name in ('ndcg', 'recall')}
    pairs = cases.pairs.merge(matched.criteria[['patient', 'nct_id', 'criterion', 'kind', 'verdict', 'by']], on=['patient', 'nct_id', 'criterion', 'kind'], suffixes=('', '_said'))
    right = (pairs['verdict'] == pairs['verdict_said']).to_numpy()
    figures['criteria of new simulated cases: accuracy'] = dict(zip(('estimate', 'low', 'high'), by_patient(lambda at: float(right[at].mean()), pairs['patient'].to_numpy(), 200, share=True))) | {'n': len(pairs)}
    return figures | {'patients that a trial suits': int(table['patient'].nunique()), 'trials': len(trials)}


def nearest_sentences(pairs: pd.DataFrame, embedder: Embedder, most: int = 4) -> list:
    "Of each pair's note the first sentence, which mostly tells age and sex, and those that speak most of the criterion, in their order: all that a pair model needs to read."
    found = [''] * len(pairs)
    for note, places in pairs.groupby('note', sort=False).indices.items():
        facts = note_facts(note)
        scores, _ = sentence_scores(pairs['criterion'].iloc[places].tolist(), facts, embedder)
        for row, place in zip(scores, places):
            chosen = sorted({0, *np.argsort(-row, kind='stable')[:most]})
            found[place] = ' '.join(note[start:end] for start, end in (facts.sentences[number] for number in chosen))
    return found


def fine_tuned(embedder: Embedder, folds: int) -> dict:
    "The Pair task on the language model, upper half of the layers, by folds of patients; alone, and where no rule decides."
    import tempfile

    from sklearn.model_selection import GroupKFold

    from clintrial.dataset import Schema, TrialData
    from clintrial.model import TrialModel
    from clintrial.tasks import Pair
    from clintrial.trainer import FineTuneConfig, FineTuner
    from clintrial.tuning import LastK
    pairs = judged_criteria()
    _, rules, _ = pair_table(pairs, embedder)
    frame = pd.DataFrame({'statement': pairs['kind'] + ': ' + pairs['criterion'], 'note': nearest_sentences(pairs, embedder), 'verdict': pairs['verdict'], 'patient': pairs['patient']})
    schema, predicted = Schema(text=('statement', 'note'), target=('verdict',), subject='patient'), np.empty(len(frame), dtype=object)
    for train, test in GroupKFold(folds, shuffle=True, random_state=0).split(frame, groups=frame['patient']):
        splits = TrialData(frame.iloc[train], schema).split(fractions=(.8, .1, .05, .05), seed=0)
        model = TrialModel.build('minilm', splits.train, Pair('verdict', 'statement', 'note', VERDICTS), LastK(3), seed=0)
        with tempfile.TemporaryDirectory() as folder:
            FineTuner(model, splits, FineTuneConfig(output_dir=f'{folder}/run', num_train_epochs=4, seed=0, baselines=False, probe=False, disable_tqdm=True, allow_leaks=True)).fit()
            predicted[test] = np.array(VERDICTS)[model.predict_logits(TrialData(frame.iloc[test], schema)).argmax(1)]
        progress(f'a fold: {(predicted[test] == frame["verdict"].iloc[test]).mean():.3f}')
    answers = {'alone': predicted, 'where no rule decides': np.array([rule.verdict if rule.decided else said for rule, said in zip(rules, predicted)], dtype=object)}
    truth, patients = frame['verdict'].to_numpy(), frame['patient'].to_numpy()
    figure = lambda measure: dict(zip(('estimate', 'low', 'high'), by_patient(measure, patients, 500, share=True)))
    return {'folds': folds} | {name: {'accuracy': figure(lambda at: float((said[at] == truth[at]).mean())), 'macro F1': figure(lambda at: float(f1_score(truth[at], said[at], average='macro', labels=np.unique(truth[at]), zero_division=0)))} for name, said in answers.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='under ten minutes on two cores')
    parser.add_argument('--fine-tune', action='store_true', help='the fine-tuned pair model too: some 20 minutes more')
    parser.add_argument('--only', default='trialgpt,nli4ct,chip_ctc,ranking')
    given = parser.parse_args()
    embedder, figures, start = Embedder(), {'bench': 'matching', 'quick': given.quick}, time.perf_counter()
    parts = {'trialgpt': lambda: trialgpt(embedder, given.quick), 'nli4ct': lambda: {'English': statements(embedder, given.quick), 'Chinese': chinese_statements()}, 'chip_ctc': lambda: chinese_criteria(embedder, given.quick), 'ranking': lambda: ranking(embedder, given.quick)}
    for name in filter(None, given.only.split(',')):
        begun = time.perf_counter()
        figures[name] = parts[name]() | {'seconds': time.perf_counter() - begun}
        progress(f'{name}: {json.dumps(figures[name], ensure_ascii=False, default=float)[:3000]}')
    if given.fine_tune: figures['fine-tuned pair model'] = fine_tuned(embedder, 5)
    finish(figures | {'seconds': time.perf_counter() - start})


if __name__ == '__main__': main()
