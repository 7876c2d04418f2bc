"""`WorkerProcesses` starts the worker processes of a batch job, watches them, and leaves none behind.

Problem. Two processes should do twice as much as one. Beam's own worker processes did 1.4 times as much: a core
was idle for a fifth of the time between their gRPC threads.

Plan. Each worker (`batch_worker`) runs the job's whole graph in memory, as a job with one process does. They share a file,
from which they take units. We talk to a worker by its `lifeline`; when we are gone, it ends at once. It talks to us by
its log lines, and by a file when it ends: its counters or its failure.

When a worker fails or dies, the job fails, after the others have stopped cleanly. The next run reads the units of
that worker.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import PenstockError
from penstock.pipelines.workers.lifeline import GO, STOP
from penstock.pipelines.workers.process import WorkerProcess

__all__ = ["WorkerProcesses", "claims_file", "outcome_file"]

_LOOK_EVERY_S = 0.1
_PATIENCE_S = 60.0
"""Seconds that the others may take, after one worker has failed, to write what they have read."""


def claims_file(folder: Path) -> Path:
    """Gives the file of the units of work."""
    return folder / "claims"


def outcome_file(folder: Path, number: int) -> Path:
    """Gives the file in which a worker says how it ended."""
    return folder / f"worker-{number}.outcome"


class WorkerProcesses:
    """Several processes that run one job together.

    Args:
        job: the job's name.
        argv: the job's command line.
        count: how many processes.
        folder: a folder for this run, shared with them.

    Attributes:
        claims: the file that they take units of work from.
    """

    def __init__(self, job: str, argv: Sequence[str], count: int, folder: Path) -> None:
        self.claims = claims_file(folder)
        self._workers = [_Worker(job, argv, number, folder) for number in range(count)]

    def go(self) -> None:
        """Lets them begin, because the units are there."""
        for worker in self._workers:
            worker.tell(GO)

    def wait(self) -> dict[str, int]:
        """Returns the sums of their counters when all have ended well. Passes a stop on to them.

        Raises:
            PenstockError: one has failed, or was killed.
        """
        told = False
        deadline = math.inf
        while any([worker.runs() for worker in self._workers]):  # noqa: C419  each is to be looked at
            failed = any(worker.process.returncode for worker in self._workers)
            if not told and (failed or LIVE.stopping.is_set()):
                told = True
                for worker in self._workers:
                    worker.tell(STOP)
            if failed:
                deadline = min(deadline, time.monotonic() + _PATIENCE_S)
                if time.monotonic() >= deadline:
                    break
            time.sleep(_LOOK_EVERY_S)
        sums: dict[str, int] = {}
        for worker in self._workers:
            for name, count in worker.counters().items():
                sums[name] = sums.get(name, 0) + count
        return sums

    def end(self) -> None:
        """Ends those that still run, and passes on their log lines."""
        for worker in self._workers:
            worker.end()


class _Worker(WorkerProcess):
    """One worker process of a batch job."""

    def __init__(self, job: str, argv: Sequence[str], number: int, folder: Path) -> None:
        self._number = number
        self._outcome = outcome_file(folder, number)
        super().__init__(
            "penstock.pipelines.commands.batch_worker", [job, str(folder), str(number), *argv], number
        )

    def counters(self) -> dict[str, int]:
        """Gives its counters; none if it still runs. Raises `PenstockError` if it failed."""
        code = self.process.returncode
        if code is None:
            return {}
        try:
            said: dict[str, Any] = json.loads(self._outcome.read_bytes())
        except (OSError, ValueError):
            said = {}
        if code == 0 and "counters" in said:
            return dict(said["counters"])
        failure = PenstockError(said.get("failure") or self._died())
        failure.exit_code = code if code > 0 else 1
        raise failure

    def _died(self) -> str:
        how = self.how_it_ended()
        return (
            f"worker process {self._number} {how}. What was written counts; run the job again for the rest."
        )
