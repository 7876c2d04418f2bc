"""`Uploads` writes groups of records as files, patiently, and only while their lease is held.

The lease is looked at before each attempt, and once more before anything is acknowledged: a worker that was frozen, or
waited for S3, may have lost its shard meanwhile. Then the new owner writes these records. No file is written over,
because one of the same name holds the same records (see `name_of`).
"""

import logging
import threading
import time
from collections.abc import Callable

from penstock.io.archive.files import encode, hour_of, name_of
from penstock.io.archive.options import ArchiveOptions
from penstock.io.archive.source import LeaseOnlyKinesis
from penstock.io.backoff import delays
from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError
from penstock.io.meters import METERS
from penstock.io.s3.objects import S3Objects
from penstock.transforms.batch import Event

__all__ = ["Group", "LeaseLost", "Uploads", "put_file"]

_LOGGER = logging.getLogger(__name__)
_CHECKPOINT_TIMEOUT_S = 30.0
_TROUBLE_AFTER_S = 15.0
"""Seconds. A shorter SlowDown is not reported."""
_CONTENT_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "avro": "application/avro",
    "json": "application/x-ndjson",
}


def put_file(objects: S3Objects, options: ArchiveOptions, name: str, body: bytes) -> bool:
    """Writes a file unless it is there, and measures that. Gives whether it wrote."""
    began = time.monotonic()
    try:
        return objects.put_new(options.place[0], name, body, _CONTENT_TYPES[options.archive_format])
    finally:
        METERS.requested("s3_put_object", time.monotonic() - began, len(body))


class LeaseLost(Exception):
    """Another worker has the shard now."""


class Group:
    """A shard's records that are uploaded and acknowledged together."""

    def __init__(self, now: float) -> None:
        self.begun = now
        self.tokens: list[int] = []
        self.hours: dict[int, list[Event]] = {}
        self.size = 0

    def add(self, event: Event) -> None:
        """Takes the next record."""
        self.hours.setdefault(hour_of(event), []).append(event)
        self.size += len(event.data)


class Uploads:
    """Uploads the groups of an archive; its methods run in threads of a pool, one group of a shard at a time.

    Args:
        options: the archive's options.
        live: the source, which acknowledges.
        put: writes an object (name, bytes) unless it is there; gives whether it wrote.
        clock: monotonic seconds.
        closing: set when the archive closes.
    """

    def __init__(
        self,
        options: ArchiveOptions,
        live: LeaseOnlyKinesis,
        put: Callable[[str, bytes], bool],
        clock: Callable[[], float],
        closing: threading.Event,
    ) -> None:
        self._options = options
        self._live = live
        self._put = put
        self._clock = clock
        self._closing = closing

    def upload(self, shard_id: str, group: Group) -> int:
        """Uploads a group, acknowledges it, and has the checkpoint stored. Gives how many files it wrote.

        Raises:
            LeaseLost: the lease was lost meanwhile. Nothing is acknowledged.
            PenstockError: the group can't be uploaded.
        """
        files = 0
        options = self._options
        for events in group.hours.values():
            prefix = options.place[1]
            name = name_of(prefix, events[0], events[-1], options.archive_format, options.archive_compression)
            body = encode(events, options.archive_format, options.archive_compression)
            wrote = self._put_patiently(name, body, group)
            files += wrote
            what = "wrote" if wrote else "found, as an earlier attempt or owner wrote it,"
            _LOGGER.info(
                "%s s3://%s/%s: %d records, %d bytes", what, options.place[0], name, len(events), len(body)
            )
        self._require_lease(group)
        self._live.acknowledge(group.tokens)
        if not self._live.store_checkpoint(shard_id, _CHECKPOINT_TIMEOUT_S) and not self._live.stopping:
            _LOGGER.warning(
                "the checkpoint of %s is not stored yet; a crash now would archive some records twice",
                shard_id,
            )
        return files

    def _require_lease(self, group: Group) -> None:
        if len(self._live.shards_of(group.tokens)) < len(group.tokens):
            raise LeaseLost

    def _put_patiently(self, name: str, body: bytes, group: Group) -> bool:
        """Tries until it works, as long as the lease is ours; after a stop, no longer than `stop_timeout`."""
        waits = delays(0.5, 30.0)
        began = self._clock()
        told = False
        stopped_at: float | None = None
        while True:
            self._require_lease(group)
            try:
                wrote = self._put(name, body)
                self._live.trouble = ""
                return wrote
            except (AccessDenied, NotFound, OptionError):
                raise
            except PeerError as error:
                METERS.retried("s3_put_object", type(error).__name__)
                if self._clock() - began >= _TROUBLE_AFTER_S:
                    self._live.trouble = f"uploads have failed for {self._clock() - began:.0f} s: {error}"
                if not told:
                    told = True
                    _LOGGER.warning("%s; trying again", error)
                if LIVE.stopping.is_set() and stopped_at is None:
                    stopped_at = self._clock()
                if self._closing.is_set() or (
                    stopped_at is not None and self._clock() - stopped_at >= self._options.stop_timeout
                ):
                    raise
            self._closing.wait(next(waits) if stopped_at is None else 0.5)
