"The monitor under attack: processes killed in the middle of a delivery, receivers that fail or hang, files that were tampered with, batches sent twice, spans against sentences marked by hand."
import hashlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings, strategies

from clintrial.loading import DataError
from clintrial.narrative import Narrative
from clintrial.safety.audit_trail import AuditTrail, utc
from clintrial.safety.outbox import EmailSender, FileSender, Outbox, WebhookSender
from clintrial.safety.streams import simulate_reports
from clintrial.safety.surveillance import Monitor

ROOT = Path(__file__).resolve().parent.parent
MARKED = ROOT/'tests'/'golden'/'ade_spans.csv'


# -- a receiver that misbehaves as it is told

class Receiver(ThreadingHTTPServer):
    "Keeps each message once, by its key; `ways` says what becomes of the next calls: 'hang', 'die after' (keep it, answer nothing), a status code; 200 when the list is empty."
    daemon_threads = True

    def __init__(self, ways=()):
        self.ways, self.calls, self.kept, self.lock, self.released = list(ways), [], {}, threading.Lock(), threading.Event()
        super().__init__(('127.0.0.1', 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self): return f'http://127.0.0.1:{self.server_port}/'

    def __exit__(self, *error):
        self.released.set()
        self.shutdown()
        super().__exit__(*error)


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body, key, server = json.loads(self.rfile.read(int(self.headers['Content-Length']))), self.headers['Idempotency-Key'], self.server
        with server.lock:
            server.calls.append(key)
            way = server.ways.pop(0) if server.ways else 200
            if way in (200, 'hang after', 'die after'): server.kept.setdefault(key, []).append(body['key']) if key not in server.kept else None
        if way in ('hang', 'hang after'): server.released.wait(30)
        if way in ('hang', 'hang after', 'die after'): return self.connection.close()
        self.send_response(way)
        self.end_headers()

    def log_message(self, *ignored): pass


DELIVER = '''
import sys
from clintrial.safety.outbox import Outbox, WebhookSender, FileSender
database, url, folder = sys.argv[1:]
print(len(Outbox(database, wait=0, lease=0.5).deliver({'doctor': WebhookSender(url, timeout=20), 'authority': FileSender(folder)})), flush=True)
'''


def delivering(database, url, folder) -> subprocess.Popen:
    "A process that delivers what is due."
    return subprocess.Popen([sys.executable, '-c', DELIVER, str(database), url, str(folder)], cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, stdout=subprocess.PIPE)


def until(condition, seconds=180):
    "Wait for a condition, not for a time; a busy machine needs a minute to start a process."
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not come about'
        time.sleep(.02)


@pytest.mark.parametrize('way', ['hang', 'hang after'])
def test_a_process_killed_in_the_middle_of_a_delivery_loses_and_doubles_nothing(tmp_path, way):
    "SIGKILL while the receiver has (or has not) taken the message and has not answered: the next process delivers it, and the receiver knows it by its key."
    outbox = Outbox(tmp_path/'outbox.sqlite', wait=0, lease=.5)
    for number in range(3):
        for channel in ('doctor', 'authority'): outbox.put(channel, f'alert {number}', {'n': number})
    with Receiver([200, way]) as receiver:
        process = delivering(tmp_path/'outbox.sqlite', receiver.url, tmp_path/'authority')
        until(lambda: len(receiver.calls) == 2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL
        assert (outbox.table['state'] == 'waiting').any()
        receiver.released.set()
        def all_sent():
            outbox.deliver({'doctor': WebhookSender(receiver.url, timeout=20), 'authority': FileSender(tmp_path/'authority')})
            return (outbox.table['state'] == 'sent').all()
        until(all_sent)
        assert sorted(sum(receiver.kept.values(), [])) == ['alert 0', 'alert 1', 'alert 2']         # nothing lost, nothing twice
        assert len(receiver.calls) == 4                                                               # the one that was cut off was called for twice
    files = [json.loads(path.read_text()) for path in (tmp_path/'authority').iterdir()]
    assert sorted(one['key'] for one in files) == ['alert 0', 'alert 1', 'alert 2']


def test_a_process_killed_while_it_writes_a_file_leaves_no_half_file(tmp_path):
    "Killed between writing and naming: the half lies under a temporary name, and the next delivery makes the whole."
    code = '''
import os, signal, sys
from clintrial.safety import outbox
outbox.os.replace = lambda *ignored: os.kill(os.getpid(), signal.SIGKILL)
outbox.Outbox(sys.argv[1], lease=0).deliver({'authority': outbox.FileSender(sys.argv[2])})
'''
    box = Outbox(tmp_path/'outbox.sqlite', lease=0)
    box.put('authority', 'alert 1', {'n': 18})
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path/'outbox.sqlite'), str(tmp_path/'files')], cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path/'files').glob('*.json')) == []
    assert box.deliver({'authority': FileSender(tmp_path/'files')})['state'].tolist() == ['sent']
    assert [json.loads(path.read_text())['n'] for path in (tmp_path/'files').glob('*.json')] == [18]


