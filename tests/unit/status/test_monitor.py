"""The monitor sees rates, history, readiness, the document and the metrics, here from sources moved by hand."""

import json
import logging
import re

import pytest

from penstock.io.chain.live_objects import LIVE, Chunk, LiveSource
from penstock.io.chain.source_status import ClientStatus, ShardStatus, SourceStatus
from penstock.io.errors import PeerError
from penstock.io.meters import METERS
from penstock.pipelines.console.logs import FIGURES
from penstock.pipelines.status import monitor as monitor_module
from penstock.pipelines.status import seen as seen_module
from penstock.pipelines.status.history import MAX_SERIES, History
from penstock.pipelines.status.monitor import Monitor
from penstock.pipelines.status.picture import Progress
from penstock.pipelines.status.readiness import Trouble, reasons_against
from penstock.pipelines.status.step_meters import Step
from penstock.pipelines.status.words import MinuteLog, line_of
from penstock.transforms.batch import EVENT_BYTES, Event


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Origin:
    arrived_ms = 0


class Source(LiveSource):
    def __init__(self, key="toy", peers=()):
        super().__init__(key, max_pending_events=100, max_pending_bytes=100_000)
        self._peers = list(peers)

    def peers(self):
        return self._peers


@pytest.fixture
def live():
    LIVE.close()
    yield LIVE
    LIVE.close()


@pytest.fixture
def clock():
    return Clock()


def source(live, *peers, key="toy"):
    return live.get(key, lambda: Source(key, peers))


def looked(clock, monitor, seconds=1):
    for _ in range(seconds):
        clock.now += 1
        monitor.picture = monitor.look()
    return monitor.picture


def take_in(made, events, size=10):
    assert made.offer(Chunk([Event(b"", Origin(), n) for n in range(events)], size, None))


SHARD = ShardStatus("shardId-1", 0.5, 10, 100, 2, "49:3", 3.0, unwritten=True)
CLIENT = ClientStatus("10.0.0.1:5", 9.0, 4, 3, 99, "TLSv1.3", waiting=True)


def test_rates_are_over_ten_seconds(live, clock):
    made = source(live)
    monitor = Monitor("job", "r", [], clock=clock, wall=clock)
    for _ in range(20):
        take_in(made, 3)
        made.acknowledge(made.take(0).receipt.tokens)
        looked(clock, monitor)
    picture = monitor.picture
    assert picture.rate("in") == pytest.approx(3)
    assert picture.rate("out") == pytest.approx(3)
    assert picture.rate("bytes") == pytest.approx(10)
    assert picture.pending == 0
    assert looked(clock, monitor, 12).rate("in") == 0


def test_what_a_source_says(live, clock):
    made = source(live, SHARD, CLIENT)
    take_in(made, 7, 70)
    take_in(made, 2, 20)
    monitor = Monitor("job", "r", [Step("Read"), Step("Write", ["Read"], metered=True)], clock=clock)
    document = json.loads(monitor.status_json(0))
    (told,) = document["sources"]
    assert (told["events"], told["pending_events"], told["pending_bytes"]) == (9, 9, 90 + 9 * EVENT_BYTES)
    assert told["shards"][0] | {"shard_id": ""} == SHARD._asdict() | {"shard_id": ""}
    assert told["clients"][0] == CLIENT._asdict()
    assert document["totals"]["pending"] == 9
    assert document["totals"]["max_pending"] == 100
    assert 0 <= document["totals"]["lag_s"] < 5
    assert [(step["kind"], step["events"]) for step in document["steps"]] == [("source", 9), ("last", 0)]
    batch = made.take(0)
    assert batch.size == 90
    made.requeue()
    assert json.loads(Monitor("job", "r", []).status_json(0))["sources"][0]["returned_chunks"] == 2


def test_numbers_stay_when_the_sources_are_closed(live, clock):
    take_in(source(live), 5)
    monitor = Monitor("job", "r", [], clock=clock)
    live.close()
    assert looked(clock, monitor).now.numbers["in"] == 5


def test_history_comes_in_pieces_and_is_bounded(live, clock):
    made = source(live)
    monitor = Monitor("job", "r", [], clock=clock, wall=clock)
    take_in(made, 50)
    looked(clock, monitor, 15)
    first = json.loads(monitor.status_json(0))["history"]
    assert first["last"] == 4
    assert first["series"]["in"] == [None, 10, 0, 0]
    assert first["series"]["pending"] == [0, 50, 50, 50]
    assert json.loads(monitor.status_json(first["last"]))["history"]["times"] == []
    looked(clock, monitor, 5)
    more = json.loads(monitor.status_json(first["last"]))["history"]
    assert more["times"] == [int(clock.now)]
    assert len(json.loads(monitor.status_json(999))["history"]["times"]) == 5  # the job has begun anew


