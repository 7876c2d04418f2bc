"""`run_together` runs several jobs as one: each in a process of its own, with one clean stop and one exit code.

- A signal stops all of them as it stops each alone: what was read is written and acknowledged. A second one ends them.
- An endless job that fails is named, the others are stopped, and its exit code is ours: a service manager then starts all
  again. One that ends well leaves the others running. A job that ends by itself (a backfill) never stops the others.
- Their lines go to our stderr, each with the job's name: `[name]` in front, or `penstock.job` in JSON.
- None outlives us, even where we are killed: each has a lifeline, its standard input, and stops cleanly when that is closed.

`python -m penstock.pipelines.run.together JOB [options]` is such a process; it is not for people.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from penstock.pipelines.console.logs import last_words
from penstock.pipelines.run.early_stop import STOP_SIGNALS, disarm

__all__ = ["Member", "run_together"]

_LOOK_EVERY_S = 0.1
_GRACE_S = 30.0
"""Seconds beyond its own bound that a job may take for its stop; then it is killed."""
_LONGEST_LINE = 64 << 10


class Member(NamedTuple):
    """One of the jobs.

    Attributes:
        name: what its lines and our messages call it.
        argv: its command line, without the program.
        ends: whether it ends by itself.
    """

    name: str
    argv: Sequence[str]
    ends: bool = False


def run_together(name: str, members: Sequence[Member], *, json: bool, stop_timeout: float) -> int:
    """Runs jobs until all have ended, or one has failed. Returns the exit code: that of the first that failed, else 0.

    Args:
        name: what the whole is called.
        members: the jobs.
        json: whether their log is JSON.
        stop_timeout: seconds that the slowest of them may take for a clean stop.
    """
    signals: list[int] = []
    numbers = [
        each for each in (signal.SIGINT, *STOP_SIGNALS) if signal.getsignal(each) is not signal.SIG_IGN
    ]
    previous: dict[int, Any] = {
        each: signal.signal(each, lambda number, frame: signals.append(number)) for each in numbers
    }
    disarm()
    running: list[_Running] = []
    try:
        running += [_Running(each, json) for each in members]
        return _Watch(name, running, signals, stop_timeout, json).until_the_end()
    finally:
        for process in running:
            process.end()
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Running:
    """One job's process."""

    def __init__(self, member: Member, json: bool) -> None:
        self.member = member
        command = [sys.executable, "-P", "-m", "penstock.pipelines.run.together", *member.argv]
        lifeline, self._lifeline = os.pipe()
        said, says = os.pipe()
        self.process = subprocess.Popen(  # noqa: S603  our own module, with our own command line
            command,
            stdin=lifeline,
            stderr=says,
            start_new_session=True,  # Ctrl-C at the terminal is for us, and we pass it on
        )
        os.close(lifeline)
        os.close(says)
        self._pump = threading.Thread(
            target=_pass_on, args=(said, member.name, json), name=f"penstock-log-{member.name}", daemon=True
        )
        self._pump.start()

    @property
    def code(self) -> int | None:
        """The exit code, once it has ended; negative: the signal that ended it."""
        return self.process.poll()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def end(self) -> None:
        """Ends it if it still runs, and passes on its last lines."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._lifeline)
        self._pump.join(5.0)


class _Watch:
    def __init__(
        self,
        name: str,
        running: Sequence[_Running],
        signals: Sequence[int],
        stop_timeout: float,
        json: bool,
    ) -> None:
        self._name = name
        self._running = running
        self._signals = signals
        self._stop_timeout = stop_timeout
        self._json = json
        self._stopped_at: float | None = None
        self._told: set[str] = set()
        self._exit_code = 0

    def until_the_end(self) -> int:
        passed_on = 0
        while any([each.code is None for each in self._running]):  # noqa: C419  each is to be looked at
            if len(self._signals) > passed_on:
                passed_on += 1
                self._stop()
            if passed_on > 1:
                self._exit_code = 128 + self._signals[1]
                self._leave(2.0)
            self._look()
            if self._stopped_at is not None and time.monotonic() - self._stopped_at > self._bound_s:
                self._leave(0.0)
            time.sleep(_LOOK_EVERY_S)
        self._look()
        return self._exit_code

    @property
    def _bound_s(self) -> float:
        return self._stop_timeout + _GRACE_S

    def _stop(self) -> None:
        self._stopped_at = self._stopped_at or time.monotonic()
        for each in self._running:
            if each.code is None:
                each.stop()

    def _look(self) -> None:
        """Names a job that has failed; an endless one stops the others."""
        for each in self._running:
            code, member = each.code, each.member
            if not code or member.name in self._told:
                continue
            self._told.add(member.name)
            if code == -signal.SIGTERM and self._stopped_at is not None:
                continue  # it had not even begun
            how = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
            others = "" if member.ends or self._stopped_at is not None else "; the others are stopped"
            self._exit_code = self._exit_code or (code if code > 0 else 1)
            last_words(self._name, f"{member.name} {how}{others}.", self._exit_code, json=self._json)
            if others:
                self._stop()

    def _leave(self, patience_s: float) -> None:
        """Kills what does not end by itself within some seconds."""
        deadline = time.monotonic() + patience_s
        while any([each.code is None for each in self._running]) and time.monotonic() < deadline:  # noqa: C419
            time.sleep(_LOOK_EVERY_S)
        for each in self._running:
            if each.code is None:
                each.process.kill()
                each.process.wait()


def _pass_on(said: int, name: str, json: bool) -> None:
    """Passes a job's lines to our present stderr, each with the job's name."""
    field = b'{"penstock.job":%b,' % orjson.dumps(name)
    with open(said, "rb") as lines:
        while line := lines.readline(_LONGEST_LINE):
            if json and line.startswith(b'{"'):
                line = field + line[1:]
            elif not json:
                line = b"[%b] %b" % (name.encode(), line)
            sys.stderr.write(line.decode(errors="replace"))


def _live_no_longer_than_our_parent() -> None:
    while os.read(0, 1):
        pass
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # nobody reads our lines any more
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from penstock.pipelines.__main__ import main

    threading.Thread(target=_live_no_longer_than_our_parent, name="penstock-lifeline", daemon=True).start()
    sys.exit(main())
