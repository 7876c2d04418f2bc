import logging
import re
import threading

import orjson
import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.client import NoAnswer
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied, DeliveryError, PeerError
from penstock.transforms.batch import Event
from tests.tools.samples.events import event

FAST = {"retry_initial_interval": 0.001, "retry_max_interval": 0.002}


class FakeElasticsearch:
    """Stores documents by id; `answer(sources)` may decide otherwise for a bulk, or for a document."""

    where = "http://fake:9200"

    def __init__(self, answer=None):
        self.documents: dict[str, bytes] = {}
        self.bulks: list[list[bytes]] = []
        self.under_way = self.most_under_way = 0
        self.closed = False
        self._answer = answer or (lambda number, sources: None)
        self._lock = threading.Lock()

    def root(self):
        return 200, {"version": {"number": "9.4.3"}}

    def speak(self, dialect):
        pass

    def bulk(self, body: bytes):
        lines = body.split(b"\n")
        assert lines.pop() == b""
        heads, sources = [orjson.loads(line) for line in lines[::2]], lines[1::2]
        with self._lock:
            self.bulks.append(sources)
            number = len(self.bulks)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = self._answer(number, sources)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, tuple):
                return answer
            items = []
            for head, source, item in zip(heads, sources, answer or [None] * len(sources), strict=True):
                ((action, meta),) = head.items()
                if item is None:
                    with self._lock:
                        known = meta["_id"] in self.documents
                        self.documents.setdefault(meta["_id"], source)
                    item = (
                        {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
                        if known
                        else {"status": 201}
                    )
                items.append({action: item})
            errors = any("error" in next(iter(item.values())) for item in items)
            return 200, orjson.dumps({"errors": errors, "items": items})
        finally:
            with self._lock:
                self.under_way -= 1

    def close(self):
        self.closed = True


def _events(count: int) -> list[Event]:
    made = []
    for number in range(count):
        one = event(b'{"n":%d}' % number, number)
        one.id = f"i{number}"
        made.append(one)
    return made


def _writer(fake, stopping=None, **options):
    clock = iter(range(1_000_000))
    return BulkWriter(
        ElasticsearchOptions(**{**FAST, **options}),
        stopping or threading.Event(),
        client=fake,
        clock=lambda: float(next(clock)),
        sleep=lambda seconds: None,
    )


def test_all_documents_are_written_in_bulks():
    fake = FakeElasticsearch()
    report = _writer(fake, bulk_max_count=3).write(_events(10))
    assert sorted(len(sources) for sources in fake.bulks) == [1, 3, 3, 3]
    assert fake.documents == {f"i{n}": b'{"n":%d}' % n for n in range(10)}
    assert (report.written, report.replayed, report.letters, report.bulks) == (10, 0, [], 4)
    assert report.bytes == sum(
        len(b'{"create":{"_index":"logstash-2026.11.18","_id":"i0"}}\n{"n":0}\n') for _ in range(10)
    )
    assert len(report.latencies_ms) == 4


def test_bulks_are_under_way_at_the_same_time():
    barrier = threading.Barrier(3, timeout=60)
    fake = FakeElasticsearch(lambda number, sources: barrier.wait() and None)
    _writer(fake, bulk_max_count=1, max_bulks_in_flight=3).write(_events(3))
    assert fake.most_under_way == 3


def test_a_replay_is_counted_and_no_letter():
    fake = FakeElasticsearch()
    writer = _writer(fake)
    writer.write(_events(3))
    report = writer.write(_events(5))
    assert (report.written, report.replayed, report.letters) == (2, 3, [])


def test_a_conflict_of_a_users_own_id_is_refused():
    fake = FakeElasticsearch()
    writer = _writer(fake, document_id="x%{n}")
    writer.write(_events(1))
    report = writer.write(_events(1))
    assert report.replayed == 0
    assert [letter.status for letter in report.letters] == [409]


def test_only_what_failed_is_sent_again():
    busy = {"status": 429, "error": {"type": "es_rejected_execution_exception"}}

    def answer(number, sources):
        return [busy if number < 3 and b"3" in source else None for source in sources]

    fake = FakeElasticsearch(answer)
    report = _writer(fake).write(_events(5))
    assert [len(sources) for sources in fake.bulks] == [5, 1, 1]
    assert (report.written, report.replayed, dict(report.retries)) == (5, 0, {"429": 2})


def test_refused_documents_get_a_letter_with_elasticsearchs_reason():
    refusal = {
        "status": 400,
        "error": {
            "type": "document_parsing_exception",
            "reason": "failed",
            "caused_by": {"type": "x", "reason": "why"},
        },
    }
    fake = FakeElasticsearch(lambda number, sources: [refusal if b"1" in s else None for s in sources])
    events = _events(3)
    report = _writer(fake).write(events)
    (letter,) = report.letters
    assert letter.event is events[1]
    assert (letter.error, letter.reason, letter.stage, letter.status, letter.attempts) == (
        "document_parsing_exception", "failed: why", "elasticsearch", 400, 1,
    )  # fmt: skip
    assert report.written == 2


@pytest.mark.parametrize(
    "failure",
    [
        NoAnswer("Connection refused"), (429, b"{}"), (500, b""), (502, b"<html>"), (503, b"{}"), (504, b""), (408, b""),
        (200, b"garbage"), (200, b'{"errors":false,"items":[]}'),
        (200, b'{"errors":false,"items":[{"create":{"status":201}}]}'),
    ],
)  # fmt: skip
def test_a_bulk_without_a_full_reply_is_sent_again_until_it_has_one(failure):
    fake = FakeElasticsearch(lambda number, sources: failure if number < 15 else None)
    report = _writer(fake).write(_events(3))
    assert len(fake.bulks) == 15
    assert (report.written, report.letters) == (3, [])
    assert sum(report.retries.values()) == 42


def test_what_was_written_before_the_connection_broke_is_a_replay():
    def answer(number, sources):
        return NoAnswer("reset") if number == 1 else None

    fake = FakeElasticsearch(answer)
    fake.documents.update({"i0": b"", "i1": b""})
    report = _writer(fake).write(_events(3))
    assert (report.written, report.replayed) == (1, 2)


def test_a_document_with_a_500_of_its_own_is_refused():
    broken = {"status": 500, "error": {"type": "null_pointer_exception", "reason": "bug"}}
    fake = FakeElasticsearch(lambda number, sources: [broken if b"0" in s else None for s in sources])
    report = _writer(fake).write(_events(2))
    assert [(letter.status, letter.attempts) for letter in report.letters] == [(500, 1)]
    assert report.written == 1


def test_413_halves_the_bulk_and_lowers_the_bound(caplog):
    def answer(number, sources):
        return (413, b"") if sum(map(len, sources)) > 20 else None

    fake = FakeElasticsearch(answer)
    writer = _writer(fake)
    with caplog.at_level(logging.WARNING):
        report = writer.write(_events(9))
    assert (report.written, report.letters) == (9, [])
    assert not report.retries
    assert "413" in caplog.text


def test_the_one_document_that_is_too_large_is_refused():
    def answer(number, sources):
        return (413, b"too large") if any(b"4" in source for source in sources) else None

    report = _writer(FakeElasticsearch(answer)).write(_events(9))
    assert report.written == 8
    (letter,) = report.letters
    assert (letter.event.data, letter.error, letter.status) == (b'{"n":4}', "content_too_large", 413)


def test_the_one_document_that_spoils_the_whole_bulk_is_found():
    def answer(number, sources):
        reply = {
            "error": {"type": "action_request_validation_exception", "reason": "id is too long"},
            "status": 400,
        }
        return (400, orjson.dumps(reply)) if any(b"4" in source for source in sources) else None

    report = _writer(FakeElasticsearch(answer)).write(_events(9))
    assert report.written == 8
    (letter,) = report.letters
    assert (letter.event.data, letter.error, letter.reason) == (
        b'{"n":4}', "action_request_validation_exception", "id is too long",
    )  # fmt: skip


def test_an_event_without_a_line_is_refused_alone():
    fake = FakeElasticsearch()
    report = _writer(fake, index="i-%{n}").write([*_events(2), event(b"{}"), event(b"nope")])
    assert report.written == 2
    assert [letter.error for letter in report.letters] == ["MissingField", "JSONDecodeError"]


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ((401, b"{}"), AccessDenied, r"credentials \(401\).*--user"),
        ((403, b'{"error":{"reason":"needs create_doc"}}'), AccessDenied, "needs create_doc"),
        ((404, b"nothing here"), PeerError, "--path"),
        ((405, b""), PeerError, "405"),
        ([{"status": 403, "error": {"type": "security_exception", "reason": "needs create_doc"}}], AccessDenied,
         "create documents in only-this.*needs create_doc"),
    ],
)  # fmt: skip
def test_denials_end_the_job(answer, error, text):
    writer = _writer(
        FakeElasticsearch(lambda number, sources: answer), index="only-this", user="u", password="hush"
    )
    with pytest.raises(error, match=text) as caught:
        writer.write(_events(1))
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_401_after_success_is_believed_only_after_a_minute():
    fake = FakeElasticsearch(lambda number, sources: (401, b"{}") if 1 < number < 5 else None)
    writer = _writer(fake)
    writer.write(_events(1))
    assert writer.write(_events(2)).written == 1
    fake._answer = lambda number, sources: (401, b"{}")
    with pytest.raises(AccessDenied, match="401"):
        writer.write(_events(3))
    assert len(fake.bulks) > 10


