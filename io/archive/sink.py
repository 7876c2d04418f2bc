"""`WriteToArchive` writes a stream's records to files in S3, and acknowledges them only after the upload.

Problem. Files should be large, but batches are small. So the write ends long after `process` has returned.

Plan. The sink takes over a batch's tokens, and no step behind it acknowledges. Records wait by shard and by the hour in
which they arrived. A shard's records are sealed when they are large enough or old enough, when the source has
no room left, or on a stop. Then they are encoded, uploaded and acknowledged, and the shard's checkpoint is stored at once.

Invariants.
- A file is named by its first and its last record, and is never written over: files of one name hold the same records.
- A shard's sealed groups are uploaded one after another, the next one only after the checkpoint of the last is stored.
  A record that is read again after a kill may stand in two files; a backfill sees by its position that it is the same.
- A group belongs to one lease. When the lease is lost, its chunks are no longer handed out. The group is dropped at once,
  also between two attempts of an upload, because the new owner reads all this from the checkpoint.
- A token is acknowledged once, after every file that holds events of its chunk.
- A bundle that failed is handed out again as a whole. So a shard that holds one of its tokens forgets its unsealed records.
- Memory: the events that the source has handed out. Its `max_pending_bytes` bounds them; the job raises it to three files.
  Each upload under way takes the file's bytes and up to 64 MiB more.

Refused: acknowledging in `process` with files on local disk (a lost machine loses them); Beam's own file sinks
(they write at a window's end through a shuffle, which the acknowledgement can't pass).
"""

import concurrent.futures
import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Unpack

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.archive.options import ArchiveOptions
from penstock.io.archive.source import LeaseOnlyKinesis
from penstock.io.archive.uploads import Group, LeaseLost, Uploads, put_file
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE, LiveReceipt
from penstock.io.elements import options_of, takes
from penstock.io.errors import (
    DeliveryError,
    PeerError,
    PenstockError,
    StopTimeout,
    without_traceback,
)
from penstock.io.keywords.archive import WriteKeywords
from penstock.io.options import display_data_of
from penstock.io.s3.objects import S3Objects
from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = ["Archive", "WriteToArchive"]

_LOGGER = logging.getLogger(__name__)
_TICK_S = 0.2
_PRESSURE = 0.7


@takes(ArchiveOptions, AwsOptions)
class WriteToArchive(beam.PTransform):
    """Writes records to files under `dt=YYYY-MM-DD/hour=HH/`; the last step of its chain, in place of `Acknowledge`.

    Args:
        options: the archive's options; or the same as keywords: `archive`, and every other field of `ArchiveOptions`.
        aws: who we are; or the same as keywords: `region`, and every other field of `AwsOptions`.

    Example:
        chain = pipeline | ReadForArchive(stream_name="logs", application_name="logs-archive")
        chain | WriteToArchive(archive="s3://bucket/logs")

    Unit of parallelism: the shard; uploads run `upload_threads` at a time.

    Delivery guarantee: at least once. Nothing is acknowledged before its upload, and no file is written over. After a kill a
    record may stand in two files; a backfill gives both the same document id.

    IAM actions: s3:PutObject on the prefix, s3:ListBucket on the bucket; kms:GenerateDataKey where it is encrypted.

    Metrics (namespace `archive`): counter `events` (taken in).
    """

    step_kind = StepKind(acknowledges="live")

    def __init__(
        self,
        options: ArchiveOptions | None = None,
        aws: AwsOptions | None = None,
        **arguments: Unpack[WriteKeywords],
    ) -> None:
        super().__init__()
        self._options, self._aws = options_of(
            "WriteToArchive", arguments, {ArchiveOptions: options, AwsOptions: aws}
        )

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteToArchive" >> beam.ParDo(_ArchiveDoFn(self._options, self._aws))


