"""`shared` shows several jobs, each in a process of its own, on one page: what they tell, and how they end.

Each job's process looks at itself once per second, as always, and tells it by a pipe; the parent serves the page. A job that
hasn't told anything yet is starting. One that has ended says so; its totals stay.
"""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection

from penstock.io.errors import AccessDenied, OptionError
from penstock.pipelines.status.monitor import Monitor
from penstock.pipelines.status.options import StatusOptions
from penstock.pipelines.status.page.showing import Told, serve
from penstock.pipelines.status.picture import Progress
from penstock.pipelines.status.seen import Seen

__all__ = ["SharedPage", "teller"]


class SharedPage:
    """The page of several jobs, from now until `stop`.

    Args:
        jobs: by name: the options of the page, of which the first job's say where it is, and whether the job ends by itself.

    Raises:
        OptionError: the page can't be served there.
    """

    def __init__(self, jobs: Mapping[str, tuple[StatusOptions, bool]]) -> None:
        self._jobs = {name: _Job(name, options, ends=ends) for name, (options, ends) in jobs.items()}
        monitors = [each.monitor for each in self._jobs.values()]
        first = next(iter(jobs.values()))[0]
        names = [name for options, _ in jobs.values() for name in options.status_names]
        try:
            self._server = serve(monitors, dataclasses.replace(first, status_names=names))
        except AccessDenied as error:
            raise OptionError(str(error)) from error
        for monitor in monitors:
            monitor.start()

    @contextlib.contextmanager
    def way_of(self, name: str) -> Iterator[int]:
        """Opens the way by which a job tells; gives its end, to be passed to the job's process within the block."""
        read, write = os.pipe()
        self._jobs[name].listen(Connection(read, writable=False))
        try:
            yield write
        finally:
            os.close(write)

    def ended(self, name: str, code: int) -> None:
        """Takes note that a job's process has ended."""
        self._jobs[name].ended(code)

    def stop(self) -> None:
        """Ends the page."""
        self._server.stop()
        for each in self._jobs.values():
            each.monitor.stop()


class _Job:
    def __init__(self, name: str, options: StatusOptions, *, ends: bool) -> None:
        self._ends = ends
        self._told = Told(Seen(), Progress(0.0, "starting") if ends else None)
        self._reasons: list[str] = []
        self._gone = False
        self.monitor = Monitor(
            name,
            "DirectRunner",
            [],
            max_lag_s=options.status_max_lag,
            ends=ends,
            progress=self._progress if ends else None,
            see=self._see,
        )

    def _progress(self) -> Progress:
        return self._told.progress or Progress(0.0, "starting")

    def _see(self) -> Seen:
        seen = self._told.seen
        if self._gone:
            return dataclasses.replace(seen.past(), reasons=self._reasons)
        # The monitor adds warnings to what it gets.
        return dataclasses.replace(seen)

    def listen(self, connection: Connection) -> None:
        threading.Thread(
            target=self._read, args=(connection,), name=f"penstock-told-{self.monitor.job.name}", daemon=True
        ).start()

    def _read(self, connection: Connection) -> None:
        with contextlib.closing(connection), contextlib.suppress(EOFError, OSError):
            while True:
                self._told = connection.recv()

    def ended(self, code: int) -> None:
        if not (self._ends and code == 0):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._reasons = [f"the job {how}"]
        self._gone = True


def teller(descriptor: int) -> Callable[[Told], None]:
    """Gives what tells the process that shows a job what is seen of it.

    Args:
        descriptor: the way there, of `SharedPage.way_of`.
    """
    connection = Connection(descriptor, readable=False)

    def tell(told: Told) -> None:
        with contextlib.suppress(OSError):  # nobody shows us any more
            connection.send(told)

    return tell
