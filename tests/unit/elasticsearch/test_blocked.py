"""An index that refuses every document: what it costs is its own events, and a bounded wait."""

import threading

import orjson
import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.bulk._blocked import WHOLE, Blocked, Verdict, way_out
from penstock.io.elasticsearch.bulk._reasons import Cause
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied, DeliveryError
from penstock.transforms.decode import JsonDecoder
from tests.tools.samples.events import event

WRITE_BLOCK = "index [x] blocked by: [FORBIDDEN/8/index write (api)];"
FLOOD = "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]"
READ_ONLY = Cause("cluster_block_exception", WRITE_BLOCK)
DENIED = Cause("security_exception", "action [indices:data/write/bulk[s]] is unauthorized")
CLOSING = Cause("cluster_block_exception", "index [x] blocked by: [FORBIDDEN/4/index preparing to close];")
FULL = Cause("cluster_block_exception", FLOOD)
WAIT, WAIT_ON, GIVE_UP, END = Verdict.WAIT, Verdict.WAIT_ON, Verdict.GIVE_UP, Verdict.END


@pytest.mark.parametrize(
    ("told", "varies", "verdicts"),
    [
        # another index accepts: a bounded wait, for every kind of refusal; what it accepts again is waited for anew
        ([(0, "a", True), (0, "x", READ_ONLY), (299, "x", READ_ONLY), (300, "x", READ_ONLY), (301, "x", READ_ONLY)],
         True, [WAIT, WAIT, GIVE_UP, GIVE_UP]),
        ([(0, "a", True), (0, "x", DENIED), (300, "x", DENIED)], True, [WAIT, GIVE_UP]),
        ([(0, "a", True), (0, "x", FULL), (300, "x", FULL), (400, "x", True), (500, "x", FULL)], True,
         [WAIT, GIVE_UP, WAIT]),
        # none accepts, and the cluster is the reason
        ([(0, "a", True), (10, "x", FULL), (10, "a", FULL), (400, "x", FULL), (400, "a", FULL)], True,
         [WAIT, WAIT_ON, WAIT_ON, WAIT_ON]),
        ([(0, "x", FULL), (9999, "x", FULL)], True, [WAIT_ON, WAIT_ON]),
        # none accepts, each for a cause of its own: nothing else is tried behind them, if there is anything else
        ([(0, "x", READ_ONLY), (300, "x", READ_ONLY)], True, [WAIT, GIVE_UP]),
        ([(0, "x", CLOSING), (300, "x", CLOSING)], True, [WAIT, GIVE_UP]),
        ([(0, "x", READ_ONLY), (9999, "x", READ_ONLY)], False, [WAIT_ON, WAIT_ON]),
        ([(0, "x", READ_ONLY), (0, "y", READ_ONLY), (300, "x", READ_ONLY), (300, "y", READ_ONLY)], True,
         [WAIT, WAIT, GIVE_UP, GIVE_UP]),
        ([(0, "x", READ_ONLY), (0, "y", DENIED), (300, "x", READ_ONLY), (300, "y", DENIED)], True,
         [WAIT, WAIT, GIVE_UP, GIVE_UP]),
        ([(0, "x", READ_ONLY), (0, WHOLE, DENIED), (300, "x", READ_ONLY), (300, WHOLE, DENIED)], True,
         [WAIT, WAIT, GIVE_UP, GIVE_UP]),
        ([(0, "x", DENIED), (300, "x", DENIED)], True, [WAIT, GIVE_UP]),
        ([(0, "a", True), (0, "x", DENIED), (1, "a", DENIED), (301, "a", DENIED)], True, [WAIT, WAIT, GIVE_UP]),
        # only a denial of everything ends the job
        ([(0, "a", DENIED)], False, [END]),
        ([(0, WHOLE, DENIED)], True, [END]),
        ([(0, "x", DENIED), (1, WHOLE, DENIED)], True, [WAIT, END]),
        # an acceptance of long ago says nothing of today
        ([(0, "a", True), (99_999, "x", FULL)], True, [WAIT_ON]),
        ([(0, "a", True), (99_999, WHOLE, DENIED)], True, [END]),
    ],
)  # fmt: skip
def test_how_long_an_index_is_waited_for(told, varies, verdicts):
    now = [0.0]
    blocked = Blocked(300.0, varies, lambda: now[0])
    found = []
    for at, index, answer in told:
        now[0] = float(at)
        if answer is True:
            blocked.accepted(index)
        else:
            found.append(blocked.refused(index, answer, denied=answer is DENIED))
    assert found == verdicts


