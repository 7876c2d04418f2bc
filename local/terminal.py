"""`terminal` shows progress: one line that lives on a terminal, plain lines where output goes to a file."""

import os
import shutil
import sys
import time
from typing import TextIO

__all__ = ["Progress", "human_bytes"]

REDRAW_S = 0.1
PLAIN_LINE_EVERY_S = 5.0
SPINNER = "|/-\\"


def human_bytes(count: float) -> str:
    """A size in the unit a person would use, `12.3 MB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


class Progress:
    """Steps one after another: `begin` opens one, `update` tells where it stands, `done` closes it.

    On a terminal the open step is one line redrawn in place; elsewhere it is a plain line now and then.

    Args:
        output: where it is shown.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self._live = self._output.isatty() and os.environ.get("TERM") != "dumb"
        self.utf8 = (getattr(self._output, "encoding", "") or "").lower().replace("-", "") == "utf8"
        self.tick, self.cross = ("✓", "✗") if self.utf8 else ("+", "!")
        self._step = ""
        self._since = 0.0
        self._shown = 0.0
        self._turn = 0

    def begin(self, step: str) -> None:
        """Opens a step (and closes the one before, if it is still open, without a word)."""
        self._erase()
        self._step = step
        self._since = time.monotonic()
        self._shown = 0.0 if self._live else self._since
        self.update("")

    def update(self, text: str) -> None:
        """Where the open step stands; call it as often as you like."""
        now = time.monotonic()
        if now - self._shown < (REDRAW_S if self._live else PLAIN_LINE_EVERY_S):
            return
        self._shown = now
        if self._live:
            self._turn += 1
            line = f"{SPINNER[self._turn % len(SPINNER)]} {self._step}  {text}  {now - self._since:.0f} s"
            width = shutil.get_terminal_size().columns - 1
            self._output.write(f"\r\x1b[K{line[:width]}")
        else:
            self._output.write(f"  {self._step}  {text} ({now - self._since:.0f} s)\n")
        self._output.flush()

    def done(self, text: str) -> None:
        """Closes the open step with what came of it."""
        self._erase()
        took = time.monotonic() - self._since
        self._output.write(f"{self.tick} {text}" + (f"  ({took:.1f} s)" if took >= 0.1 else "") + "\n")
        self._output.flush()
        self._step = ""

    def fail(self) -> None:
        """Closes the open step as failed; the message follows elsewhere."""
        if self._step:
            self._erase()
            self._output.write(f"{self.cross} {self._step}\n")
            self._output.flush()
            self._step = ""

    def _erase(self) -> None:
        if self._live and self._step:
            self._output.write("\r\x1b[K")
