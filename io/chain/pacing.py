"""`pacing` says how long a reader may hold its bundle on each runner, and into how many splits a source is divided."""

import dataclasses
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, StandardOptions

from penstock.io.errors import OptionError

__all__ = ["TURN_S", "Pacing", "PacingOptions", "is_in_memory", "readers_of", "require_lossless", "runner_of"]

TURN_S = 0.5
"""How long an idle split keeps the others of its process waiting; they are read in turn."""
_FINALIZED_WITHIN_S = 5.0


class PacingOptions(PipelineOptions):
    """How long readers may take, when they end, and how a checkpoint ends it. These are options of a run, not of a source.

    `finish_bundle_before_checkpointing` is one of Flink's job server. Without it a checkpoint that meets an open bundle
    keeps the outcome in the step that made it, until that step's next bundle. The step that deals out our splits has one.
    Restored from such a checkpoint, the job runs and reads nothing. `whole_chain` and `settle` set the option.
    """

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--max_read_time_seconds",
            type=float,
            help="Seconds after which a reader ends its bundle, busy or idle. A checkpoint waits for that.",
        )
        parser.add_argument(
            "--finish_bundle_before_checkpointing",
            nargs="?",
            const="true",
            help="An option of Flink's job server.",
        )
        parser.add_argument(
            "--stop_when_idle",
            type=float,
            default=0.0,
            help="End an endless read once nothing has come for that many seconds and all is acknowledged; 0: never.",
        )


@dataclasses.dataclass(frozen=True)
class Pacing:
    """How long a reader may hold its bundle. The values were measured on each runner.

    Attributes:
        block_s: how long `advance()` waits for data, in seconds; data and a stop wake it.
        max_read_time_s: a busy reader ends its bundle after this many seconds.
        finalizes: events are acknowledged at the end of a bundle, so a bundle must not wait for room.
        stop_when_idle_s: the read ends after so many seconds in which nothing came; 0: never.
    """

    block_s: float
    max_read_time_s: float
    finalizes: bool = False
    stop_when_idle_s: float = 0.0

    def finalizing(self) -> "Pacing":
        """For a read that Beam's bundle finalization acknowledges: a bundle lasts 5 s at most."""
        return dataclasses.replace(
            self, max_read_time_s=min(self.max_read_time_s, _FINALIZED_WITHIN_S), finalizes=True
        )

    @classmethod
    def of_pipeline(cls, pipeline: Any) -> "Pacing":
        """Gives the pacing for a pipeline's runner and options."""
        options = pipeline.options.view_as(PacingOptions)
        pacing = cls.of(runner_of(pipeline), options.max_read_time_seconds)
        if not options.stop_when_idle:
            return pacing
        idle_s = options.stop_when_idle
        if idle_s < 0:
            message = "--stop_when_idle must not be negative (seconds; 0 switches it off)."
            raise OptionError(message)
        return dataclasses.replace(pacing, block_s=min(pacing.block_s, idle_s), stop_when_idle_s=idle_s)

    @classmethod
    def of(cls, runner: str, read_time_s: float | None = None) -> "Pacing":
        """Gives the pacing for a runner's name.

        The in-memory FnApiRunner leaks some 30 KB per bundle, hence bundles of an hour. Elsewhere a
        checkpoint waits for the bundle's end: `read_time_s`, or 1.5 s.
        """
        if is_in_memory(runner):
            return cls(block_s=30.0, max_read_time_s=3600.0)
        if read_time_s:
            return cls(block_s=read_time_s, max_read_time_s=read_time_s)
        return cls(block_s=TURN_S, max_read_time_s=1.5)


def is_in_memory(runner: str) -> bool:
    """Whether that runner's name (or None) means Beam's FnApiRunner, which runs in this process."""
    return not runner or "fnapi" in runner.lower() or "direct" in runner.lower()


def runner_of(pipeline: beam.Pipeline) -> str:
    """Gives the name of a pipeline's runner, as the user gave it where he did."""
    return pipeline.options.view_as(StandardOptions).runner or type(pipeline.runner).__name__


def readers_of(pipeline_begin: Any, wanted: int, flag: str) -> int:
    """Gives the number of splits that a source is divided into.

    Args:
        pipeline_begin: the pipeline or its begin.
        wanted: the number that the user gave; 0 means one for each parallel task of the runner.
        flag: the option of that number, for messages.

    Raises:
        OptionError: a split would never be read, or a task would have nothing to read.
    """
    pipeline = getattr(pipeline_begin, "pipeline", pipeline_begin)
    runner = runner_of(pipeline)
    if is_in_memory(runner):
        if wanted > 1:
            message = (
                f"{flag}={wanted} on DirectRunner: it reads splits one after another, so all but one would stand still "
                "for up to 30 s. Leave it out, and start the job several times, or use Flink."
            )
            raise OptionError(message)
        return 1
    parallelism = max(1, pipeline.options.view_as(FlinkRunnerOptions).parallelism)
    if wanted and wanted < parallelism:
        message = (
            f"--parallelism={parallelism} with {flag}={wanted}: {parallelism - wanted} of its tasks would have nothing to "
            f"read. Leave {flag} out, or make it a multiple of the parallelism."
        )
        raise OptionError(message)
    return wanted or parallelism


_LOSES = {
    "load_balance_bundles": (
        "bundles of one reader would go to several processes, each with connections and shards of its own, and none would "
        "know what the others have handed out"
    ),
    "shutdown_sources_after_idle_ms": "a quiet minute would end the job",
    "environment_expiration_millis": "it ends workers, and with them the connections of all Beats",
}
"""Options of Flink's runner and of Beam's workers that an endless read can't stand, each with the reason."""


def require_lossless(options: PipelineOptions) -> None:
    """Raises `OptionError` where an option of the runner makes an endless read lose events or stand still."""
    given = options.get_all_options(retain_unknown_options=True)
    for option, reason in _LOSES.items():
        value = given.get(option)
        if value is not None and str(value).lower() not in ("false", "-1", "0"):
            message = f"--{option}={value} on an endless job: {reason}. Leave it out."
            raise OptionError(message)
    finish = given.get("finish_bundle_before_checkpointing")
    if finish is not None and str(finish).lower() != "true":
        message = (
            f"--finish_bundle_before_checkpointing={finish} on an endless job: restored from its first checkpoint it might "
            "read nothing. Leave it out."
        )
        raise OptionError(message)
