"""`ReadFromS3` and `FinishUnits`: the two ends of a backfill's chain.

Graph: objects (packed, a thousand an element) -> plan units -> Reshuffle -> read -> transforms -> sink -> dead letters ->
`FinishUnits`. From the read on it is one fused chain of `EventBatch`es, as in the live jobs; but the source can be
read again, so nothing is acknowledged: a batch names the units that end in it (`batch.source`), and `FinishUnits`
notes them once everything before is written.

Small objects share batches: the reader holds events back until a batch is full or the bundle ends.
"""

import dataclasses
import hashlib
import json
import pickle
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from penstock.io.aws import AwsOptions
from penstock.io.errors import PenstockError
from penstock.io.live import LIVE
from penstock.io.options import display_data_of
from penstock.io.process import calm_garbage_collector
from penstock.io.s3.listing import Stores
from penstock.io.s3.manifest import Finished, Manifest, is_last_part, open_manifest, unit_id
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, S3Record, WorkUnit
from penstock.io.s3.reading import UnitReader, plan
from penstock.io.s3.tally import Tally
from penstock.io.s3.throttle import Throttle
from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.document import document_of, with_document
from penstock.transforms.events import EventTransform

__all__ = ["AddObjectProperties", "Decode", "Decoder", "FinishUnits", "ReadFromS3"]

_PACKED = 1000
_SOURCE = "s3 "


class Decoder(Protocol):
    """Events of a batch, decoded, and letters for what could not be."""

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """See `penstock.transforms.decode`."""


@dataclasses.dataclass(frozen=True)
class _Settings:
    options: S3ReadOptions
    aws: AwsOptions
    folder: str
    rate: float

    @property
    def stores(self) -> Stores:
        options, aws = self.options, self.aws
        key = hashlib.sha256(pickle.dumps((options, aws))).hexdigest()[:16]
        stores: Stores = LIVE.share(f"s3 stores {key}", lambda: Stores(options, aws, LIVE.stopping))
        return stores

    @property
    def tally(self) -> Tally:
        folder = self.folder
        tally: Tally = LIVE.share(f"s3 tally {folder}", lambda: Tally(folder))
        return tally

    @property
    def throttle(self) -> Throttle | None:
        rate = self.rate
        if not rate:
            return None
        throttle: Throttle = LIVE.share(f"s3 throttle {rate}", lambda: Throttle(rate, LIVE.stopping.wait))
        return throttle


class ReadFromS3(beam.PTransform):
    """Reads objects as `EventBatch`es, once each; a bounded source.

    Args:
        objects: what to read (`penstock.io.s3.list_objects`).
        options: how.
        aws: who we are.
        finished: what earlier runs have done.
        folder: where progress is told; empty for nowhere.
        rate: events a second in each process; 0 for no limit.

    Unit of parallelism: an object, or a part of a large one (`split_bytes`).

    Delivery guarantee: at least once; events have positions, so a sink that derives its ids from them writes each
    once. After a failure every unit that wasn't finished is read again.

    IAM actions: s3:ListBucket on the bucket, s3:GetObject (with versions: s3:GetObjectVersion) on its objects,
    kms:Decrypt for what a KMS key encrypts.

    Metrics (namespace `s3`): counters `units`, `records`, `incomplete`.
    """

    def __init__(
        self,
        objects: Sequence[S3Object],
        options: S3ReadOptions,
        aws: AwsOptions,
        *,
        finished: Finished | None = None,
        folder: str = "",
        rate: float = 0.0,
    ) -> None:
        super().__init__()
        finished = finished or Finished()
        # Largest first, so that no worker begins a large one when the others are done.
        todo = sorted((each for each in objects if not finished.whole(each)), key=lambda each: -each.size)
        self._packed = [
            zlib.compress(pickle.dumps([(each, finished.parts(each)) for each in todo[at : at + _PACKED]]), 1)
            for at in range(0, len(todo), _PACKED)
        ]
        self._settings = _Settings(options, aws, folder, rate)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._settings.options, self._settings.aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        return (
            begin
            | "Objects" >> beam.Create(self._packed, reshuffle=False)
            | "Plan" >> beam.ParDo(_PlanDoFn(self._settings))
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadDoFn(self._settings))
        )


