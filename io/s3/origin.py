"""`S3Object`, `WorkUnit` and `S3Record` are an object as it was listed, a piece of it, and the origin of its events.

Identity. An event of an object is named by bucket, key, ETag and its row. The ETag names the contents: it is known
from the listing, it is the same for every part of an object that is read in parts, and another as soon as the
object is overwritten. (A version id would do the same, but a listing doesn't tell it, and buckets without versions
have none; it is kept for the dead letters.) Encrypting an object anew, or copying it, may change its ETag: its
events are then others.

What the row counts (`counts`) depends on the object alone, never on how it was split, so ids stay the same:
- `line`: lines from 0, of compressed objects and those below `MIN_SPLIT_BYTES`;
- `byte`: the offset of a line's first byte, in larger uncompressed objects, which are read in parts;
- `row`: rows of a Parquet or ORC file from 0;  `element`: elements of a JSON array from 0;
- `block row`: the offset of an Avro block, times 2^20, plus the row in that block.
"""

import dataclasses

import msgspec

__all__ = ["MIN_SPLIT_BYTES", "S3Object", "S3Record", "WorkUnit"]

MIN_SPLIT_BYTES = 16 << 20
"""Smaller objects are never split. A constant, because what the rows of an object count depends on it."""


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
        failure: why it can't be read, as kind and reason, where that was found before its turn.
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
        """As a user writes it."""
        return f"s3://{self.bucket}/{self.key}" if self.bucket else self.key


@dataclasses.dataclass(frozen=True)
class WorkUnit:
    """What one worker reads at a time: a whole object, or a part of it.

    Attributes:
        object: the object.
        number: which part, from 0.
        of: how many parts there are.
        start: where the part starts: a byte, or a row group of a Parquet file.
        end: where the next one starts; None for the object's end.
        format: what planning found, so that it isn't found again; empty when it didn't look.
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
        arrived_ms: when the object was last modified: it dates events that have no time of their own.
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
        """Bucket, key and ETag: names these contents for ever, whoever reads them."""
        return f"s3://{self.bucket}/{self.key}\0{self.etag}".encode(errors="surrogatepass")

    def describe(self) -> dict[str, str | int]:
        """The origin in words; `index` beside it in a dead letter counts what `counts` says."""
        words: dict[str, str | int] = {"bucket": self.bucket, "key": self.key, "etag": self.etag}
        if self.version:
            words["version"] = self.version
        return words | {"modified_ms": self.arrived_ms, "counts": self.counts}