def test_an_answer_that_is_lost_is_asked_for_again_and_counted_once(tmp_path):
    "The receiver keeps the message and the connection breaks before its answer; the second try is recognised."
    now = [utc('2025-01-01T00:00:00Z')]
    outbox = Outbox(tmp_path/'outbox.sqlite', wait=10, clock=lambda: now[0])
    outbox.put('doctor', 'alert 1', {})
    with Receiver(['die after', 503]) as receiver:
        states = []
        for seconds in (0, 10, 20, 30):
            now[0] = utc('2025-01-01T00:00:00Z') + pd.Timedelta(seconds=seconds)
            states += outbox.deliver({'doctor': WebhookSender(receiver.url)})['state'].tolist()
        assert states == ['waiting', 'waiting', 'sent']            # after 10 s, then after 20 s more
        assert list(receiver.kept.values()) == [['alert 1']]


def test_a_receiver_that_hangs_stops_nobody_else(tmp_path):
    "A timeout of the one, delivery to the other, and no trace of the body in what is kept about the problem."
    outbox = Outbox(tmp_path/'outbox.sqlite')
    for channel in ('hanging', 'authority'): outbox.put(channel, 'alert 1', {'warning_en': 'secret words'})
    with Receiver(['hang']) as receiver:
        tried = outbox.deliver({'hanging': WebhookSender(receiver.url, timeout=.3), 'authority': FileSender(tmp_path/'files')}).set_index('channel')['state']
    assert tried.to_dict() == {'hanging': 'waiting', 'authority': 'sent'}
    assert 'secret' not in outbox.table.to_csv()


def test_an_email_is_spoken_to_a_server(tmp_path):
    "A mail server of twenty lines takes the letter; its Message-ID is made from the key."
    letters = []
    class Mail(socketserver.StreamRequestHandler):
        def handle(self):
            def say(line): self.wfile.write(line + b'\r\n')
            say(b'220 ready')
            for line in map(bytes.upper, iter(self.rfile.readline, b'')):
                if line.startswith(b'DATA'):
                    say(b'354 go on')
                    letters.append(b''.join(iter(self.rfile.readline, b'.\r\n')).decode())
                say(b'221 bye' if line.startswith(b'QUIT') else b'250 ok')
                if line.startswith(b'QUIT'): return
    server = socketserver.TCPServer(('127.0.0.1', 0), Mail)
    threading.Thread(target=server.handle_request, daemon=True).start()
    outbox = Outbox(tmp_path/'outbox.sqlite')
    outbox.put('mail', 'alert 1', {'title': 'Safety alert', 'warning_en': 'Read the cases.', 'warning_zh': '请审阅病例。'})
    sender = EmailSender('127.0.0.1', 'safety@example.org', ('doctor@example.org',), port=server.server_address[1], encrypted=False)
    assert outbox.deliver({'mail': sender})['state'].tolist() == ['sent']
    server.server_close()
    assert 'Message-ID: <' in letters[0] and '@example.org>' in letters[0] and 'Subject: Safety alert' in letters[0]


# -- the trail

@settings(max_examples=30, deadline=None)
@given(strategies.lists(strategies.sampled_from(['who', 'action', 'subject', 'details', 'at', 'hash', 'previous']), min_size=1, max_size=1), strategies.integers(1, 6), strategies.text('abcdef0123456789', min_size=1, max_size=5))
def test_any_change_of_any_cell_is_found_at_its_entry(columns, number, added):
    "One cell of one entry changed past the triggers: `verify` names that entry."
    trail = AuditTrail(':memory:')
    for place in range(6): trail.append('monitor', 'looked', f'quarter {place}', {'n': place}, at='2025-01-01T00:00:00Z')
    trail.connection.execute('DROP TRIGGER trail_kept')
    trail.connection.execute(f'UPDATE trail SET {columns[0]} = {columns[0]} || ? WHERE number = ?', (added, number))
    check = trail.verify()
    assert not check.sound and check.first == number