class _PlanDoFn(beam.DoFn):
    def __init__(self, settings: _Settings) -> None:
        self._settings = settings

    def process(self, packed: bytes) -> Iterator[WorkUnit]:
        stores = self._settings.stores
        objects: list[tuple[S3Object, frozenset[str]]] = pickle.loads(zlib.decompress(packed))  # noqa: S301  ours
        for found, done in objects:
            if LIVE.stopping.is_set():
                return
            try:
                units = plan(found, self._settings.options, stores.of(found.bucket))
            except PenstockError as error:
                LIVE.fail(error)
                raise
            yield from (unit for unit in units if f"{unit.number}-{unit.of}" not in done)


class _ReadDoFn(beam.DoFn):
    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._units = Metrics.counter("s3", "units")
        self._records = Metrics.counter("s3", "records")
        self._incomplete = Metrics.counter("s3", "incomplete")
        self._held = _Held()

    def setup(self) -> None:
        calm_garbage_collector()  # in worker processes nobody else does

    def start_bundle(self) -> None:
        self._held = _Held()

    def process(self, unit: WorkUnit) -> Iterator[EventBatch]:
        if LIVE.stopping.is_set():
            return
        settings = self._settings
        options, tally, throttle = settings.options, settings.tally, settings.throttle
        reader = UnitReader(unit, options, settings.stores.of(unit.object.bucket))
        told = 0
        try:
            for events, letters in reader.pieces():
                for part in _parts(events, options.max_batch_events, options.max_batch_bytes):
                    if self._held.events and self._held.full_with(part, options):
                        yield self._held.batch()
                    if throttle is not None:
                        throttle.take(len(part))
                    self._held.add(part)
                    if self._held.is_full(options):
                        yield self._held.batch()
                self._held.letters += letters
                self._records.inc(len(events))
                now = reader.bytes_read
                tally.add(read=len(events), bytes=max(0, now - told))
                told = max(told, now)
                if LIVE.stopping.is_set():
                    return
        except PenstockError as error:
            LIVE.fail(error)
            raise
        tally.add(bytes=max(0, unit.size - told))
        if reader.finished:
            self._units.inc()
            self._held.units.append((unit_id(unit), unit.object.url))
        else:
            self._incomplete.inc()
            tally.add(incomplete=1)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._held.events or self._held.letters or self._held.units:
            yield WindowedValue(self._held.batch(), MIN_TIMESTAMP, (GlobalWindow(),))


class _Held:
    """Events that are read and not yet handed on, and the units that end among them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.letters: list[DeadLetter] = []
        self.units: list[tuple[str, str]] = []
        self._bytes = 0

    def add(self, events: list[Event]) -> None:
        self.events = self.events + events if self.events else events
        self._bytes += sum([len(event.data) for event in events])

    def full_with(self, events: list[Event], options: S3ReadOptions) -> bool:
        size = sum([len(event.data) for event in events])
        return (
            len(self.events) + len(events) > options.max_batch_events
            or self._bytes + size > options.max_batch_bytes
        )

    def is_full(self, options: S3ReadOptions) -> bool:
        # Nearly full is full: joining two lists costs more than a slightly smaller batch.
        return (
            len(self.events) * 4 >= options.max_batch_events * 3
            or self._bytes * 4 >= options.max_batch_bytes * 3
            or len(self.letters) >= options.max_batch_events
        )

    def batch(self) -> EventBatch:
        """What is held, and holds nothing any more."""
        made = EventBatch(_SOURCE + json.dumps(self.units), [], self.events, self.letters, size=self._bytes)
        self.__init__()  # type: ignore[misc]
        return made


def _parts(events: list[Event], count: int, size: int) -> Iterator[list[Event]]:
    """The events in lists within both bounds; an event that is larger goes alone."""
    if len(events) <= count and sum([len(event.data) for event in events]) <= size:
        yield events
        return
    part: list[Event] = []
    total = 0
    for event in events:
        if part and (len(part) >= count or total + len(event.data) > size):
            yield part
            part, total = [], 0
        part.append(event)
        total += len(event.data)
    yield part


class Decode(beam.PTransform):
    """Decodes text; rows of Parquet and Avro files are events already, and pass.

    Args:
        decoder: what decodes text, as in the live job (`JsonDecoder`, or `PlainDecoder` for `--codec plain`).
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"decoder": type(self._decoder).__name__}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "Decode" >> beam.ParDo(_DecodeDoFn(self._decoder))


