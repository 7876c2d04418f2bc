"""`S3Object` is an object as it was listed, `WorkUnit` a part of it, and `S3Record` the origin of its events.

Identity. An event of an object is named by bucket, key, ETag and its row. The ETag names the contents: it is known
from the listing, it is the same for every part of an object, and it changes when the
object is overwritten. (A version id would do the same, but a listing doesn't tell it, and buckets without versions
have none. It is kept for the dead letters.) To encrypt an object again, or to copy it, may change its ETag. Its
events then count as new ones.

What the row counts (`counts`) depends on the object alone, never on how it was split, so ids stay the same:
- `line`: lines from 0, of compressed objects and those below `MIN_SPLIT_BYTES`;
- `byte`: the offset of a line's first byte, in larger uncompressed objects, which are read in parts;
- `object`: nothing, where all of it is one record (`--format json`), whose parts are counted instead;
- `row`: rows of a Parquet or ORC file from 0;  `element`: elements of a JSON array from 0;
- `block row`: the offset of an Avro block, times 2^20, plus the row in that block.
"""

import dataclasses

import msgspec

__all__ = ["MIN_SPLIT_BYTES", "S3Object", "S3Record", "WorkUnit"]

MIN_SPLIT_BYTES = 16 << 20
"""Smaller objects are never split. It must stay constant, because it decides what the rows of an object count."""


@dataclasses.dataclass(frozen=True)
class S3Object:
    """An object as the listing showed it; with an empty bucket, a local file whose path is `key`.

    Attributes:
        bucket: its bucket; empty for a local file.
        key: its key, or the file's path.
        size: bytes.
        etag: the ETag without quotes; of a local file, its size and time of change.
        modified_ms: when it was last modified, in milliseconds since 1970.
        version: its version id, where the input manifest named one.
        failure: why it can't be read (kind and reason), where that was found before its turn.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified_ms: int
    version: str | None = None
    failure: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        """The object's URL, as a user writes it."""
        return f"s3://{self.bucket}/{self.key}" if self.bucket else self.key


@dataclasses.dataclass(frozen=True)
class WorkUnit:
    """The unit that one worker reads at a time: a whole object, or a part of it.

    Attributes:
        object: the object.
        number: which part, from 0.
        of: how many parts there are.
        start: where the part starts: a byte, or a row group of a Parquet file.
        end: where the next one starts; None for the object's end.
        format: the format that planning found; empty when it didn't look.
    """

    object: S3Object
    number: int = 0
    of: int = 1
    start: int = 0
    end: int | None = None
    format: str = ""

    @property
    def size(self) -> int:
        """Its share of the object's bytes."""
        return self.object.size // self.of


class S3Record(msgspec.Struct, gc=False, frozen=True):
    """The origin of all events of an object.

    Attributes:
        bucket: empty for a local file.
        key: its key, or path.
        etag: names the contents.
        arrived_ms: when the object was last modified, which is the time of events that have none.
        counts: what an event's index counts.
        version: the object's version id, where the bucket has versions.
    """

    bucket: str
    key: str
    etag: str
    arrived_ms: int
    counts: str
    version: str | None = None

    def position(self) -> bytes:
        """Bucket, key and ETag. They name these contents for ever, whoever reads them."""
        return f"s3://{self.bucket}/{self.key}\0{self.etag}".encode(errors="surrogatepass")

    def describe(self) -> dict[str, str | int]:
        """Gives the origin in words. The `index` beside it in a dead letter counts what `counts` says."""
        words: dict[str, str | int] = {"bucket": self.bucket, "key": self.key, "etag": self.etag}
        if self.version:
            words["version"] = self.version
        return words | {"modified_ms": self.arrived_ms, "counts": self.counts}
