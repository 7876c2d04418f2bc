"""This benchmark measures codecs: CPU-seconds per million events, from a record's bytes to events with ids, beside a floor.

usage: python -P benchmarks/codecs.py [ROUNDS]

The floors do what nobody can leave out, and nothing else: `gzip.decompress` and one `orjson.loads` of a record of
CloudWatch Logs; `str.split` of a line; `orjson.loads` of each object of newline-delimited JSON. The records are the
samples of our tests, repeated with other numbers.
"""

import gzip
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parent))
from harness import cpu_per_million, load_package, print_table, rounds

load_package("tests")

from penstock.transforms.batch import Event
from penstock.transforms.codecs.options import DecodeOptions
from tests.tools.samples.events import ToyOrigin
from tests.unit.codecs import samples

EVENTS = 40_000
PER_RECORD = 100
BATCH = 2000
FRONT_FIELDS = samples.CLOUDFRONT.splitlines()[1].decode().removeprefix("#Fields:").split()
ORIGIN = ToyOrigin(b"position")


def decoded(codec: str, records: list[bytes], count: int, **options: Any) -> Callable[[], float]:
    """A contender: the codec over these records, which hold `count` events."""
    decoder = DecodeOptions(codec=codec, **options).decoder(keep_documents=False)

    batch = max(1, BATCH * len(records) // count)

    def work() -> int:
        found = 0
        for first in range(0, len(records), batch):
            given = [Event(each, ORIGIN, n) for n, each in enumerate(records[first : first + batch], first)]
            events, letters = decoder.decode(given)
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


def varied_text(chance: random.Random) -> str:
    """A line as a service logs a request, where half of the characters are ids, times and sizes."""
    number, octet = chance.randrange, lambda: chance.randrange(256)
    return (
        f"2026-11-22T13:28:{number(60):02d}.{number(10**6):06d}Z INFO request={chance.randbytes(16).hex()} "
        f"trace=Root=1-{chance.randbytes(4).hex()}-{chance.randbytes(12).hex()} client=10.{octet()}.{octet()}.{octet()} "
        f"path=/api/orders/{number(10**9)}/items status={chance.choice((200, 201, 404, 500))} bytes={number(10**5)} "
        f"duration_ms={chance.random() * 900:.3f} user={chance.randbytes(8).hex()} agent=Mozilla/5.0"
    )


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
    chance = random.Random(24)
    varied = [
        gzip.compress(samples.subscription(*(varied_text(chance) for _ in range(PER_RECORD))), 6)
        for _ in range(records)
    ]
    for what, each in (
        ("messages all but the same", logs),
        ("messages with ids and times of their own", varied),
    ):
        table = {
            "floor: gunzip, orjson.loads per record": floor(
                lambda z: orjson.loads(gzip.decompress(z)), each, EVENTS
            ),
            "cloudwatch_logs": decoded("cloudwatch_logs", each, EVENTS),
        }
        size = sum(map(len, each)) / EVENTS
        title = f"CloudWatch Logs, 100 events of about 290 bytes per record ({size:.0f} in gzip), {what}"
        print_table(title, rounds(table, count))
    one = b'{"@timestamp":"2026-11-22T13:28:38.181Z","message":"%s","n":%d}'
    objects = [[one % (b"x" * 280, n * PER_RECORD + m) for m in range(PER_RECORD)] for n in range(records)]
    lines, joined = [b"\n".join(each) for each in objects], [b"".join(each) for each in objects]
    table = {
        "floor: orjson.loads per line": floor(
            lambda record: [orjson.loads(line) for line in record.split(b"\n")], lines, EVENTS
        ),
        "json, newline-delimited": decoded("json", lines, EVENTS),
        "json, without a separator": decoded("json", joined, EVENTS),
        "auto, newline-delimited": decoded("auto", lines, EVENTS),
    }
    print_table("JSON, 100 objects of 350 bytes per record", rounds(table, count))
    columns = {"codec_fields": ["name", "count:int", "note", "ok:bool"]}
    for codec, sample, options in (
        ("vpcflow", samples.VPC, {}),
        ("alb", samples.ALB, {}),
        ("nlb", samples.NLB, {}),
        ("elb", samples.ELB, {}),
        ("s3access", samples.S3_ACCESS, {}),
        ("cloudfront", samples.CLOUDFRONT.splitlines()[2], {"codec_fields": FRONT_FIELDS}),
        ("cloudfront_realtime", samples.REALTIME, {}),
        ("csv", b'anna,17,"a, quoted note of some length",true', columns),
        ("tsv", b"anna\t17\ta note of some length\ttrue", columns),
        ("lines", b"x" * 100, {}),
        ("lines, joined by a pattern", b"x" * 100, {"codec_multiline": r"^\s"}),
    ):
        texts = [b"\n".join([sample] * PER_RECORD)] * records
        table = {
            "floor: str.split per line": floor(
                lambda record: [line.split() for line in record.decode().split("\n")], texts, EVENTS
            ),
            codec: decoded(codec.partition(",")[0], texts, EVENTS, **options),
            f"{codec}, a record per line": decoded(
                codec.partition(",")[0], [sample] * EVENTS, EVENTS, **options
            ),
        }
        print_table(f"{codec}, lines of {len(sample)} bytes", rounds(table, count))


if __name__ == "__main__":
    main()
