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
from penstock.pipelines.flink_options import FlinkStreamingOptions, SubmissionOptions
from penstock.pipelines.run.remote.arriving import LOOK_S, Arrival
from penstock.pipelines.run.remote.flink import ENDED, FlinkCluster, address_of
from penstock.pipelines.run.remote.job_server import flink_version_of
from penstock.pipelines.run.remote.telling import told
from penstock.pipelines.stopping.early_stop import StoppedEarly
from penstock.pipelines.stopping.stop_signals import handled

__all__ = ["Submission"]

_LOGGER = logging.getLogger("penstock")

_CANCELLED = "JobCancellationException"
_TRANSLATED_S = 300.0
"""So long a job server whose cluster isn't known may take until it calls the job running."""
_CANCELLED_S = 60.0
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
        self._arrival: Arrival | None = None
        if self._cluster is not None:
            self._fit(self._cluster, flink)
            self._arrival = Arrival(
                self._cluster, name, str(options.view_as(GoogleCloudOptions).job_name or name),
                options.view_as(SubmissionOptions).start_timeout_seconds,
                hands_on=not options.view_as(FlinkStreamingOptions).savepoint_path,
            )  # fmt: skip

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
            result, job = self._hand_over(pipeline, endless=True)
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
            result, job = self._hand_over(pipeline, endless=False)
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
                    time.sleep(LOOK_S)
            else:
                result.cancel()
        except (PeerError, KeyboardInterrupt) as error:
            _LOGGER.warning("%s: may go on in the cluster as %s; stop it there (%s)", self._name, job, error)

    # -- arriving --------------------------------------------------------------------------------------

    def _hand_over(self, pipeline: Any, *, endless: bool) -> tuple[Any, str]:
        """Runs the pipeline and waits until the job runs; returns what the runner gave, and the cluster's id of the job."""
        result, arrival = None, self._arrival
        try:
            if arrival is None:
                result = pipeline.run()
                job = self._arrive_at_job_server(result)
                _LOGGER.info("%s: submitted as %s", self._name, job)
            else:
                arrival.begin()
                result = pipeline.run()
                job = arrival.wait(result, endless=endless)
                _LOGGER.info("%s: submitted; Flink at %s runs it as %s", self._name, arrival.url, job)
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

    def _arrive_at_job_server(self, result: Any) -> str:
        deadline = time.monotonic() + _TRANSLATED_S
        while (state := result.state) not in (PipelineState.RUNNING, *_ENDED_STATES):
            if time.monotonic() >= deadline:
                message = (
                    f"{self._name} does not run: the job server calls it {state} after {_TRANSLATED_S:g} s."
                )
                raise PeerError(message)
            time.sleep(LOOK_S)
        if state == PipelineState.FAILED and not self._wait:
            result.wait_until_finish()  # raises the job server's words
        return str(getattr(result, "_job_id", "") or self._name)

    def _give_up(self, result: Any) -> None:
        with contextlib.suppress(Exception):  # everything is logged already
            found = None if self._arrival is None else self._arrival.find()
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

    with handled(leave):
        yield
