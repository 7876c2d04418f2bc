"""`runners` sets the options that a runner needs and the user left open, and refuses those that would lose or stall events.

The graph is the same on every runner. Only two things differ: how long a reader holds its bundle (`Pacing`, in the
source), and a few options of the runner itself. They are settled here before the pipeline is built, and logged in
one line at the start. The figures behind them are in docs/flink.md.

A bad option is refused, not only warned of: nobody notices a job that seems to run, and doesn't.
"""

import dataclasses
import json
import logging
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    WorkerOptions,
)

from penstock.io.chain._flink_keys import DEFAULT_MAX_PARALLELISM
from penstock.io.chain.pacing import require_lossless
from penstock.io.chain.unbounded import Pacing, PacingOptions, is_in_memory
from penstock.io.errors import OptionError
from penstock.pipelines.beam_arguments import beam_options
from penstock.pipelines.flink_options import FlinkStreamingOptions

__all__ = ["Place", "runs_elsewhere", "settle"]

_LOGGER = logging.getLogger("penstock")

CHECKPOINTING_INTERVAL_MS = 10_000
MAX_BUNDLE_TIME_MS = 5
"""Milliseconds after which Flink looks at its clock; only then it hands on a bundle's outcome and begins the next."""

READ_TIME_S = 10
"""Seconds. Beam's Flink runner adds about 2 KB to the job's state with each bundle of a reader, for ever (beam#27648)."""

LONGEST_BUNDLE_TIME_MS = 200
LONGEST_READ_TIME_S = 60
LEAST_CHECKPOINTING_INTERVAL_MS = 100
_LOCAL_MASTERS = ("[local]", "[auto]")


@dataclasses.dataclass(frozen=True)
class Place:
    """The place where a pipeline runs.

    Attributes:
        runner: the runner by the user's name for it.
        elsewhere: whether other processes read and write, so that signals here stop nothing there.
        pacing: how long its readers hold a bundle.
        chosen: the options that we chose, as one types them.
    """

    runner: str
    elsewhere: bool
    pacing: Pacing
    chosen: tuple[str, ...] = ()

    def describe(self) -> str:
        """Says for the log which runner it is, and what was chosen for it."""
        pacing = self.pacing
        runner = "Beam's FnApiRunner (DirectRunner)" if is_in_memory(self.runner) else self.runner
        chosen = f", with {' '.join(self.chosen)}" if self.chosen else ""
        return f"{runner}{chosen}; a bundle lasts up to {pacing.max_read_time_s:g} s, an idle read {pacing.block_s:g} s"


def settle(options: PipelineOptions, name: str, *, streaming: bool) -> Place:
    """Completes Beam's options for the runner that they name.

    Args:
        options: changed in place.
        name: the job's name, which the runner shows.
        streaming: whether the job is endless.

    Raises:
        OptionError: an option would make the job lose or stall events, or never start.
    """
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    kind = runner.rpartition(".")[2].lower()
    if is_in_memory(kind):
        _require_one_process(options)
        return Place(runner, elsewhere=False, pacing=Pacing.of(kind))
    settling = _Settling(options)
    settling.choose(GoogleCloudOptions, "job_name", name)
    if "flink" in kind or "portable" in kind:
        _require_environment(options, runner, settling)
        if streaming:
            _settle_flink(options, settling)
    if "prism" in kind:
        _LOGGER.warning(
            "%s: Prism listens on all interfaces, and tells whoever connects the job's options: use it for a trial, where "
            "nobody else reaches this machine (docs/flink.md)",
            name,
        )
    pacing = Pacing.of(runner, options.view_as(PacingOptions).max_read_time_seconds)
    return Place(runner, _elsewhere(options), pacing, tuple(settling.chosen))


def _require_one_process(options: PipelineOptions) -> None:
    workers = options.view_as(DirectOptions).direct_num_workers
    if workers != 1:
        message = (
            f"--direct_num_workers={workers}: with it Beam's DirectRunner ends an endless read at once, and opens ports to "
            "everybody. Leave it out. For more processes of this machine: --workers. For more machines: the same Kinesis "
            "job there, under the same --application_name (they share the shards), or Flink."
        )
        raise OptionError(message)


def runs_elsewhere(beam_arguments: Sequence[str]) -> bool:
    """Whether other processes than this one will read and write, given Beam's options."""
    return _elsewhere(beam_options(beam_arguments))


def _elsewhere(options: PipelineOptions) -> bool:
    runner = (options.view_as(StandardOptions).runner or "DirectRunner").rpartition(".")[2].lower()
    environment = options.view_as(PortableOptions).environment_type
    master = options.view_as(FlinkRunnerOptions).flink_master
    # Prism, and a Flink that Beam starts itself, run their workers in this process by default.
    local = is_in_memory(runner) or "prism" in runner or ("flink" in runner and master in _LOCAL_MASTERS)
    return environment != "LOOPBACK" and not (local and not environment)


