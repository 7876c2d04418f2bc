"""`ReadFromS3` begins a backfill's chain (`FinishUnits` ends it).

Graph: objects (packed, a thousand per element) -> plan units -> Reshuffle -> read -> transforms -> sink -> dead letters ->
`FinishUnits`. From the read on it is one fused chain of `EventBatch`es, as in the live jobs. But the source can be
read again, so nothing is acknowledged: a batch's receipt names the units that end in it, and `FinishUnits` notes
them when all their events are written.

Small objects share batches: the reader holds events back until a batch is full or the bundle ends.

Several processes of one machine need no Reshuffle of a runner: the job that starts them plans the units
once, and each process takes one after another from a file (`claims`), in the same chain.
"""

import contextlib
import dataclasses
import hashlib
import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Unpack

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import failing_the_job
from penstock.io.chain.whole_chain import refuse_broken_chains
from penstock.io.elements import options_of, takes
from penstock.io.garbage_collector import calm_garbage_collector
from penstock.io.keywords.s3 import ReadKeywords
from penstock.io.options import display_data_of
from penstock.io.release import require_release, this_release
from penstock.io.s3.formats._layouts import Layout
from penstock.io.s3.listing import Stores, list_objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.reading import UnitReader, plan
from penstock.io.s3.units.claims import Claims
from penstock.io.s3.units.finish import UnitsReceipt
from penstock.io.s3.units.listed import Listed
from penstock.io.s3.units.manifest import Finished, open_manifest, unit_id
from penstock.io.s3.units.read_ahead import ReadAhead
from penstock.io.s3.units.tally import Tally
from penstock.io.s3.units.throttle import Throttle
from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.codecs.decoder import Decoder
from penstock.transforms.document import with_metadata
from penstock.transforms.events import EventTransform
from penstock.transforms.step_kind import StepKind

__all__ = ["AddObjectProperties", "ReadFromS3", "plan_units", "with_object_properties"]


@dataclasses.dataclass(frozen=True)
class _Settings:
    options: S3ReadOptions
    aws: AwsOptions
    folder: str
    rate: float
    layouts: tuple[Layout, ...]
    decoder: Callable[[], Decoder] | None

    @property
    def stores(self) -> Stores:
        options, aws = self.options, self.aws
        key = hashlib.sha256(pickle.dumps((options, aws))).hexdigest()[:16]
        stores: Stores = LIVE.share(f"s3 stores {key}", lambda: Stores(options, aws, LIVE.stopping))
        return stores

    @property
    def ahead(self) -> ReadAhead:
        stores = self.stores
        ahead: ReadAhead = LIVE.share(f"s3 read ahead {id(stores)}", lambda: ReadAhead(stores.of))
        return ahead

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