class _DecodeDoFn(beam.DoFn):
    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._failures = Metrics.counter("decode", "failures")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        text = [event for event in batch.events if event.id is None]
        if not text:
            yield batch
            return
        rows = (
            [event for event in batch.events if event.id is not None] if len(text) < len(batch.events) else []
        )
        decoded, letters = self._decoder.decode(text)
        if rows:
            decoded = rows + decoded
        if letters:
            self._failures.inc(len(letters))
        yield batch.with_events(decoded, letters)


class FinishUnits(beam.PTransform):
    """The last step of a backfill: counts what was delivered, and notes the units that are finished.

    Args:
        manifest: the URL of the manifest; None for none.
        aws: who we are, for it.
        folder: where progress is told.
    """

    def __init__(self, manifest: str | None, aws: AwsOptions, folder: str = "") -> None:
        super().__init__()
        self._manifest = manifest
        self._aws = aws
        self._folder = folder

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"manifest": self._manifest} if self._manifest else {}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "FinishUnits" >> beam.ParDo(_FinishDoFn(self._manifest, self._aws, self._folder))


class _FinishDoFn(beam.DoFn):
    def __init__(self, manifest: str | None, aws: AwsOptions, folder: str) -> None:
        self._url = manifest
        self._aws = aws
        self._folder = folder
        self._delivered = Metrics.counter("s3", "delivered")
        self._refused = Metrics.counter("s3", "refused")

    def process(self, batch: EventBatch) -> Iterator[None]:
        folder, url, aws = self._folder, self._url, self._aws
        tally: Tally = LIVE.share(f"s3 tally {folder}", lambda: Tally(folder))
        units = json.loads(batch.source.removeprefix(_SOURCE))
        try:
            if url and units:
                manifest: Manifest = LIVE.share(f"s3 manifest {url}", lambda: open_manifest(url, aws))
                for identity, where in units:
                    manifest.add(identity, where)
        except PenstockError as error:
            LIVE.fail(error)
            raise
        self._delivered.inc(len(batch.events))
        if batch.dead_letters:
            self._refused.inc(len(batch.dead_letters))
        tally.add(
            delivered=len(batch.events),
            refused=len(batch.dead_letters),
            units=len(units),
            objects=sum(is_last_part(identity) for identity, _ in units),
        )
        return iter(())


class AddObjectProperties(EventTransform):
    """Puts bucket, key, version, last modified and index into `[@metadata][s3]` of events from buckets.

    The id stays that of the event as it came.
    """

    def __init__(self) -> None:
        super().__init__(_with_properties, "object_properties")


def _with_properties(event: Event) -> list[Event]:
    origin = event.origin
    if not isinstance(origin, S3Record):
        return [event]
    document = document_of(event)
    metadata = document.get("@metadata")
    properties = origin.describe() | {"index": event.index}
    inner = {**metadata, "s3": properties} if isinstance(metadata, dict) else {"s3": properties}
    return [with_document(event, {**document, "@metadata": inner})]
