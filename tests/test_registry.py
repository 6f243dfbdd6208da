"Registry records: whatever is missing in them, however they are packed, wherever they are cut."
import copy
import json
import zipfile
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clintrial.loading.files import DataError
from clintrial.loading.registry import COLUMNS, read_records, read_studies, read_study_parts
from clintrial.loading.registry_results import read_results

RECORD = {'protocolSection': {
    'identificationModule': {'nctId': 'NCT00000007', 'briefTitle': 'A trial', 'acronym': 'AT', 'orgStudyIdInfo': {'id': 'X-1'}, 'secondaryIdInfos': [{'id': 'Y-2'}]},
    'statusModule': {'overallStatus': 'ACTIVE_NOT_RECRUITING', 'whyStopped': 'no money', 'statusVerifiedDate': '2019-06', 'startDateStruct': {'date': '2017-11-03', 'type': 'ACTUAL'},
                     'completionDateStruct': {'date': '2019-02', 'type': 'ESTIMATED'}, 'studyFirstPostDateStruct': {'date': '2017-01-05', 'type': 'ESTIMATED'}},
    'sponsorCollaboratorsModule': {'leadSponsor': {'name': 'A hospital', 'class': 'OTHER'}, 'collaborators': [{'name': 'NIH', 'class': 'NIH'}]},
    'oversightModule': {'oversightHasDmc': True, 'isFdaRegulatedDrug': False},
    'descriptionModule': {'briefSummary': 'We ask whether it helps.', 'detailedDescription': 'Two weeks of it.'},
    'conditionsModule': {'conditions': ['Asthma', 'Cough; chronic'], 'keywords': ['lung']},
    'designModule': {'studyType': 'INTERVENTIONAL', 'phases': ['PHASE1', 'PHASE2'], 'enrollmentInfo': {'count': 1024, 'type': 'ACTUAL'},
                     'designInfo': {'allocation': 'NON_RANDOMIZED', 'interventionModel': 'PARALLEL', 'primaryPurpose': 'TREATMENT',
                                    'maskingInfo': {'masking': 'DOUBLE', 'whoMasked': ['PARTICIPANT', 'OUTCOMES_ASSESSOR']}}},
    'armsInterventionsModule': {'armGroups': [{'label': 'Drug', 'type': 'ACTIVE_COMPARATOR', 'description': 'it'}, {'label': 'None', 'type': 'NO_INTERVENTION'}],
                                'interventions': [{'type': 'DIETARY_SUPPLEMENT', 'name': 'salt', 'armGroupLabels': ['Drug'], 'otherNames': ['NaCl']}]},
    'outcomesModule': {'primaryOutcomes': [{'measure': 'FEV1', 'timeFrame': '2 weeks'}], 'secondaryOutcomes': [{'measure': 'Cough'}]},
    'eligibilityModule': {'eligibilityCriteria': 'Inclusion Criteria:\n\n* Adults', 'healthyVolunteers': True, 'sex': 'FEMALE', 'minimumAge': '6 Months'},
    'contactsLocationsModule': {'locations': [{'facility': 'Ward', 'city': 'Bonn', 'country': 'Germany'}, {'city': 'Trier', 'country': 'Germany'}]}},
    'derivedSection': {'conditionBrowseModule': {'meshes': [{'id': 'D1', 'term': 'Asthma'}]}}, 'hasResults': False}

LEGACY = '''<clinical_study><id_info><org_study_id>X-1</org_study_id><secondary_id>Y-2</secondary_id><nct_id>NCT00000007</nct_id></id_info><brief_title>A trial</brief_title><acronym>AT</acronym>
<sponsors><lead_sponsor><agency>A hospital</agency><agency_class>Other</agency_class></lead_sponsor><collaborator><agency>NIH</agency><agency_class>NIH</agency_class></collaborator></sponsors>
<oversight_info><has_dmc>Yes</has_dmc><is_fda_regulated_drug>No</is_fda_regulated_drug></oversight_info>
<brief_summary><textblock>
      We ask whether
      it helps.
</textblock></brief_summary><detailed_description><textblock>  Two weeks of it. </textblock></detailed_description>
<overall_status>Active, not recruiting</overall_status><why_stopped> no money </why_stopped><start_date type="Actual">November 3, 2017</start_date>
<completion_date type="Anticipated">February 2019</completion_date><phase>Phase 1/Phase 2</phase><study_type>Interventional</study_type>
<study_design_info><allocation>Non-Randomized</allocation><intervention_model>Parallel Assignment</intervention_model><primary_purpose>Treatment</primary_purpose>
<masking>Double (Participant, Outcomes Assessor)</masking></study_design_info>
<primary_outcome><measure>FEV1</measure><time_frame>2 weeks</time_frame></primary_outcome><secondary_outcome><measure>Cough</measure></secondary_outcome>
<enrollment type="Actual">1024</enrollment><condition>Asthma</condition><condition>Cough; chronic</condition>
<arm_group><arm_group_label>Drug</arm_group_label><arm_group_type>Active Comparator</arm_group_type><description>it</description></arm_group>
<arm_group><arm_group_label>None</arm_group_label><arm_group_type>No Intervention</arm_group_type></arm_group>
<intervention><intervention_type>Dietary Supplement</intervention_type><intervention_name>salt</intervention_name><arm_group_label>Drug</arm_group_label><other_name>NaCl</other_name></intervention>
<eligibility><criteria><textblock>
   Inclusion Criteria:

   * Adults
</textblock></criteria><gender>Female</gender><minimum_age>6 Months</minimum_age><maximum_age>N/A</maximum_age><healthy_volunteers>Accepts Healthy Volunteers</healthy_volunteers></eligibility>
<location><facility><name>Ward</name><address><city>Bonn</city><country>Germany</country></address></facility></location><location><facility><address><city>Trier</city><country>Germany</country></address></facility></location>
<verification_date>June 2019</verification_date><study_first_posted type="Estimate">January 5, 2017</study_first_posted><keyword>lung</keyword>
<condition_browse><mesh_term>Asthma</mesh_term></condition_browse></clinical_study>'''


