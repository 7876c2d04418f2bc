"""`EventBatch` is the element that travels: events, with the receipt that acknowledges them once they are durable.

Strategy. Beam moves one `EventBatch` at a time, not one event: one element costs the same whether it
holds one event or two thousand (measured: 2.4 us per event, against 9 us with one event per element).

- An event keeps the bytes that it came as. `document` is there only after something decoded it, and the
  bytes are written again only when `changed` says that a transform altered the document.
- A batch is never dropped, duplicated or divided: an emptied batch still travels on, so that its
  receipt reaches `Acknowledge`. Events that are refused move from `events` to `dead_letters`.
- Where a chain has several outputs, each gets a selection of the batch, and the whole batch goes on to the next: an event
  that one of them refuses has a letter, and still goes to the others.
- The source makes the receipt, and only the receipt knows how to tell its source.

`msgspec.Struct` with `gc=False`: no cycles are possible here, and the cyclic garbage collector would
otherwise walk thousands of live events again and again (0.4-1.0 CPU-s per million events).
"""

from typing import Any, Protocol

import msgspec

__all__ = ["EVENT_BYTES", "DeadLetter", "Document", "Event", "EventBatch", "Origin", "Receipt"]

Document = dict[str, Any]
"""A decoded event: a JSON object."""

EVENT_BYTES = 176
"""What an event that is not decoded takes in memory besides its payload, about (64-bit CPython 3.11: 146 to 178 bytes): the
struct, the head of the bytes, its index, its place in a list. Whoever bounds memory counts it: payloads may be small."""


class Origin(Protocol):
    """Where an event came from: a Kinesis record, a Beats connection, an object in S3.

    One origin is shared by all events of a record or connection; it must be picklable.
    """

    @property
    def arrived_ms(self) -> int:
        """When the record reached the stream, or the event reached us, in milliseconds since 1970.

        It is the time of an event that has no `@timestamp`. Where the peer keeps that time (Kinesis does), it is the
        peer's, so that a replay gets the same time.
        """

    def position(self) -> bytes | None:
        """Gives bytes that name this origin among all others for ever, or None where a peer has no positions."""

    def describe(self) -> dict[str, str | int]:
        """Gives the origin in words, for logs and dead letters (never payloads or secrets)."""


class Event(msgspec.Struct, gc=False):
    """One event, as it came and as far as it was decoded.

    Attributes:
        data: the payload's bytes as they came; they stay as they are whatever happens to `document`.
        origin: where it came from.
        index: which event of its origin it is (sub-sequence number, frame sequence, row), from 0.
        part: which event of that payload it is, where one payload held several, from 0.
        id: the document id, at most 512 bytes; None until a decoder or a transform has set it.
        timestamp: the `@timestamp` as a decoder saw it; None when there is none.
        document: the decoded event; None until something needs it.
        changed: whether `document` no longer says the same as `data`.
        stamped: whether `timestamp` was given by us and is not in `data`; the sink then writes it into the event.
        filters: the name of the filters that `data` has passed to become `document`, or at which it failed: a replay
            of the bytes must run them again. None where no filters took part.
    """

    data: bytes
    origin: Origin
    index: int
    part: int = 0
    id: str | None = None
    timestamp: str | None = None
    document: Document | None = None
    changed: bool = False
    stamped: bool = False
    filters: str | None = None


class DeadLetter(msgspec.Struct, gc=False):
    """An event that will never be sent again, with the reason.

    Attributes:
        event: the event, with its original bytes and origin.
        error: the kind of failure in one word (`JSONDecodeError`, `document_parsing_exception`).
        reason: what happened, in a sentence.
        stage: which step refused it (`decode`, `elasticsearch`, `kinesis`).
        status: the peer's status code, where a peer refused it.
        attempts: how often it was tried.
        output: the name of the output that refused it, where a chain has several; a replay sends it there only.
        kept: whether a dead-letter sink has stored it; `Acknowledge` refuses a batch with one that isn't.
    """

    event: Event
    error: str
    reason: str
    stage: str
    status: int | None = None
    attempts: int = 1
    kept: bool = False
    output: str | None = None


class Receipt(Protocol):
    """The receipt that a source gets back when a batch is durable. It must be picklable.

    `penstock.io.chain.live_objects.LiveReceipt` belongs to the live sources, `penstock.io.s3.units.finish.UnitsReceipt`
    to a backfill.
    """

    def acknowledge(self) -> None:
        """Tells the source that everything in the batch is written, or kept as a dead letter."""


class EventBatch(msgspec.Struct, gc=False):
    """Events that travel together, and the receipt that acknowledges them.

    Attributes:
        receipt: tells the source when everything in the batch is durable.
        events: the events that are still on their way, in order.
        dead_letters: the events that were refused on the way.
        timestamp_ms: when the oldest event arrived, in milliseconds since 1970, by the source's clock.
        size: bytes of the payloads that the source put in; for counters. No transform changes it.
        routes: for each event, to which outputs it goes: bit n is set for output n. None: every event goes to all.
        whole: the batch that this one is a selection of, while one of several outputs writes it.
    """

    receipt: Receipt
    events: list[Event]
    dead_letters: list[DeadLetter]
    timestamp_ms: int = 0
    size: int = 0
    routes: list[int] | None = None
    whole: "EventBatch | None" = None

    def with_events(self, events: list[Event], dead_letters: list[DeadLetter] | None = None) -> "EventBatch":
        """Gives the same batch, with the same receipt, other events and, where given, further dead letters."""
        letters = self.dead_letters + dead_letters if dead_letters else self.dead_letters
        return EventBatch(self.receipt, events, letters, self.timestamp_ms, self.size, None, self.whole)

    def selection(self, output: int) -> "EventBatch":
        """Gives the events that go to one of several outputs, as a batch that knows the whole one."""
        events = self.events
        if self.routes is not None:
            bit = 1 << output
            events = [event for event, route in zip(events, self.routes, strict=True) if route & bit]
        return EventBatch(self.receipt, events, [], self.timestamp_ms, self.size, None, self)

    def with_letters(self, letters: list[DeadLetter]) -> "EventBatch":
        """Gives the same batch, with all its events and their routes, and with further dead letters."""
        if not letters:
            return self
        return EventBatch(
            self.receipt, self.events, self.dead_letters + letters, self.timestamp_ms, self.size, self.routes
        )
