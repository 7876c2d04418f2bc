"""`estimate` tells how many events a listing will give, from a look into a few of its objects."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from penstock.io.errors import PenstockError
from penstock.io.s3.formats._layouts import Layout
from penstock.io.s3.formats._recognise import PARQUET, is_orc
from penstock.io.s3.listing import Stores
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.streams import ObjectStream
from penstock.io.s3.tables.reading import TableReader
from penstock.io.s3.units.listed import Listed
from penstock.io.s3.units.read_ahead import AHEAD_OBJECTS
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.codecs.decoder import Decoder

__all__ = ["Estimate", "estimate"]

_SAMPLES = 5
_FIRSTS = 20
"""Records that are kept: some are headers, or hold no event."""
_HEAD = 4 << 10
_ENOUGH_EVENTS = 10_000
_ENOUGH_BYTES = (
    1 << 20
)  # a decompressor reads ahead, so over fewer bytes the ratio would be that of its buffer


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The estimate of a listing.

    Attributes:
        objects: how many there are.
        bytes: their sizes' sum.
        events: about how many records they hold; None where no sample could be read.
        sampled: how many objects the estimate is made from.
        requests_s: about how long the requests for the objects take, several at a time, in seconds.
        odd: URL and reason of each sampled object that can't be read.
        firsts: URL and first events of one object of each kind, as they were read; a kind is a form and a name's end.
    """

    objects: int
    bytes: int
    events: int | None
    sampled: int
    requests_s: float = 0.0
    odd: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    firsts: list[tuple[str, list[Event]]] = dataclasses.field(default_factory=list)


class _Sample(NamedTuple):
    """One object: its records, their stored bytes, the seconds until the first byte, letters, and its first events."""

    events: int
    read: int
    latency_s: float
    letters: list[DeadLetter]
    firsts: list[Event]


def estimate(
    objects: Listed,
    options: S3ReadOptions,
    stores: Stores,
    layouts: Sequence[Layout] = (),
    decoder: Callable[[], Decoder] | None = None,
) -> Estimate:
    """Looks at the beginnings of up to five objects, spread over the listing, and of one of each kind of name.

    The arguments are those of `ReadFromS3`.

    Raises:
        PenstockError: the job would raise it too, so a dry run shows it.
    """
    step = max(1, len(objects.samples) // _SAMPLES)
    events = size = sampled = 0
    seconds: list[float] = []
    odd: list[tuple[str, str]] = []
    firsts: dict[tuple[object, str], tuple[str, list[Event]]] = {}
    spread = objects.samples[::step][:_SAMPLES]
    kinds = {PurePosixPath(found.key).suffix for found in spread}
    for found in [*spread, *(each for kind, each in objects.kinds.items() if kind not in kinds)]:
        sample = _sample(found, options, stores, layouts, decoder)
        seconds.append(sample.latency_s)
        odd += [(found.url, letter.reason) for letter in sample.letters[:1]]
        if sample.firsts:
            form = sample.firsts[0].origin.describe().get("counts")
            firsts.setdefault((form, PurePosixPath(found.key).suffix), (found.url, sample.firsts))
        if sample.read:
            events, size, sampled = events + sample.events, size + sample.read, sampled + 1
    number = round(events * objects.bytes / size) if size else None
    each_s = sum(seconds) / len(seconds) if seconds else 0.0
    return Estimate(
        objects.count,
        objects.bytes,
        number,
        sampled,
        each_s * objects.count / AHEAD_OBJECTS,
        odd,
        [*firsts.values()],
    )


def _sample(
    found: S3Object,
    options: S3ReadOptions,
    stores: Stores,
    layouts: Sequence[Layout],
    decoder: Callable[[], Decoder] | None,
) -> _Sample:
    store = stores.of(found.bucket)
    began = time.monotonic()
    rows = None  # as many as a footer says
    try:
        stream = ObjectStream(store, found, 0, _HEAD)
        head = stream.read(_HEAD)
        latency = time.monotonic() - began
        stream.close()
        form = "parquet" if head.startswith(PARQUET) else "orc" if is_orc(head) else ""
        if form:
            rows = TableReader(store, found).count(form)
    except PenstockError:
        raise
    except Exception:  # the letter below says why
        latency = 0.0
    reader = UnitReader(WorkUnit(found), options, store, layouts, decoder)
    events = read = 0
    letters: list[DeadLetter] = []
    firsts: list[Event] = []
    pieces = reader.pieces()
    for piece, refused in pieces:
        events += len(piece)
        letters += refused
        firsts += piece[: _FIRSTS - len(firsts)]
        read = reader.bytes_read
        if rows is not None and firsts:
            events, read = rows, found.size
            break
        if events >= _ENOUGH_EVENTS and read >= _ENOUGH_BYTES:
            break
    pieces.close()
    return _Sample(events, read, latency, letters, firsts)