@pytest.fixture(scope='module')
def place(tmp_path_factory): return tmp_path_factory.mktemp('records')


def write(place, name, content):
    "A file with this content."
    path = place/name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def same(first, second):
    "Are two tables of studies the same but for the file that they came from?"
    pd.testing.assert_frame_equal(first.drop(columns='source'), second.drop(columns='source'))


def test_both_formats_give_the_same_row(place):
    modern, legacy = read_studies(write(place, 'a.json', json.dumps(RECORD))), read_studies(write(place, 'a.xml', LEGACY))
    same(modern, legacy)
    assert modern.loc[0, ['phase', 'minimum_age_years', 'countries', 'conditions', 'enrollment']].tolist() == ['Phase 1/Phase 2', .5, 'Germany', 'Asthma | Cough; chronic', 1024]
    assert modern.maximum_age.isna().all()
    parts = [read_study_parts(place/name) for name in ('a.json', 'a.xml')]
    for name in ('interventions', 'outcomes', 'locations', 'sponsors'): pd.testing.assert_frame_equal(getattr(parts[0], name), getattr(parts[1], name))


def test_however_they_are_packed(place):
    other = copy.deepcopy(RECORD)
    other['protocolSection']['identificationModule']['nctId'] = 'NCT00000008'
    lines = f'{json.dumps(RECORD)}\n\n{json.dumps(other)}\n'
    (place/'folder'/'deep').mkdir(parents=True)
    write(place, 'folder/1.json', json.dumps(RECORD)), write(place, 'folder/deep/2.json', json.dumps(other))
    with zipfile.ZipFile(place/'p.zip', 'w') as archive: archive.writestr('1.json', json.dumps(RECORD)), archive.writestr('2.xml', LEGACY.replace('00007', '00008')), archive.writestr('readme.txt', 'hello')
    expected = read_studies(write(place, 'page.json', json.dumps({'studies': [RECORD, other], 'nextPageToken': 'x'})))
    assert expected.nct_id.tolist() == ['NCT00000007', 'NCT00000008']
    for path in (write(place, 'p.jsonl', lines), place/'folder', place/'p.zip', write(place, 'list.json', '\ufeff' + json.dumps([RECORD, other], indent=1))): same(read_studies(path), expected)


