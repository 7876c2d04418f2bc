"""This benchmark runs both files of `examples/logstash` by `penstock logstash`, beside the two jobs with the same options.

usage: python -P benchmarks/logstash_files.py [beats | kinesis | start] [ROUNDS]

- beats, kinesis: CPU-seconds per million events, warm, as `jobs.py` measures them. Goal: at most 3 % above the job's.
- start: CPU-seconds from the command to the line "ready". Goal: at most 0.3 s above the job's.

Both run in turn in the same run, in the order A B B A; the lowest figures count, as others on the machine only add.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import child_cpu_s, simulator
from jobs import (
    HERE,
    MEASURED,
    ROOT,
    TO_READ,
    WARM_UP,
    aggregated_records,
    fill,
    free_port,
    job,
    leases,
    load,
    program,
    python,
    received,
    wait,
)

FILES = ROOT / "examples" / "logstash"
FASTER = ("shard_bytes_per_second=0", "shard_reads_per_second=0")


@contextmanager
def beats(of_file: bool) -> Iterator[tuple[int, int, float]]:
    """The first file or its job: the process, its port, and the CPU-seconds of its start."""
    port = free_port(None)
    with tempfile.TemporaryDirectory() as folder, simulator("--stream", "kinesis_poc:2", "--forget") as url:
        if of_file:
            sets = [
                f"input.beats.port={port}",
                "input.beats.host=127.0.0.1",
                "output.kinesis.rate_limit=1000000",
            ]
            command = [
                "logstash",
                "-f",
                str(FILES / "beats-to-kinesis.conf"),
                *(f"--set={each}" for each in sets),
            ]
        else:
            command = ["beats-to-kinesis", "--beats_port", str(port), "--stream_name", "kinesis_poc"]
            command += [
                "--region",
                "us-east-1",
                "--randomized_partition_key",
                "--max_pending_records",
                "10000",
            ]
            command += ["--rate_limit", "1000000"]
        with job(command[0], folder, *command[1:], AWS_ENDPOINT_URL=url) as (pid, _):
            yield pid, port, child_cpu_s(pid)


def beats_warm(of_file: bool) -> float:
    with beats(of_file) as (pid, port, _):
        load(port, WARM_UP)
        before = child_cpu_s(pid)
        sent = load(port, MEASURED)
        return (child_cpu_s(pid) - before) / sent * 1e6


@contextmanager
def kinesis(of_file: bool, events: int) -> Iterator[tuple[int, str, float]]:
    """The second file or its job, with events to read: the process, where it writes, and the CPU-seconds of its start."""
    with (
        tempfile.TemporaryDirectory() as folder,
        leases() as endpoint_url,
        simulator("--stream", "kinesis_poc:2") as kinesis_url,
        program(*python(HERE / "null_elasticsearch.py"), wait_for="http") as (_, hosts),
    ):
        fill(kinesis_url, aggregated_records(events))
        if of_file:
            sets = [f"output.elasticsearch.hosts={hosts}", *(f"input.kinesis.{each}" for each in FASTER)]
            command = ["logstash", "-f", str(FILES / "kinesis-to-elasticsearch.conf")]
            command += [f"--set={each}" for each in sets]
        else:
            command = ["kinesis-to-elasticsearch", "--kinesis_stream_name=kinesis_poc"]
            command += [
                "--application_name=kinesis_poc",
                "--region=us-east-1",
                "--checkpoint_interval_seconds=10",
            ]
            command += ["--data_stream=true", f"--hosts={hosts}", *(f"--{each}" for each in FASTER)]
        places = {"AWS_ENDPOINT_URL": endpoint_url, "AWS_ENDPOINT_URL_KINESIS": kinesis_url}
        with job(command[0], folder, *command[1:], **places) as (pid, _):
            yield pid, hosts, child_cpu_s(pid)


def kinesis_warm(of_file: bool) -> float:
    with kinesis(of_file, TO_READ) as (pid, hosts, _):
        wait(lambda: received(hosts) >= WARM_UP)
        before, first = child_cpu_s(pid), received(hosts)
        wait(lambda: received(hosts) >= min(first + MEASURED, TO_READ))
        used, last = child_cpu_s(pid) - before, received(hosts)
        return used / (last - first) * 1e6


def beats_start(of_file: bool) -> float:
    with beats(of_file) as (_, _, started):
        return started


def kinesis_start(of_file: bool) -> float:
    with kinesis(of_file, 0) as (_, _, started):
        return started


def compare(title: str, measure: Callable[[bool], float], rounds: int) -> None:
    """Prints the lowest figures of the job and of the file, and what the file costs more."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for of_file in (False, True) if number % 2 == 0 else (True, False):
            found[of_file].append(measure(of_file))
    job_s, file_s = min(found[False]), min(found[True])
    more = f"{file_s - job_s:+.2f} s" if "start" in title else f"{100 * (file_s / job_s - 1):+.1f} %"
    spread = f"to {max(found[False]):.2f}, to {max(found[True]):.2f}"
    print(f"{title:40} job {job_s:6.2f}   file {file_s:6.2f}   {more}   ({spread}; {rounds} rounds)")


def main() -> None:
    chosen = [each for each in sys.argv[1:] if not each.isdigit()] or ["start", "beats", "kinesis"]
    rounds = next((int(each) for each in sys.argv[1:] if each.isdigit()), 4)
    if "start" in chosen:
        compare("start beats-to-kinesis, CPU-s", beats_start, rounds)
        compare("start kinesis-to-elasticsearch, CPU-s", kinesis_start, rounds)
    if "beats" in chosen:
        compare("beats-to-kinesis, CPU-s per million", beats_warm, rounds)
    if "kinesis" in chosen:
        compare("kinesis-to-elasticsearch, CPU-s per million", kinesis_warm, rounds)


if __name__ == "__main__":
    main()