def test_a_stop_ends_the_retries_without_acknowledging():
    stopping = threading.Event()
    stopping.set()
    fake = FakeElasticsearch(lambda number, sources: NoAnswer("refused"))
    with pytest.raises(DeliveryError, match=r"2 documents .* within 30 s"):
        _writer(fake, stopping).write(_events(2))
    assert 5 < len(fake.bulks) < 40


def test_a_stop_lets_a_write_end_that_still_succeeds():
    stopping = threading.Event()
    stopping.set()
    fake = FakeElasticsearch(lambda number, sources: NoAnswer("refused") if number < 3 else None)
    assert _writer(fake, stopping).write(_events(2)).written == 2


def test_a_long_outage_is_one_line_a_minute(caplog):
    fake = FakeElasticsearch(lambda number, sources: NoAnswer("Connection refused") if number < 100 else None)
    with caplog.at_level(logging.INFO):
        _writer(fake).write(_events(2))
    lines = [record.getMessage() for record in caplog.records]
    assert 1 < len(lines) < 10  # the clock makes some 300 s of it
    assert re.fullmatch(
        r"Elasticsearch at http://fake:9200: trying again: .*2 documents: Connection refused", lines[0]
    )


def test_refusals_are_logged_once_a_kind_with_a_reason_without_payload(caplog):
    refusal = {"status": 400, "error": {"type": "bad_kind", "reason": "Preview of field's value: 'secret'"}}
    fake = FakeElasticsearch(lambda number, sources: [refusal] * len(sources))
    writer = _writer(fake)
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            writer.write(_events(3))
    assert len(caplog.records) == 1
    assert (
        "3 documents (bad_kind, status 400), first _id i0: Preview of field's value: '...'. They go"
        in caplog.text
    )
    assert "secret" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        _writer(fake, silence_errors_in_log=["bad_kind"]).write(_events(3))
    assert not caplog.records


def test_closing_closes_the_client():
    fake = FakeElasticsearch()
    _writer(fake).close()
    assert fake.closed
