"""`trials` runs trials. A trial is one thing that a job needs: its name, how to try it, and what to add when it fails.

- A connector lists its trials (`preflight.py` in its room); `penstock check` runs all of them and prints one line each.
- A job runs the quick ones at its start (`require_quick`): the first failure ends it, because a runner would report a
  failing source or sink late and at length.
- Trials are made side by side, because most of them wait for a peer. What they find is told in their order, and the
  first failure is the first in that order.
- A trial changes nothing anywhere. What can't be tried without a change is `NOT_TRIED`, and says why.
"""

import contextlib
import dataclasses
import enum
import errno
import logging
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from penstock.io.errors import AccessDenied, OptionError, PeerError, PenstockError
from penstock.io.preflight.iam import Statement
from penstock.io.preflight.side_by_side import side_by_side

__all__ = [
    "Finding",
    "Mark",
    "Trial",
    "failed",
    "fine",
    "not_tried",
    "require_quick",
    "try_all",
    "warning",
    "writable",
]

_LOGGER = logging.getLogger(__name__)
_MAX_TEXT = 1000
_KERNEL = ("/proc/", "/sys/")


class Mark(enum.StrEnum):
    """How a trial went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a trial found.

    Attributes:
        mark: how it went.
        text: one line for a person.
        error: what ends a job that starts now.
        statements: what to add to the IAM policy.
        role: what to add to the Elasticsearch role: `cluster` and `indices`, as its API takes them.
    """

    mark: Mark
    text: str
    error: PenstockError | None = None
    statements: tuple[Statement, ...] = ()
    role: Mapping[str, Any] | None = None


def fine(text: str) -> Finding:
    """The trial worked."""
    return Finding(Mark.OK, text)


def warning(text: str) -> Finding:
    """The trial worked, but somebody should look."""
    return Finding(Mark.WARNING, text)


def not_tried(text: str) -> Finding:
    """The trial could not be made; the text says why."""
    return Finding(Mark.NOT_TRIED, text)


def failed(
    error: PenstockError, statements: tuple[Statement, ...] = (), role: Mapping[str, Any] | None = None
) -> Finding:
    """The trial failed: the job would not work."""
    return Finding(Mark.FAILED, str(error), error, statements, role)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One thing that a job needs. It runs on any thread, beside others.

    Attributes:
        name: what is tried, in a few words; of a permission its action.
        run: tries it; a `PenstockError` that it raises is a failure.
        quick: whether a job tries it at its start.
        advisory: whether its failure lets a job start all the same, with a warning.
        statements: what to add to the IAM policy when AWS denies it.
        after: names of the trials that must work before this one can be tried.
        behind: names of the trials that this one waits for, whatever they find.
    """

    name: str
    run: Callable[[], Finding]
    quick: bool = False
    advisory: bool = False
    statements: tuple[Statement, ...] = ()
    after: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


def try_all(trials: Iterable[Trial]) -> Generator[tuple[Trial, Finding], None, None]:
    """Runs all trials and gives them in their order; what depends on a failed one is not tried."""
    given = list(trials)
    waits = [
        [before for before in range(number) if given[before].name in (*trial.after, *trial.behind)]
        for number, trial in enumerate(given)
    ]
    missing: set[int] = set()

    def find(number: int) -> Finding:
        trial = given[number]
        names = {given[before].name for before in waits[number] if before in missing}
        blocked = [name for name in trial.after if name in names]
        finding = not_tried(f"needs what failed above: {blocked[0]}") if blocked else _try(trial)
        if blocked or finding.mark is Mark.FAILED:
            missing.add(number)
        return finding

    with contextlib.closing(side_by_side(waits, find)) as found:
        yield from zip(given, found, strict=True)


def require_quick(trials: Iterable[Trial]) -> None:
    """Runs the quick trials of a job that starts.

    Raises:
        PenstockError: the first failure.
    """
    with contextlib.closing(try_all([trial for trial in trials if trial.quick])) as found:
        for trial, finding in found:
            if finding.error is not None and not trial.advisory:
                raise finding.error
            if finding.mark in (Mark.WARNING, Mark.FAILED):
                _LOGGER.warning("%s: %s", trial.name, finding.text)


def _try(trial: Trial) -> Finding:
    try:
        return trial.run()
    except AccessDenied as error:
        return failed(error, trial.statements)
    except PenstockError as error:
        return failed(error)
    except Exception as error:
        # A peer that answers nonsense must not hide the lines of all other trials.
        _LOGGER.debug("%s", trial.name, exc_info=error)
        text = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_TEXT]
        return failed(PeerError(f"cannot try {trial.name}: {text} (--log_level debug shows all)"))


def writable(option: str, path: str, access: Callable[[str, int], bool] = os.access) -> Finding:
    """Says whether a file can be written, or made with its folders. Nothing is made.

    Args:
        option: the option that names the file.
        path: the file's path.
        access: as `os.access`.

    Raises:
        OptionError: it can't be written.
    """
    place = os.path.abspath(path)
    try:
        os.lstat(place)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            message = f"{option}: cannot write {path:.80}...: the name is too long."
            raise OptionError(message) from None
    except ValueError:
        message = f"{option}: cannot write {path!r}: no path holds a NUL."
        raise OptionError(message) from None
    if os.path.realpath(place).startswith(_KERNEL):  # to root, files there seem to be writable
        message = f"{option}: cannot write {path}: no file can be made there, it is a view of the kernel's."
        raise OptionError(message)
    if os.path.isdir(place):
        message = f"{option}: cannot write {path}: it is a folder."
        raise OptionError(message)
    if os.path.lexists(place) and not os.path.isfile(place):
        message = f"{option}: cannot write {path}: it is no regular file."
        raise OptionError(message)
    there = place
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    needed = os.W_OK if there == place else os.W_OK | os.X_OK
    if there != place and not os.path.isdir(there):
        message = f"{option}: cannot write {path}: {there} is no folder."
        raise OptionError(message)
    if not access(there, needed):
        what = "it" if there == place else f"in {there}"
        message = (
            f"{option}: cannot write {path}: this user may not write {what}, or its file system is read-only."
        )
        raise OptionError(message)
    return fine(f"{place} can be written" + ("" if there == place else " (it is made when it is needed)"))
