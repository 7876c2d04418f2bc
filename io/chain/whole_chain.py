"""`whole_chain` refuses a pipeline in which a step was forgotten, when it is run and before anything is submitted.

Problem. A read without `Acknowledge` behind it reaches its bounds and then stalls for ever. Without
`WriteDeadLetters` the first refused event ends the job, at each restart. Events without document ids are stored once
more each time that they are read. Behind a shuffle an acknowledgement comes to the wrong process. An endless read on
Flink without checkpoints is ended at once, and one that was restored from its first checkpoint may read nothing (see
`PacingOptions`). Each of these pipelines seems to work at first. A transform can't see what follows it; `Pipeline.run` can.

Plan. Every read makes `run` of its pipeline look at the graph first. All ways from each read are followed. A step
says by `step_kind` what it is; any other transform passes batches on.
"""

import functools
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.pacing import PacingOptions, is_in_memory, require_lossless
from penstock.io.chain.sinks import RaiseRefused
from penstock.io.errors import OptionError, PipelineError
from penstock.io.shares import SHARES
from penstock.transforms.step_kind import WHOLE, StepKind

__all__ = ["refuse_broken_chains", "require_shareable", "require_whole_chains"]

_LOGGER = logging.getLogger(__name__)

_PLAIN = StepKind()
_MIXES = (beam.Flatten, beam.GroupByKey, beam.Reshuffle, beam.CombinePerKey, beam.BatchElements)
_LAST = {"live": "Acknowledge", "units": "FinishUnits"}
_END = "End for what was refused"
_GUARDED = "_penstock_guarded"


def refuse_broken_chains(pipeline: Any) -> None:
    """Makes `pipeline.run` call `require_whole_chains` first. Each read calls this when it is expanded."""
    if not getattr(pipeline, _GUARDED, False):
        setattr(pipeline, _GUARDED, True)
        pipeline.run = functools.partial(_run, pipeline, pipeline.run)


def _run(pipeline: Any, run: Any, *arguments: Any, **named: Any) -> Any:
    graph = _Graph(pipeline)
    _require_whole(pipeline, graph)
    _settle_checkpoints(pipeline, graph)
    _warn_of_late_windows(pipeline, graph)
    _raise_refused(graph)
    LIVE.close_ended()
    return run(*arguments, **named)


def require_whole_chains(pipeline: Any) -> None:
    """Raises `PipelineError` for a read whose chain misses a step; a pipeline without our reads is left alone."""
    _require_whole(pipeline, _Graph(pipeline))


def _require_whole(pipeline: Any, graph: "_Graph") -> None:
    for node in graph.nodes:
        if _kind(node).reads:
            _follow(node, graph)
    live = [_name(read) for read in graph.live_reads()]
    if len(live) > 1 and is_in_memory(type(pipeline.runner).__name__):
        message = (
            f"DirectRunner reads one endless source at a time, and these are {len(live)}: {', '.join(live)}. Put them into "
            "one ReadFromAll([...]), start a job for each, or use Flink."
        )
        raise PipelineError(message)


def require_shareable(pipeline: Any) -> None:
    """Raises `OptionError` where several processes that run the pipeline together would each read all of something."""
    for node in _nodes(pipeline._root_transform()):
        begins = all(isinstance(each, beam.pvalue.PBegin) for each in node.inputs)
        if begins and _kind(node).reads != "live":
            SHARES.require_alone(f"read all that {node.full_label} gives")


def _settle_checkpoints(pipeline: Any, graph: "_Graph") -> None:
    """Lets an endless read on Flink end its bundles before a checkpoint; raises `OptionError` where it can't run or end."""
    runner = type(pipeline.runner).__name__
    if runner not in ("FlinkRunner", "PortableRunner"):
        return
    reads = [_name(read) for read in graph.live_reads()]
    interval = pipeline.options.get_all_options(retain_unknown_options=True).get("checkpointing_interval")
    if not reads:
        return
    if int(interval or 0) <= 0:
        message = (
            f"{reads[0]} on {runner} needs checkpoints: without them Flink ends the read at once, and restarts a failed job "
            "from nothing. Give --checkpointing_interval=10000 (milliseconds)."
        )
        raise OptionError(message)
    require_lossless(pipeline.options)
    pacing = pipeline.options.view_as(PacingOptions)
    if pacing.stop_when_idle:
        message = (
            f"--stop_when_idle={pacing.stop_when_idle:g} on {runner}: Flink goes on with a job whose reads have ended, "
            "and it would read nothing more. Leave it out, and end the job by a stop with a savepoint, or take DirectRunner "
            "or PrismRunner."
        )
        raise OptionError(message)
    if pacing.finish_bundle_before_checkpointing is None:
        pacing.finish_bundle_before_checkpointing = True


def _warn_of_late_windows(pipeline: Any, graph: "_Graph") -> None:
    """Says where grouped and windowed results would never come: Beam's in-memory runner gives them at the pipeline's end."""
    options = pipeline.options.view_as(PacingOptions)
    if not is_in_memory(type(pipeline.runner).__name__) or options.stop_when_idle:
        return
    ways = [(read, _name(read)) for read in graph.live_reads()]
    seen: set[int] = set()
    while ways:
        node, read = ways.pop()
        if isinstance(node.transform, (beam.GroupByKey, beam.CombinePerKey)):
            _LOGGER.warning(
                "DirectRunner gives what is grouped behind %s only when the pipeline ends, and %s is endless. Give "
                "--stop_when_idle=5 to end it once nothing comes, or a runner that gives windows as they close: "
                "--runner=PrismRunner or FlinkRunner.",
                read,
                read,
            )
            return
        for collection in node.outputs.values():
            ways += [(each, read) for each in graph.takers(collection) if id(each) not in seen]
            seen.update(map(id, graph.takers(collection)))


