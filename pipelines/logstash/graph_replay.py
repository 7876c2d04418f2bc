"""`graph_replay` sends refused events of a plan again, each through the filters that it had, to the output that refused it.

- A letter that names an output goes there only, under the id that it had.
- One of an earlier step (a decoder, a filter) goes the whole way, to each output whose condition holds.
- The letters stay where they are. An event that is refused again goes to another store, with the new reason.

As in `replay-dead-letters`, a plain loop does it: letters are few, and each is accounted for.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import LetterReader, has_event, open_store
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import OptionError
from penstock.io.files.sink import file_writer, stdout_writer
from penstock.io.kinesis import with_record_properties
from penstock.io.kinesis.positions import stream_name_of
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.io.s3 import with_object_properties
from penstock.pipelines.logstash.graph import (
    decoder_of,
    decodes,
    keeps_documents,
    key_of,
    peers_of,
    routes_of,
)
from penstock.pipelines.logstash.plan import FileOutput, Input, Output, Plan, StdoutOutput, TextCodec
from penstock.pipelines.run.lifecycle import Watch, report
from penstock.pipelines.run.replaying import STOPPED, Counts, Later, replay_all, without_pieces
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.document import document_of
from penstock.transforms.events import apply
from penstock.transforms.logstash.beam import RunFilters
from penstock.transforms.logstash.routes import CONDITION, FILTERS, Routes, filter_function
from penstock.transforms.time import timestamps

__all__ = ["Replay", "replay", "run_replay"]

Write = Callable[[list[Event]], list[DeadLetter]]
"""A function that writes events to one output, and returns the letters of those that it refuses."""

_STAGES = {"elasticsearch": "elasticsearch", "kinesis": "kinesis", "file": "file", "stdout": "stdout"}
"""The stage in the letters of a sink -> its plugin."""


def replay(plan: Plan, letters: str, again: str) -> tuple[Counts, int]:
    """Sends the letters of a store again.

    Args:
        plan: what the configuration became.
        letters: the URL of the store.
        again: the URL of the store for events that are refused again.

    Returns:
        What became of them, and how many lines of the store are no letters.

    Raises:
        PenstockError: a letter belongs to another configuration, or a peer can't be reached.
    """
    if letters == again:
        message = (
            f"{letters}: refused again, events would be written to the store that is read. Name another."
        )
        raise OptionError(message)
    cluster, aws = peers_of(plan)
    sender = Replay(plan, [_writer(each) for each in plan.outputs])
    reader, counts = LetterReader(open_store(letters, cluster, aws)), Counts()
    replay_all(_whole(reader, counts), without_pieces(sender.send), Later(again, cluster, aws), counts)
    return counts, reader.wrong


def run_replay(name: str, ready: Callable[[], Plan], letters: str, again: str) -> int:
    """Does `replay` as a job: ends at a signal, prints what became of the letters, and returns the exit code.

    Args:
        name: the job's name.
        ready: tries and prepares the outputs, and gives the plan as they want it.
        letters: the URL of the store.
        again: the URL of the store for events that are refused again.

    Returns:
        0: all accepted; 1: failed, or some refused again or left out; 2: a wrong option; 3: stopped too early.
    """
    watch = Watch(name, 30.0, too_late=STOPPED)
    try:
        watch.start()
        counts, wrong = replay(ready(), letters, again)
        stopped = LIVE.stopping.is_set()
        LIVE.close()
    except BaseException as error:
        return report(name, error, too_late=STOPPED)
    finally:
        watch.end()
    sys.stdout.write(counts.text(again, wrong))
    if stopped:
        return STOPPED
    return 1 if counts.refused or counts.without_event or wrong else 0


def _whole(letters: Iterable[DeadLetter], counts: Counts) -> Iterator[DeadLetter]:
    for letter in letters:
        if has_event(letter):
            yield letter
        else:
            counts.without_event += 1


def _writer(output: Output) -> Write:
    options: Any = output.options
    if output.plugin == "elasticsearch":
        bulks: BulkWriter = LIVE.share(f"replay:{output.name}", lambda: BulkWriter(options, LIVE.stopping))
        return lambda events: bulks.write(events).letters
    if output.plugin == "kinesis" and output.aws is not None:
        aws = output.aws
        stream: KinesisWriter = LIVE.share(f"replay:{output.name}", lambda: KinesisWriter(options, aws))
        keys = PartitionKeys(
            options.event_partition_keys,
            randomized=options.randomized_partition_key,
            prefix=options.partition_key_prefix,
        )
        return lambda events: stream.write(events, keys, 0.0)[0]
    if isinstance(options, FileOutput):
        lines = LIVE.share(
            f"replay:{output.name}",
            lambda: file_writer(options.path, *_text(options.codec), options.gzip, True),
        )
        return lambda events: list(lines.write(events))
    if isinstance(options, StdoutOutput):
        return stdout_writer(*_text(options.codec)).write
    return lambda events: []


def _text(codec: TextCodec) -> tuple[str, str | None, str, bool]:
    return codec.name, codec.format, codec.delimiter, codec.metadata


class Replay:
    """Takes letters through the plan that their events had.

    Args:
        plan: what the configuration became.
        writers: the writer of each output, in order.
    """

    def __init__(self, plan: Plan, writers: Sequence[Write]) -> None:
        self._plan = plan
        self._writers = list(writers)
        self._bits = {each.name: 1 << number for number, each in enumerate(plan.outputs)}
        self._routes = Routes(routes_of(plan))
        self._runs = {
            key_of(each): filter_function([*each.after, *plan.filters], self._routes, keeps_documents(plan))
            for each in plan.inputs
        }
        self._named = {run.name: run for run in self._runs.values() if isinstance(run, RunFilters)}

    def send(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Sends events again, and returns the letters of those that are refused again.

        Raises:
            OptionError: a letter names an output or filters that the plan does not have.
        """
        for letter in letters:
            self._require_known(letter)
        shares: list[list[Event]] = [[] for _ in self._writers]
        refused: list[DeadLetter] = []
        for letter in letters:
            for event, bits in self._made(letter, refused):
                for number, share in enumerate(shares):
                    if bits & 1 << number:
                        share.append(event)
        for output, write, share in zip(self._plan.outputs, self._writers, shares, strict=True):
            for again in write(share) if share else []:
                again.output = output.name
                refused.append(again)
        return refused

    def _require_known(self, letter: DeadLetter) -> None:
        if letter.output is not None and letter.output not in self._bits:
            message = (
                f"a letter was refused by the output {letter.output!r}, and the configuration has no such one "
                f"({', '.join(self._bits)}). Give the configuration that the job had; an id in each output keeps its name."
            )
            raise OptionError(message)
        filters = letter.event.filters
        if filters is not None and filters not in self._named:
            message = (
                f"a letter's event passed filters ({filters}) other than those of the configuration "
                f"({', '.join(filter(None, self._named)) or 'none'}). Give the configuration that the job had, and its "
                "settings; otherwise it would be another document."
            )
            raise OptionError(message)

    def _made(self, letter: DeadLetter, refused: list[DeadLetter]) -> Iterator[tuple[Event, int]]:
        """Gives the events that a letter becomes, with the bits of their outputs. Adds the letters of what is refused."""
        event, given = letter.event, self._input_of(letter.event)
        bits = self._bits[letter.output] if letter.output is not None else self._of_stage(letter.stage)
        undecided_before = letter.stage == CONDITION
        run = self._runs[key_of(given)] if event.filters is None else self._named[event.filters]
        for decoded in self._decoded(event, given, refused):
            if bits is not None and event.filters is None and not undecided_before:
                yield decoded, bits  # no filter had changed it
                continue
            made, failed = self._filtered(run, decoded)
            routes, undecided = self._routes.take(made)
            for each in failed + undecided:
                if each.output is None or bits is None or bits & self._bits[each.output]:
                    refused.append(each)
            for one, route in zip(made, routes, strict=True):
                if bits is None or undecided_before:
                    yield one, route if bits is None else route & bits
                elif one.id == event.id or event.id is None:
                    yield one, bits

    def _of_stage(self, stage: str) -> int | None:
        """Gives the bits of the outputs that a letter without an output belongs to; None: it goes the whole way."""
        plugin = _STAGES.get(stage)
        if plugin is None:
            return None
        return (
            sum(1 << number for number, each in enumerate(self._plan.outputs) if each.plugin == plugin)
            or None
        )

    def _input_of(self, event: Event) -> Input:
        """Gives the input that an event came by, as far as its origin tells."""
        words = event.origin.describe()
        for each in self._plan.inputs:
            if (
                (each.plugin == "kinesis" and words.get("stream") == stream_name_of(each.options.stream_name))
                or (each.plugin == "beats" and words.get("source") == "beats")
                or (each.plugin in ("file", "stdin") and words.get("source") == each.name)
            ):
                return each
        return self._plan.inputs[0]

    def _decoded(self, event: Event, given: Input, refused: list[DeadLetter]) -> list[Event]:
        """Gives what an event's bytes are decoded to. One that has an id was decoded before, and keeps it."""
        found = self._decoded_bytes(event, given, refused)
        if not given.properties:
            return found
        add = with_object_properties if given.plugin == "s3" else with_record_properties
        return [made for each in found for made in add(each)]

    def _decoded_bytes(self, event: Event, given: Input, refused: list[DeadLetter]) -> list[Event]:
        if event.changed or not decodes(self._plan, given):
            return [event]
        options = decoder_of(given)
        found = [event]
        if event.id is None:
            found, letters = options.decoder().decode([event])
            refused += letters
        else:
            document = document_of(event)
            event.document, event.timestamp = document, timestamps.of_value(document.get("@timestamp"))
        options.stamper()(found)
        return found

    def _filtered(self, run: Any, event: Event) -> tuple[list[Event], list[DeadLetter]]:
        """Runs filters on an event from its bytes. Of several pieces, that of the event's own id has it again."""
        event.filters = None
        name, several = event.id, isinstance(run, RunFilters) and run.several
        if several and name is not None:
            event.id = ""  # so that the ids of the pieces are what stands behind the first event's
        self._routes.take([])
        made, failed, _ = apply(run, [event], FILTERS)
        event.id = name
        if several and name is not None:
            ends = [each.id or "" for each in made]
            piece = max((end for end in ends if name.endswith(end)), key=len, default="")
            first = name.removesuffix(piece)
            for each, end in zip(made, ends, strict=True):
                each.id = first + end
        return made, failed
