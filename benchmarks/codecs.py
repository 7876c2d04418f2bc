"""What codecs cost: CPU-seconds per million events, from a record's bytes to events with ids, beside a floor.

usage: python -P benchmarks/codecs.py [ROUNDS]

The floors do what nobody can leave out, and nothing else: `gzip.decompress` and one `orjson.loads` of a record of
CloudWatch Logs; `str.split` of a line; `orjson.loads` of each object of newline-delimited JSON. The records are the
samples of our tests, repeated with other numbers.
"""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent))
from harness import cpu_per_million, load_package, print_table, rounds

load_package("tests")

from penstock.transforms.batch import Event
from penstock.transforms.codecs.options import DecodeOptions
from tests.tools.events import ToyOrigin
from tests.unit.codecs import samples

EVENTS = 40_000
PER_RECORD = 100
ORIGIN = ToyOrigin(b"position")


def decoded(codec: str, records: list[bytes], count: int) -> Callable[[], float]:
    """A contender: the codec over these records, which hold `count` events."""
    decoder = DecodeOptions(codec=codec).decoder(keep_documents=False)

    def work() -> int:
        found = 0
        for index, record in enumerate(records):
            events, letters = decoder.decode([Event(record, ORIGIN, index)])
            assert not letters
            found += len(events)
        assert found == count
        return found

    return lambda: cpu_per_million(work)


def floor(work: Callable[[bytes], object], records: list[bytes], count: int) -> Callable[[], float]:
    """A contender: a bare function over these records."""

    def run() -> int:
        for record in records:
            work(record)
        return count

    return lambda: cpu_per_million(run)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    records = EVENTS // PER_RECORD
    text = (
        "START RequestId: 5f0e4bb1-1d36-4f1a-8f0e-0b8a3a7d9b11 Version: $LATEST {}"
        + " user-agent=Mozilla/5.0" * 9
    )
    logs = [
        gzip.compress(samples.subscription(*(text.format(n * PER_RECORD + m) for m in range(PER_RECORD))), 6)
        for n in range(records)
    ]
    table = {
        "floor: gunzip, orjson.loads per record": floor(
            lambda z: orjson.loads(gzip.decompress(z)), logs, EVENTS
        ),
        "cloudwatch_logs": decoded("cloudwatch_logs", logs, EVENTS),
    }
    print_table("CloudWatch Logs, gzip, 100 events of 290 bytes per record", rounds(table, count))
    one = b'{"@timestamp":"2026-11-22T13:28:38.181Z","message":"%s","n":%d}'
    objects = [[one % (b"x" * 280, n * PER_RECORD + m) for m in range(PER_RECORD)] for n in range(records)]
    lines, joined = [b"\n".join(each) for each in objects], [b"".join(each) for each in objects]
    table = {
        "floor: orjson.loads per line": floor(
            lambda record: [orjson.loads(line) for line in record.split(b"\n")], lines, EVENTS
        ),
        "json, newline-delimited": decoded("json", lines, EVENTS),
        "json, without a separator": decoded("json", joined, EVENTS),
    }
    print_table("JSON, 100 objects of 350 bytes per record", rounds(table, count))
    for codec, sample in (
        ("vpcflow", samples.VPC),
        ("alb", samples.ALB),
        ("elb", samples.ELB),
        ("s3access", samples.S3_ACCESS),
        ("cloudfront_realtime", samples.REALTIME),
    ):
        texts = [b"\n".join([sample] * PER_RECORD)] * records
        table = {
            "floor: str.split per line": floor(
                lambda record: [line.split() for line in record.decode().split("\n")], texts, EVENTS
            ),
            codec: decoded(codec, texts, EVENTS),
        }
        print_table(f"{codec}, lines of {len(sample)} bytes", rounds(table, count))


if __name__ == "__main__":
    main()