@takes(S3ReadOptions, AwsOptions)
class ReadFromS3(beam.PTransform):
    """Reads objects as `EventBatch`es, once each; a bounded source.

    Args:
        objects: the objects to read; without them, those of `input` are listed now, while the pipeline is made.
        options: what is read, and how; or the same as keywords: `input`, and every other field of `S3ReadOptions`.
        aws: who we are; or the same as keywords: `region`, and every other field of `AwsOptions`.
        finished: the units that earlier runs finished; without it, those that `manifest` names.
        folder: where progress is written; empty for nowhere.
        rate: events per second in each process; 0 for no limit, None for `max_events_per_second`.
        layouts: layouts of files whose rows are events of another peer (`penstock.io.archive.LAYOUT`).
        decoder: makes the decoder of the lines behind this step. When none of an object's first 100 lines can be
            decoded, the object is one dead letter instead of one per line.
        claims: a file of units that other processes take from too (`plan_units` makes them), in the place of `objects`.

    Example:
        read = pipeline | ReadFromS3(input="s3://bucket/logs/")
        documents = read | DecodeJson() | WriteToElasticsearch(hosts="localhost:9200")
        documents | WriteDeadLetters("file:///var/lib/refused.jsonl") | FinishUnits()

    Unit of parallelism: an object, or a part of a large one (`split_bytes`).

    Delivery guarantee: at least once; events have positions, so a sink that derives its ids from them writes each
    once. After a failure every unit that wasn't finished is read again.

    IAM actions: s3:ListBucket on the bucket, s3:GetObject (with versions: s3:GetObjectVersion) on its objects,
    kms:Decrypt for what a KMS key encrypts.

    Metrics (namespace `s3`): counters `units`, `records`, `incomplete`.
    """

    def __init__(
        self,
        objects: Iterable[S3Object] | Listed | None = None,
        options: S3ReadOptions | None = None,
        aws: AwsOptions | None = None,
        *,
        finished: Finished | None = None,
        folder: str = "",
        rate: float | None = None,
        layouts: Sequence[Layout] = (),
        decoder: Callable[[], Decoder] | None = None,
        claims: str | None = None,
        **arguments: Unpack[ReadKeywords],
    ) -> None:
        super().__init__()
        options, aws = options_of("ReadFromS3", arguments, {S3ReadOptions: options, AwsOptions: aws})
        if objects is None:
            objects = () if claims else list_objects(options, Stores(options, aws, LIVE.stopping))
            if finished is None and options.manifest:
                finished = Finished(open_manifest(options.manifest, aws).read())
        if rate is None:
            rate = options.max_events_per_second
        listed = objects if isinstance(objects, Listed) else Listed(objects)
        done = finished or Finished()
        self._packed = []
        splits = False
        for pack in listed.packs():
            left = [(each, done.parts(each)) for each in pack if not done.whole(each)]
            splits = splits or any(each.size > options.split_bytes for each, _ in left)
            if left:
                self._packed.append(zlib.compress(pickle.dumps(left), 1))
        self.step_kind = StepKind(reads="units", splits=splits)
        self._claims = claims
        self._settings = _Settings(options, aws, folder, rate, tuple(layouts), decoder)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._settings.options, self._settings.aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        refuse_broken_chains(begin.pipeline)
        if self._claims is None:
            units = (
                begin
                | "Objects" >> beam.Create(self._packed, reshuffle=False)
                | "Plan" >> beam.ParDo(_PlanDoFn(self._settings))
                | "Spread" >> beam.Reshuffle()
            )
        else:
            create = beam.Create([self._claims], reshuffle=False)
            units = begin | create | "Claim" >> beam.ParDo(_ClaimDoFn(self._settings))
        return units | "Read" >> beam.ParDo(_ReadDoFn(self._settings))


def plan_units(
    objects: Listed, options: S3ReadOptions, stores: Stores, finished: Finished
) -> Iterator[WorkUnit]:
    """Gives the units that are left to read, large ones first. Ends early when the job is stopping.

    Raises:
        PenstockError: an error concerns more than one object.
    """
    for found in objects:
        if LIVE.stopping.is_set():
            return
        if not finished.whole(found):
            yield from _left(found, finished.parts(found), options, stores)


def _left(
    found: S3Object, done: frozenset[str], options: S3ReadOptions, stores: Stores
) -> Iterator[WorkUnit]:
    units = plan(found, options, stores.of(found.bucket))
    return (unit for unit in units if f"{unit.number}-{unit.of}" not in done)


class _PlanDoFn(beam.DoFn):
    def __init__(self, settings: _Settings) -> None:
        self._settings = settings

    def process(self, packed: bytes) -> Iterator[WorkUnit]:
        stores = self._settings.stores
        objects: list[tuple[S3Object, frozenset[str]]] = pickle.loads(zlib.decompress(packed))  # noqa: S301  ours
        for found, done in objects:
            if LIVE.stopping.is_set():
                return
            with failing_the_job():
                yield from _left(found, done, self._settings.options, stores)


