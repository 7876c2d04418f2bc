"""`memory_of_events.py KIND:BYTES ...` fills sources until their bound on memory stops them, and prints how much that takes.

A line per pair, from a process of its own: how much it has grown when the source is full, and the most. KIND is one of
`beats` (events of one client), `kinesis` (each its own record), `aggregated` (twenty share one), `archive`: plain records
in an archive whose uploads stand still until all is full, and then go on.
"""

import os
import sys
import threading
from pathlib import Path

from penstock.io.archive import ArchiveOptions
from penstock.io.archive.files import encode
from penstock.io.archive.sink import Archive
from penstock.io.beats.origin import BeatsClient
from penstock.io.chain.live_objects import Chunk, LiveSource
from penstock.io.kinesis.positions import RECORD_BYTES, KinesisRecord
from penstock.transforms.batch import Event

BOUND = 24 << 20
SHARD = "shardId-000000000000"
CLIENT = BeatsClient("10.0.0.7", 51544)
FIRST = 49600000000000000000000000000000000000000000000000000000


class Live(LiveSource):
    """As the archive sees a Kinesis stream of one shard."""

    all_handed_out = False

    def shards_of(self, tokens):
        return dict.fromkeys(tokens, SHARD)

    def store_checkpoint(self, shard_id, timeout_s):
        return True


def grown():
    """Bytes that the process holds, in all its memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def chunk(kind, size, start):
    """Events as the sources make them."""
    events, records = [], 0
    for number in range(start, start + (500 if size < 1000 else 1)):
        origin = CLIENT
        if kind == "kinesis" or (kind == "aggregated" and (not events or number % 20 == 0)):
            records += 1
            origin = KinesisRecord(
                "orders", SHARD, str(FIRST + number), f"{number:032x}", 1_795_348_800_000 + number, 0
            )
        elif kind == "aggregated":
            origin = events[-1].origin
        events.append(Event(b"%010d" % number + os.urandom(size - 10), origin, number))
    return Chunk(events, size * len(events), None, None, RECORD_BYTES * records)


def measure(kind, size):
    live = Live("events", max_pending_events=1 << 40, max_pending_bytes=BOUND)
    archive, gate = None, threading.Event()
    if kind == "archive":
        kind = "kinesis"

        def put(name, body):
            return gate.wait()

        archive = Archive(ArchiveOptions(archive="s3://bucket", roll_bytes=BOUND // 3), live, put)
        encode(chunk(kind, 10, 0).events, "parquet", "zstd")  # what the libraries take once
    before, start = grown(), 0
    while live.offer(one := chunk(kind, size, start), give_up=lambda: not live._has_room(0, one.memory)):
        start += len(one.events)
        if archive is not None:
            batch = live.take(0)
            archive.append(batch.events, batch.receipt.tokens)
            del batch
    held = most = grown() - before
    if archive is not None:
        gate.set()
        flushing = threading.Thread(target=archive.flush)
        flushing.start()
        while flushing.is_alive():
            flushing.join(0.005)
            most = max(most, grown() - before)
    print(held, most, flush=True)


def main(pairs):
    for pair in pairs:
        kind, _, size = pair.partition(":")
        child = os.fork()
        if not child:
            measure(kind, int(size))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main(sys.argv[1:])
