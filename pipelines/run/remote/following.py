"""`following` hands a job over to a runner that is another process, waits until it runs there, and says how it goes.

Problem. When Beam calls a job submitted, a job server may still translate it, which is our child and dies with us. A job
whose workers can't start, or for which there is no slot, is called running, and shows no error where it was submitted.

Plan. A Flink whose address is known is asked itself (`flink`): before, whether it is there and fits; then, until it shows
the job and all of its tasks running, and a checkpoint or some seconds have shown that they stay so; then, how it goes
(`telling`). What waiting would not mend, such as a module that the workers don't have, ends the waiting at once.
"""

import contextlib
import logging
import signal
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    JobServerOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
)
from apache_beam.runners.runner import PipelineState

from penstock.io.errors import OptionError, PeerError
from penstock.pipelines.run.early_stop import STOP_SIGNALS, StoppedEarly, disarm
from penstock.pipelines.run.remote._causes import is_hopeless, is_known
from penstock.pipelines.run.remote.flink import ENDED, FlinkCluster, FlinkJob, address_of
from penstock.pipelines.run.remote.flink_options import SubmissionOptions
from penstock.pipelines.run.remote.job_server import flink_version_of
from penstock.pipelines.run.remote.telling import told

__all__ = ["Submission"]

_LOGGER = logging.getLogger("penstock")

_CANCELLED = "JobCancellationException"
_TRANSLATED_S = 300.0
"""So long the job server may take until the cluster knows the job; 15 s is usual, more on a busy machine."""
_KNOWN_TROUBLE = 3 / 4
_LEAST_PATIENCE = 1 / 3
"""Parts of the time that a job has to start. No slot, or a pool that doesn't answer, may mend itself; but whoever has
submitted shall hear of it within a minute, and that is counted from the submission."""
_CANCELLED_S = 60.0
_STAYS_S = 20.0
_BATCH_STAYS_S = 5.0
"""So long all tasks run without a failure until the job is said to run, where no checkpoint shows it before."""
_LOOK_S = 0.5
_ENDED_STATES = (PipelineState.DONE, PipelineState.FAILED, PipelineState.CANCELLED)


