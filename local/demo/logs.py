"""`logs` chooses which lines are shipped: text files and the lines in them, numbered as a Beat would.

A line ends with a newline; a last one without is still being written and stays out, and so do empty ones, as
in Filebeat. It is named by its file and the offset of its first byte. How far each file reaches is settled
before anything is shipped, since logs grow meanwhile.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.processes import LocalError

__all__ = ["DEFAULT_LINES", "LogFile", "choose", "offsets"]

DEFAULT_LINES = 100_000
SAMPLE = Path(__file__).parent / "sample.log"
PROBE_BYTES = 8192
COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".journal")


@dataclasses.dataclass(frozen=True)
class LogFile:
    """A file, up to a point.

    Attributes:
        path: absolute.
        end: only lines that end at or before this byte count.
        lines: how many of them there are (empty ones don't count).
    """

    path: Path
    end: int
    lines: int


def offsets(path: Path, end: int) -> Iterator[tuple[int, int]]:
    """The lines up to `end` bytes that aren't empty: where each begins, and where its newline ends."""
    begin = 0
    with path.open("rb") as file:
        for line in file:
            after = begin + len(line)
            if after > end or not line.endswith(b"\n"):
                return
            if line.rstrip(b"\r\n"):
                yield begin, after
            begin = after


def choose(given: Sequence[Path], limit: int | None) -> list[LogFile]:
    """The files to ship, `limit` lines at most.

    Args:
        given: files that the user named; without them this machine's text logs, newest first, else a sample.
        limit: lines at most; None: all of the files given, else `DEFAULT_LINES`.

    Raises:
        LocalError: a file given can't be read, or there is no complete line in any of them.
    """
    paths = [path.absolute() for path in given]
    for path in paths:
        if not os.access(path, os.R_OK):
            message = f"{path} can't be read by you."
            raise LocalError(message)
    if not paths and limit is None:
        limit = DEFAULT_LINES
    chosen = _take(paths or _machine_logs(), limit)
    if not chosen and not paths:
        chosen = _take([SAMPLE], limit)
    if not chosen:
        message = "there is no complete line in the files given."
        raise LocalError(message)
    return chosen


def _take(paths: Sequence[Path], limit: int | None) -> list[LogFile]:
    chosen: list[LogFile] = []
    left = limit
    for path in dict.fromkeys(path.resolve() for path in paths):
        end = lines = 0
        try:
            for _, after in offsets(path, path.stat().st_size):
                if lines == left:
                    break
                lines, end = lines + 1, after
        except OSError:
            continue
        if lines:
            chosen.append(LogFile(path, end, lines))
            left = None if left is None else left - lines
        if left == 0:
            break
    return chosen


def _machine_logs() -> list[Path]:
    """Readable text files under /var/log, the one written last first."""
    found: list[tuple[float, Path]] = []
    for parent, _, names in os.walk("/var/log"):
        for name in names:
            path = Path(parent, name)
            try:
                if path.suffix in COMPRESSED or path.is_symlink() or not path.is_file():
                    continue
                with path.open("rb") as file:
                    head = file.read(PROBE_BYTES)
                if head and b"\0" not in head:
                    found.append((path.stat().st_mtime, path))
            except OSError:
                continue
    return [path for _, path in sorted(found, reverse=True)]
