"""A status page with an hour of numbers that nobody has to wait for: many shards and clients, trouble, long names.

usage: busy_status.py KIND        prints its address and serves until it is ended; KIND: kinesis, beats
"""

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
from penstock.pipelines.status.step_meters import Step
from penstock.transforms.batch import DeadLetter, Event

LONG = "http.response.body.bytes.of.a.very.long.name.that.goes.on." + "x" * 60
REASON = (
    f"failed to parse field [{LONG}] of type [long] in document with id '1uifD4OelO3i_APc9qvOskA0'. "
    "Preview of field's value: 'n/a'"
)
BEHIND_S = [93.0, 61.2, 4.5, 0.0, None]


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
    def __init__(self, key, text, peers):
        super().__init__(key, max_pending_events=50_000, max_pending_bytes=64 << 20)
        self._text, self._peers = text, peers
        self.taken_in_events, self.taken_in_bytes = 184_220_117, 64_000_000_000
        self.acknowledged_events, self.pending_events = 184_171_904, 48_213

    def describe(self):
        return self._text

    def peers(self):
        return self._peers

    def oldest_ms(self):
        return int(time.time() * 1000) - 93_000


def shard(number):
    return ShardStatus(
        shard_id=f"shardId-{number:012d}",
        behind_s=BEHIND_S[number] if number < len(BEHIND_S) else 0.0,
        events=15_000_000 + number * 7919,
        bytes=5_400_000_000 + number * 1_000_003,
        throttled=number % 3,
        checkpoint=f"49590338271490256608559692538361571095921575989136588898:{number}",
        checkpoint_age_s=None if number == 4 else 7.0 + number,
        unwritten=number % 2 == 0,
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
        wave = 3000 + 1200 * math.sin(index / 60) + chance.gauss(0, 150)
        stalled, catching_up = 560 < index < 600, 600 <= index < 640
        point = {
            "in": wave,
            "out": 0.0 if stalled else wave * (1.6 if catching_up else 1),
            "bytes": wave * 352,
            "lag_s": (index - 560) * 5.0 if stalled else 200 - 5 * (index - 600.0) if catching_up else 0.3,
            "pending": 50_000.0 if stalled else 900 + chance.gauss(0, 200),
            "dead_letters": 0.4 if chance.random() < 0.03 else 0.0,
            "retries": 400.0 if stalled else 0.0,
            "p99 delivery": None if stalled else 1.2 + chance.random(),
        }
        for request in requests:
            point[f"p50 {request}"] = 0.02 + chance.random() / 200
            point[f"p99 {request}"] = 0.3 if stalled else 0.09 + chance.random() / 20
        yield time.time() - (POINTS - index) * EVERY_S, point


def main(kind):
    if kind == "kinesis":
        source = Source("kinesis:orders:shipper", "reading stream orders", [shard(n) for n in range(24)])
        steps = ["ReadFromKinesis", "Decode", "AddDataCentreAndOwnerToEachEvent", "WriteToElasticsearch"]
        requests = ["elasticsearch_bulk", "kinesis_get_records"]
    else:
        source = Source("beats 0.0.0.0:5044", "listening for Beats", [client(n) for n in range(60)])
        steps, requests = ["ReadFromBeats", "WriteToKinesis"], ["kinesis_put_records"]
    steps += ["WriteDeadLetters", "Acknowledge"]
    LIVE.get(source.key, lambda: source)
    for step in steps:
        METERS.counter("penstock_step_events_in_total", "", "step").of(step).add(184_000_000)
    METERS.counter("penstock_step_refused_events_total", "", "step").of(steps[-3]).add(1204)
    METERS.counter("penstock_step_failures_total", "", "step").of(steps[-3]).add(2)
    letter = DeadLetter(Event(b"", Origin(), 0), "document_parsing_exception", REASON, "elasticsearch", 400)
    METERS.kept([letter] * 20)
    graph = [Step(step, steps[max(0, i - 1) : i], metered=i > 0) for i, step in enumerate(steps)]
    monitor = Monitor("kinesis-to-elasticsearch", "DirectRunner", graph)
    monitor.job.started_at -= 260_000
    for at, point in points(requests):
        monitor.history.add(at, point)
    monitor.start()
    logging.getLogger("penstock.io").warning("Elasticsearch at https://es-1.example.org:9200: status 429")
    server = StatusServer(monitor, "127.0.0.1", 0)
    server.start()
    print(server.url, flush=True)
    busy = METERS.counter("penstock_step_busy_seconds_total", "", "step").of(steps[-3])
    while True:
        time.sleep(0.5)
        METERS.requested(requests[0], random.uniform(0.02, 0.07), 900_000)
        METERS.retried(requests[0], "429", 200)
        busy.add(0.46)


if __name__ == "__main__":
    main(sys.argv[1])
