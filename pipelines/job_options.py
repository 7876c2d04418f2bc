"""`job_options` declares the options that every endless job and every batch job has. It needs no Beam."""

import dataclasses
import os
from pathlib import Path

from penstock.io import dead_letters
from penstock.io.errors import OptionError
from penstock.io.options import option
from penstock.io.shares import SHARES
from penstock.pipelines.console.logs import LogOptions
from penstock.pipelines.status import StatusOptions

__all__ = ["MOST_WORKERS", "BatchJobOptions", "JobOptions", "cores", "processes_of"]

MOST_WORKERS = 256
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def _workers_option() -> str:
    """Declares the option. Its value stays a text; `processes_of` reads it."""
    return option(  # type: ignore[no-any-return]
        "1",
        help="Processes of this machine that run the job together, each on about one core (DirectRunner): a number, or "
        "auto: one per core. They share the job's bounds, its status page and its stop. docs/workers.md.",
    )


def _dead_letters_option() -> str:
    return option(  # type: ignore[no-any-return]
        "",
        help="Where refused events are kept: file:///path, elasticsearch:index, s3://bucket/prefix or kinesis:stream. "
        "Without it, dead_letters/JOB.jsonl where the job runs (docs/operating.md#dead-letters).",
    )


def processes_of(text: str) -> int:
    """Reads the option's value.

    Raises:
        OptionError: it is neither a number within bounds nor `auto`.
    """
    if text == "auto":
        return cores()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= MOST_WORKERS:
        message = f"--workers {text} is neither auto nor a number from 1 to {MOST_WORKERS}."
        raise OptionError(message)
    return number


def cores(quota: Path = _QUOTA) -> int:
    """Gives the cores that this process may use: those it may run on, or a container's share of them if that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text().split()
        allowed = min(allowed, int(most) // int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no limit is set (`max`), or it isn't told here
        pass
    return max(1, min(allowed, MOST_WORKERS))


@dataclasses.dataclass(frozen=True)
class JobOptions(StatusOptions, LogOptions):
    """What every endless job does with refused events, and when it stops."""

    dead_letters: str = _dead_letters_option()
    stop_when_idle: float = option(
        0.0,
        help="Stop cleanly once nothing has come for that many seconds and all is acknowledged; 0: never.",
    )
    workers: str = _workers_option()
    stop_timeout: float = option(
        30.0,
        help="Seconds that a clean stop goes on writing what was read; then what still waits is left, and comes again.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        processes_of(self.workers)
        if self.stop_timeout < 0:
            message = "--stop_timeout must not be negative (seconds)."
            raise OptionError(message)
        if self.dead_letters:
            dead_letters.require_store_url(self.dead_letters)
        if self.stop_when_idle < 0:
            message = "--stop_when_idle must not be negative (seconds; 0 switches it off)."
            raise OptionError(message)

    @property
    def processes(self) -> int:
        """How many processes run the job together."""
        return processes_of(self.workers)

    @property
    def starts_workers(self) -> bool:
        """Whether this process is the parent of several that run the job: more than one is asked for, and it is none."""
        return self.processes > 1 and SHARES.processes == 1

    def dead_letter_url(self, job: str) -> str:
        """Gives the URL given, else the job's default."""
        return self.dead_letters or dead_letters.default_store_url(job)


@dataclasses.dataclass(frozen=True)
class BatchJobOptions(StatusOptions, LogOptions):
    """What every batch job does with refused events, and how it runs."""

    dead_letters: str = _dead_letters_option()
    allow_dead_letters: bool = option(False, help="Exit code 0 although some events were refused and kept.")
    dry_run: bool = option(
        False,
        help="List what would be read, with counts, bytes, an estimate and the first events of each kind of object; "
        "write nothing.",
    )
    workers: str = _workers_option()
    progress: str = option(
        "auto",
        choices=("auto", "display", "log", "none"),
        help="A line that is rewritten, log lines, or nothing; auto: the first at a terminal, else the second.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dead_letters:
            dead_letters.require_store_url(self.dead_letters)
        processes_of(self.workers)

    @property
    def processes(self) -> int:
        """How many processes run the job together."""
        return processes_of(self.workers)

    def dead_letter_url(self, job: str) -> str:
        """Gives the URL given, else the job's default."""
        return self.dead_letters or dead_letters.default_store_url(job)
