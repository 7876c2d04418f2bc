"""`showing` starts and ends everything that shows a job, around its run."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from penstock.io.errors import OptionError
from penstock.pipelines.console.logs import writes_json
from penstock.pipelines.console.terminal_line import TerminalLine, takes_a_line
from penstock.pipelines.status.monitor import LOOK_EVERY_S, Monitor
from penstock.pipelines.status.options import StatusOptions
from penstock.pipelines.status.page.server import StatusServer
from penstock.pipelines.status.picture import Progress
from penstock.pipelines.status.seen import Seen
from penstock.pipelines.status.step_meters import Step
from penstock.pipelines.status.words import MinuteLog, show_on

__all__ = ["Told", "looks_every_s", "refuse_elsewhere", "serve", "show_by", "shown", "told"]

_LOGGER = logging.getLogger("penstock")
_LOOK_SELDOM_S = 10.0
_SHOWN_BY: list[Callable[["Told"], None]] = []
_OPEN = " (open to everybody who reaches that address: it asks for no password)"


class Told(NamedTuple):
    """What a job of several tells the process that shows all of them.

    Attributes:
        seen: what it sees.
        progress: how far it is, where it ends by itself.
    """

    seen: Seen
    progress: Progress | None


def show_by(tell: Callable[[Told], None]) -> None:
    """Makes another process show this one's page; `tell` brings it there what is seen, once per second."""
    _SHOWN_BY[:] = [tell]


def refuse_elsewhere(options: StatusOptions, runner: str) -> None:
    """Raises `OptionError` if the status page is asked for although the job runs in other processes."""
    if options.status_port is not None:
        message = (
            f"--status_port shows a job that runs in this process; with --runner {runner} it runs elsewhere. "
            "Look at that runner's own page."
        )
        raise OptionError(message)


def looks_every_s(options: StatusOptions) -> float:
    """Gives the seconds between two looks at a job; more where only the log needs them."""
    return LOOK_EVERY_S if _on_terminal() or options.status_port is not None else _LOOK_SELDOM_S


def _on_terminal() -> bool:
    return takes_a_line(sys.stderr) and not writes_json() and _LOGGER.isEnabledFor(logging.INFO)


def serve(monitors: Sequence[Monitor], options: StatusOptions) -> StatusServer:
    """Starts the page of one job, or of several. Raises `OptionError` where it can't be served there."""
    first, *others = monitors
    port = options.status_port or 0
    server = StatusServer(first, options.status_host, port, options.status_names, others)
    server.start()
    _LOGGER.info("status page: %s%s", server.url, "" if server.is_loopback else _OPEN)
    return server


@contextlib.contextmanager
def told(
    job: str, runner: str, steps: Sequence[Step], every_s: float, idle_s: float, tell: Callable[[Seen], None]
) -> Iterator[None]:
    """Tells somebody else what this process sees, until the block ends; a last time at its end.

    Args:
        job: its name.
        runner: the runner.
        steps: of its graph.
        every_s: how often, in seconds.
        idle_s: seconds without anything after which it counts as idle; 0: never.
        tell: takes it.
    """
    monitor = Monitor(job, runner, steps, idle_s=idle_s, every_s=every_s)
    monitor.listen(lambda picture: tell(picture.seen))
    monitor.start()
    try:
        yield
    finally:
        monitor.stop()
        tell(monitor.look().seen)


@contextlib.contextmanager
def shown(
    job: str,
    options: StatusOptions,
    steps: Sequence[Step],
    runner: str,
    *,
    progress: Callable[[], Progress] | None = None,
    see: Callable[[], Seen] | None = None,
) -> Iterator[None]:
    """Shows a job until the block ends: the status page where asked for, and a line on the terminal or in the log.

    Args:
        job: its name.
        options: the options of the status page.
        steps: of its graph.
        runner: the runner, which runs it in this process, or in its workers.
        progress: gives how far a job is that ends by itself, and writes its own lines.
        see: gives what there is to see, where that isn't in this process.

    Raises:
        OptionError: the page can't be served there.
    """
    on_terminal = _on_terminal()
    with contextlib.ExitStack() as ends:
        monitor = Monitor(
            job,
            runner.rpartition(".")[2],
            steps,
            max_lag_s=options.status_max_lag,
            ends=progress is not None,
            progress=progress,
            see=see,
            every_s=looks_every_s(options),
        )
        if _SHOWN_BY:
            (tell,) = _SHOWN_BY
            monitor.listen(lambda picture: tell(Told(picture.seen, picture.progress)))
        elif options.status_port is not None:
            ends.callback(serve([monitor], options).stop)
        if progress is None and on_terminal:
            line = ends.enter_context(TerminalLine(sys.stderr).instead_of_stderr())
            monitor.listen(show_on(line, job))
        elif progress is None:
            monitor.listen(MinuteLog(job))
        ends.callback(monitor.stop)
        monitor.start()
        yield
