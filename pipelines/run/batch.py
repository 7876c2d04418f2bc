"""`run_batch` runs a batch job: it lists, runs with a display, reports, and gives the exit code.

- A batch job ends by itself. SIGINT and SIGTERM ask for a clean stop: events that were read are written, nothing more is
  read, and finished units are in the manifest. A second signal ends the process at once.
- A person at a terminal sees one line that is rewritten. A log file gets a line now and then.
- With `--workers N`, N processes like this one do the units of work (`workers.batch_parent`), each with the whole graph.
- Exit codes: 0 all read and nothing refused (with `--allow_dead_letters`: or refused and kept); 1 failed, or some
  events were refused; 2 wrong options; 3 stopped before the end.
"""

import contextlib
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions

from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.unbounded import is_in_memory
from penstock.io.errors import OptionError
from penstock.io.file_limit import raise_file_limit
from penstock.io.s3.units.tally import Counts, read_counts
from penstock.pipelines.beam_arguments import beam_options
from penstock.pipelines.console.logs import last_words, set_up_logging, tell
from penstock.pipelines.job_options import BatchJobOptions
from penstock.pipelines.run.lifecycle import Watch, choose_runner, report, say_kernels
from penstock.pipelines.run.progress import Display, Workload, duration_text, size_text
from penstock.pipelines.run.remote.following import Submission
from penstock.pipelines.run.remote.loopback import ends_with_us
from penstock.pipelines.run.runners import Place, settle
from penstock.pipelines.status import refuse_elsewhere, shown, steps_of
from penstock.pipelines.workers.batch_parent import WorkerProcesses, claims_file

__all__ = ["STOPPED", "Batch", "BatchJobOptions", "run_batch", "run_worker"]

_LOGGER = logging.getLogger("penstock")
STOPPED = 3
"""Exit code of a job that was asked to stop before its end."""


class Batch(Protocol):
    """The parts of a batch job that `run_batch` calls."""

    options: BatchJobOptions

    def prepare(self) -> Workload | None:
        """Tries and lists. Returns None when there is nothing to run. Raises `PenstockError` where the job would fail."""

    def share(self, claims: Path) -> None:
        """Writes the units of work to a file that worker processes take them from; after `prepare`."""

    def build(self, pipeline: Any, folder: str, claims: Path | None) -> None:
        """Puts the graph on a pipeline.

        Args:
            pipeline: the pipeline.
            folder: where progress is written.
            claims: the file with the units of work; None: this process does all that `prepare` found.
        """


def run_batch(
    name: str, batch: Batch, beam_arguments: Sequence[str], argv: Sequence[str], *, stop_timeout: float = 30.0
) -> int:
    """Runs a batch job to its end and returns its exit code.

    Args:
        name: the job's name.
        batch: the job.
        beam_arguments: the arguments left for Beam's own options.
        argv: its command line, for worker processes.
        stop_timeout: seconds that its sink goes on writing after a stop.
    """
    job = batch.options
    raise_file_limit()
    watch = Watch(name, stop_timeout, too_late=STOPPED)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder, contextlib.ExitStack() as ends:
        set_up_logging(job)
        workers = None
        try:
            options, place = _options_and_place(name, job, beam_arguments)
            submission = Submission(name, options) if place.elsewhere and not job.dry_run else None
            runner = choose_runner(options)
            say_kernels()
            if job.processes > 1 and not job.dry_run:
                workers = WorkerProcesses(name, argv, job.processes, Path(folder))
                ends.callback(workers.end)
            work = batch.prepare()
            if work is None:
                return 0
            pipeline = beam.Pipeline(runner=runner, options=options)
            claims = claims_file(Path(folder)) if is_in_memory(place.runner) else None
            batch.build(pipeline, folder, claims)
            if submission is not None:
                return _submit(name, job, work, pipeline, submission)
            watch.start()
            kind = "log" if job.log_format == "json" and job.progress == "auto" else job.progress
            display = Display(Path(folder), work, kind)
            display.start()
            try:
                with (
                    ends_with_us(options),
                    shown(name, job, steps_of(pipeline), place.runner, progress=display.progress),
                ):
                    if claims is not None:
                        batch.share(claims)
                    if workers is None:
                        counters = _run(pipeline)
                    else:
                        workers.go()
                        counters = workers.wait()
            finally:
                display.end()
            stopped = LIVE.stopping.is_set()
            LIVE.close()
            found = read_counts(Path(folder))
        except BaseException as error:
            ends.close()  # the workers' lines come before our last words
            code = report(name, error, too_late=STOPPED)
            _tell_what_is_done(read_counts(Path(folder)))
            return code
        finally:
            watch.end()
    return _report_outcome(name, job, work, found, counters, display.seconds, stopped=stopped)


