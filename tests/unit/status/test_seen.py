"""The pictures that several processes have of one job add up to one."""

import json
import re

import pytest

from penstock.io.chain.source_status import ClientStatus, ShardStatus, SourceStatus
from penstock.io.meters import BOUNDS_S, LastLetter, Reading
from penstock.pipelines.status.monitor import Monitor
from penstock.pipelines.status.seen import Retried, Seen, Series, Warned, WorkerStatus, sum_of
from penstock.pipelines.status.step_meters import BUSY, EVENTS_IN, Step


def source(number, *peers, **changes):
    made = SourceStatus(
        "kinesis:orders", f"reading as {number}", True, False, "", 100 * number, 1000 * number, 90 * number, number,
        10 * number, 100, 50, 500, float(number), 0.0, list(peers), ["shard-9 has no owner"],
    )  # fmt: skip
    return made._replace(**changes)


def shard(name, behind_s=0.0):
    return ShardStatus(name, behind_s, 1, 1, 0, "TRIM_HORIZON", None, unwritten=False)


def seen(number, *peers, **changes):
    steps = [Step("Read"), Step("Write", ["Read"], metered=True)]
    counts = [0] * (len(BOUNDS_S) + 1)
    counts[number] = number
    made = {
        "sources": [source(number, *peers)],
        "counters": {
            EVENTS_IN.name: Series("Events.", ("step",), {("Write",): 90.0 * number}),
            BUSY.name: Series("Seconds.", ("step",), {("Write",): float(number)}),
            f"only_{number}_total": Series("Own.", (), {(): 1.0}),
        },
        "histograms": {
            "penstock_request_duration_seconds": Series(
                "Time.", ("request",), {("put",): Reading(tuple(counts), 0.5)}
            )
        },
        "retried": {"put": Retried(float(number), f"reason {number}", "")},
        "letters": [LastLetter(float(number), "kinesis", "e", "r", None, "")],
        "warnings": [Warned(float(number), "warning", f"w{number}")],
        "cpu_s": 2.0,
        "resident_bytes": 5.0,
    }
    return Seen(steps, **{**made, **changes})


def test_it_adds_up():
    total = sum_of([seen(1, shard("a"), shard("b")), seen(2, shard("b", 7.0), shard("c"))])
    (one,) = total.sources
    assert (one.events, one.bytes, one.acknowledged_events, one.returned_chunks) == (300, 3000, 270, 3)
    assert (one.pending_events, one.max_pending_events, one.pending_bytes, one.lag_s) == (30, 100, 200, 2.0)
    assert [(peer.shard_id, peer.behind_s) for peer in one.peers] == [("a", 0.0), ("b", 7.0), ("c", 0.0)]
    assert one.unread == ["shard-9 has no owner"]
    assert total.total_of("Write").events_in == 270
    assert total.rows("only_1_total") == total.rows("only_2_total") == {(): 1.0}
    reading = total.readings("penstock_request_duration_seconds")["put"]
    assert (reading.total, reading.counts[1], reading.counts[2], reading.sum) == (3, 1, 2, 1.0)
    assert total.retried["put"].reason == "reason 1"
    assert [letter.at for letter in total.letters] == [warned.at for warned in total.warnings] == [2.0, 1.0]
    assert (total.cpu_s, total.resident_bytes) == (4.0, 10.0)


@pytest.mark.parametrize(
    ("parts", "connected", "stopping", "failure", "idle"),
    [
        ((), False, False, "", False),
        (({"idle": True}, {"idle": True}), True, False, "", True),
        (({"idle": True}, {}), True, False, "", False),
        (({"stopping": True, "failure": "no disk"}, {}), True, True, "no disk", False),
        (({"sources": [source(1, connected=False)]}, {"sources": []}), False, False, "", False),
    ],
)
def test_states(parts, connected, stopping, failure, idle):
    total = sum_of([seen(1, **changes) for changes in parts])
    assert any(each.connected for each in total.sources) is connected
    assert (total.stopping, total.failure, total.idle) == (stopping, failure, idle)


def test_what_a_dead_one_counted_stays_and_what_waited_there_does_not():
    client = ClientStatus("10.0.0.1:5", 1.0, 10, 0, 5, "", waiting=False)
    total = sum_of([seen(2, client, stopping=True, failure="gone").past(), seen(1)])
    (one,) = total.sources
    assert (one.events, one.acknowledged_events, one.pending_events, one.max_pending_events) == (
        300,
        270,
        10,
        50,
    )
    assert (one.peers, one.lag_s, one.text) == ([], 1.0, "reading as 1")
    assert (total.failure, total.stopping, total.resident_bytes, total.cpu_s) == ("", False, 5.0, 4.0)
    assert total.total_of("Write").events_in == 270
    assert sum_of([sum_of([seen(1).past(), seen(1).past()]), seen(1)]).rows(EVENTS_IN.name) == {
        ("Write",): 270.0
    }


def test_workers_are_shown_and_no_number_is_counted_twice():
    now = 1000.0

    def see():
        total = sum_of([seen(1, shard("a")), seen(2, shard("a"))])
        total.workers = [
            WorkerStatus(n, "ready", "", 40 + n, 9.0, 0, True, round(now) * n, 0, 7, 0.5, now / 2, 1.0) for n in (1, 2)
        ]  # fmt: skip
        total.reasons = ["worker 3 does not come up"]
        return total

    monitor = Monitor("job", "r", [], see=see, clock=lambda: now)
    for _ in range(5):
        now += 1
        monitor.picture = monitor.look()
    told = json.loads(monitor.status_json(0))
    assert [(each["number"], each["in_per_s"], each["cpu"]) for each in told["workers"]] == [
        (1, 1, 0.5),
        (2, 2, 0.5),
    ]
    assert [step["name"] for step in told["steps"]] == ["Read", "Write"]
    assert told["totals"]["in"] == 300
    assert told["job"]["reasons"][0] == "worker 3 does not come up"
    text = monitor.metrics().decode()
    assert 'penstock_worker_events_total{worker="2"} 2010' in text
    assert 'penstock_source_events_total{source="kinesis:orders"} 300' in text
    series = [line.rpartition(" ")[0] for line in text.splitlines() if line[0] != "#"]
    assert len(series) == len(set(series))
    names = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if 'worker="' in line}
    assert all(name.startswith("penstock_worker_") for name in names)
