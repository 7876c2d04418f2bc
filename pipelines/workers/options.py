"""`options` declares --workers, and finds how many `auto` is: the cores that this process may use."""

import os
from pathlib import Path

from penstock.io.errors import OptionError
from penstock.io.options import option

__all__ = ["MOST_WORKERS", "cores", "processes_of", "workers_option"]

MOST_WORKERS = 256
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def workers_option() -> str:
    """Declares the option. Its value stays a text; `processes_of` reads it."""
    return option(  # type: ignore[no-any-return]
        "1",
        help="Processes of this machine that run the job together, each on about one core (DirectRunner): a number, or "
        "auto: one per core. They share the job's bounds, its status page and its stop. docs/workers.md.",
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
