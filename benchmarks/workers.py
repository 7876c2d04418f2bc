"""Two worker processes of a job against one: events per second, and what each core gives that the peers leave.

usage: python -P benchmarks/workers.py [beats-to-kinesis | kinesis-to-elasticsearch] [--rounds N] [--seconds S]
       [--workers N]

The peers run on the same cores and would decide the result. So they are the cheapest that there are (`null_kinesis`,
`null_elasticsearch`, `beats_load`), and what they use is shown and taken out:

    left(n)   = cores that the peers and everybody else left to the job's n processes, while it ran:
                (CPU-s of the job + CPU-s idle) / seconds, but at most n
    rate(n)   = events per second of the job with n processes
    speed-up  = N * (rate(N) / left(N)) / (rate(1) / left(1))          goal for N = 2: 1.8

Idle time counts as left to the job, so a job that waits for itself has a bad speed-up. With one process `left` is at
most what one process can use: 1, or what it did use (C code beside the GIL makes it a little more).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from harness import child_cpu_s, load_package, resident_mb

load_package("tests")
load_package("local")
from jobs import HERE, free_port, job, leases, program, python, reading, received, wait

from tests.tools.machine.listening import process_tree

SHARDS, CLIENTS = 4, 16
WARM_UP, LEAST = 200_000, 300_000
"""Events before the first sample, and at least as many between the two: a busy machine needs longer for them."""


class Sample(NamedTuple):
    """The counts at one moment."""

    at: float
    events: int
    job_s: float
    peers_s: dict[str, float]
    idle_s: float


class Figures(NamedTuple):
    """What one run gave."""

    rate: float
    job_s: float
    peers_s: dict[str, float]
    left: float
    job_cores: float
    memory: list[float]


def idle_s() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def sample(pid: int, peers: dict[str, int], events: Callable[[], int]) -> Sample:
    job_s = sum(map(child_cpu_s, process_tree(pid)))
    return Sample(
        time.monotonic(), events(), job_s, {name: child_cpu_s(each) for name, each in peers.items()}, idle_s()
    )


def measured(
    pid: int, workers: int, peers: dict[str, int], events: Callable[[], int], seconds: float
) -> Figures:
    """Two samples, some seconds apart, when the job has warmed up."""
    wait(lambda: events() > WARM_UP)
    first = sample(pid, peers, events)
    time.sleep(seconds)
    wait(lambda: events() - first.events > LEAST)
    last = sample(pid, peers, events)
    passed, count = last.at - first.at, last.events - first.events
    used = last.job_s - first.job_s
    left = min(max(workers, used / passed), (used + last.idle_s - first.idle_s) / passed)
    return Figures(
        count / passed,
        used / count * 1e6,
        {name: (last.peers_s[name] - first.peers_s[name]) / count * 1e6 for name in peers},
        left,
        used / passed,
        [resident_mb(each) for each in sorted(process_tree(pid))],
    )


def several(workers: int) -> list[str]:
    return ["--workers", str(workers)] if workers > 1 else []


def beats_to_kinesis(workers: int, seconds: float) -> Figures:
    port, status = free_port(None), free_port(None)
    with (
        tempfile.TemporaryDirectory() as folder,
        program(*python(HERE / "null_kinesis.py", str(SHARDS)), wait_for="http") as (kinesis, endpoint_url),
    ):
        options = ["--beats_port", str(port), "--stream_name", "kinesis_poc", "--endpoint_url", endpoint_url]
        options += ["--randomized_partition_key", "--max_pending_records", "60000", "--rate_limit", "1000000"]
        options += ["--status_port", str(status), *several(workers)]
        with job("beats-to-kinesis", folder, *options) as (pid, _), load(port) as (beats, acknowledged):
            wait(lambda: ready(status, workers))
            return measured(
                pid, workers, {"stand-in of Kinesis": kinesis, "load": beats}, acknowledged, seconds
            )


@contextlib.contextmanager
def load(port: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """Beats that send until the end; gives their process and how to ask what is acknowledged."""
    with tempfile.TemporaryFile("w+b") as lines:
        command = [*map(str, python(HERE / "beats_load.py", "127.0.0.1", str(port), str(CLIENTS), "0"))]
        process = subprocess.Popen(command, stdout=lines)
        count = 0

        def acknowledged() -> int:
            """Waits for the next line, so that the moment is the line's."""
            nonlocal count
            seen = os.fstat(lines.fileno()).st_size
            while os.fstat(lines.fileno()).st_size == seen:
                time.sleep(0.002)
            text = os.pread(lines.fileno(), 200, max(0, os.fstat(lines.fileno()).st_size - 200))
            count = int(text.decode().rpartition("\n")[0].split()[-1])  # the last line may lack its end
            return count

        try:
            yield process.pid, acknowledged
        finally:
            process.kill()
            process.wait()