class Submission:
    """A job on its way to a runner in other processes.

    Args:
        name: the job's name, for messages.
        options: Beam's options, complete for their runner; they are read now, because Beam changes them.

    Raises:
        OptionError: they can't be handed over as asked, or don't fit the cluster.
        Unreachable: the cluster doesn't answer.
    """

    def __init__(self, name: str, options: PipelineOptions) -> None:
        flink = options.view_as(FlinkRunnerOptions)
        runner = (options.view_as(StandardOptions).runner or "").lower()
        url = address_of(flink.flink_master) if "flink" in runner else ""
        self._name = name
        self._job_name = str(options.view_as(GoogleCloudOptions).job_name or name)
        self._cluster = FlinkCluster(url) if url else None
        self._wait = not options.view_as(StandardOptions).no_wait_until_finish
        self._staged = _staged_here(options) if self._cluster is not None else ""
        if self._staged and not self._wait:
            message = (
                f"--no_wait_until_finish with {self._staged}: what is staged lies in a folder of this process and is gone "
                "with it, so a worker that starts later could not fetch it. Give --artifacts_dir (a folder that the cluster "
                "sees too) or --flink_submit_uber_jar, or leave --no_wait_until_finish out."
            )
            raise OptionError(message)
        self._runs_s = options.view_as(SubmissionOptions).start_timeout_seconds
        self._known: set[str] = set()
        if self._cluster is not None:
            self._fit(self._cluster, flink)
            self._known = {job.id for job in self._cluster.jobs()}

    def _fit(self, cluster: FlinkCluster, flink: FlinkRunnerOptions) -> None:
        found = cluster.overview()
        version = _minor(found.get("flink-version", ""))
        jar = flink.flink_job_server_jar
        ours = (_minor(flink_version_of(jar)) if jar else "") or flink.flink_version
        if version and version != ours:
            named = f"--flink_job_server_jar={jar} is for Flink {ours}" if jar else f"--flink_version={ours}"
            remedy = f"Name a jar for Flink {version}." if jar else f"Give --flink_version={version}."
            message = f"{named}: the cluster at {cluster.url} is Flink {found['flink-version']}. {remedy}"
            raise OptionError(message)
        free, slots = int(found.get("slots-available", 0)), int(found.get("slots-total", 0))
        if slots and free < flink.parallelism:
            _LOGGER.warning(
                "%s: --parallelism=%d needs as many slots, and Flink at %s has %d free of %d",
                self._name, flink.parallelism, cluster.url, free, slots,
            )  # fmt: skip

    # -- an endless job --------------------------------------------------------------------------------

    def run_streaming(self, pipeline: Any) -> int:
        """Hands the pipeline over, waits until it runs, and then (unless asked not to) until it ends. Returns the exit code.

        SIGINT and SIGTERM end the waiting, not the job.

        Raises:
            RuntimeError: the job failed there, with the runner's words.
            PeerError: it doesn't run within a minute, with the reason.
        """
        with _interrupted_by_signals():
            result, job = self._hand_over(pipeline, _STAYS_S)
            if not self._wait:
                return 0
            try:
                with told(self._cluster, job, self._name):
                    result.wait_until_finish()
            except KeyboardInterrupt:
                return self._leave(job)
            except RuntimeError as error:
                # Flink's job server calls a job failed that Flink itself has cancelled.
                if result.state != PipelineState.CANCELLED and _CANCELLED not in str(error):
                    raise
                _LOGGER.info("%s: was cancelled in the cluster", self._name)
                return 0
        _LOGGER.info("%s: ended in the cluster: %s", self._name, result.state)
        return 0

    def _leave(self, job: str) -> int:
        _LOGGER.info(
            "%s: goes on in the cluster as %s; stop it there, with a savepoint (docs/flink.md)",
            self._name,
            job,
        )
        if self._staged:
            _LOGGER.warning(
                "%s: what %s staged is gone with this process: a worker that starts later can't fetch it (--artifacts_dir)",
                self._name, self._staged,
            )  # fmt: skip
        return 0

    # -- a job that ends by itself ---------------------------------------------------------------------

    def run_batch(self, pipeline: Any) -> tuple[Any, bool]:
        """Hands the pipeline over and waits until it ends, or only until it runs.

        SIGINT and SIGTERM cancel the job in the cluster.

        Returns:
            The runner's result, and whether the job was stopped.

        Raises:
            RuntimeError: the job failed there.
            PeerError: it doesn't run within a minute, with the reason.
        """
        with _interrupted_by_signals():
            result, job = self._hand_over(pipeline, _BATCH_STAYS_S)
            if not self._wait:
                return result, False
            try:
                with told(self._cluster, job, self._name):
                    result.wait_until_finish()
            except KeyboardInterrupt:
                _LOGGER.info("stopping: %s is cancelled in the cluster", self._name)
                self._cancel(result, job)
                return result, True
            except RuntimeError as error:
                if result.state != PipelineState.CANCELLED and _CANCELLED not in str(error):
                    raise
                _LOGGER.info("%s: was cancelled in the cluster", self._name)
                return result, True
        return result, False

    @property
    def waits(self) -> bool:
        """Whether to wait for the job's end."""
        return self._wait

    def _cancel(self, result: Any, job: str) -> None:
        try:
            if self._cluster is not None:
                self._cluster.cancel(job)
                deadline = time.monotonic() + _CANCELLED_S
                while self._cluster.job(job).state not in ENDED and time.monotonic() < deadline:
                    time.sleep(_LOOK_S)
            else:
                result.cancel()
        except (PeerError, KeyboardInterrupt) as error:
            _LOGGER.warning("%s: may go on in the cluster as %s; stop it there (%s)", self._name, job, error)

    # -- arriving --------------------------------------------------------------------------------------

    def _hand_over(self, pipeline: Any, stays_s: float) -> tuple[Any, str]:
        """Runs the pipeline and waits until the job runs; returns what the runner gave, and the cluster's id of the job."""
        result, submitted = None, time.monotonic()
        try:
            result = pipeline.run()
            if self._cluster is None:
                job = self._arrive_at_job_server(result)
                _LOGGER.info("%s: submitted as %s", self._name, job)
            else:
                job = self._arrive_at(self._cluster, result, submitted, stays_s)
                _LOGGER.info("%s: submitted; Flink at %s runs it as %s", self._name, self._cluster.url, job)
        except PeerError:
            self._give_up(result)
            raise
        except KeyboardInterrupt as error:
            _LOGGER.info("%s: not handed over yet; it is cancelled", self._name)
            self._give_up(result)
            if getattr(error, "number", signal.SIGINT) == signal.SIGINT:
                raise
            raise StoppedEarly from None
        return result, job

    def _arrive_at(self, cluster: FlinkCluster, result: Any, submitted: float, stays_s: float) -> str:
        deadline = time.monotonic() + _TRANSLATED_S
        seen: float | None = None
        runs_until: float | None = None
        slots_told = False
        while True:
            found = self._ours(cluster)
            now = time.monotonic()
            if found is None:
                if result.state in (PipelineState.FAILED, PipelineState.CANCELLED):
                    result.wait_until_finish()  # raises the job server's words
            else:
                if seen is None:
                    seen = now
                deadline = seen + self._runs_s
                if self._require_hope(cluster, found) or found.waits_for_slots:
                    least = seen + self._runs_s * _LEAST_PATIENCE
                    deadline = min(deadline, max(submitted + self._runs_s * _KNOWN_TROUBLE, least))
                runs_until = (runs_until or now + stays_s) if found.runs else None
                if runs_until is not None and (now >= runs_until or self._works(cluster, found)):
                    return found.id
                if found.waits_for_slots and not slots_told and now > seen + self._runs_s / 6:
                    slots_told = True
                    _LOGGER.warning("%s: %s", self._name, self._without_slots(cluster, found))
            if now >= deadline and runs_until is None:
                why = self._why_not(cluster, found, 0 if seen is None else now - seen)
                message = f"{self._name} does not run in the cluster: {why} It was cancelled."
                raise PeerError(message)
            time.sleep(_LOOK_S)

    def _works(self, cluster: FlinkCluster, found: FlinkJob) -> bool:
        """Whether something has ended well: the job, or a checkpoint since it began to run."""
        return found.state == "FINISHED" or cluster.checkpointed_ms(found.id) > cluster.began_ms(found.id)

    def _require_hope(self, cluster: FlinkCluster, found: FlinkJob) -> bool:
        """Raises `PeerError` where nothing will mend the job; returns whether it is known what is wrong."""
        causes = [cause for _, cause in cluster.failures(found.id)]
        cause = causes[0] if causes else ""
        if found.state in ("FAILED", "CANCELED"):
            message = f"{self._name} {found.state.lower()} in the cluster ({found.id}): {cause}"
            raise PeerError(message)
        if is_hopeless(causes):
            message = f"{self._name} can't run in the cluster: {cause}. It was cancelled."
            raise PeerError(message)
        return is_known(cause)

    def _why_not(self, cluster: FlinkCluster, found: FlinkJob | None, waited_s: float) -> str:
        if found is None:
            return f"Flink at {cluster.url} does not know the job {_TRANSLATED_S:g} s after it was submitted."
        cause = self._cause(cluster, found)
        if "NoResourceAvailable" in cause or (found.waits_for_slots and not cause):
            return self._without_slots(cluster, found)
        tasks = ", ".join(f"{count} {state.lower()}" for state, count in found.tasks.items() if count)
        return f"it is {found.state} after {waited_s:.0f} s ({tasks}): {cause or 'Flink tells no reason'}."

    def _without_slots(self, cluster: FlinkCluster, found: FlinkJob) -> str:
        overview = cluster.overview()
        waiting = found.tasks.get("SCHEDULED", 0) + found.tasks.get("CREATED", 0)
        return (
            f"{waiting or 'all'} tasks wait for a slot; Flink at {cluster.url} has {overview.get('slots-available', 0)} "
            f"free of {overview.get('slots-total', 0)}. Add task managers, or give a smaller --parallelism."
        )

    def _cause(self, cluster: FlinkCluster, found: FlinkJob) -> str:
        causes = cluster.failures(found.id)
        return causes[0][1] if causes else ""

    def _ours(self, cluster: FlinkCluster) -> FlinkJob | None:
        new = [job for job in cluster.jobs() if job.id not in self._known and self._job_name in job.name]
        return new[0] if new else None

    def _arrive_at_job_server(self, result: Any) -> str:
        deadline = time.monotonic() + _TRANSLATED_S
        while (state := result.state) not in (PipelineState.RUNNING, *_ENDED_STATES):
            if time.monotonic() >= deadline:
                message = (
                    f"{self._name} does not run: the job server calls it {state} after {_TRANSLATED_S:g} s."
                )
                raise PeerError(message)
            time.sleep(_LOOK_S)
        if state == PipelineState.FAILED and not self._wait:
            result.wait_until_finish()  # raises the job server's words
        return str(getattr(result, "_job_id", "") or self._name)

    def _give_up(self, result: Any) -> None:
        with contextlib.suppress(Exception):  # everything is logged already
            found = None if self._cluster is None else self._ours(self._cluster)
            if found is not None and self._cluster is not None:
                self._cluster.cancel(found.id)
            elif result is not None:
                result.cancel()


def _minor(version: Any) -> str:
    return ".".join(str(version).split(".")[:2])


def _staged_here(options: PipelineOptions) -> str:
    """Gives the option whose files are in this process's temporary folder; "" where there are none."""
    flink, setup = options.view_as(FlinkRunnerOptions), options.view_as(SetupOptions)
    if flink.flink_submit_uber_jar or options.view_as(JobServerOptions).artifacts_dir:
        return ""
    for name in ("setup_file", "extra_packages", "requirements_file"):
        if getattr(setup, name, None):
            return f"--{name.removesuffix('s')}"
    return ""


class _Left(KeyboardInterrupt):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP raise `KeyboardInterrupt` within the block, as SIGINT does."""

    def leave(number: int, frame: Any) -> None:
        raise _Left(number)

    disarm()
    numbers = (signal.SIGINT, *STOP_SIGNALS)
    previous = {
        number: signal.signal(number, leave)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
