"""`Chain` holds filters and branches in order; `compile_filters` makes it, and each event goes through it.

As long as no filter makes further events, an event passes step after step, and a step is one call. Behind `split` and
`clone` there may be several events. Then each step takes all of them, and behind an `if` the events of its true branch
come before the others, as in Logstash.
"""

import datetime
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from penstock.transforms.batch import Origin
from penstock.transforms.logstash.base import Filter
from penstock.transforms.logstash.fields.conditions import Branch, Condition
from penstock.transforms.logstash.fields.documents import event_of, plain
from penstock.transforms.logstash.fields.operations import Piece
from penstock.transforms.logstash.fields.source import MAX_DEPTH, Source
from penstock.transforms.logstash.options import Context
from penstock.transforms.logstash.values.event import LogEvent, Timestamp

__all__ = ["Branches", "Chain", "Node", "Steps"]

Step = Callable[[LogEvent], object]


class Node(Protocol):
    """A filter or a branch.

    Attributes:
        makes_events: whether an event may become several here.
        pieces: the whole node as pieces that a kernel runs; None where it does more than change fields.
    """

    makes_events: bool
    pieces: Sequence[Piece] | None

    def emit(self, source: Source) -> None:
        """Writes the work on one event as lines of a chain's function, where no event becomes several."""

    def many(self, events: list[LogEvent]) -> list[LogEvent]:
        """Gives the events that come out of `events`, without cancelled ones."""


class Steps:
    """One filter as a node."""

    def __init__(self, made: Filter) -> None:
        self.makes_events = made.makes_events
        self.pieces: Sequence[Piece] | None = made.blocks
        self.work = made.work
        self.step: Step = made.work if made.is_plain or made.makes_events else _with_common(made)
        self.emit: Callable[[Source], None] = made.emit

    def many(self, events: list[LogEvent]) -> list[LogEvent]:  # noqa: D102
        found: list[LogEvent] = []
        for event in events:
            if self.makes_events:
                found += self.work(event)
            else:
                self.step(event)
                found.append(event)
        return [event for event in found if not event.cancelled]


def _with_common(made: Filter) -> Step:
    work, matched = made.work, made.matched

    def step(event: LogEvent) -> None:
        if work(event):
            matched(event)

    return step


class Branches:
    """`if`, `else if` and `else` as a node.

    Args:
        arms: each condition with its nodes; the condition of `else` is None.
    """

    def __init__(self, arms: Sequence[tuple[Condition | None, Sequence[Node]]]) -> None:
        self._arms = [(condition, list(nodes)) for condition, nodes in arms]
        self.makes_events = any(node.makes_events for _, nodes in arms for node in nodes)
        self._function: Step | None = None
        self.pieces = self._as_pieces()

    def step(self, event: LogEvent) -> None:
        """Does the work on one event, in a function of its own."""
        if self._function is None:
            source = Source()
            self._write(source)
            self._function = source.function()
        self._function(event)

    def emit(self, source: Source) -> None:  # noqa: D102
        if self.pieces is not None:
            for piece in self.pieces:
                source.piece(piece)
        elif source.depth > MAX_DEPTH:
            source.line(f"{source.bind(self.step)}(event)", "if event.cancelled: return")
        else:
            self._write(source)

    def _write(self, source: Source) -> None:
        for number, (condition, nodes) in enumerate(self._arms):
            if condition is None:
                source.line("else:")
            else:
                source.line(f"{'elif' if number else 'if'} {condition.write(source)}:")
            with source.deeper():
                source.line(*([] if nodes else ["pass"]))
                for node in nodes:
                    node.emit(source)

    def _as_pieces(self) -> Sequence[Piece] | None:
        arms: list[tuple[Condition | None, Sequence[Piece]]] = []
        for condition, nodes in self._arms:
            held: list[Piece] = []
            for node in nodes:
                if node.pieces is None:
                    return None
                held += node.pieces
            arms.append((condition, held))
        branch = Branch(arms, self.step)
        return [branch] if branch.depth <= MAX_DEPTH else None

    def many(self, events: list[LogEvent]) -> list[LogEvent]:  # noqa: D102
        found: list[LogEvent] = []
        left = events
        for condition, nodes in self._arms:
            held: list[LogEvent] = []
            others: list[LogEvent] = []
            for event in left:
                (held if condition is None or condition.function(event) else others).append(event)
            found += _many(nodes, held)
            left = others
        return found + left


def _many(nodes: Sequence[Node], events: list[LogEvent]) -> list[LogEvent]:
    for node in nodes:
        if not events:
            break
        events = node.many(events)
    return events


class Chain:
    """Filters and branches in order, ready to run.

    Attributes:
        nodes: the filters and branches.
        context: the settings of all of them.
        several: whether an event may become several.
        step: does the work on one event; only where none becomes several.
        warnings: lines for the author of the configuration.
    """

    def __init__(self, nodes: Sequence[Node], context: Context) -> None:
        self.nodes = list(nodes)
        self.context = context
        self.several = any(node.makes_events for node in nodes)
        source = Source()
        for node in [] if self.several else nodes:
            node.emit(source)
        self.step = source.function()
        self.warnings = tuple(context.warnings)

    def run(self, event: LogEvent) -> list[LogEvent]:
        """Gives what an event becomes: itself, nothing, or several events.

        Raises:
            Exception: a filter raised it, or it is a `ConditionError`. Only this event leaves the chain.
        """
        if self.several:
            return _many(self.nodes, [event])
        self.step(event)
        return [] if event.cancelled else [event]

    def event_of(self, document: dict[str, Any], origin: Origin | None = None) -> LogEvent:
        """Makes the event of a decoded document. A change of the event changes the document.

        Args:
            document: the document.
            origin: its arrival is the time of an event without a readable `@timestamp`; by default the clock's time is.
        """
        return event_of(document, self.context, origin)

    def apply(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Gives the documents of the events that a decoded event becomes, each a plain dict.

        Args:
            event: the document, `@metadata` in it when there is any; it is changed.

        Raises:
            Exception: as `run`.
        """
        event.setdefault("@version", "1")
        made = event_of(event, self.context)
        if self.several:
            return [plain(each.document) for each in _many(self.nodes, [made])]
        self.step(made)
        return [] if made.cancelled else [plain(made.document)]


def clock(now: str | None) -> Callable[[], Timestamp]:
    """Makes the clock of a chain: one that stands still at `now`, or the machine's."""
    if now is not None:
        fixed = datetime.datetime.fromisoformat(now)
        at = Timestamp.of_ms(int(fixed.timestamp() * 1000))
        return lambda: at
    return lambda: Timestamp.of_ms(int(datetime.datetime.now(datetime.UTC).timestamp() * 1000))