def _submit(name: str, job: BatchJobOptions, work: Workload, pipeline: Any, submission: Submission) -> int:
    """Runs the job in a cluster; its own page shows how far it is."""
    began = time.monotonic()
    result, stopped = submission.run_batch(pipeline)
    if not submission.waits:
        return 0
    seconds = time.monotonic() - began
    return _report_outcome(name, job, work, Counts(), _counters(result), seconds, stopped=stopped)


def run_worker(
    batch: Batch, beam_arguments: Sequence[str], folder: Path, go: threading.Event
) -> dict[str, int]:
    """Runs a worker process's share of a batch job, once it may. Returns its counters.

    Args:
        batch: the job.
        beam_arguments: the arguments left for Beam's own options.
        folder: shared with the job's own process.
        go: set when there is something to do.
    """
    set_up_logging(batch.options)
    raise_file_limit()
    options, _ = _options_and_place("worker", batch.options, beam_arguments)
    pipeline = beam.Pipeline(runner=choose_runner(options), options=options)
    batch.build(pipeline, str(folder), claims_file(folder))
    go.wait()
    counters = _run(pipeline)
    LIVE.close()
    return counters


def _options_and_place(
    name: str, job: BatchJobOptions, beam_arguments: Sequence[str]
) -> tuple[PipelineOptions, Place]:
    """Gives Beam's options, complete for their runner, and where it runs. Raises `OptionError` for a wrong combination."""
    options = beam_options(beam_arguments)
    options.view_as(SetupOptions).save_main_session = False
    place = settle(options, name, streaming=False)
    if place.elsewhere:
        refuse_elsewhere(job, place.runner)
    if job.processes > 1 and not is_in_memory(place.runner):
        message = (
            f"--workers is for DirectRunner: {place.runner} has an option of its own (Flink: --parallelism)."
        )
        raise OptionError(message)
    options.view_as(StandardOptions).streaming = False
    return options, place


def _run(pipeline: Any) -> dict[str, int]:
    """Runs a pipeline to its end; returns its counters."""
    result = pipeline.run()
    result.wait_until_finish()
    return _counters(result)


def _counters(result: Any) -> dict[str, int]:
    """Gives the runner's counters, where it has them: `namespace/name` to sum."""
    sums: dict[str, int] = {}
    try:
        for each in result.metrics().query()["counters"]:
            key = f"{each.key.metric.namespace}/{each.key.metric.name}"
            sums[key] = sums.get(key, 0) + int(each.committed or 0)
    except Exception as error:
        _LOGGER.debug("the runner tells no counters: %s", error)
    return sums


def _report_outcome(
    name: str,
    job: BatchJobOptions,
    work: Workload,
    found: Counts,
    counters: dict[str, int],
    seconds: float,
    *,
    stopped: bool,
) -> int:
    refused = max(found.refused, counters.get("s3/refused", 0))
    delivered = max(found.delivered, counters.get("s3/delivered", 0))
    records = max(found.read, counters.get("s3/records", 0))
    incomplete = max(found.incomplete, counters.get("s3/incomplete", 0))
    replays = counters.get("elasticsearch/replays", 0)
    rate = delivered / seconds if seconds else 0.0
    lines = [
        f"{name}: {'stopped before the end' if stopped else 'done'} after {duration_text(seconds)}",
        f"  objects      {work.objects:>14,}   to read, {size_text(work.bytes)}"
        + (f"; {work.done_before:,} more were finished before" if work.done_before else ""),
        f"  records      {records:>14,}   read",
        f"  written      {delivered - replays:>14,}   {rate:,.0f} events per second",
        f"  there already{replays:>14,}",
        f"  refused      {refused:>14,}" + (f"   kept in {job.dead_letter_url(name)}" if refused else ""),
    ]
    if incomplete:
        lines.append(
            f"  incomplete   {incomplete:>14,}   objects gone, changed, archived or of another format"
        )
    tell(
        "\n".join(lines),
        objects=work.objects,
        records=records,
        written=delivered - replays,
        there_already=replays,
        refused=refused,
        incomplete=incomplete,
        seconds=round(seconds, 3),
    )
    if stopped:
        last_words(name, "run it again to go on (with --manifest it reads only the rest)", STOPPED)
        return STOPPED
    if refused and not job.allow_dead_letters:
        last_words(name, "some events were refused: exit code 1", 1)
        return 1
    return 0


def _tell_what_is_done(found: Counts) -> None:
    if found.delivered:
        tell(
            f"  until then: {found.units:,} units, {found.delivered:,} events delivered, {found.refused:,} refused",
            units=found.units,
            delivered=found.delivered,
            refused=found.refused,
        )
