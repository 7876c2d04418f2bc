"""The fused batch path on Flink beside the same path on the FnApiRunner, and two worker processes beside one.

usage: python -P benchmarks/flink.py [--rounds N] [--seconds N] [--job JOB] [Beam's options for Flink], JOB is one of:

- path, the job of `flink_load.py`: a source that is never empty, DecodeJson, a sink that drops what it made, Acknowledge; no
  peer takes any time. Each worker counts what is acknowledged, and its CPU time over the same seconds.
- kinesis-to-elasticsearch, from aggregated records in two shards of the tests' simulator to an endpoint that stores
  nothing. The servers share the machine's cores with the workers, so by the clock two workers can't be twice as fast here.

Two figures, both of the workers alone: events per second by the clock, all workers together, which hold as far as nobody
else uses the machine; and CPU-seconds per million events. Of two workers that share no lock and have a core each, the
CPU time alone tells how much they do: twice the first's, less what an event costs more in their company.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from harness import child_cpu_s, load_package, simulator

load_package("local")
load_package("tests")
import jobs

from local.flink.cache import find_flink
from local.flink.cluster import FlinkCluster
from local.processes import clean_up_on_signals, end_all
from local.terminal import Progress

WARM_UP_S = 5.0
TIMEOUT_S = 120.0
TO_READ, WARM_UP = 1_400_000, 200_000


class Figures(NamedTuple):
    """One run, all its workers together."""

    rate: float
    cpu_per_million: float
    gap_s: float


def measured(folder: Path, workers: int) -> Figures:
    """Waits until each worker has left its figures, and adds them up."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(files := list(folder.glob("*.json"))) < workers:
        if time.monotonic() > deadline:
            sys.exit(f"{len(files)} of {workers} workers have left their figures after {TIMEOUT_S:g} s")
        time.sleep(0.2)
    found = [json.loads(file.read_text()) for file in files]
    return Figures(
        sum(each["events"] / each["seconds"] for each in found),
        sum(each["cpu_s"] for each in found) / sum(each["events"] for each in found) * 1e6,
        max(each["gap_s"] for each in found),
    )


def command(folder: str, seconds: float, readers: int, *options: str) -> list[str]:
    program = [sys.executable, "-P", str(HERE / "flink_load.py")]
    return [*program, folder, str(WARM_UP_S), str(seconds), str(readers), *options]


def on_fn_api_runner(seconds: float) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        # In a session of its own, as Flink's workers are: Linux shares the cores out by sessions.
        alone = {"stderr": subprocess.DEVNULL, "start_new_session": True}
        subprocess.run(command(folder, seconds, 1), check=True, **alone)
        return measured(Path(folder), 1)


def on_flink(cluster: FlinkCluster, seconds: float, workers: int, options: list[str]) -> Figures:
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "wb") as log:
        chosen = [*cluster.options, "--parallelism", str(workers), *options]
        job = subprocess.Popen(command(folder, seconds, workers, *chosen), stdout=log, stderr=log)
        try:
            return measured(Path(folder), workers)
        finally:
            end_jobs(cluster)
            job.terminate()
            job.wait()


def end_jobs(cluster: FlinkCluster) -> None:
    """The next run begins without a job, and without a worker."""
    for running in cluster.rest.jobs():
        if running["state"] == "RUNNING":
            cluster.rest.cancel(running["jid"])
    jobs.wait(lambda: not cluster.workers())


def kinesis_job(runner_options: list[str], pids: Callable[[int], list[int]]) -> Figures:
    """The job until it has read all; `pids` tells who works, given the submitter's process id."""
    with (
        tempfile.TemporaryDirectory() as folder,
        jobs.program(*jobs.python(HERE / "null_elasticsearch.py"), wait_for="http") as (_, hosts),
    ):
        # An application of its own begins at the stream's beginning.
        options = ["--kinesis_stream_name", "kinesis_poc", "--application_name", Path(folder).name]
        options += ["--hosts", hosts, "--shard_bytes_per_second", "0", "--shard_reads_per_second", "0"]
        command = jobs.python("-m", "penstock", "kinesis-to-elasticsearch", *options, *runner_options)
        with jobs.program(*command, wait_for=" running on ", cwd=Path(folder), **os.environ) as (pid, _):
            jobs.wait(lambda: jobs.received(hosts) >= WARM_UP)
            working = pids(pid)
            started, first, cpu_s = time.monotonic(), jobs.received(hosts), sum(map(child_cpu_s, working))
            jobs.wait(lambda: jobs.received(hosts) >= TO_READ)
            seconds, count = time.monotonic() - started, jobs.received(hosts) - first
            cpu_s = sum(map(child_cpu_s, working)) - cpu_s
            return Figures(count / seconds, cpu_s / count * 1e6, 0.0)


