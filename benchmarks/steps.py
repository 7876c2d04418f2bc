"""Each step of the two endless jobs, alone: CPU time and instructions per event.

usage: python -P benchmarks/steps.py [--rounds N]

Each step runs alone, in this process, on what the step before it makes of 350-byte events; the least CPU time of N rounds
counts. Instructions are those of valgrind (not shown where it isn't installed): the difference between a process that does
the step five times and one that does it once, so what starting costs is in neither. valgrind knows no AVX-512, so a
step with kernels for it takes more instructions there than in the job.

What is missing of a job's cost (`benchmarks/jobs.py`) is Beam, the sockets and the kernel of the system.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pybase64

sys.path.insert(0, str(Path(__file__).parent))
import jobs
from beats_load import windows
from elasticsearch_write import ORIGIN
from harness import events

from penstock.io.beats.wire._inflate import inflate
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.bulk._bulk import read_reply
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.kinesis.kpl._deaggregation import deaggregate_all
from penstock.io.kinesis.wire._get_reply import decode_get_records
from penstock.io.kinesis.write._packing import Packer
from penstock.transforms.codecs.json_objects import JsonDecoder
from penstock.transforms.kernels._event_lists import events_of, without_id, without_time

COUNT = 140 * 40
WINDOW_HEADER = 6 + 6  # the window's frame, and the head of the compressed one
MANY, ONCE = 6, 1


class Step(NamedTuple):
    """A step: what it does to how many events."""

    events: int
    run: Callable[[], object]


def reply_of(datas: list[bytes]) -> bytes:
    """A GetRecords reply as the service writes it."""
    records = [
        {
            "ApproximateArrivalTimestamp": 1732276800.123,
            "Data": b64encode(data).decode(),
            "PartitionKey": "a",
            "SequenceNumber": f"4953{number:052d}",
        }
        for number, data in enumerate(datas)
    ]
    reply = {"MillisBehindLatest": 0, "NextShardIterator": "A" * 200, "Records": records}
    return json.dumps(reply, separators=(",", ":")).encode()


def steps() -> dict[str, dict[str, Step]]:
    """The steps of each job."""
    payloads = events(COUNT)
    aggregated = [record["Data"] for record in jobs.aggregated_records(COUNT)]
    whole, short = reply_of(aggregated), reply_of(payloads)
    maker = DocumentMaker(ElasticsearchOptions(hosts=["http://127.0.0.1:9200"]))
    decoder = JsonDecoder(keep_documents=False)
    decoded = decoder.decode(events_of(payloads, ORIGIN))[0]
    answer = b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * COUNT) + b"]}"
    window = windows()[0]
    frames = inflate(memoryview(window)[WINDOW_HEADER:], 1 << 30, 1000, 1 << 30)
    assert frames is not None
    plain = window[:6] + frames
    packer = Packer(max_count=2**31, max_size=51_200, randomized=True, ordered=False)
    packets = packer.pack(range(COUNT), payloads, None, None, aggregate=True)[0]

    def read_frames() -> None:
        receiver = Receiver(Limits())
        receiver.receive(plain)
        while receiver.next_stretch() is not None:
            pass

    def encode() -> None:
        hashlib.sha256(b"".join([pybase64.b64encode(packet.entry.data) for packet in packets])).digest()

    make = Step(COUNT, lambda: events_of(payloads, ORIGIN))
    return {
        "beats-to-kinesis": {
            "inflate": Step(
                2048, lambda: inflate(memoryview(window)[WINDOW_HEADER:], 1 << 30, 1000, 1 << 30)
            ),
            "cut frames": Step(2048, read_frames),
            "make events": make,
            "pack KPL's records, MD5": Step(
                COUNT, lambda: packer.pack(range(COUNT), payloads, None, None, aggregate=True)
            ),
            "base64, SHA-256": Step(COUNT, encode),
        },
        "kinesis-to-elasticsearch": {
            "GetRecords' JSON, base64": Step(COUNT, lambda: decode_get_records(whole)),
            "the same, one event per record": Step(COUNT, lambda: decode_get_records(short)),
            "take KPL's records apart, MD5": Step(COUNT, lambda: deaggregate_all(aggregated)),
            "make events": make,
            "check JSON, ids, times": Step(COUNT, lambda: decoder.decode(decoded)),
            "who has no id, no time": Step(COUNT, lambda: (without_id(decoded), without_time(decoded))),
            "bulk bodies": Step(COUNT, lambda: maker.bulks(decoded, 1000, 5 << 20)),
            "bulk replies": Step(COUNT, lambda: read_reply(answer, COUNT)),
        },
    }


def nanoseconds(step: Step, rounds: int) -> float:
    """The least CPU time per event."""
    least = float("inf")
    for _ in range(rounds):
        before = time.process_time_ns()
        step.run()
        least = min(least, time.process_time_ns() - before)
    return least / step.events


def instructions(job: str, name: str, step: Step) -> float:
    """Instructions per event, by valgrind."""
    counted = [collected(job, name, times) for times in (ONCE, MANY)]
    return (counted[1] - counted[0]) / (MANY - ONCE) / step.events


def collected(job: str, name: str, times: int) -> int:
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        sys.executable,
        "-P",
        __file__,
    ]
    done = subprocess.run(
        [*command, "--inside", job, name, str(times)], capture_output=True, text=True, check=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def main() -> None:
    if sys.argv[1:2] == ["--inside"]:
        job, name, times = sys.argv[2:]
        step = steps()[job][name]
        for _ in range(int(times)):
            step.run()
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    counts = shutil.which("valgrind") is not None
    for job, its in steps().items():
        print(f"\n{job}\n  {'step':34} {'ns per event':>12} {'instructions':>13}")
        for name, step in its.items():
            shown = f"{instructions(job, name, step):13,.0f}" if counts else ""
            print(f"  {name:34} {nanoseconds(step, rounds):12.0f} {shown}", flush=True)


if __name__ == "__main__":
    main()
