"""`KinesisLive` reads shards of one stream: as one worker among others, it holds leases and queues what it reads.

Threads: a coordinator (leases, checkpoints), up to `fetch_threads` fetchers, Beam's reader, and the thread that
acknowledges. One object per shard (`LiveShard`) owns its lease, its progress and its reader; the coordinator holds them by
id. The live source's one lock (`_changed`) guards what the threads share of it.

Which position wins. A shard is opened at the larger of the runner's mark and the lease, because both were written
only for what is durable downstream. When a reader comes back with another mark than the last one handed out, a
bundle was lost: events in memory that are not acknowledged are handed out again. Only for a mark ahead of us (another
process got further) the shard is opened again.

Memory: `max_pending_bytes`, plus one reply per fetcher (10 MiB, three times that while it is
decoded). A reply is asked for only when there is room for about as much as the last one.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.chain.live_objects import Chunk, LiveSource
from penstock.io.chain.source_status import Peer
from penstock.io.errors import PeerError, PenstockError
from penstock.io.kinesis.lease.checkpoints import Stretch
from penstock.io.kinesis.lease.coordinator import Coordinator
from penstock.io.kinesis.lease.stream_view import StreamView
from penstock.io.kinesis.lease.table import Lease, LeaseStore, LeaseTable, MemoryLeases
from penstock.io.kinesis.lease.worker_names import name_worker
from penstock.io.kinesis.positions import SHARD_END, Position, read_marks, write_marks
from penstock.io.kinesis.read.fetching import FetchPool
from penstock.io.kinesis.read.live_shard import LiveShard, ReadContext, ReplyRoom
from penstock.io.kinesis.read.metrics import ReadMetrics
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard, list_shards
from penstock.io.kinesis.stream_facts import StreamFacts, describe_stream
from penstock.io.kinesis.wire.client import KinesisClient, connect
from penstock.io.shares import SHARES

__all__ = ["KinesisLive"]

_LOGGER = logging.getLogger(__name__)

# Seconds after which the coordinator looks at acknowledgements (ended shards, due checkpoints) at the latest.
_TICK_S = 0.25


class KinesisLive(LiveSource):
    """Reads, in batches, the shards of one stream whose leases this process holds.

    Args:
        key: its name in the registry.
        options: what to read.
        aws: who we are.
        session: the AWS session. Tests give it and the next four; by default they are made from `aws` and `options`.
        client: makes the calls.
        store: the leases.
        shards: lists the stream's shards.
        describe: asks for the stream's facts.
        clock: gives seconds that only go forward.
        pool: runs the reads; by default it has `fetch_threads` threads.

    Raises:
        PenstockError: no credentials, or the lease table can't be made.
    """

    def __init__(
        self,
        key: str,
        options: KinesisReadOptions,
        aws: AwsOptions,
        *,
        session: AwsSession | None = None,
        client: KinesisClient | None = None,
        store: LeaseStore | None = None,
        shards: Callable[[], list[Shard]] | None = None,
        describe: Callable[[], StreamFacts] | None = None,
        clock: Callable[[], float] = time.monotonic,
        pool: FetchPool | None = None,
    ) -> None:
        super().__init__(
            key,
            max_pending_events=SHARES.part(options.max_pending_events),
            max_pending_bytes=SHARES.part(options.max_pending_bytes),
            max_batch_events=options.max_batch_events,
        )
        if options.checkpoints != "dynamodb":
            SHARES.require_alone("read every shard, because --checkpoints none shares none")
        fetch_threads = SHARES.part(options.fetch_threads)
        self.options = options
        self._session = session or AwsSession(aws)
        self._client = client or connect(self._session, max_connections=fetch_threads)
        if store is None:
            store = (
                LeaseTable(self._session, options.application_name)
                if options.checkpoints == "dynamodb"
                else MemoryLeases()
            )
        self._store = store
        self._view = StreamView(
            shards or (lambda: list_shards(self._session, options.kinesis_stream_name)),
            describe or (lambda: describe_stream(self._session, options.kinesis_stream_name)),
            clock,
        )
        self._coordinator: Coordinator[LiveShard] = Coordinator(
            store,
            self._view,
            options,
            name_worker(),
            self._open_shard,
            self._changed,
            clock,
        )
        self._clock = clock
        self._metrics = (
            ReadMetrics(self._session, options.application_name, self.fail)
            if options.metrics == "cloudwatch"
            else None
        )
        self._pool = pool or FetchPool(fetch_threads, self._defect)
        self._thread = threading.Thread(target=self._coordinate, name="kinesis-coordinator", daemon=True)
        self._started = False
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._marks: dict[str, Position] = {}
        """Marks of the shards that we don't hold: those that the runner restored, and those where we stopped."""
        self._watermark_ms = 0
        self._context = ReadContext(
            options=options,
            client=self._client,
            session=self._session,
            source=self,
            lock=self._changed,
            room=ReplyRoom(self, self._changed),
            pool=self._pool,
            metrics=self._metrics,
            clock=clock,
            look_soon=self._wake.set,
            view=self._view,
            closed=self._shard_closed,
            shards=lambda: len(self._coordinator.held),
        )

    # -- Beam's reader ---------------------------------------------------------------------------------

    def resume(self, position: Any) -> None:
        """Lets a reader start: from the runner's mark where that is ahead, else from where we are."""
        marks = read_marks(position)
        with self._changed:
            first, self._started = not self._started, True
            if first:
                self._marks = marks
        if first:
            self._start()
            return
        with self._changed:
            if marks == self._current_marks():
                return
            ahead = [
                shard
                for shard in self._held()
                if marks.get(shard.shard_id, shard.progress.mark) > shard.progress.mark
            ]
            self._marks.update(
                (shard_id, mark) for shard_id, mark in marks.items() if mark > self._marks.get(shard_id, mark)
            )
            # The leases will be taken again, and the shards opened at the mark.
            for shard in ahead:
                _LOGGER.warning(
                    "%s: the runner is ahead in shard %s; opening it again", self.key, shard.shard_id
                )
                self._marks[shard.shard_id] = marks[shard.shard_id]
                shard.progress.lost = True
                self._shard_closed(shard)
            lost = bool(self._handed_out)
        if ahead:
            self._wake.set()
        if lost:
            self.requeue()

    def _start(self) -> None:
        self._store.create_if_missing()
        self._thread.start()
        if self._metrics is not None:
            self._metrics.start()

    def _held(self) -> list[LiveShard]:
        """Gives the shards that we hold and go on with. Call it under the lock."""
        return [shard for shard in self._coordinator.held.values() if not shard.progress.lost]

    def _current_marks(self) -> dict[str, Position]:
        known = {shard.shard_id: shard.progress.mark for shard in self._held()}
        return {
            shard_id: mark
            for shard_id, mark in (self._marks | known).items()
            if mark.is_record or mark == SHARD_END
        }

    def position(self) -> Any:
        """Gives `{"shards": {shard_id: text}}`: everything up to these positions was handed out. None before the first."""
        with self._changed:
            return write_marks(self._current_marks())

    def _taken(self, chunk: Chunk) -> None:
        stretch: Stretch = chunk.context
        stretch.progress.take(stretch, chunk.arrived_ms)

    def _requeued(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            stretch: Stretch = chunk.context
            stretch.progress.give_back(stretch)

    def _acknowledged(self, chunks: list[Chunk]) -> None:
        with self._changed:
            for chunk in chunks:
                stretch: Stretch = chunk.context
                stretch.progress.acknowledge(stretch)

    def describe(self) -> str:
        """Says what it does, for the log line that says the job is ready."""
        return f"reading stream {self.options.stream_name} as application {self.options.application_name}"

    @property
    def connected(self) -> bool:
        """Whether every shard of the stream is read: by another worker seen alive, or at least once by us."""
        return self._coordinator.settled and not self._never_read()

    def _never_read(self) -> list[LiveShard]:
        with self._changed:
            return [s for s in self._held() if not s.reader.replies and not s.progress.ended]

    def unread(self) -> list[str]:
        """Gives one line, with the reason, for each shard that nobody reads and each row that can't be used."""
        coordinator = self._coordinator
        troubles = [
            trouble.text for key, trouble in coordinator.troubles.items() if key not in coordinator.unread
        ]
        never = [f"{shard.reader} has not been read yet" for shard in self._never_read()]
        return [*coordinator.unread.values(), *troubles, *never]

    def peers(self) -> list[Peer]:
        """Gives the status of each shard that we read."""
        now, wall = self._clock(), time.time()
        with self._changed:
            return [shard.status(now, wall) for _, shard in sorted(self._coordinator.held.items())]

    @property
    def ready(self) -> bool:
        """Whether every shard is read: by us up to its tip, or by another worker seen alive."""
        with self._changed:
            at_tip = all(shard.reader.at_tip and not shard.progress.ended for shard in self._held())
        return self._coordinator.settled and at_tip

    def watermark_ms(self) -> int:
        """Gives the oldest arrival time that may still come; a shard at its tip holds nothing back."""
        now = int(time.time() * 1000)
        with self._changed:
            times = [shard.watermark_ms(now) for shard in self._held()]
            found = min(times, default=0 if not self._coordinator.settled else now)
            self._watermark_ms = max(self._watermark_ms, min(found, now))
            return self._watermark_ms

    # -- for the archive -------------------------------------------------------------------------------

    @property
    def all_handed_out(self) -> bool:
        """Whether nothing waits in the queue; what is handed out may still be on its way."""
        return not self._queue

    def shards_of(self, tokens: Iterable[int]) -> dict[int, str]:
        """Gives the shard of each of these tokens that is still handed out (tokens of a lost lease are not)."""
        with self._changed:
            return {
                token: self._handed_out[token].context.progress.shard_id
                for token in tokens
                if token in self._handed_out
            }

    def has_ended(self, shard_id: str) -> bool:
        """Whether the shard is closed and read to its end."""
        with self._changed:
            held = self._coordinator.held.get(shard_id)
            return held is not None and held.progress.ended

    def store_checkpoint(self, shard_id: str, timeout_s: float) -> bool:
        """Writes a shard's checkpoint now instead of when it is due.

        Returns:
            Whether the lease table has it (or the lease isn't ours any more), within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while self._coordinator.hurry_checkpoint(shard_id):
            if time.monotonic() >= deadline or self._closing.is_set():
                return False
            self._wake.set()
            time.sleep(0.02)
        return True

    # -- shards (coordinator and fetcher threads) ------------------------------------------------------

    def _open_shard(self, lease: Lease, shard: Shard | None) -> LiveShard:
        """Opens a shard at the larger of the runner's mark and the lease."""
        mark = self._marks.get(lease.shard_id)
        if mark is not None and not self._mark_fits(mark, lease.shard_id, shard):
            _LOGGER.warning(
                "shard %s of stream %s: the runner's position %s can't be of this stream. Reading on from the lease at %s.",
                lease.shard_id, self.options.stream_name, mark.text(), lease.position.text(),
            )  # fmt: skip
            with self._changed:
                del self._marks[lease.shard_id]
        with self._changed:
            start = max(lease.position, self._marks.get(lease.shard_id, lease.position))
        return LiveShard(self._context, lease, shard, start)

    def _mark_fits(self, mark: Position, shard_id: str, shard: Shard | None) -> bool:
        """Whether a runner's mark can be of this stream: a savepoint may be older than a stream that was made again."""
        if shard is None:
            return True
        if mark == SHARD_END:
            return shard.closed or self._view.proves_end(shard_id)
        return not mark.is_record or shard.holds(mark.sequence_number)

    def _shard_closed(self, shard: LiveShard) -> None:
        """Forgets what was fetched under a lost lease; in all other cases it keeps the shard's mark."""
        if shard.progress.lost:
            self._discard(lambda chunk: chunk.context.progress is shard.progress)
            return
        with self._changed:
            self._marks[shard.shard_id] = shard.progress.mark

    def _defect(self, error: BaseException) -> None:
        message = f"reading stream {self.options.stream_name} failed: {type(error).__name__}: {error}"
        self.fail(PeerError(message[:500]))

    def _coordinate(self) -> None:
        try:
            while not self._closing.is_set():
                self._reopen()
                pause = self._coordinator.tick()
                self._wake.wait(min(pause, _TICK_S))
                self._wake.clear()
        except PenstockError as failure:
            self.fail(failure)
        except BaseException as error:
            _LOGGER.exception("holding leases failed")
            self._defect(error)

    def _reopen(self) -> None:
        """Gives up the shards whose mark is ahead of us. The next round takes them again at the mark."""
        for held in list(self._coordinator.held.values()):
            if held.progress.lost:
                self._coordinator.give_back(held)

    # -- the end ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stops reading, writes the last checkpoints, and frees the leases."""
        self.stop()
        self._pool.stop()
        self._closing.set()
        self._wake.set()
        if (
            self._thread.ident is not None
        ):  # a start that failed (at the lease table, say) did not start the thread
            self._thread.join(10.0)
            if self._thread.is_alive():
                _LOGGER.warning(
                    "%s: DynamoDB does not answer; the last checkpoints are not written", self.key
                )
            else:
                self._coordinator.give_up()
        if self._metrics is not None:
            self._metrics.close()
        self._client.close()
