"""`LiveSource` keeps what was read until it is acknowledged; it outlives Beam's bundles, whose readers only borrow it.

Problem. Runners make a new reader, and a new DoFn, for nearly every bundle; a listening socket, a set of
shard fetchers and the record of what is not yet durable must outlive them all.

Plan. Producer threads (a connection, a fetcher) `offer` chunks; a reader `take`s a batch of several chunks; `Acknowledge`,
the last step of the fused chain, hands the batch's receipt in; the source then tells its peer (an ACK frame, a checkpoint).

Invariants.
- A chunk is queued, handed out, or acknowledged; it is acknowledged once, and only after the last sink.
- What is queued and handed out together is bounded in events and bytes: `offer` blocks (back-pressure).
  One chunk is always let in when nothing is pending, else a chunk larger than the bound could never pass.
- `requeue` (a bundle failed) puts everything handed out back in front, in the order it was handed out.
- After `stop`, nothing more is let in, what is queued is still handed out, and then the source is drained. `give_up`
  ends that early: what is queued is forgotten. The peer was told nothing, so it still has those events.

Refused: bundle finalization (Flink calls it for bundles closed after the snapshot: up to 29 records lost per
kill), Reshuffle and timers (the FnApiRunner never fires them behind an endless source).
"""

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from penstock.io.chain.chunk import Chunk
from penstock.io.chain.source_status import Peer, ShardStatus, SourceStatus
from penstock.io.errors import DeliveryError, PenstockError, without_traceback
from penstock.io.meters import METERS
from penstock.transforms.batch import Event, EventBatch

__all__ = ["READ_HERE", "Chunk", "LiveReceipt", "LiveSource"]

_LOGGER = logging.getLogger(__name__)


READ_HERE: "dict[str, LiveSource]" = {}
"""Key -> live source of this process; the registry `LIVE` fills and empties it."""


class LiveReceipt(msgspec.Struct, gc=False):
    """Names the chunks of a batch to the live source that handed them out, in that process only.

    Attributes:
        source: the source's key in the registry.
        tokens: of the chunks; each is reported exactly once.
    """

    source: str
    tokens: list[int]

    def acknowledge(self) -> None:
        """Reports the tokens. Raises `DeliveryError` in a process that does not read the source."""
        source = READ_HERE.get(self.source)
        if source is None:
            message = (
                f"a batch of {self.source} reached Acknowledge in a process that does not read it. "
                "Remove whatever shuffles (GroupByKey, Reshuffle, Flatten) between the read and Acknowledge."
            )
            raise DeliveryError(message)
        source.acknowledge(self.tokens)


