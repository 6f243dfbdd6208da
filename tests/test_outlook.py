"Outlooks: nothing after the landmark leaks, outcomes add up, intervals and refusals hold on odd courses, and real folders are read."
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.loading import DataError
from clintrial.narrative import Narrative
from clintrial.outlook import (Onsets, calibrated, compare_sites, courses_of_care, courses_of_sdtm, days_since, fit_hazards, group_terms, landmark_table, modelled_problems,
                               only_modelled, patient_courses, simulate_courses)

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SUBJECTS, TESTS, TERMS = ('A', 'B', 'C'), ('creatinine', 'ALT'), ('fall', 'infection', 'stroke')
DAYS = st.integers(-20, 100)
VISITS = st.lists(st.tuples(st.sampled_from(SUBJECTS), DAYS, st.sampled_from(['Well.', 'Unsteady.', '咳嗽三天。', ''])), min_size=1, max_size=20)
VALUES = st.lists(st.tuples(st.sampled_from(SUBJECTS), DAYS, st.sampled_from(TESTS), st.floats(-10, 1000)), max_size=20)
PROBLEMS = st.lists(st.tuples(st.sampled_from(SUBJECTS), DAYS, st.sampled_from(TERMS)), max_size=10)


def made(visits, values, problems, until=100):
    "Courses of three patients."
    frames = [pd.DataFrame(rows, columns=columns) for rows, columns in ((visits, ['subject', 'day', 'text']), (values, ['subject', 'day', 'test', 'value']), (problems, ['subject', 'day', 'term']))]
    return patient_courses(pd.DataFrame({'subject': SUBJECTS, 'until': float(until), 'age': [60., 70, 80]}), *frames)


def inputs_of(courses, landmark):
    "What a reader sees at a landmark; None where nobody has a row."
    try: table = landmark_table(courses, landmark, 30, problems=TERMS, tests=TESTS)
    except DataError: return None
    return table.frame[['text', *table.numeric]]


@FEW
@given(VISITS, VALUES, PROBLEMS, VISITS, VALUES, PROBLEMS, st.integers(-5, 80))
def test_nothing_after_the_landmark_leaks(visits, values, problems, other_visits, other_values, other_problems, landmark):
    "Everything after the landmark is replaced by something else: text, numbers and who has a row stay the same."
    def joined(own, other): return [row for row in own if row[1] <= landmark] + [row for row in other if row[1] > landmark]
    one, other = inputs_of(made(visits, values, problems), landmark), inputs_of(made(joined(visits, other_visits), joined(values, other_values), joined(problems, other_problems)), landmark)
    assert (one is None) == (other is None)
    if one is not None: pd.testing.assert_frame_equal(one, other)


@FEW
@given(VISITS, VALUES, PROBLEMS, st.randoms())
def test_the_order_of_rows_does_not_matter(visits, values, problems, random):
    "Shuffled tables make the same rows; texts of one day are joined in the order given, so days are told apart here."
    visits = list({(subject, day): (subject, day, text) for subject, day, text in visits}.values())
    values = list({(subject, day, test): (subject, day, test, value) for subject, day, test, value in values}.values())
    one = inputs_of(made(visits, values, problems), 50)
    for rows in (visits, values, problems): random.shuffle(rows)
    other = inputs_of(made(visits, values, problems), 50)
    assert (one is None) == (other is None)
    if one is not None: pd.testing.assert_frame_equal(one, other)


@FEW
@given(VISITS, PROBLEMS, st.integers(0, 80), st.integers(1, 60))
def test_outcomes_say_what_the_courses_say(visits, problems, landmark, horizon):
    "An event is an onset after the landmark and up to the horizon; not at risk is an onset up to the landmark; time never passes the horizon."
    courses = made(visits, [], problems)
    try: table = landmark_table(courses, landmark, horizon, problems=TERMS)
    except DataError: return
    for row in table.frame.itertuples():
        for term in TERMS:
            days = courses.problems.query('subject == @row.subject and term == @term')['day']
            time, event = table.frame.loc[row.Index, [f'time: {term}', f'event: {term}']]
            first = days.min() if len(days) else np.inf
            assert (time == 0) == (first <= landmark) and event == (landmark < first <= min(landmark + horizon, 100)) and 0 <= time <= horizon
            if event: assert time == first - landmark


@pytest.fixture(scope='module')
def world():
    "A simulated trial with a calibrated reader of numbers."
    simulated = simulate_courses(500, seed=12)
    asked = landmark_table(simulated.courses, 120, 90)
    chosen = modelled_problems(asked, least=20)
    splits = only_modelled(asked, chosen).data.split(fractions=(.5, .1, .2, .2), seed=0)
    task = Onsets(chosen.names, 90).fit(splits.train.frame)
    return simulated, asked, splits, task, calibrated(fit_hazards(task, splits), splits, chosen.refused)


