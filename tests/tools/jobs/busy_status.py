"""A status page with an hour of numbers that nobody has to wait for: many shards and clients, trouble, long names.

usage: busy_status.py KIND [PEERS [WORKERS]]

Prints its address and serves until it is ended. KIND: `kinesis` or `beats` in trouble; `well`, a reader that is not; `two`,
that one with another job beside it.
"""

import itertools
import logging
import math
import random
import sys
import time

from penstock.io.chain.live_objects import LIVE, LiveSource
from penstock.io.chain.source_status import ClientStatus, ShardStatus
from penstock.io.meters import METERS
from penstock.pipelines.status import Monitor, StatusServer
from penstock.pipelines.status.history import EVERY_S, POINTS
from penstock.pipelines.status.seen import Seen, WorkerStatus, look_here
from penstock.pipelines.status.step_meters import BYTES_IN, EVENTS_IN, Step
from penstock.transforms.batch import DeadLetter, Event

LONG = "http.response.body.bytes.of.a.very.long.name.that.goes.on." + "x" * 60
REASON = (
    f"failed to parse field [{LONG}] of type [long] in document with id '1uifD4OelO3i_APc9qvOskA0'. "
    "Preview of field's value: 'n/a'"
)
BEHIND_S = [93.0, 61.2, 4.5, 0.0, None]
DAY_S = 86_400.0
TAKEN_IN, PER_S, EVENT_BYTES, CPU_S = 184_220_117, 3000, 352, 2.5e-4
"""Events until now and per second, the bytes of each, and the CPU seconds that it costs."""


class Origin:
    arrived_ms = 0

    def position(self):
        return None

    def describe(self):
        return {
            "stream": "orders-production",
            "shard_id": "shardId-000000000007",
            "sequence_number": "4959" * 14,
        }


class Source(LiveSource):
    def __init__(self, key, text, peers, lag_s):
        super().__init__(key, max_pending_events=50_000, max_pending_bytes=64 << 20)
        self._text, self._peers, self._lag_s = text, peers, lag_s
        self.pending_events = 48_213 if lag_s > 1 else 812
        self.taken_in_events, self.taken_in_bytes = TAKEN_IN, TAKEN_IN * EVENT_BYTES
        self.acknowledged_events = TAKEN_IN - self.pending_events

    def describe(self):
        return self._text

    def peers(self):
        return self._peers

    def oldest_ms(self):
        return int(time.time() * 1000) - int(1000 * self._lag_s)


def shard(number, well):
    return ShardStatus(
        shard_id=f"shardId-{number:012d}",
        behind_s=0.3 if well else BEHIND_S[number] if number < len(BEHIND_S) else 0.0,
        events=15_000_000 + number * 7919,
        bytes=5_400_000_000 + number * 1_000_003,
        throttled=number % 3,
        checkpoint=f"49590338271490256608559692538361571095921575989136588898:{number}",
        checkpoint_age_s=None if number == 4 else 7.0 + number % 3,
        unwritten=number % 2 == 0,
        retention_s=DAY_S,
    )


def client(number):
    return ClientStatus(
        address=f"[2001:db8::{number:x}]:50000" if number % 5 == 0 else f"10.20.{number}.7:{50_000 + number}",
        connected_s=86_400.0 - number * 999,
        pending_events=max(0, 9000 - 600 * number),
        acknowledged_events=3_000_000 - number * 1111,
        bytes=900_000_000,
        tls="TLSv1.3",
        waiting=number < 3,
    )


def points(requests):
    """An hour with a stall of the sink, and how the job caught up."""
    chance = random.Random(7)
    for index in range(POINTS):
        wave = PER_S + 1200 * math.sin((index - POINTS) / 60) + chance.gauss(0, 150)
        stalled, catching_up = 560 < index < 600, 600 <= index < 640
        point = {
            "in": wave,
            "out": 0.0 if stalled else wave * (1.6 if catching_up else 1),
            "bytes": wave * EVENT_BYTES,
            "lag_s": (index - 560) * 5.0 if stalled else 200 - 5 * (index - 600.0) if catching_up else 0.3,
            "pending": 50_000.0 if stalled else 812 + chance.gauss(0, 40),
            "dead_letters": 0.4 if chance.random() < 0.03 else 0.0,
            "retries": 400.0 if stalled else 0.0,
            "p99 delivery": None if stalled else 0.4 + chance.random() / 10,
        }
        for request in requests:
            point[f"p50 {request}"] = 0.02 + chance.random() / 200
            point[f"p99 {request}"] = 0.3 if stalled else 0.09 + chance.random() / 20
        yield time.time() - (POINTS - index) * EVERY_S, point


