"""`progress` shows how far a batch job is: one line that is rewritten, or a line in the log now and then."""

import contextlib
import dataclasses
import logging
import sys
import threading
import time
from pathlib import Path

from penstock.io.s3.units.tally import Counts, read_counts
from penstock.pipelines.console.terminal_line import TerminalLine, takes_a_line
from penstock.pipelines.status import Progress

__all__ = ["Display", "Workload", "duration_text", "size_text"]

_LOGGER = logging.getLogger("penstock")
_DISPLAY_EVERY_S = 0.5
_LOG_EVERY_S = 30.0


@dataclasses.dataclass
class Workload:
    """The work that the job will do, for its display.

    Attributes:
        objects: how many objects are to be read.
        bytes: the sum of their sizes.
        done_before: how many objects earlier runs have finished.
    """

    objects: int = 0
    bytes: int = 0
    done_before: int = 0


class Display:
    """Shows progress from a thread.

    Args:
        folder: where the processes of the job write their sums.
        work: the work that they will do.
        kind: `display`, `log`, `none`, or `auto` (see `--progress`).

    Attributes:
        seconds: at the end, how long it was shown.
    """

    def __init__(self, folder: Path, work: Workload, kind: str) -> None:
        self._folder = folder
        self._work = work
        self._kind = ("display" if takes_a_line(sys.stderr) else "log") if kind == "auto" else kind
        self._ends = contextlib.ExitStack()
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._recent: list[tuple[float, int, int]] = []
        self._thread = threading.Thread(target=self._run, name="penstock-progress", daemon=True)
        self._progress = Progress(0.0, "nothing is read yet")
        self.seconds = 0.0

    def start(self) -> None:
        """Takes note that the job begins now."""
        self._started = time.monotonic()
        self._thread.start()

    def progress(self) -> Progress:
        """Gives how far the job was at the last look."""
        return self._progress

    def end(self) -> None:
        """Removes the line."""
        self.seconds = time.monotonic() - self._started
        self._ended.set()
        self._thread.join()
        self._ends.close()

    def _run(self) -> None:
        logged = time.monotonic()
        shown = None
        if self._kind == "display":
            shown = self._ends.enter_context(TerminalLine(sys.stderr).instead_of_stderr())
        while not self._ended.wait(_DISPLAY_EVERY_S):
            now = time.monotonic()
            found = read_counts(self._folder)
            text = self.line(found, now)
            self._progress = Progress(self._share(found), text, found.read, found.delivered, found.bytes)
            if shown is not None:
                shown.show(text)
            elif self._kind == "log" and now - logged >= _LOG_EVERY_S:
                logged = now
                _LOGGER.info("%s", text)

    def _share(self, found: Counts) -> float:
        return min(1.0, found.bytes / self._work.bytes) if self._work.bytes else 1.0

    def line(self, found: Counts, now: float) -> str:
        """Gives the line: units, bytes, events, rate and time left."""
        self._recent.append((now, found.delivered, found.bytes))
        self._recent = [each for each in self._recent if now - each[0] <= 20.0] or self._recent[-1:]
        began, events, size = self._recent[0]
        passed = max(now - began, 1e-9)
        share = self._share(found)
        speed = (found.bytes - size) / passed
        left = duration_text((self._work.bytes - found.bytes) / speed) if speed > 0 and share < 1 else "?"
        return (
            f"{share:6.1%}  {found.objects:,} of {self._work.objects:,} objects  {size_text(found.bytes)} of "
            f"{size_text(self._work.bytes)}  {found.delivered:,} events  {(found.delivered - events) / passed:,.0f}/s  "
            f"{left} left" + (f"  {found.refused:,} refused" if found.refused else "")
        )


def size_text(count: float) -> str:
    """Writes a number of bytes for a person."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration_text(seconds: float) -> str:
    """Writes seconds for a person."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{seconds:.1f} s"