def paths_in(found, path=()):
    "Paths of everything in a record."
    entries = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for name, value in entries: yield from [(*path, name), *paths_in(value, (*path, name))]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_part_of_a_record_may_be_missing(place, real_data, data):
    chosen = data.draw(st.sampled_from([None, *sorted((real_data/'ctgov_records').rglob('*.json'))]))
    record = RECORD if chosen is None else json.loads(chosen.read_text(encoding='utf-8'))
    whole = read_studies(write(place, 'whole.json', json.dumps(record)))
    paths = list(paths_in(record))
    gone = data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=4))
    changed, put = copy.deepcopy(record), data.draw(st.sampled_from(['nothing', None, 'odd', 7, [], {}]))
    for *parents, last in gone:
        here = changed
        try:
            for name in parents: here = here[name]
            if put == 'nothing': del here[last]
            else: here[last] = put
        except (KeyError, IndexError, TypeError): pass   # its parent is gone already
    if not isinstance(changed.get('protocolSection'), dict): changed['protocolSection'] = {}
    path = write(place, 'part.json', json.dumps(changed))
    frame = read_studies(path)
    assert list(frame.columns) == list(whole.columns) and len(frame) == 1
    read_study_parts(path), read_results(path)
    for name, column in COLUMNS.items():   # what was not touched is as it was
        steps = tuple((column.path[1:] if column.path.startswith('/') else f'protocolSection.{column.path}').split('.'))
        if not any(each[:len(steps)] == steps or steps[:len(each)] == tuple(each) for each in gone): assert frame[name].equals(whole[name]), name


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_element_of_an_xml_record_may_be_missing(place, real_data, data):
    source = data.draw(st.sampled_from([LEGACY, *(path.read_text(encoding='utf-8') for path in sorted((real_data/'ctgov_records').rglob('*.xml')))]))
    root = ElementTree.fromstring(source)
    for _ in range(data.draw(st.integers(1, 4))):
        pairs = [(parent, child) for parent in root.iter() for child in parent]
        if pairs:
            parent, child = data.draw(st.sampled_from(pairs))
            if data.draw(st.booleans()): parent.remove(child)
            else: child.text = None
    frame = read_studies(write(place, 'part.xml', ElementTree.tostring(root)))
    assert list(frame.columns) == [*COLUMNS, 'source'] and len(frame) == 1


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, .999), name=st.sampled_from(['cut.json', 'cut.xml']))
def test_wherever_a_record_is_cut_the_error_names_the_file(place, share, name):
    whole = (LEGACY if name.endswith('xml') else json.dumps(RECORD)).encode()
    with pytest.raises(DataError) as caught: read_studies(write(place, name, whole[:int(share*len(whole))]))
    assert name in str(caught.value)
    assert 'salt' not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=60) | st.text('<>{}[]"a1:,?!/ ', max_size=30).map(str.encode), name=st.sampled_from(['x.json', 'x.xml', 'x.jsonl', 'x.zip']))
def test_other_files_are_refused_in_words(place, content, name):
    try: found = read_studies(write(place, name, content))
    except DataError: return
    assert len(found) == 0   # lines without any


def test_every_posted_number_is_a_row(real_data):
    "Numbers of rows, and sums, against the JSON itself."
    for path in sorted((real_data/'ctgov_records').rglob('*.json')):
        section, results = json.loads(path.read_text(encoding='utf-8'))['resultsSection'], read_results(path)
        measured = lambda measures: [value for measure in measures for group in measure.get('classes', []) for category in group['categories'] for value in category['measurements']]
        baseline, outcomes = measured(section['baselineCharacteristicsModule']['measures']), measured(section['outcomeMeasuresModule']['outcomeMeasures'])
        assert results.baseline.value_text.tolist() == [value['value'] for value in baseline]
        assert results.outcome_values.value_text.tolist() == [value['value'] for value in outcomes]
        assert [number for number in results.outcome_values.spread if number == number] == [float(value['spread']) for value in outcomes if value.get('spread')]
        safety = section['adverseEventsModule']
        stats = [count for event in (*safety.get('seriousEvents', []), *safety.get('otherEvents', [])) for count in event['stats']]
        assert results.adverse_events.affected.tolist() == [count.get('numAffected') for count in stats]
        assert results.adverse_events.at_risk.tolist() == [count['numAtRisk'] for count in stats]
        flow = section['participantFlowModule']
        counts = [count['numSubjects'] for period in flow['periods'] for step in period['milestones'] for count in step['achievements']]
        assert results.flow[results.flow.kind == 'Milestone'].participants.tolist() == [float(number) for number in counts]


def test_criteria_keep_every_word(real_data):
    "Joining wrapped lines changes white space only."
    for path in sorted((real_data/'ctgov_records').rglob('*.xml')):
        written = ElementTree.parse(path).getroot().findtext('eligibility/criteria/textblock')
        assert read_studies(path).eligibility_criteria[0].split() == written.split()


def test_a_record_is_read_when_it_is_asked_for(place):
    "Lines stream: the second line's damage does not hide the first record."
    records = read_records(write(place, 'stream.jsonl', f'{json.dumps(RECORD)}\n{{"protocol'))
    assert next(records).study == RECORD
    with pytest.raises(DataError, match='line 2'): next(records)


def test_an_identifier_that_is_a_list_loses_nothing_else(place):
    "Found by the test above: a list in place of a group's identifier ended the whole reading."
    measure = {'title': 'Age', 'classes': [{'categories': [{'measurements': [{'groupId': 'BG000', 'value': '61'}]}]}]}
    results = {'baselineCharacteristicsModule': {'groups': [{'id': 'BG000', 'title': 'Drug'}], 'measures': [measure]}}
    record = {**copy.deepcopy(RECORD), 'resultsSection': results}
    whole = read_results(write(place, 'sound.json', json.dumps(record)))
    results['baselineCharacteristicsModule']['groups'][0]['id'] = measure['classes'][0]['categories'][0]['measurements'][0]['groupId'] = []
    tables = read_results(write(place, 'odd.json', json.dumps(record)))
    assert (len(tables.groups), len(tables.baseline)) == (len(whole.groups), len(whole.baseline)) == (1, 1)
