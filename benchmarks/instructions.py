"""This benchmark counts the instructions of the whole jobs per event: by them two versions can be compared on any machine.

usage: python -P benchmarks/instructions.py [JOB ...]

JOB: beats-to-kinesis, kinesis-to-elasticsearch, plain-records (the same from those), s3-to-elasticsearch; by default all.

CPU time of one version differs by a half between two runs where others use the same processor; instructions differ by 3 %.
The job runs under valgrind (callgrind), which counts those of the process itself, not those of the system's kernel, from the
end of the warm-up on. valgrind knows no AVX-512, so kernels take their next best way. Peers and events: see `jobs.py`.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import jobs
import s3
from jobs import HERE, program, python, received, wait

WARM_UP = 28_000
MEASURED = 140_000
SENT = (WARM_UP + MEASURED + 60_000) // 140 * 140  # whole aggregated records
OBJECT_EVENTS = 10_000


class Counter:
    """Runs a job under callgrind, and counts what it does while it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def command(self, *arguments: str) -> list[str | Path]:
        """The command of a job whose instructions aren't counted yet."""
        kept = f"--callgrind-out-file={self._folder}/counts.%p"
        tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--fair-sched=yes", kept)
        return [*tool, *python("-m", "penstock", *arguments)]

    def per_event(self, pid: int, events: Callable[[], int], more: Callable[[], object]) -> float:
        """Counts while `more` runs. `events` tells how many there were so far."""
        self._control(pid, "--instr=on")
        before = events()
        more()
        after = events()
        self._control(pid, "--dump")
        self._control(pid, "--instr=off")
        texts = [path.read_text(errors="replace") for path in self._folder.glob("counts.*")]
        counts = [
            int(found) for text in texts for found in re.findall(r"^(?:summary|totals): (\d+)", text, re.M)
        ]
        return max(counts) / (after - before)

    def _control(self, pid: int, what: str) -> None:
        subprocess.run(["callgrind_control", what, str(pid)], check=True, capture_output=True)


def beats(counter: Counter, folder: Path) -> float:
    port = jobs.free_port(None)
    with jobs.simulator("--stream", "kinesis_poc:2", "--forget") as endpoint_url:
        sent = [0]

        def load(count: int) -> None:
            sent[0] += jobs.load(port, count)

        command = counter.command("beats-to-kinesis", *jobs.receiving(port, endpoint_url))
        with program(*command, wait_for=" ready: ", cwd=folder) as (pid, _):
            load(WARM_UP)
            return counter.per_event(pid, lambda: sent[0], lambda: load(MEASURED))


def into_elasticsearch(
    counter: Counter, folder: Path, name: str, options: Callable[[str], list[str]], **variables: str
) -> float:
    with program(*python(HERE / "null_elasticsearch.py"), wait_for="http") as (_, hosts):
        command = counter.command(name, *options(hosts))
        with program(*command, wait_for="Callgrind", cwd=folder, **variables) as (pid, _):
            wait(lambda: received(hosts) >= WARM_UP)

            def more() -> None:
                first = received(hosts)
                wait(lambda: received(hosts) >= first + MEASURED)

            return counter.per_event(pid, lambda: received(hosts), more)


def kinesis(counter: Counter, folder: Path, *, aggregated: bool) -> float:
    records = jobs.aggregated_records if aggregated else jobs.plain_records
    with jobs.leases() as endpoint_url, jobs.simulator("--stream", "kinesis_poc:2") as kinesis_url:
        jobs.fill(kinesis_url, records(SENT))
        addresses = {"AWS_ENDPOINT_URL": endpoint_url, "AWS_ENDPOINT_URL_KINESIS": kinesis_url}
        return into_elasticsearch(counter, folder, "kinesis-to-elasticsearch", jobs.reading, **addresses)


def backfill(counter: Counter, folder: Path) -> float:
    aws = s3.AwsServer(folder)
    try:
        s3.fill(aws.wait_ready(), SENT // OBJECT_EVENTS + 1, OBJECT_EVENTS)

        def options(hosts: str) -> list[str]:
            return [
                *("--index", "x", "--input", "s3://lake/0", "--hosts", hosts),
                *("--region", s3.REGION, "--endpoint_url", aws.endpoint_url),
            ]

        return into_elasticsearch(counter, folder, "s3-to-elasticsearch", options, **s3.CREDENTIALS)
    finally:
        aws.stop()


JOBS: dict[str, Callable[[Counter, Path], float]] = {
    "beats-to-kinesis": beats,
    "kinesis-to-elasticsearch": lambda counter, folder: kinesis(counter, folder, aggregated=True),
    "plain-records": lambda counter, folder: kinesis(counter, folder, aggregated=False),
    "s3-to-elasticsearch": backfill,
}


def main() -> None:
    if shutil.which("valgrind") is None:
        sys.exit("instructions.py needs valgrind (Debian: apt install valgrind)")
    for name in sys.argv[1:] or JOBS:
        with tempfile.TemporaryDirectory() as counts, tempfile.TemporaryDirectory() as folder:
            print(
                f"{name:26} {JOBS[name](Counter(Path(counts)), Path(folder)):8,.0f} instructions per event",
                flush=True,
            )


if __name__ == "__main__":
    main()