class _Settling:
    """Sets options that are not set, and notes them."""

    def __init__(self, options: PipelineOptions) -> None:
        self._options = options
        self.chosen: list[str] = []

    def choose(self, view: type[PipelineOptions], option: str, value: Any, *, unset: Any = None) -> Any:
        """Gives the option's value, which becomes `value` if it wasn't set."""
        viewed = self._options.view_as(view)
        given = getattr(viewed, option)
        if given != unset:
            return given
        setattr(viewed, option, value)
        self.chosen.append(f"--{option}={str(value).lower() if isinstance(value, bool) else value}")
        return value


def _settle_flink(options: PipelineOptions, settling: _Settling) -> None:
    flink, spread = FlinkStreamingOptions, FlinkRunnerOptions
    interval = settling.choose(flink, "checkpointing_interval", CHECKPOINTING_INTERVAL_MS)
    _bound(
        "checkpointing_interval", interval, LEAST_CHECKPOINTING_INTERVAL_MS, None, CHECKPOINTING_INTERVAL_MS,
        "without checkpoints Flink ends the sources at once and restarts a failed job from nothing",
    )  # fmt: skip
    bundle_time = settling.choose(flink, "max_bundle_time_mills", MAX_BUNDLE_TIME_MS)
    _bound(
        "max_bundle_time_mills", bundle_time, 1, LONGEST_BUNDLE_TIME_MS, MAX_BUNDLE_TIME_MS,
        "a reader waits for that long between two bundles, and Beats and shards wait with it",
    )  # fmt: skip
    read_time = settling.choose(PacingOptions, "max_read_time_seconds", READ_TIME_S)
    _bound(
        "max_read_time_seconds", read_time, 0.1, LONGEST_READ_TIME_S, READ_TIME_S,
        "every checkpoint waits for that",
    )  # fmt: skip
    settling.choose(PacingOptions, "finish_bundle_before_checkpointing", value=True)
    parallelism = settling.choose(spread, "parallelism", 1, unset=-1)
    most = DEFAULT_MAX_PARALLELISM
    while most < 2 * parallelism:
        most *= 2
    most = settling.choose(spread, "max_parallelism", most, unset=-1)
    if not 1 <= parallelism <= most:
        message = f"--parallelism={parallelism} must be between 1 and --max_parallelism={most}."
        raise OptionError(message)
    # Beam's Impulse has no id of its own. Flink then makes one from what is chained to it, which changes with the
    # parallelism, and a savepoint could not be resumed with another one. Our steps are one task as it is.
    settling.choose(flink, "operator_chaining", value=False)
    require_lossless(options)


def _bound(option: str, value: float, least: float, most: float | None, ours: float, reason: str) -> None:
    """Raises `OptionError` with the reason unless the value is within its bounds."""
    if value < least or (most is not None and value > most):
        bounds = f"{least:g} or more" if most is None else f"{least:g} to {most:g}"
        message = f"--{option}={value:g}: {reason}. Leave it out ({ours:g} is chosen), or give {bounds}."
        raise OptionError(message)


def _require_environment(options: PipelineOptions, runner: str, settling: _Settling) -> None:
    """Sets where the Python code runs. Beam's default image has no penstock, so the job would never start."""
    portable = options.view_as(PortableOptions)
    master = options.view_as(FlinkRunnerOptions).flink_master
    local = "flink" in runner.lower() and master in _LOCAL_MASTERS
    if local and not portable.environment_type:
        settling.choose(PortableOptions, "environment_type", "LOOPBACK")
    named = (
        portable.environment_config
        or portable.environment_options
        or options.view_as(WorkerOptions).sdk_container_image
    )
    if portable.environment_type in (None, "DOCKER") and not named:
        message = (
            f"--runner={runner} would run the job in Beam's standard image, which has no penstock. Say where it is: "
            "--environment_type=EXTERNAL --environment_config=HOST:PORT for a worker pool, --sdk_container_image=IMAGE for "
            "an image of your own, or --environment_type=LOOPBACK for this process. See docs/flink.md."
        )
        raise OptionError(message)
    if portable.environment_type == "PROCESS":
        _require_command(portable.environment_config)
    if "portable" in runner.lower() and not portable.job_endpoint:
        message = "--runner=PortableRunner needs --job_endpoint=HOST:PORT, the job server's address."
        raise OptionError(message)


def _require_command(config: str | None) -> None:
    """Raises `OptionError` unless the configuration of `PROCESS` names a command in JSON."""
    try:
        command = json.loads(config or "{}")["command"]
    except (ValueError, KeyError, TypeError):
        command = None
    if not command or not isinstance(command, str):
        message = (
            f"--environment_config={config or ''} with --environment_type=PROCESS must be a JSON object that names the "
            """command of a worker: '{"command": "/opt/penstock/bin/boot"}'. See docs/flink.md."""
        )
        raise OptionError(message)
