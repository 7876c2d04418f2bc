"""`run_together` runs several jobs as one: each in a process of its own, with one clean stop and one exit code.

- A signal stops all of them as it stops each alone: what was read is written and acknowledged. A second one ends them.
- An endless job that fails is named, the others are stopped, and its exit code is ours: a service manager then starts all
  again. One that ends well leaves the others running. A job that ends by itself (a backfill) never stops the others.
- Their lines go to our stderr, each with the job's name: `[name]` in front, or `penstock.job` in JSON.
- Jobs with the same --status_port have one page, which we serve; one with a port of its own serves it itself.
- None outlives us, even where we are killed: each stops cleanly when its `lifeline` ends.
"""

import contextlib
import signal
import time
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from penstock.pipelines.console.logs import last_words
from penstock.pipelines.status.options import StatusOptions
from penstock.pipelines.status.page.shared import SharedPage
from penstock.pipelines.stopping.stop_signals import StopSignals
from penstock.pipelines.workers.process import WorkerProcess

__all__ = ["Member", "run_together"]

_LOOK_MS = 100
_GRACE_S = 30.0
"""Seconds beyond its own bound that a job may take for its stop; then it is killed."""


class Member(NamedTuple):
    """One of the jobs.

    Attributes:
        name: what its lines and our messages call it.
        argv: its command line, without the program.
        ends: whether it ends by itself.
        status: the options of its page.
    """

    name: str
    argv: Sequence[str]
    ends: bool = False
    status: StatusOptions | None = None


def run_together(name: str, members: Sequence[Member], *, json: bool, stop_timeout: float) -> int:
    """Runs jobs until all have ended, or one has failed. Returns the exit code: that of the first that failed, else 0.

    Args:
        name: what the whole is called.
        members: the jobs.
        json: whether their log is JSON.
        stop_timeout: seconds that the slowest of them may take for a clean stop.

    Raises:
        OptionError: a page can't be served at its --status_port.
    """
    signals = StopSignals()
    signals.start()
    running: list[_Running] = []
    pages: list[SharedPage] = []
    try:
        shown = _shared_pages(members, pages)
        for each in members:
            running.append(_Running(each, json, shown.get(each.name)))
        return _Watch(name, running, signals, stop_timeout, json).until_the_end()
    finally:
        for process in running:
            process.end()
        for page in pages:
            page.stop()
        signals.end()


def _shared_pages(members: Sequence[Member], pages: list[SharedPage]) -> dict[str, SharedPage]:
    """Starts the pages that several jobs share, adds them to `pages`, and gives the page of each such job."""
    sharing: dict[tuple[str, int], dict[str, tuple[StatusOptions, bool]]] = {}
    for each in members:
        if each.status is not None and each.status.status_port is not None:
            place = (each.status.status_host, each.status.status_port)
            sharing.setdefault(place, {})[each.name] = (each.status, each.ends)
    found: dict[str, SharedPage] = {}
    for jobs in sharing.values():
        if len(jobs) > 1:
            pages.append(SharedPage(jobs))
            found |= dict.fromkeys(jobs, pages[-1])
    return found


class _Running(WorkerProcess):
    """One job's process; `page` is where it is shown, if that is ours."""

    def __init__(self, member: Member, json: bool, page: SharedPage | None) -> None:
        self.member = member
        self._page = page
        field = b'{"penstock.job":%b,' % orjson.dumps(member.name)

        def marked(line: bytes) -> bytes:
            if json:
                return field + line[1:] if line.startswith(b'{"') else line
            return b"[%b] %b" % (member.name.encode(), line)

        module = "penstock.pipelines.commands.member"
        if page is None:
            super().__init__(module, ["-1", *member.argv], member.name, shows_output=True, marked=marked)
            return
        with page.way_of(member.name) as way:
            # The port of its page is taken, by us: it must not try whether it is free.
            argv = [str(way), *member.argv, "--status_port=0"]
            super().__init__(module, argv, member.name, pass_fds=[way], shows_output=True, marked=marked)

    def runs(self) -> bool:
        """Whether it still runs."""
        found = super().runs()
        if not found and self._page is not None:
            self._page.ended(self.member.name, self.process.returncode)
        return found

    def stop(self) -> None:
        """Stops it as its user would stop it alone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()


class _Watch:
    def __init__(
        self,
        name: str,
        running: Sequence[_Running],
        signals: StopSignals,
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
        self._came = 0

    def until_the_end(self) -> int:
        while self._runs():
            for number in self._signals.wait(_LOOK_MS):
                self._on_signal(number)
            self._look()
            if self._stopped_at is not None and time.monotonic() - self._stopped_at > self._bound_s:
                self._leave(0.0)
        self._look()
        return self._exit_code

    def _runs(self) -> bool:
        return any([each.runs() for each in self._running])  # noqa: C419  each is to be looked at

    def _on_signal(self, number: int) -> None:
        self._came += 1
        self._stop()
        if self._came == 2:
            self._exit_code = 128 + number
            self._leave(2.0)

    @property
    def _bound_s(self) -> float:
        return self._stop_timeout + _GRACE_S

    def _stop(self) -> None:
        self._stopped_at = self._stopped_at or time.monotonic()
        for each in self._running:
            if each.runs():
                each.stop()

    def _look(self) -> None:
        """Names a job that has failed; an endless one stops the others."""
        for each in self._running:
            code, member = each.process.poll(), each.member
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
        while self._runs() and time.monotonic() < deadline:
            time.sleep(_LOOK_MS / 1000)
        for each in self._running:
            each.kill()
            each.process.wait()
