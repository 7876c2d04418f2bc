"""The live source of a Kinesis stream: one lease worker, its shards' readers, and what of them is acknowledged.

Threads: a coordinator (leases, checkpoints), up to `fetch_threads` fetchers, Beam's reader, and whoever
acknowledges. Progress of shards is guarded by the live source's one lock (`_changed`).

Which position wins. Where a shard is opened, the larger of the runner's mark and the lease: both were written
only for what is durable downstream. When a reader comes back with another mark than the last one handed out, a
bundle was lost: what is in memory and not acknowledged is handed out again; only a mark ahead of us (another
process got further) makes the shard be opened anew.

Memory: `max_pending_bytes` of payload, plus for each fetcher one reply (10 MiB, three times that while it is
decoded), which is asked for only when there is room for about as much as the last one.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.chain.live_objects import Chunk, LiveSource
from penstock.io.chain.source_status import Peer
from penstock.io.errors import AccessDenied, NotFound, PeerError, PenstockError
from penstock.io.kinesis.kpl._deaggregation import HashRange
from penstock.io.kinesis.lease.checkpoints import ShardProgress, Stretch
from penstock.io.kinesis.lease.coordinator import Coordinator, Held
from penstock.io.kinesis.lease.table import Lease, LeaseStore, LeaseTable, MemoryLeases
from penstock.io.kinesis.lease.worker_names import name_worker
from penstock.io.kinesis.positions import AT_TIMESTAMP, SHARD_END, Position, read_marks, write_marks
from penstock.io.kinesis.read.fetching import FetchPool
from penstock.io.kinesis.read.metrics import ReadMetrics
from penstock.io.kinesis.read.shard_reader import Piece, ShardReader
from penstock.io.kinesis.read.shard_status import shards_of
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard, list_shards
from penstock.io.kinesis.wire.client import KinesisClient, connect
from penstock.io.meters import METERS

__all__ = ["KinesisLive"]

_LOGGER = logging.getLogger(__name__)

# The coordinator looks at acknowledgements (ended shards, due checkpoints) at least so often.
_TICK_S = 0.25


class KinesisLive(LiveSource):
    """Shards of one stream that this process holds leases of, as batches.

    Args:
        key: its name in the registry.
        options: what to read.
        aws: who we are.
        session: for tests; else made from `aws`.
        client: likewise.
        store: likewise.
        shards: lists the stream's shards; likewise.
        clock: seconds that only go forward.

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            key,
            max_pending_events=options.max_pending_events,
            max_pending_bytes=options.max_pending_bytes,
            max_batch_events=options.max_batch_events,
        )
        self.options = options
        self._session = session or AwsSession(aws)
        self._client = client or connect(self._session, max_connections=options.fetch_threads)
        if store is None:
            store = (
                LeaseTable(self._session, options.application_name)
                if options.checkpoints == "dynamodb"
                else MemoryLeases()
            )
        self._store = store
        self._coordinator = Coordinator(
            store,
            shards or (lambda: list_shards(self._session, options.kinesis_stream_name)),
            options,
            name_worker(),
            self,
            clock,
        )
        self._clock = clock
        self._metrics = (
            ReadMetrics(self._session, options.application_name, self.fail)
            if options.metrics == "cloudwatch"
            else None
        )
        self._pool = FetchPool(options.fetch_threads, self._defect)
        self._thread = threading.Thread(target=self._coordinate, name="kinesis-coordinator", daemon=True)
        self._started = False
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._marks: dict[str, Position] = {}
        self._progress: dict[str, ShardProgress] = {}
        self._readers: dict[str, ShardReader] = {}
        self._held: dict[ShardReader, Held] = {}
        self._reserved = 0
        self._watermark_ms = 0

    # -- Beam's reader ---------------------------------------------------------------------------------

    def resume(self, position: Any) -> None:
        """A reader starts: from the runner's mark where that is ahead, else from where we are."""
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
                progress
                for shard_id, progress in self._progress.items()
                if marks.get(shard_id, progress.mark) > progress.mark
            ]
            self._marks.update(
                (shard_id, mark) for shard_id, mark in marks.items() if mark > self._marks.get(shard_id, mark)
            )
            # Leases are taken again, and the shards opened at the mark.
            for progress in ahead:
                _LOGGER.warning(
                    "%s: the runner is ahead in shard %s; opening it anew", self.key, progress.shard_id
                )
                self._marks[progress.shard_id] = marks[progress.shard_id]
                progress.lost = True
                self._forget(progress)
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

    def _current_marks(self) -> dict[str, Position]:
        known = {shard_id: progress.mark for shard_id, progress in self._progress.items()}
        return {
            shard_id: mark
            for shard_id, mark in (self._marks | known).items()
            if mark.is_record or mark == SHARD_END
        }

    def position(self) -> Any:
        """`{"shards": {shard_id: text}}`: everything up to there was handed out; None before the first."""
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
        """For the log line that says the job is ready."""
        return f"reading stream {self.options.stream_name} as application {self.options.application_name}"

    @property
    def connected(self) -> bool:
        """Whether every shard that can be read is read, by us or by another worker."""
        return self._coordinator.settled

    def peers(self) -> list[Peer]:
        """The shards that we read."""
        with self._changed:
            return shards_of(self._held, self._clock(), time.time())

    @property
    def ready(self) -> bool:
        """Whether every shard is read, by us up to its tip or by another worker seen alive."""
        with self._changed:
            readers = list(self._readers.values())
            ended = any(
                progress.ended for progress in self._progress.values() if progress.shard_id in self._readers
            )
        return self._coordinator.settled and not ended and all(reader.at_tip for reader in readers)

    def watermark_ms(self) -> int:
        """The oldest arrival time that may still come; a shard at its tip holds nothing back."""
        now = int(time.time() * 1000)
        with self._changed:
            times = [
                now if reader.at_tip and progress.idle else progress.arrived_ms
                for shard_id, reader in self._readers.items()
                if (progress := self._progress.get(shard_id)) is not None
            ]
            found = min(times, default=0 if not self._coordinator.settled else now)
            self._watermark_ms = max(self._watermark_ms, min(found, now))
            return self._watermark_ms

    # -- for readers (fetcher threads) -----------------------------------------------------------------

    def may_read(self, reader: ShardReader) -> bool:
        """Whether the lease is valid and there is somebody to read for."""
        held = self._held.get(reader)
        if held is None or held.progress.lost or self.stopping:
            reader.finished = True
            return False
        return held.valid(self._clock()) and self.failure is None

    def reserve(self, size: int) -> bool:
        """Whether there is room for a reply of about that size."""
        with self._changed:
            taken = self.pending_bytes + self._reserved
            if taken and taken + size > self.max_pending_bytes:
                return False
            if self.pending_events >= self.max_pending_events:
                return False
            self._reserved += size
            return True

    def free(self, size: int) -> None:
        """Gives back what `reserve` took."""
        with self._changed:
            self._reserved -= size

    def deliver(self, reader: ShardReader, piece: Piece) -> bool:
        """Queues a piece, waiting for room."""
        held = self._held.get(reader)
        if held is None:
            return False
        progress = held.progress
        with self._changed:
            if progress.lost:
                return False
            stretch = progress.open(piece.end, piece.arrived_ms)
        chunk = Chunk(piece.events, piece.size, stretch, piece.arrived_ms)
        if self.offer(chunk, give_up=lambda: progress.lost or not held.valid(self._clock())):
            return True
        with self._changed:
            progress.withdraw(stretch)
        return False

    def at_end(self, reader: ShardReader) -> None:
        """The shard is closed and read to its end."""
        held = self._held.get(reader)
        if held is not None:
            with self._changed:
                held.progress.ended = True
            self._wake.set()

    def missing(self, reader: ShardReader) -> None:
        """The service doesn't know the shard: gone with the retention, or the whole stream is."""
        try:
            if not self._coordinator.shard_is_missing(reader.shard_id):
                return
        except (AccessDenied, NotFound) as failure:
            self.fail(failure)
            reader.finished = True
            return
        except PenstockError:
            return  # a fault that may pass; the reader asks again
        _LOGGER.warning("%s has passed its retention; taking it for finished", reader)
        reader.finished = True
        self.at_end(reader)

    def sample(self, shard_id: str, values: dict[str, float]) -> None:
        """One read, for CloudWatch and for whoever looks."""
        METERS.requested("kinesis_get_records", values["Time"] / 1000, int(values["DataBytesProcessed"]))
        if self._metrics is not None:
            self._metrics.sample(shard_id, values)

    def _defect(self, error: BaseException) -> None:
        message = f"reading stream {self.options.stream_name} failed: {type(error).__name__}: {error}"
        self.fail(PeerError(message[:500]))

    # -- for the coordinator (its thread) --------------------------------------------------------------

    def open_shard(self, lease: Lease, shard: Shard | None) -> ShardProgress:
        """Starts from the larger of the runner's mark and the lease."""
        with self._changed:
            start = max(lease.position, self._marks.get(lease.shard_id, lease.position))
            progress = ShardProgress(lease.shard_id, start)
            if start == SHARD_END:
                progress.ended = True
            self._progress[lease.shard_id] = progress
        started_s = self.options.initial_timestamp
        if lease.started_ms is not None and start != AT_TIMESTAMP:
            started_s = lease.started_ms / 1000
        reader = ShardReader(
            lease.shard_id,
            start,
            started_s,
            HashRange.of(shard.start, shard.end) if shard is not None else None,
            self.options,
            self._client,
            self._session,
            self,
            self._clock,
        )
        with self._changed:
            self._readers[lease.shard_id] = reader
        return progress

    def start_reading(self, held: Held) -> None:
        """Begins to fetch."""
        reader = self._readers[held.lease.shard_id]
        self._held[reader] = held
        _LOGGER.info("reading %s from %s", reader, held.progress.fetched.text())
        if not held.progress.ended:
            self._pool.add(reader.step)

    def checkpoint_of(self, progress: ShardProgress) -> Position:
        """Up to where all is acknowledged."""
        with self._changed:
            return progress.checkpoint

    def close_shard(self, held: Held) -> None:
        """Stops reading, and forgets what was fetched if the lease is lost."""
        with self._changed:
            reader = self._readers.pop(held.lease.shard_id, None)
        if reader is not None:
            reader.finished = True
            self._held.pop(reader, None)
        if held.progress.lost:
            self._forget(held.progress)

    def _forget(self, progress: ShardProgress) -> None:
        self._discard(lambda chunk: chunk.context.progress is progress)
        with self._changed:
            if self._progress.get(progress.shard_id) is progress:
                del self._progress[progress.shard_id]

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
        """Gives the shards back whose mark ran ahead of us; the next round takes them again at the mark."""
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
        if self._thread.ident is not None:  # a start that failed, at the lease table say, left it unstarted
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