def workers_of(count, source, started):
    """They share what the source tells. Of eight, the fifth is down; the fourth was killed too, and runs again."""
    weights = [0 if number == 5 else 110 - 5 * number for number in range(1, count + 1)]
    taken = shared(source.events, weights)
    waiting = shared(source.pending_events, weights)
    for number, (events, pending) in enumerate(zip(taken, waiting, strict=True), 1):
        down, again = number == 5, number in (4, 5)
        yield WorkerStatus(
            number=number,
            state="waiting" if down else "ready",
            why="was killed by signal 9" if again else "",
            pid=None if down else 4710 + number,
            since=time.time() - 1140 if again else started,
            restarts=2 if again else 0,
            ready=not down,
            events=events,
            acknowledged_events=events - pending,
            pending_events=pending,
            lag_s=0.0 if down else source.lag_s,
            cpu_s=events * CPU_S,
            resident_bytes=0.0 if down else 168e6,
        )


def shared(amount, weights):
    """Divides a whole number by weights, so that the parts sum up to it."""
    edges = [amount * part // max(1, sum(weights)) for part in itertools.accumulate(weights, initial=0)]
    return [after - before for before, after in itertools.pairwise(edges)]


def main(kind, peers=None, workers=0):
    well = kind in ("well", "two")
    if kind == "beats":
        clients = [client(n) for n in range(60 if peers is None else peers)]
        source = Source("beats 0.0.0.0:5044", "listening for Beats", clients, 93.0)
        steps, requests = ["ReadFromBeats", "WriteToKinesis"], ["kinesis_put_records"]
    else:
        shards = [shard(n, well) for n in range(24 if peers is None else peers)]
        source = Source("kinesis:orders:shipper", "reading stream orders", shards, 0.3 if well else 93.0)
        steps = ["ReadFromKinesis", "Decode", "AddDataCentreAndOwnerToEachEvent", "WriteToElasticsearch"]
        requests = ["elasticsearch_bulk", "kinesis_get_records"]
    if well:
        steps.remove("AddDataCentreAndOwnerToEachEvent")
    steps += ["WriteDeadLetters", "Acknowledge"]
    LIVE.get(source.key, lambda: source)

    def count(events):
        """Takes note of events that went through all steps."""
        for step in steps:
            EVENTS_IN.of(step).add(events)
            BYTES_IN.of(step).add(events * EVENT_BYTES)

    count(source.acknowledged_events)
    if not well:
        METERS.counter("penstock_step_refused_events_total", "", "step").of(steps[-3]).add(1204)
        METERS.counter("penstock_step_failures_total", "", "step").of(steps[-3]).add(2)
        letter = DeadLetter(
            Event(b"", Origin(), 0), "document_parsing_exception", REASON, "elasticsearch", 400
        )
        METERS.kept([letter] * 20)
    graph = [Step(step, steps[max(0, i - 1) : i], metered=i > 0) for i, step in enumerate(steps)]
    started = time.time() - TAKEN_IN / PER_S

    def see():
        seen = look_here(graph, time.monotonic())
        seen.workers = list(workers_of(workers, seen.sources[0], started))
        seen.cpu_s += sum(each.cpu_s for each in seen.workers)
        seen.resident_bytes += sum(each.resident_bytes for each in seen.workers)
        return seen

    name = "beats-to-kinesis" if kind == "beats" else "kinesis-to-elasticsearch"
    monitor = Monitor(name, "DirectRunner", graph, see=see)
    monitor.job.started_at = started
    for at, point in points(requests):
        monitor.history.add(at, point)
    monitor.start()
    if not well:
        logging.getLogger("penstock.io").warning("Elasticsearch at https://es-1.example.org:9200: status 429")
    others = [Monitor("beats-to-kinesis", "DirectRunner", [], see=Seen)] if kind == "two" else []
    server = StatusServer(monitor, "127.0.0.1", 0, others=others)
    server.start()
    print(server.url, flush=True)
    busy = METERS.counter("penstock_step_busy_seconds_total", "", "step").of(steps[-3])
    last = time.monotonic()
    while True:
        time.sleep(0.5)
        METERS.requested(requests[0], random.uniform(0.02, 0.07), 900_000)
        busy.add(0.2 if well else 0.46)
        if not well:
            METERS.retried(requests[0], "429", 200)
            continue
        before, last = last, time.monotonic()  # a busy machine sleeps for longer
        events = round((last - before) * PER_S)
        count(events)
        source.taken_in_events += events
        source.taken_in_bytes += events * EVENT_BYTES
        source.acknowledged_events += events
        METERS.delivery.of(source.key).observe(random.uniform(0.15, 0.4), events)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