class _ArchiveDoFn(beam.DoFn):
    def __init__(self, options: ArchiveOptions, aws: AwsOptions) -> None:
        self._options = options
        self._aws = aws
        self._events = Metrics.counter("archive", "events")

    def process(self, batch: EventBatch) -> Iterator[None]:
        receipt = batch.receipt
        live = LIVE.find(receipt.source) if isinstance(receipt, LiveReceipt) else None
        if not isinstance(receipt, LiveReceipt) or not isinstance(live, LeaseOnlyKinesis):
            message = (
                "a batch reached WriteToArchive that ReadForArchive did not hand out in the same chain and process. "
                "Remove whatever shuffles (GroupByKey, Reshuffle, Flatten) in between."
            )
            raise DeliveryError(message)
        self._shared(live).append(batch.events, receipt.tokens)
        self._events.inc(len(batch.events))
        return iter(())

    def finish_bundle(self) -> None:
        # A stop ends the last bundle: what is held must be uploaded before the source writes its last checkpoints.
        if LIVE.stopping.is_set():
            for live in LIVE.sources:
                if isinstance(live, LeaseOnlyKinesis) and live.before_close is not None:
                    self._shared(live).flush()

    def _shared(self, live: LeaseOnlyKinesis) -> "Archive":
        options, aws = self._options, self._aws
        key = hashlib.sha256(repr((live.key, options, aws)).encode()).hexdigest()[:16]

        def make() -> Archive:
            objects = S3Objects(aws, stopping=threading.Event())
            archive = Archive(options, live, lambda name, body: put_file(objects, options, name, body))
            archive.start()
            return archive

        archive: Archive = LIVE.share(f"archive {key}", make)
        return archive


class _Shard:
    def __init__(self) -> None:
        self.open: Group | None = None
        self.sealed: deque[Group] = deque()
        self.busy = False


