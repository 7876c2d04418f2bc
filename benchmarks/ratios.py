"""The core paths against their floors, in one process: one table for people, or lines for programs.

usage: python -P benchmarks/ratios.py [--rounds N] [--json] [--write]

A floor does what nobody can leave out, by libraries in C. Path and floor take turns within one run, in CPU time, and the
least of each counts. So the ratio holds on another machine, and on a busy one. `ratios.json` has the ratios of
the last release, and the packages it was measured with (`--write` writes it); a test fails where one has become a
quarter worse.

- beats to records: windows of a Beat inflated, walked and packed into KPL's records. Floor: inflate, MD5, base64, SHA-256.
- records to events: KPL's records taken apart. Floor: MD5 of them.
- events to bulks: events checked, identified and made to bulks. Floor: orjson.loads and BLAKE2.
- filters: mutate, conditions. Floor: orjson.loads and orjson.dumps.
"""

import argparse
import gc
import hashlib
import json
import sys
import time
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pybase64

sys.path.insert(0, str(Path(__file__).parent))
import filters
import jobs
from beats_load import windows
from elasticsearch_write import ORIGIN
from harness import events

from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.kinesis.kpl._deaggregation import deaggregate_all
from penstock.io.kinesis.write._packing import Packer
from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import payload_of
from penstock.transforms.events import apply
from penstock.transforms.logstash import LogstashFilters

REFERENCE = Path(__file__).with_name("ratios.json")
BATCH = 4000
PACKAGES = ("orjson", "pybase64", "regex")
"""What floors and paths stand on: with older ones, the ratios are others."""


class Pair(NamedTuple):
    """A path and its floor; both do the same number of events."""

    events: int
    path: Callable[[], object]
    floor: Callable[[], object]


def beats_to_records() -> Pair:
    made = windows()[:4]
    packer = Packer(max_count=2**31, max_size=51_200, randomized=True, ordered=False)

    def path() -> None:
        receiver, payloads = Receiver(Limits()), []
        for window in made:
            receiver.receive(window)
            while (stretch := receiver.next_stretch()) is not None:
                payloads += stretch.payloads
        packets, _ = packer.pack(range(len(payloads)), payloads, None, None, aggregate=True)
        body = b"".join(pybase64.b64encode(packet.entry.data) for packet in packets)
        hashlib.sha256(body).hexdigest()

    def floor() -> None:
        blob = b"".join(zlib.decompress(window[12:]) for window in made)
        encoded = []
        for start in range(0, len(blob), 51_200):
            hashlib.md5(blob[start : start + 51_200], usedforsecurity=False).digest()
            encoded.append(pybase64.b64encode(blob[start : start + 51_200]))
        hashlib.sha256(b"".join(encoded)).hexdigest()

    return Pair(len(made) * 2048, path, floor)


def records_to_events() -> Pair:
    records = [each["Data"] for each in jobs.aggregated_records(140 * 100)]
    return Pair(
        140 * 100,
        lambda: deaggregate_all(records),
        lambda: [hashlib.md5(each, usedforsecurity=False).digest() for each in records],
    )


def events_to_bulks() -> Pair:
    payloads = events(BATCH)
    maker = DocumentMaker(ElasticsearchOptions(hosts=["http://127.0.0.1:9200"]))

    def path() -> None:
        decoder = JsonDecoder(keep_documents=False)
        found, letters = decoder.decode([Event(data, ORIGIN, n) for n, data in enumerate(payloads)])
        assert not letters
        maker.bulks(found, 1000, 5 << 20)

    def floor() -> None:
        for data in payloads:
            orjson.loads(data)
            hashlib.blake2b(data[:60], digest_size=16).hexdigest()

    return Pair(BATCH, path, floor)


def filtered() -> Pair:
    payloads = [filters.payload("chain", number) for number in range(BATCH)]
    run = LogstashFilters(filters.CHAINS["chain"][0])._function

    def path() -> None:
        for start in range(0, BATCH, 100):
            batch: list[Event] = [
                Event(data, ORIGIN, n, id=str(n)) for n, data in enumerate(payloads[start : start + 100])
            ]
            found, letters, _ = apply(run, batch, "filters")
            assert not letters
            for each in found:
                payload_of(each)

    return Pair(BATCH, path, lambda: [orjson.dumps(orjson.loads(data)) for data in payloads])


PATHS: dict[str, Callable[[], Pair]] = {
    "beats to records": beats_to_records,
    "records to events": records_to_events,
    "events to bulks": events_to_bulks,
    "filters": filtered,
}


def least(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """The least CPU seconds of each, taken in turn."""
    found = [float("inf")] * len(works)
    for _ in range(rounds):
        for number, work in enumerate(works):
            before = time.process_time()
            work()
            found[number] = min(found[number], time.process_time() - before)
    return found


def measure(rounds: int) -> list[dict[str, Any]]:
    reference = json.loads(REFERENCE.read_text())
    lines = []
    for name, make in PATHS.items():
        count, path, floor = make()
        path(), floor()
        gc.collect()
        gc.freeze()
        ours, least_floor = least([path, floor], rounds)
        lines.append(
            {
                "path": name,
                "us_per_event": round(ours / count * 1e6, 4),
                "floor_us_per_event": round(least_floor / count * 1e6, 4),
                "ratio": round(ours / least_floor, 3),
                "reference": reference.get(name),
            }
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="lines that a program can read")
    parser.add_argument(
        "--write", action="store_true", help="makes these ratios the reference, as a release does"
    )
    given = parser.parse_args()
    lines = measure(given.rounds)
    for line in lines:
        if given.json:
            print(json.dumps(line))
        else:
            print(
                f"  {line['path']:20} {line['us_per_event']:7.3f} us per event, floor {line['floor_us_per_event']:7.3f}: "
                f"{line['ratio']:6.2f} (was {line['reference']})"
            )
    if given.write:
        ratios = {line["path"]: line["ratio"] for line in lines}
        packages = {name: version(name) for name in PACKAGES}
        REFERENCE.write_text(json.dumps({**ratios, "packages": packages}, indent=2) + "\n")


if __name__ == "__main__":
    main()