def kinesis_to_elasticsearch(workers: int, seconds: float) -> Figures:
    status = free_port(None)
    with (
        leases() as endpoint_url,
        tempfile.TemporaryDirectory() as folder,
        program(*python(HERE / "null_kinesis.py", str(SHARDS)), wait_for="http") as (kinesis, kinesis_url),
        program(*python(HERE / "null_elasticsearch.py"), wait_for="http") as (elasticsearch, hosts),
    ):
        options = [*reading(hosts), "--status_port", str(status), *several(workers)]
        variables = {"AWS_ENDPOINT_URL": endpoint_url, "AWS_ENDPOINT_URL_KINESIS": kinesis_url}
        with job("kinesis-to-elasticsearch", folder, *options, **variables) as (pid, _):
            wait(lambda: ready(status, workers) and received(hosts) > 0)
            peers = {"stand-in of Kinesis": kinesis, "stand-in of Elasticsearch": elasticsearch}
            return measured(pid, workers, peers, lambda: received(hosts), seconds)


def ready(port: int, workers: int) -> bool:
    """Whether every worker has begun, and gets events."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json?since=0", timeout=30) as reply:
        told = json.load(reply).get("workers") or []
    return workers == 1 or (len(told) == workers and all(each["ready"] and each["events"] for each in told))


JOBS = {"beats-to-kinesis": beats_to_kinesis, "kinesis-to-elasticsearch": kinesis_to_elasticsearch}


def middle(runs: Sequence[Figures], of: Callable[[Figures], float]) -> float:
    return statistics.median(map(of, runs))


def report(name: str, runs: dict[int, list[Figures]]) -> None:
    one, several = min(runs), max(runs)
    print(f"{name}: medians of {len(runs[one])} rounds")
    names = list(runs[one][0].peers_s)
    print(f"  {'':16} events/s  cores left  cores used  CPU-s per million events: job, {', '.join(names)}")
    for count, found in runs.items():
        peers = ", ".join(f"{middle(found, lambda run, each=each: run.peers_s[each]):.2f}" for each in names)
        print(
            f"  {count} process{'es' if count > 1 else '  '}      {middle(found, lambda run: run.rate):8,.0f}"
            f"  {middle(found, lambda run: run.left):10.2f}  {middle(found, lambda run: run.job_cores):10.2f}"
            f"  {middle(found, lambda run: run.job_s):.2f}, {peers}"
        )
    pairs = list(zip(runs[one], runs[several], strict=True))
    raw = statistics.median(many.rate / single.rate for single, many in pairs)
    ups = [several * (many.rate / many.left) / (single.rate / single.left) for single, many in pairs]
    print(
        f"  raw: {raw:.2f} times; speed-up per core that is left: {statistics.median(ups):.2f} "
        f"({min(ups):.2f} - {max(ups):.2f})   goal for two: 1.8"
    )
    memory = ", ".join(f"{each:.0f}" for each in runs[several][-1].memory)
    print(
        f"  resident MB at the end: one process {runs[one][-1].memory[0]:.0f}; parent and workers {memory}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", nargs="?", choices=JOBS, help="both where none is given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    for name in [arguments.job] if arguments.job else JOBS:
        runs: dict[int, list[Figures]] = {1: [], arguments.workers: []}
        for number in range(arguments.rounds):
            order = [1, arguments.workers] if number % 2 == 0 else [arguments.workers, 1]
            for count in order:
                runs[count].append(JOBS[name](count, arguments.seconds))
        report(name, runs)


if __name__ == "__main__":
    main()
