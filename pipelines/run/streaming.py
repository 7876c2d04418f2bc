"""`streaming` runs an endless job: the trials before, the run itself, the clean stop, the last words.

- Trials that need no runner come first, because a runner reports a failing source or sink late and at length.
- SIGINT and SIGTERM ask for a clean stop: sources let nothing more in, events that were read are written and
  acknowledged, positions are stored, and the exit code is 0. A second signal ends the process at once.
- The parts that a batch job has too (runner, log, signals, last words) are in `lifecycle`.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import SetupOptions, StandardOptions

from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.pacing import PacingOptions, is_in_memory
from penstock.io.chain.whole_chain import require_shareable
from penstock.io.errors import OptionError
from penstock.io.file_limit import raise_file_limit
from penstock.io.garbage_collector import calm_garbage_collector
from penstock.pipelines.beam_arguments import beam_options
from penstock.pipelines.console.logs import set_up_logging
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.run.lifecycle import Watch, choose_runner, explain_failure, report, say_kernels
from penstock.pipelines.run.remote.following import Submission
from penstock.pipelines.run.remote.loopback import ends_with_us, stay
from penstock.pipelines.run.runners import settle
from penstock.pipelines.status import refuse_elsewhere, shown, steps_of, told
from penstock.pipelines.workers.telling import Ended, Parent, Prepared, Ready, find_parent

__all__ = ["JobOptions", "run_streaming"]

_LOGGER = logging.getLogger("penstock")


def run_streaming(
    name: str,
    job: JobOptions,
    beam_arguments: Sequence[str],
    before: Sequence[Callable[[], Any]],
    build: Callable[[Any], Any],
    *,
    once: Sequence[Callable[[], Any]] = (),
    stop_timeout: float = 0.0,
) -> int:
    """Runs a streaming job until it is stopped, and returns its exit code.

    Args:
        name: the job's name, for messages.
        job: options of the job itself.
        beam_arguments: the arguments left for Beam's own options.
        before: functions called in this order before the pipeline is built. Each raises `PenstockError` where the
            job would fail.
        build: puts the graph on a pipeline.
        once: called like `before` and after it, but by one worker only where the job has several.
        stop_timeout: seconds that one of its steps needs for a stop, where that is more than the job's.

    Returns:
        0 after a clean stop, 1 after a failure, 2 for a wrong option that only these calls can find.
    """
    parent = find_parent()
    if parent is not None:
        return _run_worker(parent, name, job, beam_arguments, before, once, build, stop_timeout=stop_timeout)
    set_up_logging(job)
    raise_file_limit()
    watch = Watch(name, max(job.stop_timeout, stop_timeout), stop_when_idle_s=job.stop_when_idle)
    try:
        if job.starts_workers:
            message = f"--workers {job.workers} is for `penstock JOB`. Start this program several times, or leave it out."
            raise OptionError(message)
        options = beam_options(beam_arguments)
        options.view_as(StandardOptions).streaming = True
        options.view_as(SetupOptions).save_main_session = False
        place = settle(options, name, streaming=True)
        if is_in_memory(place.runner):  # its readers wait for long; elsewhere the watch alone ends them
            options.view_as(PacingOptions).stop_when_idle = job.stop_when_idle
        submission = None
        if place.elsewhere:
            refuse_elsewhere(job, place.runner)
            submission = Submission(name, options)
        runner = choose_runner(options)
        for call in (*before, *once):
            call()
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline)
        _LOGGER.info("%s: running on %s", name, place.describe())
        say_kernels()
        if submission is not None:
            return submission.run_streaming(pipeline)
        watch.start()
        calm_garbage_collector()
        with ends_with_us(options), shown(name, job, steps_of(pipeline), place.runner):
            result = pipeline.run()
            if isinstance(runner, str):
                stay(result)
            else:
                result.wait_until_finish()
            sources = LIVE.sources
            LIVE.close()
    except BaseException as error:
        return report(name, error)
    finally:
        watch.end()
    left = watch.left_events + sum(source.pending_events for source in sources)
    if left:
        _LOGGER.warning(
            "%s: stopped; %d events that were read are not acknowledged, and come again", name, left
        )
    else:
        _LOGGER.info("%s: stopped; everything read is written and acknowledged", name)
    return 0


def _run_worker(
    parent: Parent,
    name: str,
    job: JobOptions,
    beam_arguments: Sequence[str],
    before: Sequence[Callable[[], Any]],
    once: Sequence[Callable[[], Any]],
    build: Callable[[Any], Any],
    *,
    stop_timeout: float,
) -> int:
    """Runs this worker's part of the job; its parent stops it, shows it and says how it ended. Arguments as above."""
    set_up_logging(job, parent.number)
    watch = Watch(name, max(job.stop_timeout, stop_timeout), say_ready=lambda text: parent.tell(Ready(text)))
    try:
        options = beam_options(beam_arguments)
        options.view_as(StandardOptions).streaming = True
        options.view_as(SetupOptions).save_main_session = False
        place = settle(options, name, streaming=True)
        if not is_in_memory(place.runner):
            message = f"--workers is for DirectRunner: {place.runner} has an option of its own (Flink: --parallelism)."
            raise OptionError(message)
        runner = choose_runner(options)
        for call in before:
            call()
        if parent.prepares:
            for call in once:
                call()
            parent.tell(Prepared())
        else:
            parent.wait_for_turn()
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline)
        require_shareable(pipeline)
        parent.begin()
        watch.start()
        calm_garbage_collector()
        steps = steps_of(pipeline)
        with told(name, place.runner, steps, parent.looks_every_s, job.stop_when_idle, parent.tell):
            pipeline.run().wait_until_finish()
            sources = LIVE.sources
        LIVE.close()
    except BaseException as error:
        code, text = explain_failure(error)
        LIVE.close()  # what was acknowledged before the failure still becomes a checkpoint or an ACK
        parent.tell(Ended(code, text, 0))
        return code
    finally:
        watch.end()
    left = watch.left_events + sum(source.pending_events for source in sources)
    parent.tell(Ended(0, "", left))
    return 0