@settings(max_examples=20, deadline=None)
@given(strategies.sets(strategies.integers(1, 8), min_size=1, max_size=7))
def test_any_removal_is_found(removed):
    "Entries taken out, the last ones too."
    trail = AuditTrail(':memory:')
    for place in range(8): trail.append('monitor', 'looked', f'quarter {place}', at='2025-01-01T00:00:00Z')
    trail.connection.execute('DROP TRIGGER trail_whole')
    trail.connection.executemany('DELETE FROM trail WHERE number = ?', [(number,) for number in removed])
    check = trail.verify()
    assert not check.sound and check.first == min(removed)


# -- the monitor

def watched(folder, stream, quarters, clock, **options):
    "A monitor that has seen some quarters of a stream."
    monitor = Monitor(folder, clock=lambda: clock[0], **options)
    for quarter in quarters:
        clock[0] = max(clock[0], utc(pd.Period(quarter, 'Q').end_time.tz_localize('UTC').ceil('D')))
        monitor.receive(stream.batch(quarter), quarter)
        monitor.look()
    return monitor


def test_planted_signals_are_alerted_within_two_quarters_and_once(tmp_path):
    "One stream, all of it sent twice: each planted pair has one alert, raised in its first or second quarter, and the trail is sound."
    stream, clock = simulate_reports(reports=3000, quarters=8, signals=4, seed=11), [utc('2021-12-31T00:00:00Z')]
    monitor = watched(tmp_path, stream, stream.quarters, clock)
    table = monitor.alerts.table.merge(stream.signals, on=['drug', 'event'])
    late = [pd.Period(found, 'Q') - pd.Period(first, 'Q') for found, first in zip(table['first_quarter'], table['first'])]
    assert len(table) == 4 and all(0 <= one.n <= 1 for one in late)
    before = monitor.alerts.table
    monitor.close_database()
    again = watched(tmp_path, stream, stream.quarters, clock)
    pd.testing.assert_frame_equal(again.alerts.table, before)
    assert again.verify().sound
    again.close_database()


def test_a_monitor_killed_in_the_middle_of_a_look_is_whole_when_it_comes_back(tmp_path):
    "Killed after an alert was written and before its transaction ended: the alert, its message and its entry are all not there, then all there."
    stream = simulate_reports(reports=3000, quarters=6, signals=3, seed=3)
    stream.reports.to_parquet(tmp_path/'reports.parquet')
    code = '''
import os, signal, sys
import pandas as pd
from clintrial.safety.audit_trail import utc
from clintrial.safety.outbox import FileSender
from clintrial.safety.surveillance import Monitor
folder = sys.argv[1]
monitor = Monitor(folder, channels={'authority': FileSender(folder + '/files')}, clock=lambda: utc('2023-08-01T00:00:00Z'))
monitor.receive(pd.read_parquet(folder + '/reports.parquet'), 'all')
Monitor.push_later = lambda self, *ignored: os.kill(os.getpid(), signal.SIGKILL)
monitor.look()
'''
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path)], cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    monitor = Monitor(tmp_path, channels={'authority': FileSender(tmp_path/'files')}, clock=lambda: utc('2023-08-01T00:00:00Z'))
    assert monitor.due() and monitor.verify().sound and not (monitor.trail.table['action'] == 'alert raised').sum() > len(monitor.alerts.table)
    assert len(monitor.alerts.table) == len(monitor.outbox.table)
    monitor.look()
    monitor.push()
    assert len(monitor.alerts.table) >= 3 and set(monitor.outbox.table['state']) == {'sent'} and monitor.verify().sound
    raised = [json.loads(path.read_text())['id'] for path in (tmp_path/'files').glob('*.json') if ' raised ' in json.loads(path.read_text())['key']]
    assert sorted(raised) == sorted(monitor.alerts.table['id'])
    heads = dict(json.loads(path.read_text())['trail_head'] for path in (tmp_path/'files').glob('*.json'))
    assert monitor.verify(heads).sound                              # heads that left the house still hold
    monitor.close_database()


