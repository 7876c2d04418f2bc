"""`terminal_line` rewrites one line at the bottom of a terminal, which other output does not tear.

Problem. Log lines, last words and Beam's warnings all go to stderr, from any thread, while the line is shown.

Plan. While the line is shown, stderr is ours: a write to it erases the line first, and puts it back when the
writer is at the beginning of a line again. Handlers of the log that hold the old stderr get ours, until the end.

Where stderr is no terminal, nothing of this is used (see `takes_a_line`). There a log line per minute says the same.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from penstock.pipelines.console.logs import printable

__all__ = ["TerminalLine", "colours", "takes_a_line"]

_ERASE = "\r\x1b[K"
_FALLBACK_COLUMNS = 80


def takes_a_line(stream: TextIO) -> bool:
    """Whether a line can be rewritten there: a terminal that understands more than lines."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def colours(stream: TextIO) -> bool:
    """Whether colours are wanted there (https://no-color.org)."""
    return takes_a_line(stream) and not os.environ.get("NO_COLOR")


class TerminalLine:
    """Stands for stderr and keeps a line below what is written to it.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._line = ""
        self._shown = False
        self._at_line_start = True

    def show(self, text: str, colour: str = "") -> None:
        """Rewrites the line: one line of plain text, cut to the terminal's width; `colour` is an SGR code such as `33`."""
        text = printable(text, "?")[: max(1, self._columns() - 1)]
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._line = f"\x1b[{colour}m{text}\x1b[0m" if colour and colours(self._stream) else text
            if self._at_line_start:
                self._stream.write(_ERASE + self._line)
                self._stream.flush()
                self._shown = True

    def clear(self) -> None:
        """Removes the line until it is shown again."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._line = ""
            self._erase()
            self._stream.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _FALLBACK_COLUMNS
        except (OSError, ValueError, AttributeError):
            return _FALLBACK_COLUMNS

    def _erase(self) -> None:
        if self._shown:
            self._stream.write(_ERASE)
            self._shown = False

    # -- as a stream -----------------------------------------------------------------------------------

    def write(self, text: str) -> int:
        """Writes text above the line."""
        if not text:
            return 0
        with self._lock:
            self._erase()
            self._stream.write(text)
            self._at_line_start = text.endswith("\n")
            if self._at_line_start and self._line:
                self._stream.write(self._line)
                self._shown = True
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Passes on the buffered text."""
        with self._lock:
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def instead_of_stderr(self) -> Iterator["TerminalLine"]:
        """Makes everything that goes to stderr pass this line until the block ends."""
        before = sys.stderr
        handlers = [
            each
            for each in logging.getLogger().handlers
            if isinstance(each, logging.StreamHandler) and each.stream is before
        ]
        sys.stderr = self
        for handler in handlers:
            handler.setStream(self)
        try:
            yield self
        finally:
            self.clear()
            sys.stderr = before
            for handler in handlers:
                handler.setStream(before)