def test_every_answer_has_an_interval_or_a_reason(world):
    "No figure without its interval, no gap without its reason, no probability beyond 0 and 1, curves that never fall."
    _, asked, _, task, model = world
    outlook = model.predict(asked)
    known = outlook.table['estimate'].notna()
    assert outlook.table.loc[known, ['low', 'high', 'base', 'earliest', 'latest']].notna().all(axis=None)
    assert (outlook.table.loc[~known, 'reason'] != '').all() and outlook.table.loc[~known, 'abstain'].all()
    assert outlook.table.loc[known, ['low', 'estimate', 'high']].stack().between(0, 1).all()
    steps = outlook.curves.groupby(['subject', 'problem'])['estimate'].diff().dropna()
    assert (steps >= -1e-9).all()
    assert len(outlook.table) == len(asked)*len(asked.problems)


def test_the_answer_does_not_hang_on_the_others(world):
    "A patient alone gets the same answer as among all: nothing is taken from the other rows."
    simulated, asked, _, task, model = world
    subject = asked.frame['subject'].iloc[17]
    alone = landmark_table(simulated.courses.only([subject]), 120, 90, problems=asked.problems, tests=['ALT', 'NT-proBNP', 'creatinine'], future=False)
    one, among = model.predict(alone).table, model.predict(asked).of(subject).table
    np.testing.assert_allclose(one['estimate'].astype(float), among['estimate'].astype(float), atol=1e-9)
    assert one['reason'].tolist() == among['reason'].tolist()


def test_narrative_of_an_outlook_has_no_number_of_its_own(world):
    "Told in both languages, every number has its cell."
    _, asked, _, _, model = world
    one = model.predict(asked).of(asked.frame['subject'].iloc[3])
    told = Narrative.of_analysis(one.table.dropna(subset='estimate')[['problem', 'estimate', 'low', 'high', 'base']], 'outlook')
    assert not len(told.verify())
    for lang in ('en', 'zh'): assert one.sentence(lang)


def test_one_site_cannot_be_compared(world):
    "Performance elsewhere cannot be told from one hospital."
    _, asked, splits, task, model = world
    alone = splits.test.take(splits.test.ids[(splits.test.frame['site'] == 'Aarhus').to_numpy()])
    with pytest.raises(DataError, match='two are needed'): compare_sites(task, alone, task.decode(model.reader.logits(alone)), least=5)


@pytest.mark.parametrize('zone', ['+08:00', '-11:00', 'Z', ''])
def test_time_zones_do_not_move_a_visit(zone):
    "A visit shortly before midnight stays on the day that was written down."
    assert days_since([f'2024-02-29T23:59:30{zone}'], '2024-02-01').tolist() == [28.]


def test_a_gap_in_the_series_is_said(world):
    "Last seen a hundred days before the landmark: the answer abstains and says so."
    simulated, asked, _, _, model = world
    subject = asked.frame['subject'].iloc[5]
    own = simulated.courses.only([subject])
    gappy = replace(own, visits=own.visits[own.visits['day'] <= 20])
    table = landmark_table(gappy, 120, 90, problems=asked.problems, tests=['ALT', 'NT-proBNP', 'creatinine'], future=False)
    answers = model.predict(table).table
    assert answers['abstain'].all() and answers['reason'].str.contains('days before the landmark|events among|begun').all()


def test_pilot_study(real_data):
    "The CDISC pilot study: 254 treated subjects, prevalent problems not at risk, rare ones refused, and nothing told that happened after day 30."
    courses = courses_of_sdtm(real_data/'cdisc_pilot'/'sdtm')
    assert len(courses.patients) == 254
    table = landmark_table(courses, 30, 90)
    chosen = modelled_problems(table, least=15)
    assert 'application site pruritus' in chosen.names and len(chosen.refused) > 100
    row = table.frame.iloc[0]
    assert 'On day 1' in row['text'] and not any(f'On day {day},' in row['text'] for day in range(32, 200))
    skin = group_terms(courses, {'application site reaction': [term for term in courses.problems['term'].unique() if term.startswith('application site')]})
    grouped = modelled_problems(landmark_table(skin, 30, 90), least=15)
    assert grouped.table.set_index('problem').loc['application site reaction', 'at_risk'] < 254


def test_synthea_shows_the_loader_only(real_data):
    "27 patients: courses are read, and no problem has the events to be modelled."
    courses = courses_of_care(real_data/'synthea_omop27')
    assert len(courses.patients) == 27 and len(courses.problems) > 100
    table = landmark_table(courses, 1000, 365)
    with pytest.raises(DataError, match='No problem has 30 events'): only_modelled(table, modelled_problems(table))
