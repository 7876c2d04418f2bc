"""Rounds of contenders in turn, CPU-seconds per million events, median and spread.

These machines are noisy, so a figure means something only beside a peer's or a floor's of the same run:
every contender runs once a round, in turn, and the table shows each one's median, its lowest and highest,
and its ratio to the first. CPU time is that of the process under test (user and system), never wall time.
"""

import contextlib
import importlib.util
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

__all__ = [
    "child_cpu_s",
    "cpu_per_million",
    "events",
    "load_package",
    "print_table",
    "resident_mb",
    "rounds",
    "simulator",
]

_TICKS = os.sysconf("SC_CLK_TCK")


def child_cpu_s(pid: int) -> float:
    """CPU seconds (user and system) that a running process has used until now."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a running process holds now."""
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def load_package(name: str) -> None:
    """Makes the checkout's folder `local` or `tests` importable; its root must not be on `sys.path`."""
    folder = Path(__file__).resolve().parents[1] / name
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)


@contextlib.contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """The Kinesis simulator of our tests as a process of its own, with its command line's arguments; its address."""
    code = "import sys; sys.path[:0] = [sys.argv.pop(1)]; import harness; harness.load_package('tests'); "
    code += "from tests.simulator.__main__ import main; main()"
    command = [sys.executable, "-P", "-c", code, str(Path(__file__).resolve().parent), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def cpu_per_million(work: Callable[[], int]) -> float:
    """CPU-seconds per million events of `work`, which runs in this process and returns how many it did."""
    before = time.process_time()
    count = work()
    return (time.process_time() - before) / count * 1e6


def rounds(contenders: Mapping[str, Callable[[], float]], count: int = 5) -> dict[str, list[float]]:
    """Runs each contender once a round, in turn; a contender returns CPU-seconds per million events."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(count):
        for name, contender in contenders.items():
            figures[name].append(contender())
            if sys.stderr.isatty():
                sys.stderr.write(
                    f"\r  round {number + 1} of {count}: {name:40} {figures[name][-1]:8.2f}\x1b[K"
                )
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return figures


def print_table(
    title: str, figures: Mapping[str, list[float]], goals: Mapping[str, float] | None = None
) -> None:
    """Prints the medians with their spread; ratios are to the first contender."""
    width = max(map(len, figures)) + 2
    base = statistics.median(next(iter(figures.values())))
    print(f"{title}\n  {'CPU-s per million events':{width}} median    lowest - highest   ratio    goal")
    for name, values in figures.items():
        median = statistics.median(values)
        goal = f"{goals[name]:7.1f}" if goals and name in goals else ""
        print(
            f"  {name:{width}} {median:6.2f}    {min(values):6.2f} - {max(values):6.2f}   {median / base:5.2f} {goal}"
        )


def events(count: int, size: int = 350) -> list[bytes]:
    """Distinct events of Filebeat's shape, `size` bytes each: what Filebeat 7.17 sends for a log line."""
    made = []
    for number in range(count):
        head = (
            b'{"@timestamp":"2026-11-22T12:%02d:%02d.%03dZ","@metadata":{"beat":"filebeat","type":"_doc","version":"7.17.28"},'
            b'"log":{"offset":%d,"file":{"path":"/var/log/app/app.log"}},"agent":{"type":"filebeat",'
            b'"ephemeral_id":"5f0e4bb1-1d36-4f1a-8f0e-0b8a3a7d9b11","hostname":"web-1"},"host":{"name":"web-1"},"message":"'
            % (number // 60000 % 60, number // 1000 % 60, number % 1000, number * 87)
        )
        line = b"GET /item/%d 200 %d ms " % (number, number * 7919 % 997)
        filler = b"user-agent=Mozilla/5.0 (X11; Linux x86_64) referer=/cart session=%016x " % (
            number * 2654435761
        )
        body = (line + filler * 3)[: max(0, size - len(head) - 2)]
        made.append(head + body + b'"}')
    return made