class Cluster:
    """Holds documents by index; each index may have an answer of its own for all documents, or its own lock."""

    where = "http://fake:9200"

    def __init__(self, **refusing: dict):
        self.refusing = dict(refusing)
        self.stored: dict[str, list[bytes]] = {}
        self.denies = lambda body: False
        self.requests = 0

    def root(self):
        return 200, {"version": {"number": "9.4.3"}}

    def speak(self, dialect):
        pass

    def bulk(self, body: bytes):
        self.requests += 1
        if self.denies(body):
            return 403, b'{"Message":"Request forbidden by administrative rules"}'
        lines = body.split(b"\n")[:-1]
        items = []
        for head, source in zip(lines[::2], lines[1::2], strict=True):
            index = orjson.loads(head)["create"]["_index"]
            item = self.refusing.get(index)
            if item is None:
                self.stored.setdefault(index, []).append(source)
                item = {"status": 201}
            items.append({"create": item})
        return 200, orjson.dumps({"errors": any("error" in i["create"] for i in items), "items": items})

    def close(self):
        pass


class Time:
    """Passes as fast as it is waited for."""

    def __init__(self):
        self.now = 0.0
        self.waits: list[float] = []
        self.told = lambda: None
        self.stopped = False

    def is_set(self):
        return self.stopped

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        self.told()
        return self.stopped


def _item(status, cause):
    return {"status": status, "error": {"type": cause.type, "reason": cause.reason}}


def _writer(cluster, time, **options):
    given = {"index": "%{to}", "user": "u", "password": "p", **options}
    return BulkWriter(
        ElasticsearchOptions(**given), time, client=cluster, clock=lambda: time.now, sleep=time.wait
    )


def _events(*indices):
    payloads = [b'{"to":"%b","n":%d}' % (index.encode(), n) for n, index in enumerate(indices)]
    events, _ = JsonDecoder().decode([event(payload, n) for n, payload in enumerate(payloads)])
    return events


@pytest.mark.parametrize(
    ("status", "cause", "told"),
    [
        (403, READ_ONLY, '(api)]. PUT old/_settings {"index.blocks.write": null} lifts the block.'),
        (400, Cause("index_closed_exception", "closed"), "closed. POST old/_open opens it."),
        (429, FULL, "watermark]. Make room on its disks; Elasticsearch lifts the block itself."),
        (403, DENIED, "is unauthorized. Grant the privileges on old in the role; see docs/elasticsearch.md."),
    ],
)
def test_one_late_event_costs_five_minutes_and_itself(status, cause, told, caplog):
    cluster, time = Cluster(old=_item(status, cause)), Time()
    writer = _writer(cluster, time)
    report = writer.write(_events("new", "old", "new"))
    assert (report.written, len(cluster.stored["new"])) == (2, 2)
    (letter,) = report.letters
    assert letter.reason.endswith(told)
    waiting, given_up = caplog.messages[0], caplog.messages[-1]
    reason, _, hint = told.partition(". ")
    for_how_long = (
        "They are waited for at most 300 s (--blocked_index_timeout), then they go to the dead letters."
    )
    assert waiting.endswith(f"{reason}. {for_how_long} {hint}")
    assert given_up.endswith(f"{reason}. They go to the dead letters. {hint}")
    assert (letter.error, letter.status) == (cause.type, status)
    assert 299.9 < sum(time.waits) < 302, "waited for at most five minutes, not for the back-off beyond"
    before = len(time.waits)
    report = writer.write(_events("old", "new"))
    assert (report.written, len(report.letters), len(time.waits)) == (1, 1, before), (
        "known: nothing is waited for"
    )