class _ClaimDoFn(beam.DoFn):
    def __init__(self, settings: _Settings) -> None:
        self._settings = settings

    def process(self, path: str) -> Iterator[WorkUnit]:
        with contextlib.closing(Claims(path)) as claims:
            yield from self._settings.ahead.units(
                lambda: None if LIVE.stopping.is_set() else claims.take(),
            )


class _ReadDoFn(beam.DoFn):
    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._units = Metrics.counter("s3", "units")
        self._records = Metrics.counter("s3", "records")
        self._incomplete = Metrics.counter("s3", "incomplete")
        self._held = _Held()
        self._release = this_release()

    def setup(self) -> None:
        require_release(self._release)
        calm_garbage_collector()  # here and not in the job, because other runners read in other processes

    def start_bundle(self) -> None:
        self._held = _Held()

    def process(self, unit: WorkUnit) -> Iterator[EventBatch]:
        if LIVE.stopping.is_set():
            return
        settings = self._settings
        options, tally, throttle = settings.options, settings.tally, settings.throttle
        store = settings.ahead.store_of(unit.object)
        reader = UnitReader(unit, options, store, settings.layouts, settings.decoder)
        told = 0
        with failing_the_job():
            for events, letters in reader.pieces():
                for part, size in _parts(events, options.max_batch_events, options.max_batch_bytes):
                    if self._held.events and self._held.full_with(part, size, options):
                        yield self._held.batch()
                    if throttle is not None:
                        throttle.take(len(part))
                    self._held.add(part, size)
                    if self._held.is_full(options):
                        yield self._held.batch()
                self._held.letters += letters
                self._records.inc(len(events))
                now = reader.bytes_read
                tally.add(read=len(events), bytes=max(0, now - told))
                told = max(told, now)
                if LIVE.stopping.is_set():
                    return
        if LIVE.stopping.is_set() and not reader.finished:
            return
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
    """Holds events that are read and not yet handed on, and the units that end among them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.letters: list[DeadLetter] = []
        self.units: list[tuple[str, str]] = []
        self._bytes = 0

    def add(self, events: list[Event], size: int) -> None:
        self.events = self.events + events if self.events else events
        self._bytes += size

    def full_with(self, events: list[Event], size: int, options: S3ReadOptions) -> bool:
        return (
            len(self.events) + len(events) > options.max_batch_events
            or self._bytes + size > options.max_batch_bytes
        )

    def is_full(self, options: S3ReadOptions) -> bool:
        # Nearly full counts as full: to join two lists costs more than a slightly smaller batch.
        return (
            len(self.events) * 4 >= options.max_batch_events * 3
            or self._bytes * 4 >= options.max_batch_bytes * 3
            or len(self.letters) >= options.max_batch_events
        )

    def batch(self) -> EventBatch:
        """Gives the held events as a batch, and is empty then."""
        made = EventBatch(UnitsReceipt(self.units), self.events, self.letters, size=self._bytes)
        self.__init__()  # type: ignore[misc]
        return made


def _parts(events: list[Event], count: int, size: int) -> Iterator[tuple[list[Event], int]]:
    """Gives the events in lists within both bounds, each with its bytes. A larger event goes alone."""
    total = sum([len(event.data) for event in events])
    if len(events) <= count and total <= size:
        yield events, total
        return
    part: list[Event] = []
    total = 0
    for event in events:
        if part and (len(part) >= count or total + len(event.data) > size):
            yield part, total
            part, total = [], 0
        part.append(event)
        total += len(event.data)
    yield part, total


class AddObjectProperties(EventTransform):
    """Puts bucket, key, version, last modified and index into `[@metadata][s3]` of events from buckets.

    The id stays that of the event as it came.
    """

    def __init__(self) -> None:
        super().__init__(with_object_properties, "object_properties")


def with_object_properties(event: Event) -> list[Event]:
    """Gives the event with its object's properties; also one that comes back from a letter, whose origin tells them."""
    words = event.origin.describe()
    if "key" not in words or "etag" not in words:
        return [event]
    return [with_metadata(event, {"s3": words | {"index": event.index}})]