def kinesis_job_on_flink(cluster: FlinkCluster, workers: int, options: list[str]) -> Figures:
    try:
        chosen = [*cluster.options, "--parallelism", str(workers), *options]
        return kinesis_job(chosen, lambda _: cluster.workers())
    finally:
        end_jobs(cluster)


@contextlib.contextmanager
def filled_stream() -> Iterator[dict[str, str]]:
    """The environment of whoever reads it."""
    with jobs.leases() as leases, simulator("--stream", "kinesis_poc:2") as endpoint_url:
        jobs.fill(endpoint_url, jobs.aggregated_records(TO_READ))
        yield {**jobs.ENVIRONMENT, "AWS_ENDPOINT_URL": leases, "AWS_ENDPOINT_URL_KINESIS": endpoint_url}


def main() -> None:
    arguments = argparse.ArgumentParser(prog="flink.py", epilog="All other options are Beam's, for Flink.")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=15.0, help="measured in each run")
    arguments.add_argument("--job", choices=("path", "kinesis-to-elasticsearch"), default="path")
    chosen, options = arguments.parse_known_args()
    clean_up_on_signals()
    try:
        with contextlib.ExitStack() as stack:
            if chosen.job != "path":
                os.environ.update(stack.enter_context(filled_stream()))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            environment = {**os.environ, "PYTHONPATH": str(HERE)}
            cluster = FlinkCluster(find_flink(Progress()), folder, task_managers=2, environment=environment)
            cluster.start()
            contenders: dict[str, Callable[[], Figures]] = {
                "FnApiRunner": lambda: on_fn_api_runner(chosen.seconds),
                "Flink, one worker": lambda: on_flink(cluster, chosen.seconds, 1, options),
                "Flink, two workers": lambda: on_flink(cluster, chosen.seconds, 2, options),
            }
            if chosen.job != "path":
                contenders = {
                    "FnApiRunner": lambda: kinesis_job([], lambda pid: [pid]),
                    "Flink, one worker": lambda: kinesis_job_on_flink(cluster, 1, options),
                    "Flink, two workers": lambda: kinesis_job_on_flink(cluster, 2, options),
                }
            figures: dict[str, list[Figures]] = {name: [] for name in contenders}
            for _ in range(chosen.rounds):
                for name, contender in contenders.items():
                    figures[name].append(contender())
                    print(name, figures[name][-1], flush=True)
            report(figures)
            cluster.stop()
    finally:
        end_all()


def report(figures: dict[str, list[Figures]]) -> None:
    print(f"{'':22}{'events/s':>12}{'CPU-s/million':>15}{'longest gap':>13}")
    medians = {}
    for name, runs in figures.items():
        medians[name] = median = Figures(*(statistics.median(column) for column in zip(*runs, strict=True)))
        print(f"{name:22}{median.rate:12,.0f}{median.cpu_per_million:15.2f}{median.gap_s:11.2f} s")
    fn_api, one, two = medians.values()
    print(
        f"Flink / FnApiRunner: {one.rate / fn_api.rate:.2f} by the clock, {by_cpu(fn_api, one):.2f} by CPU time (goal 0.8)"
    )
    print(
        f"two workers / one: {two.rate / one.rate:.2f} by the clock, {2 * by_cpu(one, two):.2f} by CPU time (goal 1.7)"
    )


def by_cpu(base: Figures, other: Figures) -> float:
    """How many events `other` gets out of a second of CPU time, beside `base`."""
    return base.cpu_per_million / other.cpu_per_million


if __name__ == "__main__":
    main()
