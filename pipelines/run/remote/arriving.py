"""`arriving` waits until a job that was handed over runs in a Flink cluster, or says in one line why it doesn't.

Strategy. Flink calls a job running as soon as its tasks are. A worker that lacks penstock itself breaks off before it
answers, and Beam's runner waits three minutes for it, without a word. So a job has arrived when something has ended well: a
checkpoint; or the first step has handed something on, and all tasks run for some time without a failure. (A job that is
resumed from a savepoint hands nothing on.)

Patience. What waiting would not mend, such as a missing module, ends the waiting at once. No slot, or a pool that doesn't
answer, may mend itself. But whoever has submitted shall hear of it within a minute, counted from the submission.
"""

import logging
import platform
import time
from typing import Any

from apache_beam.runners.runner import PipelineState
from apache_beam.version import __version__ as beam_version

from penstock.io.errors import PeerError
from penstock.io.release import this_release
from penstock.pipelines.run.remote._causes import is_hopeless, is_known
from penstock.pipelines.run.remote.flink import FlinkCluster, FlinkJob

__all__ = ["LOOK_S", "Arrival"]

_LOGGER = logging.getLogger("penstock")

LOOK_S = 0.5
_TRANSLATED_S = 300.0
"""So long the job server may take until the cluster knows the job; 15 s is usual, more on a busy machine."""
_STAYS_S = 20.0
_BATCH_STAYS_S = 5.0
"""So long all tasks run without a failure until the job is said to run, where no checkpoint shows it before."""

# Parts of the time that a job has to start: counted from the submission, and from when Flink knows the job, at the least.
_KNOWN_TROUBLE = (3 / 4, 1 / 3)
_SILENCE = (5 / 6, 2 / 3)


class Arrival:
    """A job on its way into a cluster.

    Args:
        cluster: where it goes.
        name: the job's name, for messages.
        job_name: the name by which the cluster will know it.
        starts_within_s: so long it may take until it runs, once the cluster knows it.
        hands_on: whether its first step hands something on: a new endless job's does, a resumed one's need not.
    """

    def __init__(
        self, cluster: FlinkCluster, name: str, job_name: str, starts_within_s: float, *, hands_on: bool
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._job_name = job_name
        self._runs_s = starts_within_s
        self._hands_on = hands_on
        self._known = {job.id for job in cluster.jobs()}
        self._submitted = time.monotonic()
        self._seen: float | None = None
        self._slots_told = False

    @property
    def url(self) -> str:
        """The cluster's address."""
        return self._cluster.url

    def find(self) -> FlinkJob | None:
        """The job as the cluster shows it; None: it doesn't know it yet."""
        new = [
            job for job in self._cluster.jobs() if job.id not in self._known and self._job_name in job.name
        ]
        return new[0] if new else None

    def begin(self) -> None:
        """The job is being submitted now."""
        self._submitted = time.monotonic()

    def wait(self, result: Any, *, endless: bool) -> str:
        """Returns the cluster's id of the job once it runs.

        Args:
            result: what Beam's runner gave.
            endless: whether the job doesn't end by itself.

        Raises:
            PeerError: it doesn't run; with the reason.
            RuntimeError: the job server has given it up, with its words.
        """
        deadline = time.monotonic() + _TRANSLATED_S
        stays_s = _STAYS_S if endless else _BATCH_STAYS_S
        runs_until: float | None = None
        while True:
            found = self.find()
            now = time.monotonic()
            if found is None:
                if result.state in (PipelineState.FAILED, PipelineState.CANCELLED):
                    result.wait_until_finish()  # raises the job server's words
            else:
                self._seen = self._seen or now
                known = self._require_hope(found) or found.waits_for_slots
                runs_until = (runs_until or now + stays_s) if found.runs else None
                stays = runs_until is not None and now >= runs_until
                if found.runs and (self._works(found) or (stays and not self._is_silent(found, endless))):
                    return found.id
                silent = stays or bool(found.tasks.get("INITIALIZING"))
                deadline = self._deadline(
                    self._seen, _KNOWN_TROUBLE if known else _SILENCE if silent else None
                )
                self._tell_slots(found, now)
            if now >= deadline and (runs_until is None or now >= runs_until):
                message = (
                    f"{self._name} does not run in the cluster: {self._why_not(found, now)} It was cancelled."
                )
                raise PeerError(message)
            time.sleep(LOOK_S)

    def _deadline(self, seen: float, parts: tuple[float, float] | None) -> float:
        latest = seen + self._runs_s
        if parts is None:
            return latest
        whole, least = parts
        return min(latest, max(self._submitted + self._runs_s * whole, seen + self._runs_s * least))

    def _works(self, found: FlinkJob) -> bool:
        """Whether something has ended well: the job, or a checkpoint since it began to run."""
        cluster = self._cluster
        return found.state == "FINISHED" or cluster.checkpointed_ms(found.id) > cluster.began_ms(found.id)

    def _is_silent(self, found: FlinkJob, endless: bool) -> bool:
        return endless and self._hands_on and not self._cluster.hands_on(found.id)

    def _require_hope(self, found: FlinkJob) -> bool:
        """Raises `PeerError` where nothing will mend the job; returns whether it is known what is wrong."""
        causes = [cause for _, cause in self._cluster.failures(found.id)]
        cause = causes[0] if causes else ""
        if found.state in ("FAILED", "CANCELED"):
            message = f"{self._name} {found.state.lower()} in the cluster ({found.id}): {cause}"
            raise PeerError(message)
        if is_hopeless(causes):
            message = f"{self._name} can't run in the cluster: {cause}. It was cancelled."
            raise PeerError(message)
        return is_known(cause)

    def _tell_slots(self, found: FlinkJob, now: float) -> None:
        if found.waits_for_slots and not self._slots_told and now > (self._seen or now) + self._runs_s / 6:
            self._slots_told = True
            _LOGGER.warning("%s: %s", self._name, self._without_slots(found))

    def _why_not(self, found: FlinkJob | None, now: float) -> str:
        if found is None:
            return f"Flink at {self._cluster.url} does not know the job {_TRANSLATED_S:g} s after it was submitted."
        causes = self._cluster.failures(found.id)
        cause = causes[0][1] if causes else ""
        if "NoResourceAvailable" in cause or (found.waits_for_slots and not cause):
            return self._without_slots(found)
        waited_s = now - (self._seen or now)
        if found.runs and not cause:
            return (
                f"its tasks run, and no worker has done its first step after {waited_s:.0f} s. Workers must have penstock "
                f"{this_release()}, apache-beam {beam_version} and Python {_minor(platform.python_version())}: install them "
                "there, or bring the package by --setup_file; the workers' log says more (docs/submitting.md)."
            )
        if found.tasks.get("INITIALIZING") and not cause:
            return (
                f"no worker has connected after {waited_s:.0f} s. It was not started, or could not install what was staged: "
                "the log of its pool, or of the task manager, says more (docs/submitting.md)."
            )
        tasks = ", ".join(f"{count} {state.lower()}" for state, count in found.tasks.items() if count)
        return f"it is {found.state} after {waited_s:.0f} s ({tasks}): {cause or 'Flink tells no reason'}."

    def _without_slots(self, found: FlinkJob) -> str:
        overview = self._cluster.overview()
        waiting = found.tasks.get("SCHEDULED", 0) + found.tasks.get("CREATED", 0)
        return (
            f"{waiting or 'all'} tasks wait for a slot; Flink at {self._cluster.url} has "
            f"{overview.get('slots-available', 0)} free of {overview.get('slots-total', 0)}. Add task managers, or give a "
            "smaller --parallelism."
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