def test_history():
    history = History(points=3)
    for number in range(5):
        history.add(100 + number, {"a": number, **({"b": 1.23456} if number > 3 else {})})
    assert history.since(0) == {
        "last": 5, "every_s": 5.0, "times": [102, 103, 104],
        "series": {"a": [2, 3, 4], "b": [None, None, 1.23]},
    }  # fmt: skip
    assert history.since(4)["series"]["a"] == [4]
    history.add(105, {f"s{number}": 1 for number in range(100)})
    assert len(history.since(0)["series"]) == MAX_SERIES
    assert history.since(0)["series"]["a"][-1] is None


def status_of_source(**changed):
    told = SourceStatus(
        "toy", "reading toys", True, False, "", 0, 0, 0, 0, 0, 0, 10, 10, 0.0, 0.0, []
    )  # fmt: skip
    return told._replace(**changed)


@pytest.mark.parametrize(
    ("sources", "state", "reasons"),
    [
        ([status_of_source()], {}, []),
        ([], {}, []),
        ([], {"starting": True}, ["starting"]),
        ([status_of_source()], {"stopping": True}, ["stopping"]),
        ([status_of_source(connected=False)], {}, ["not connected: reading toys"]),
        ([status_of_source(connected=False, stopping=True)], {"stopping": True}, ["stopping"]),
        ([status_of_source(lag_s=60.0)], {}, []),
        ([status_of_source(lag_s=61.0)], {}, ["not keeping up: 61 s behind"]),
        ([status_of_source(lag_s=3600.0, patience_s=3600.0)], {}, []),
        ([status_of_source(lag_s=99.0, peers=[SHARD, SHARD._replace(behind_s=99.0)])], {}, ["1 of 2 shards"]),
        (
            [status_of_source(unread=["shard 1 is read by nobody"])],
            {},
            ["not read: shard 1 is read by nobody"],
        ),
        (
            [status_of_source(unread=["x"] * 12)],
            {},
            [*["not read: x"] * 10, "not read: 2 more"],
        ),
        ([status_of_source(unread=["x"], stopping=True)], {"stopping": True}, ["stopping"]),
        ([status_of_source(failure="access denied")], {}, ["failed: access denied"]),
        ([status_of_source(failure="x")], {"failure": "x"}, ["failed: x"]),
        ([status_of_source()], {"waits": {"Write": 12.0}}, []),
        ([status_of_source()], {"troubles": [Trouble("Bulk", "no_answer", 3.0)]}, []),
        (
            [status_of_source()],
            {"waits": {"Read": 0.1, "Write": 12.0}, "troubles": [Trouble("Bulk", "no_answer", 3.0)]},
            ["not connected: Bulk: no answer; Write waits for 12 s"],
        ),
        ([status_of_source()], {"waits": {"Write": 12.0}, "troubles": [Trouble("Bulk", "429", 3.0)]}, []),
        (
            [status_of_source()],
            {"waits": {"Write": 12.0}, "troubles": [Trouble("Bulk", "no_answer", 13.0)]},
            [],
        ),
        (
            [status_of_source(lag_s=99.0)],
            {"troubles": [Trouble("Bulk", "429", 50.0), Trouble("Put", "500", 70.0)]},
            ["is 60 s; tried again lately: Bulk: 429"],
        ),
    ],
)
def test_readiness(sources, state, reasons):
    given = {
        "starting": False,
        "stopping": False,
        "failure": "",
        "max_lag_s": 60.0,
        "waits": {},
        "troubles": [],
    } | state
    found = reasons_against(sources, **given)
    assert len(found) == len(reasons), found
    for text, expected in zip(found, reasons, strict=True):
        assert expected in text


def test_why_a_step_waits_is_told(live, clock, monkeypatch):
    monitor = Monitor("job", "r", [], ends=True, clock=clock)
    monkeypatch.setattr(seen_module, "waiting_steps", lambda: {"WriteToElasticsearch": 11.0})
    monkeypatch.setattr(METERS, "last_retry", {})
    assert looked(clock, monitor).reasons == []
    METERS.retried("elasticsearch_bulk", "no_answer", 64)
    METERS.last_retry["elasticsearch_bulk"] = (clock.now, "no_answer")
    assert looked(clock, monitor).reasons == [
        "not connected: Bulk to Elasticsearch: no answer; WriteToElasticsearch waits for 11 s"
    ]
    assert line_of("job", monitor.picture).startswith("in 0/s  out 0/s  not connected: Bulk to Elasticsearch")
    METERS.requested("elasticsearch_bulk", 0.1)
    monitor.picture = monitor.look()
    (request,) = [each for each in json.loads(monitor.status_json(0))["requests"] if "Bulk" in each["title"]]
    assert "no answer" in [each["reason"] for each in request["retries"]]


def test_a_failure_is_told(live, clock):
    monitor = Monitor("job", "r", [], ends=True, clock=clock)
    assert monitor.picture.reasons == []
    live.fail(PeerError("cannot write: the shelf is full."))
    assert looked(clock, monitor).reasons == ["failed: cannot write: the shelf is full."]