def test_an_index_that_accepts_again_gets_its_events():
    cluster, time = Cluster(old=_item(403, READ_ONLY)), Time()
    time.told = lambda: cluster.refusing.clear() if time.now > 100 else None
    report = _writer(cluster, time).write(_events("new", "old"))
    assert (report.written, report.letters) == (2, [])
    assert len(cluster.stored["old"]) == 1


@pytest.mark.parametrize(
    ("options", "cause"),
    [({}, FULL), ({"index": "a"}, READ_ONLY)],
    ids=["the disks of all are full", "a constant index"],
)
def test_where_nothing_else_could_accept_all_wait(options, cause, caplog):
    cluster, time = Cluster(a=_item(403, cause), b=_item(403, cause)), Time()
    time.told = lambda: cluster.refusing.clear() if time.now > 9999 else None
    report = _writer(cluster, time, **options).write(_events("a", "b"))
    assert (report.written, report.letters) == (2, [])
    assert time.now > 9999
    assert all(
        "They are waited for until it accepts." in each and "timeout" not in each for each in caplog.messages
    )


@pytest.mark.parametrize("causes", [(READ_ONLY, READ_ONLY), (READ_ONLY, DENIED), (DENIED, DENIED), (DENIED,)])
def test_a_first_batch_of_late_events_costs_five_minutes_and_itself(causes):
    names = [f"old{n}" for n in range(len(causes))]
    cluster = Cluster(**{name: _item(403, cause) for name, cause in zip(names, causes, strict=True)})
    time = Time()
    writer = _writer(cluster, time)
    report = writer.write(_events(*names))
    assert (report.written, [letter.error for letter in report.letters]) == (
        0,
        [cause.type for cause in causes],
    )
    assert 300 <= time.now < 302
    report = writer.write(_events("new", *names))
    assert (report.written, len(report.letters)) == (1, len(causes))
    assert time.now < 302, "known: nothing is waited for"


def test_a_stop_ends_the_wait_without_a_letter():
    cluster, time = Cluster(old=_item(403, READ_ONLY)), Time()
    time.stopped = True
    with pytest.raises(DeliveryError, match="come again"):
        _writer(cluster, time).write(_events("new", "old"))


def test_a_denial_of_everything_ends_the_job():
    cluster = Cluster(a=_item(403, DENIED))
    with pytest.raises(AccessDenied, match=r"create documents in a.*unauthorized"):
        _writer(cluster, Time(), index="a").write(_events("a", "b"))
    cluster = Cluster()
    cluster.denies = lambda body: True
    with pytest.raises(AccessDenied, match="Request forbidden by administrative rules"):
        _writer(cluster, Time()).write(_events("a", "b"))
    assert cluster.requests == 1


def test_a_proxy_that_denies_one_document_denies_no_other():
    cluster, time = Cluster(), Time()
    writer = _writer(cluster, time)
    assert writer.write(_events("new")).written == 1
    cluster.denies = lambda body: b'"n":77}' in body
    report = writer.write(_events(*["new"] * 100))
    assert report.written == 99
    (letter,) = report.letters
    assert letter.event.document["n"] == 77
    assert letter.status == 403
    assert "administrative rules" in letter.reason
    assert time.now <= 301


def test_the_wait_is_an_option():
    cluster, time = Cluster(old=_item(403, READ_ONLY)), Time()
    assert len(_writer(cluster, time, blocked_index_timeout=0).write(_events("new", "old")).letters) == 1
    assert not time.waits


def test_real_time_is_needed_only_to_wait():
    writer = BulkWriter(ElasticsearchOptions(), threading.Event(), client=Cluster())
    assert writer.write(_events("x")).written == 1
    writer.close()


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FLOOD, "Elasticsearch lifts the block itself."),
        (
            "blocked by: [FORBIDDEN/12/index read-only / allow delete (api)]",  # Elasticsearch before 7.4
            'Make room on its disks; PUT x/_settings {"index.blocks.read_only_allow_delete": null} lifts the block.',
        ),
        ("something else", ""),
    ],
)
def test_the_way_out_is_that_of_the_block(reason, told):
    found = way_out("x", Cause("cluster_block_exception", reason))
    assert found.endswith(told)
    assert bool(found) == bool(told)