def _raise_refused(graph: "_Graph") -> None:
    """Ends chains of a runner's elements, which nobody acknowledges, so that what they refuse isn't lost in silence."""
    ways = [(node, "") for node in graph.nodes if _kind(node).makes_batches]
    ended: set[Any] = set()
    while ways:
        node, refused_in = ways.pop()
        kind = _kind(node)
        refused_in = "" if kind.keeps_letters else _name(node) if kind.refuses else refused_in
        for collection in node.outputs.values():
            ours = [each for each in graph.takers(collection) if _kind(each) is not _PLAIN]
            ways += [(each, refused_in) for each in ours]
            if (
                refused_in
                and not ours
                and collection not in ended
                and not kind.leaves
                and not kind.acknowledges
            ):
                ended.add(collection)
                _ = collection | f"{_END} {len(ended)}" >> RaiseRefused()


class _Way(NamedTuple):
    """One way that batches of a read take: how far it is followed, and what has happened to them."""

    node: Any
    ids: bool
    refused_in: str
    mixed_in: str


def _follow(read: Any, graph: "_Graph") -> None:
    reads, name = _kind(read).reads, _name(read)
    ways = [_Way(read, ids=False, refused_in="", mixed_in="")]
    seen: set[tuple[int, bool, str, str]] = set()
    acknowledged = False
    while ways:
        way = ways.pop()
        kind = _kind(way.node)
        if kind.needs_ids and not way.ids:
            message = (
                f"{_name(way.node)} gets events of {name} without document ids, so what is read twice would be stored "
                "twice. Put DecodeJson or DecodePlain between them."
            )
            raise PipelineError(message)
        if kind.whole_objects and _kind(read).splits:
            message = (
                f"{_name(way.node)} needs each object from its first line to its last (for its header, or since several "
                f"lines are one event), and {name} reads large ones in parts. Give it split_bytes={WHOLE}, which is never."
            )
            raise PipelineError(message)
        if kind.acknowledges and kind.acknowledges != reads:
            message = f"{_name(way.node)} acknowledges no batches of {name}. Put {_LAST[reads]} in its place."
            raise PipelineError(message)
        if kind.acknowledges and way.refused_in:
            last = _name(way.node)
            message = (
                f"what {way.refused_in} refuses is kept nowhere. Put WriteDeadLetters between it and {last}."
            )
            raise PipelineError(message)
        if kind.acknowledges and way.mixed_in and reads == "live":
            message = (
                f"{way.mixed_in} stands between {name} and {_name(way.node)}: it shuffles or merges, and an acknowledgement "
                "means something only in the process that read. Take it out; several reads become one by ReadFromAll."
            )
            raise PipelineError(message)
        acknowledged = acknowledged or bool(kind.acknowledges)
        if kind.leaves or kind.acknowledges:
            continue
        refused_in = "" if kind.keeps_letters else _name(way.node) if kind.refuses else way.refused_in
        mixed_in = _name(way.node) if isinstance(way.node.transform, _MIXES) else way.mixed_in
        for collection in way.node.outputs.values():
            for node in graph.takers(collection):
                step = _Way(node, way.ids or kind.gives_ids, refused_in, mixed_in)
                if (key := (id(node), *step[1:])) not in seen:
                    seen.add(key)
                    ways.append(step)
    if not acknowledged:
        message = (
            f"nothing acknowledges what {name} reads, so it would stall. Put {_LAST[reads]} at the end of its "
            "chain, behind WriteDeadLetters."
        )
        if _kind(read).reads == "live" and str(read.transform.display_data().get("source", "")).startswith(
            "kinesis:"
        ):
            message += ' Or let it give elements, which need none: ReadFromKinesis(..., output="dict").'
        raise PipelineError(message)


class _Graph:
    """The steps of a pipeline that batches pass through, and which of them take a collection."""

    def __init__(self, pipeline: Any) -> None:
        self.nodes = list(_nodes(pipeline._root_transform()))
        self._takers: dict[Any, list[Any]] = {}
        for node in self.nodes:
            for collection in node.inputs:
                self._takers.setdefault(collection, []).append(node)

    def live_reads(self) -> list[Any]:
        return [node for node in self.nodes if _kind(node).reads == "live"]

    def takers(self, collection: Any) -> list[Any]:
        return self._takers.get(collection, [])


def _nodes(node: Any) -> Iterator[Any]:
    """Gives the steps that batches pass through: each of ours as a whole, others down to the transforms that run."""
    if _kind(node) is not _PLAIN or not node.parts or isinstance(node.transform, _MIXES):
        yield node
    else:
        for part in node.parts:
            yield from _nodes(part)


def _kind(node: Any) -> StepKind:
    kind = getattr(node.transform, "step_kind", _PLAIN)
    return kind if isinstance(kind, StepKind) else _PLAIN


def _name(node: Any) -> str:
    """Gives a step's label as its author wrote it."""
    return str(node.full_label).removesuffix("/Read").rpartition("/")[2]