def test_a_damaged_database_stops_the_monitor_before_anything_is_written(tmp_path):
    "Pages in the middle of the file overwritten: a clear refusal, and the file is left as it is."
    stream, clock = simulate_reports(reports=3000, quarters=2, signals=0, seed=5), [utc('2021-12-31T00:00:00Z')]
    monitor = watched(tmp_path, stream, stream.quarters, clock)
    monitor.connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    monitor.close_database()
    path = tmp_path/'safety.sqlite'
    with path.open('r+b') as file:
        file.seek(path.stat().st_size//2//4096*4096)
        file.write(b'\xff'*8192)
    damaged = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match='damaged'): Monitor(tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == damaged


def test_no_words_of_a_patient_reach_the_trail_or_an_error(tmp_path):
    "A drug's name is kept, a report's text never is: the monitor gets positions."
    from clintrial.safety.reports import report_pairs
    notes = pd.DataFrame({'report': ['R1'], 'received': '2025-01-05T10:00:00+08:00', 'text': ['Mrs. Zyxwv of Harbor Road developed rash after metformin.']})
    monitor = Monitor(tmp_path, clock=lambda: utc('2025-06-01T00:00:00Z'))
    monitor.receive(report_pairs(notes, keep=('received',)), 'letters')
    monitor.connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    monitor.close_database()
    assert b'Zyxwv' not in (tmp_path/'safety.sqlite').read_bytes()
    with pytest.raises(DataError) as refused: report_pairs(notes.assign(report=None))
    assert 'Zyxwv' not in str(refused.value)


def test_the_alerts_are_told_without_an_unsupported_number(tmp_path):
    "Narrative in both languages over the table of alerts."
    stream, clock = simulate_reports(reports=3000, quarters=6, signals=3, seed=3), [utc('2021-12-31T00:00:00Z')]
    monitor = watched(tmp_path, stream, stream.quarters, clock)
    shown = monitor.alerts.table[['term', 'severity', 'n', 'expected', 'estimate', 'low', 'high']]
    story = Narrative.of_analysis(shown, name='Safety alerts')
    assert story.verify().to_dict('records') == [] and '3' in story.text('en') and story.text('zh')
    monitor.close_database()


# -- spans marked by hand

def test_spans_marked_by_hand_fit_their_sentences(real_data):
    "Every hash is a sentence of ade_corpus' validation part, every span lies within it, at word borders, and at least 100 sentences are marked."
    marks = pd.read_csv(MARKED)
    texts = pd.read_csv(real_data/'ade_corpus'/'valid.csv', keep_default_na=False)['text']
    known = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    assert marks['sentence'].nunique() >= 100 and set(marks['sentence']) <= set(known)
    spans = marks.dropna(subset=['start'])
    assert set(spans['kind']) == {'drug', 'event'}
    for row in spans.astype({'start': int, 'end': int}).itertuples():
        text = known[row.sentence]
        assert 0 <= row.start < row.end <= len(text)
        assert not text[row.start - 1:row.start].isalnum() and not text[row.end:row.end + 1].isalnum()


def test_the_lexicon_finds_what_it_found_on_sentences_marked_by_hand(real_data):
    "The look-up is the honest opponent of the extractor: its figures on the marked sentences lie within their own interval's reach."
    from clintrial.safety.detector import lexicon_spans, score_spans
    marks = pd.read_csv(MARKED)
    texts = pd.read_csv(real_data/'ade_corpus'/'valid.csv', keep_default_na=False)['text']
    known = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    true = {sentence: [(int(row.start), int(row.end), row.kind) for row in rows.dropna(subset=['start']).itertuples()] for sentence, rows in marks.groupby('sentence', sort=False)}
    scores = score_spans(list(true.values()), [lexicon_spans(known[sentence]) for sentence in true], 'lexicon', resamples=200)
    assert scores['drug, overlap, precision'].estimate > .8 and .3 < scores['event, overlap, F1'].estimate < .8


# -- cases

def test_every_alert_can_become_a_case_that_is_read_back(tmp_path):
    "An alert's pair as an E2B(R3) message: the elements come back as they went in, whatever characters the reporter used."
    from clintrial.safety.e2b import Case, DrugTaken, Reaction, e2b, read_e2b
    case = Case('CN-CLINIC-2025-7', 'CLINIC', 'CDE', '2025-04-02T14:00:00+08:00', '2025-03-31', '2025-04-01', reporter=1, age=54, reactions=(Reaction('皮疹 <"&\'> rash', language='zho'),), drugs=(DrugTaken('二甲双胍 & co'),))
    found = read_e2b(e2b(case)).set_index('element')['value']
    assert found['E.1.1.1a'] == '皮疹 <"&\'> rash' and found['G.1.2.2'] == '二甲双胍 & co' and found['C.1.2'] == '20250402060000+0000'