def test_warnings_are_kept_and_bounded(live, clock):
    monitor = Monitor("job", "r", [], clock=clock)
    monitor.start()
    try:
        for number in range(100):
            logging.getLogger("penstock.io.toy").warning("number %d %s", number, "x" * 1000)
        logging.getLogger("penstock.io.toy").info("nothing")
        told = json.loads(monitor.status_json(0))["warnings"]
        told = [warned._asdict() for warned in monitor.look().seen.warnings]
    finally:
        monitor.stop()
    assert len(told) == 30
    assert told[0]["text"].startswith("number 99 ")
    assert len(told[0]["text"]) == 500


def test_an_answer_is_made_once_for_all_who_ask(live, clock, monkeypatch):
    made = []
    monkeypatch.setattr(monitor_module.document, "of", lambda *_: made.append(1) or {})
    monitor = Monitor("job", "r", [], clock=clock)
    for since in (0, 0, 1, 5):
        monitor.status_json(since)
    assert len(made) == 1
    assert monitor.metrics() is monitor.metrics()
    looked(clock, monitor)
    monitor.status_json(0)
    assert len(made) == 2
    for since in range(1000):
        monitor.status_json(since)
    assert len(monitor._answers) < 30


LINE = re.compile(
    r"(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)"
    r"(?:\{(?P<labels>(?:[a-z_]+=\"(?:[^\"\\\n]|\\[\\\"n])*\",?)*)\})? (?P<value>[-+.0-9eInf]+)"
)


def test_metrics_follow_the_format(live, clock):
    source(live, SHARD, key='kinesis:"od\\d\n":app')
    source(live, CLIENT, key="beats 127.0.0.1:5044")
    METERS.requested("elasticsearch_bulk", 0.3, 100)
    METERS.retried("elasticsearch_bulk", "429", 7)
    monitor = Monitor("job", "r", [Step("a", metered=True)], clock=clock)
    text = monitor.metrics().decode()
    kinds, seen = {}, []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
            continue
        if line.startswith("# HELP "):
            continue
        found = LINE.fullmatch(line)
        assert found, line
        family = re.sub(r"_(bucket|sum|count)$", "", found["name"])
        assert kinds.get(family) == "histogram" or found["name"] in kinds, line
        seen.append((found["name"], found["labels"]))
    assert len(seen) == len(set(seen)), "a series twice"
    for name, kind in kinds.items():
        assert name.startswith(("penstock_", "process_"))
        assert (kind == "counter") == name.endswith("_total"), name
        assert kind != "histogram" or name.endswith("_seconds")
    assert 'source="kinesis:\\"od\\\\d\\n\\":app"' in text
    assert 'penstock_retries_total{request="elasticsearch_bulk",reason="429"}' in text
    assert 'penstock_beats_connections{source="beats 127.0.0.1:5044"} 1' in text
    assert "10.0.0.1" not in text, "a client's address is no label"
    buckets = [int(value) for value in re.findall(r'bulk",le="[^"]+"} (\d+)', text)]
    assert buckets == sorted(buckets)
    assert buckets[-1] >= 1


def test_the_line_and_the_minute(live, clock, caplog):
    made = source(live)
    monitor = Monitor("toy-job", "r", [], clock=clock, wall=clock)
    minute = MinuteLog("toy-job")
    caplog.set_level(logging.INFO, "penstock")

    def pass_by(seconds):
        for _ in range(seconds):
            minute(looked(clock, monitor))

    pass_by(1)
    take_in(made, 60)
    assert re.fullmatch(
        r"toy-job  in [\d.]+/s  out 0/s  lag 0\.\d s  waiting 60.*",
        line_of("toy-job", looked(clock, monitor)),
    )
    made.acknowledge(made.take(0).receipt.tokens)
    pass_by(60)
    assert "in 60 (1.0/s), out 60 (1.0/s), lag" in caplog.text
    (record,) = caplog.records
    figures = getattr(record, FIGURES)
    assert (figures["events_in"], figures["events_out"], figures["seconds"]) == (60, 60, 60)
    assert (figures["pending_events"], figures["ready"]) == (0, True)
    caplog.clear()
    pass_by(600)
    assert caplog.text.count("idle") == 1
    assert len(caplog.records) == 1
    take_in(made, 1)
    pass_by(60)
    assert len(caplog.records) == 2
    live.fail(PeerError("the shelf is full."))
    pass_by(60)
    assert caplog.messages[-1].endswith("waiting 1, failed: the shelf is full.")
    assert getattr(caplog.records[-1], FIGURES)["ready"] is False


def test_progress_of_a_job_that_ends(live, clock):
    monitor = Monitor(
        "job",
        "r",
        [Step("a", metered=True)],
        ends=True,
        progress=lambda: Progress(0.25, "a quarter"),
        clock=clock,
    )
    document = json.loads(monitor.status_json(0))
    assert document["job"]["progress"] == {
        "share": 0.25, "text": "a quarter", "read": 0, "written": 0, "bytes": 0
    }  # fmt: skip
    assert document["totals"]["lag_s"] is None
    assert document["job"]["ready"]