class LiveSource:
    """Queue of chunks between producer threads and Beam's reader, and the record of what is handed out.

    Subclasses produce (`offer`) and override `_acknowledged`, `position`, `resume`, `ready`, `close`.
    All methods are safe from any thread.

    Args:
        key: its name in the registry, the same in every process that runs the same source.
        max_pending_events: queued plus handed out; beyond it `offer` blocks.
        max_pending_bytes: likewise, in bytes of memory (`Chunk.memory`).
        max_batch_events: a batch takes chunks until it holds this many events, or `max_batch_bytes`.
        linger_s: how long `take` waits for a fuller batch once it has something, in seconds.
    """

    def __init__(
        self,
        key: str,
        *,
        max_pending_events: int,
        max_pending_bytes: int,
        max_batch_events: int = 2000,
        max_batch_bytes: int = 4 << 20,
        linger_s: float = 0.0,
    ) -> None:
        self.key = key
        self.max_pending_events = max_pending_events
        self.max_pending_bytes = max_pending_bytes
        self.max_batch_events = max_batch_events
        self.max_batch_bytes = max_batch_bytes
        self.linger_s = linger_s
        self.stopping = False
        self._given_up = False
        self.failure: PenstockError | None = None
        """Why this source can't go on, or None. The next read raises it, which ends the job."""
        self.pending_events = 0
        self.pending_bytes = 0
        self.taken_in_events = self.taken_in_bytes = self.acknowledged_events = self.returned_chunks = 0
        self.patience_s = 0.0
        """Seconds for which acknowledgements may be held back on purpose (see `penstock.io.chain.source_status`)."""
        self.last_activity = time.monotonic()
        self.wake: threading.Event | None = None
        """An event that is set at each change, for a reader of several sources."""
        self._changed = threading.Condition()
        self._queue: collections.deque[Chunk] = collections.deque()
        self._queued_events = self._queued_bytes = 0
        self._handed_out: dict[int, Chunk] = {}

    def _notify(self) -> None:
        """Wakes who waits for a change. Called under the lock."""
        self._changed.notify_all()
        if self.wake is not None:
            self.wake.set()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in the registry of what is read here."""
        return (self.key,)

    # -- producers -------------------------------------------------------------------------------------

    def offer(self, chunk: Chunk, *, give_up: Callable[[], bool] | None = None) -> bool:
        """Queues a chunk when there is room. Returns False after a stop or `give_up()`; the caller then drops the chunk."""
        events, memory = len(chunk.events), chunk.memory
        with self._changed:
            while not self.stopping and not self._has_room(events, memory):
                if give_up is not None and give_up():
                    return False
                self._changed.wait(1.0)
            if self.stopping or (give_up is not None and give_up()):
                return False
            self._queue.append(chunk)
            self._queued_events += events
            self._queued_bytes += chunk.size
            self.pending_events += events
            self.pending_bytes += memory
            self.taken_in_events += events
            self.taken_in_bytes += chunk.size
            self.last_activity = time.monotonic()
            self._notify()
        return True

    @property
    def full(self) -> bool:
        """Whether as much is pending as may be."""
        return self.pending_events >= self.max_pending_events or self.pending_bytes >= self.max_pending_bytes

    def wait_for_room(self, give_up: Callable[[], bool]) -> None:
        """Waits until more may be offered. A stop or `give_up()` ends the wait too."""
        with self._changed:
            while self.full and not self.stopping and not give_up():
                self._changed.wait(1.0)

    def _has_room(self, events: int, memory: int) -> bool:
        if not self._queue and not self._handed_out:
            return True
        return (
            self.pending_events + events <= self.max_pending_events
            and self.pending_bytes + memory <= self.max_pending_bytes
        )

    # -- Beam's reader ---------------------------------------------------------------------------------

    def take(self, wait_s: float) -> EventBatch | None:
        """Gives the next batch, after at most `wait_s` seconds; None when there is none (see `drained`)."""
        with self._changed:
            if not self._queue and not self.stopping:
                self._changed.wait_for(lambda: self._queue or self.stopping or self.failure, wait_s)
            if not self._queue:
                return None
            if self.linger_s and not self._full() and not self.stopping:
                self._changed.wait_for(lambda: self._full() or self.stopping, self.linger_s)
            tokens: list[int] = []
            events: list[Event] = []
            size = 0
            oldest = self._queue[0].arrived_ms
            while self._queue and (not tokens or self._fits(len(events), size, self._queue[0])):
                chunk = self._queue.popleft()
                self._queued_events -= len(chunk.events)
                self._queued_bytes -= chunk.size
                self._handed_out[chunk.token] = chunk
                self._taken(chunk)
                tokens.append(chunk.token)
                events += chunk.events
                size += chunk.size
                oldest = min(oldest, chunk.arrived_ms)
            self.last_activity = time.monotonic()
            return EventBatch(LiveReceipt(self.key, tokens), events, [], oldest, size)

    def _full(self) -> bool:
        return (
            self._queued_events >= self.max_batch_events
            or self._queued_bytes >= self.max_batch_bytes
            or self.full  # producers may be waiting for room: lingering would only make them wait longer
        )

    def _fits(self, events: int, size: int, chunk: Chunk) -> bool:
        return (
            events + len(chunk.events) <= self.max_batch_events and size + chunk.size <= self.max_batch_bytes
        )

    def requeue(self) -> int:
        """Puts all that is handed out back in front, in order, because a bundle failed. Returns how many chunks."""
        with self._changed:
            chunks = list(self._handed_out.values())
            self._handed_out.clear()
            self.returned_chunks += len(chunks)
            self._requeued(chunks)
            for event in (event for chunk in chunks for event in chunk.events):
                # As it came: an event with an id is not decoded again, and no transform may meet its own work.
                event.id = event.timestamp = event.document = event.filters = None
                event.changed = event.stamped = False
            self._queue.extendleft(reversed(chunks))
            self._queued_events += sum(len(chunk.events) for chunk in chunks)
            self._queued_bytes += sum(chunk.size for chunk in chunks)
            if self._given_up:
                self._forget_queue()
            self._notify()
        if chunks:
            _LOGGER.warning("%s: a bundle failed; %d chunks are handed out again", self.key, len(chunks))
        return len(chunks)

    def give_up(self) -> int:
        """Forgets what is queued, because the stop lasts too long. The peer still has it, so it is read or sent again.

        Returns:
            How many events were forgotten.
        """
        with self._changed:
            self._given_up = True
            count = self._queued_events
            self._forget_queue()
            self._notify()
        return count

    def _forget_queue(self) -> None:
        self.pending_events -= self._queued_events
        self.pending_bytes -= sum(chunk.memory for chunk in self._queue)
        self._queued_events = self._queued_bytes = 0
        self._queue.clear()

    @property
    def drained(self) -> bool:
        """Whether nothing will be handed out any more."""
        return self.stopping and not self._queue

    @property
    def settled(self) -> bool:
        """Whether nothing is pending: all that was taken in is acknowledged."""
        return not self._queue and not self._handed_out

    # -- Acknowledge -----------------------------------------------------------------------------------

    def acknowledge(self, tokens: Iterable[int]) -> None:
        """Takes note that the chunks of these tokens are durable.

        Unknown tokens (handed out again meanwhile) are ignored.
        """
        chunks = []
        with self._changed:
            for token in tokens:
                chunk = self._handed_out.pop(token, None)
                if chunk is not None:
                    chunks.append(chunk)
                    self.pending_events -= len(chunk.events)
                    self.pending_bytes -= chunk.memory
                    self.acknowledged_events += len(chunk.events)
            self.last_activity = time.monotonic()
            self._notify()
        if chunks:
            now_ms = time.time() * 1000
            delivery = METERS.delivery.of(self.key)
            for chunk in chunks:
                delivery.observe((now_ms - chunk.arrived_ms) / 1000)
            self._acknowledged(chunks)

    # -- how it stands -----------------------------------------------------------------------------

    def oldest_ms(self) -> int | None:
        """About when the oldest chunk arrived that is not acknowledged, in ms since 1970; None when nothing is pending."""
        with self._changed:
            first = next(iter(self._handed_out.values()), None) or (self._queue[0] if self._queue else None)
            return None if first is None else first.arrived_ms

    def peers(self) -> list[Peer]:
        """Gives the status of each of its shards or clients."""
        return []

    def status(self) -> SourceStatus:
        """Gives the status at this moment."""
        peers = self.peers()
        oldest_ms = self.oldest_ms()
        ages = [0.0 if oldest_ms is None else time.time() - oldest_ms / 1000]
        ages += [
            peer.behind_s for peer in peers if isinstance(peer, ShardStatus) and peer.behind_s is not None
        ]
        return SourceStatus(
            key=self.key,
            text=self.describe(),
            connected=self.connected,
            stopping=self.stopping,
            failure=str(self.failure or ""),
            events=self.taken_in_events,
            bytes=self.taken_in_bytes,
            acknowledged_events=self.acknowledged_events,
            returned_chunks=self.returned_chunks,
            pending_events=self.pending_events,
            pending_bytes=self.pending_bytes,
            max_pending_events=self.max_pending_events,
            max_pending_bytes=self.max_pending_bytes,
            lag_s=max(0.0, *ages),
            patience_s=self.patience_s,
            peers=peers,
            unread=self.unread(),
        )

    def unread(self) -> list[str]:
        """Gives one line, with the reason, for each thing that should be read and is not."""
        return []

    # -- for subclasses --------------------------------------------------------------------------------

    def _discard(self, unwanted: Callable[[Chunk], bool]) -> None:
        """Forgets queued and handed-out chunks for which `unwanted` is true, without acknowledging them."""
        with self._changed:
            gone = [chunk for chunk in (*self._handed_out.values(), *self._queue) if unwanted(chunk)]
            for chunk in gone:
                self.pending_events -= len(chunk.events)
                self.pending_bytes -= chunk.memory
                if self._handed_out.pop(chunk.token, None) is None:
                    self._queue.remove(chunk)
                    self._queued_events -= len(chunk.events)
                    self._queued_bytes -= chunk.size
            self._notify()

    def _taken(self, chunk: Chunk) -> None:
        """Called under the lock when a chunk is handed out, in order. Must be quick."""

    def _requeued(self, chunks: list[Chunk]) -> None:
        """Called under the lock with all that was handed out, in order, when it goes back to the queue."""

    def _acknowledged(self, chunks: list[Chunk]) -> None:
        """Called outside the lock, from a Beam thread, once for each chunk; must not block on a peer."""

    def position(self) -> Any:
        """JSON-able position after the last chunk handed out, for the runner's checkpoint; None if none."""
        return None

    def resume(self, position: Any) -> None:
        """Starts from `position`, which a reader brings; None where the runner has none."""

    def describe(self) -> str:
        """Says what the source does, for the log line that says the job is ready ("listening for Beats on ...")."""
        return self.key

    @property
    def connected(self) -> bool:
        """Whether the source listens or reads, so that events can arrive."""
        return True

    @property
    def ready(self) -> bool:
        """Whether the peer is reached and, as far as one can tell, nothing waits there."""
        return self.connected

    def watermark_ms(self) -> int:
        """No event that is yet to come arrived before this, in milliseconds since 1970."""
        return int(time.time() * 1000)

    def fail(self, failure: PenstockError) -> None:
        """Ends this source, which can't go on (access denied, port taken). Wakes the reader, which raises the failure."""
        with self._changed:
            if self.failure is None:
                self.failure = without_traceback(failure)
            self._notify()

    def idle_for(self, seconds: float) -> bool:
        """Whether nothing has happened for that long and nothing is pending."""
        return self.ready and self.settled and time.monotonic() - self.last_activity >= seconds

    def stop(self) -> None:
        """Lets nothing more in. What is queued is still handed out. Returns at once."""
        with self._changed:
            self.stopping = True
            self._notify()

    def close(self) -> None:
        """Tells the peer what has been acknowledged until now and lets go of it. Blocks a few seconds at most."""