class Archive:
    """Fills and uploads files. All DoFn instances of a process share it.

    Args:
        options: the archive's options.
        live: the source, which acknowledges.
        put: writes an object (name, bytes) unless it is there; gives whether it wrote.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        options: ArchiveOptions,
        live: LeaseOnlyKinesis,
        put: Callable[[str, bytes], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._live = live
        self._clock = clock
        self._changed = threading.Condition()
        self._shards: dict[str, _Shard] = {}
        self._held: set[int] = set()
        self._failure: PenstockError | None = None
        self._closing = threading.Event()
        self._uploads = Uploads(options, live, put, clock, self._closing)
        self._pool = concurrent.futures.ThreadPoolExecutor(options.upload_threads, "archive-upload")
        self._timer = threading.Thread(target=self._tick, name="archive-timer", daemon=True)
        self.files = 0
        live.before_close = self.flush
        live.patience_s = options.roll_seconds

    def start(self) -> None:
        """Starts the timer that seals idle files."""
        self._timer.start()

    def append(self, events: list[Event], tokens: list[int]) -> None:
        """Takes over a batch's events and its receipt's tokens.

        Raises:
            PenstockError: an upload failed for good.
        """
        shards = self._live.shards_of(tokens)
        now = self._clock()
        with self._changed:
            if self._failure is not None:
                raise without_traceback(self._failure)
            if not self._held.isdisjoint(tokens):
                self._forget_open()
            self._drop_lost()
            owned = frozenset(shards.values())
            for event in events:
                shard_id = event.origin.shard_id  # type: ignore[attr-defined]
                if shard_id in owned:
                    self._group(shard_id, now).add(event)
            idle: list[int] = []
            for token, shard_id in shards.items():
                shard = self._shards.get(shard_id)
                if shard is None or shard.open is None:
                    idle.append(token)  # a stretch without events needs no upload
                else:
                    shard.open.tokens.append(token)
                    self._held.add(token)
            self._seal(lambda group: group.size >= self._options.roll_bytes)
        if idle:
            self._live.acknowledge(idle)

    def flush(self) -> None:
        """Uploads and acknowledges all that is held, and returns then.

        Raises:
            PenstockError: an upload failed for good, or not all was uploaded within `stop_timeout`.
        """
        deadline = self._clock() + self._options.stop_timeout
        with self._changed:
            self._seal(lambda group: True)
            done = self._changed.wait_for(
                lambda: self._failure is not None or not self._busy(), max(0.0, deadline - self._clock())
            )
            if self._failure is not None:
                raise without_traceback(self._failure)
            if not done:
                message = (
                    f"{self._options.archive} did not take everything within {self._options.stop_timeout:g} s of the stop. "
                    "What is missing is not acknowledged and comes again."
                )
                raise StopTimeout(message)

    def close(self) -> None:
        """Ends the threads. Records that are not uploaded are not acknowledged and come again."""
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)
        if self._timer.is_alive():
            self._timer.join(5.0)

    # -- filling (under the lock) ----------------------------------------------------------------------

    def _group(self, shard_id: str, now: float) -> Group:
        shard = self._shards.setdefault(shard_id, _Shard())
        if shard.open is None:
            shard.open = Group(now)
        return shard.open

    def _forget_open(self) -> None:
        _LOGGER.warning("a bundle failed; the archive's open files are filled again")
        for shard in self._shards.values():
            if shard.open is not None:
                self._held.difference_update(shard.open.tokens)
                shard.open = None

    def _drop_lost(self) -> None:
        """Drops the open groups whose lease was lost: a lease that comes back starts from its checkpoint."""
        firsts = {
            shard.open.tokens[0]: shard for shard in self._shards.values() if shard.open and shard.open.tokens
        }
        there = self._live.shards_of(firsts)
        for token, shard in firsts.items():
            if token not in there and shard.open is not None:
                self._held.difference_update(shard.open.tokens)
                shard.open = None

    def _seal(self, ripe: Callable[[Group], bool]) -> None:
        for shard_id, shard in self._shards.items():
            if shard.open is not None and ripe(shard.open):
                shard.sealed.append(shard.open)
                shard.open = None
            if shard.sealed and not shard.busy:
                shard.busy = True
                self._pool.submit(self._upload_all, shard_id, shard)

    def _seal_old(self, now: float) -> None:
        self._seal(lambda group: now - group.begun >= self._options.roll_seconds)

    def _seal_ended(self) -> None:
        """Seals the records of ended shards at once: their children are read only after their last checkpoint."""
        if self._live.all_handed_out:
            ended = {
                shard_id
                for shard_id, shard in self._shards.items()
                if shard.open and self._live.has_ended(shard_id)
            }
            groups = {id(self._shards[shard_id].open) for shard_id in ended}
            if groups:
                self._seal(lambda group: id(group) in groups)

    def _seal_largest(self) -> None:
        largest = max((shard.open.size for shard in self._shards.values() if shard.open), default=0)
        self._seal(lambda group: group.size >= largest)

    def _busy(self) -> bool:
        return any(shard.busy or shard.sealed for shard in self._shards.values())

    # -- the timer -------------------------------------------------------------------------------------

    def _tick(self) -> None:
        while not self._closing.wait(_TICK_S):
            now = self._clock()
            with self._changed:
                if self._failure is not None:
                    return
                self._drop_lost()
                self._seal_old(now)
                self._seal_ended()
                if self._under_pressure() and not self._busy():
                    self._seal_largest()

    def _under_pressure(self) -> bool:
        live = self._live
        return (
            live.pending_events >= _PRESSURE * live.max_pending_events
            or live.pending_bytes >= _PRESSURE * live.max_pending_bytes
        )

    # -- uploading (threads of the pool) ---------------------------------------------------------------

    def _upload_all(self, shard_id: str, shard: _Shard) -> None:
        try:
            while True:
                with self._changed:
                    if not shard.sealed or self._failure is not None:
                        shard.busy = False
                        self._changed.notify_all()
                        return
                    group = shard.sealed[0]
                try:
                    self.files += self._uploads.upload(shard_id, group)
                except LeaseLost:
                    _LOGGER.info(
                        "the lease of %s is lost; its new owner archives what this process held", shard_id
                    )
                with self._changed:
                    shard.sealed.popleft()
                    self._held.difference_update(group.tokens)
        except PenstockError as error:
            self._fail(error)
        except BaseException as error:
            _LOGGER.exception("writing the archive failed")
            self._fail(PeerError(f"writing the archive failed: {type(error).__name__}: {error}"[:500]))

    def _fail(self, error: PenstockError) -> None:
        LIVE.fail(error)  # here, because after a stop no DoFn comes any more that could raise it
        with self._changed:
            if self._failure is None:
                self._failure = without_traceback(error)
            for shard in self._shards.values():
                shard.busy = False
            self._changed.notify_all()
        self._live.fail(error)
