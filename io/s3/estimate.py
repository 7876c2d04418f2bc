"""`estimate` tells how many events a listing will give, from a look into a few of its objects."""

import dataclasses
from collections.abc import Sequence

from penstock.io.errors import PenstockError
from penstock.io.s3.formats import _parquet
from penstock.io.s3.formats._layouts import Layout
from penstock.io.s3.listing import Stores
from penstock.io.s3.objects import ObjectStream, SeekableObject
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.reading import UnitReader

__all__ = ["Estimate", "estimate"]

_SAMPLES = 5
_ENOUGH_EVENTS = 10_000
_ENOUGH_BYTES = 1 << 20  # a decompressor reads ahead: over less, the ratio would be that of its buffer


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a listing comes to.

    Attributes:
        objects: how many there are.
        bytes: their sizes' sum.
        events: about how many records they hold; None where no sample could be read.
        sampled: how many objects that was found from.
    """

    objects: int
    bytes: int
    events: int | None
    sampled: int


def estimate(
    objects: Sequence[S3Object], options: S3ReadOptions, stores: Stores, layouts: Sequence[Layout] = ()
) -> Estimate:
    """Looks at the beginnings of up to five objects, spread over the listing; arguments as of `ReadFromS3`.

    Raises:
        PenstockError: what reading them would raise too, so that a dry run shows it.
    """
    total = sum(each.size for each in objects)
    filled = [each for each in objects if each.size]
    step = max(1, len(filled) // _SAMPLES)
    events = size = sampled = 0
    for found in filled[::step][:_SAMPLES]:
        count, read = _sample(found, options, stores, layouts)
        if read:
            events, size, sampled = events + count, size + read, sampled + 1
    return Estimate(len(objects), total, round(events * total / size) if size else None, sampled)


def _sample(
    found: S3Object, options: S3ReadOptions, stores: Stores, layouts: Sequence[Layout]
) -> tuple[int, int]:
    """Records, and the stored bytes that they took."""
    store = stores.of(found.bucket)
    try:
        stream = ObjectStream(store, found, 0, 4)
        magic = stream.read(4)
        stream.close()
        if magic == _parquet.MAGIC:
            return _parquet.count_rows(SeekableObject(store, found)), found.size
    except PenstockError:
        raise
    except Exception:  # the job's letter will say why
        return 0, 0
    reader = UnitReader(WorkUnit(found), options, store, layouts)
    events = 0
    read = 0
    pieces = reader.pieces()
    for piece, _ in pieces:
        events += len(piece)
        read = reader.bytes_read
        if events >= _ENOUGH_EVENTS and read >= _ENOUGH_BYTES:
            break
    pieces.close()
    return events, read
