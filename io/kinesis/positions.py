"""`Position` says where in a stream a record stands, and how that is written down.

A position is the pair of KCL's `ExtendedSequenceNumber`: the record's sequence number, and the number of the
user record inside it where several were aggregated into one. "At position P" always means: everything up to
and including P is done. Starting points and the end of a shard are positions too. They have KCL's numbers, which
sort every starting point before any record, and the end of the shard behind all records. So the
larger of two positions is `max(a, b)`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "AT_TIMESTAMP",
    "LATEST",
    "RECORD_BYTES",
    "SHARD_END",
    "TRIM_HORIZON",
    "KinesisRecord",
    "Position",
    "StreamIdentity",
    "read_marks",
    "stream_name_of",
    "write_marks",
]


class Position(NamedTuple):
    """A record, and the user record in it, up to which everything is done."""

    sequence_number: int
    sub_sequence_number: int = 0

    @property
    def is_record(self) -> bool:
        """Whether the position names a record, not a starting point or the shard's end."""
        return 0 <= self.sequence_number < SHARD_END.sequence_number

    @property
    def checkpoint(self) -> str:
        """The first half as the lease table writes it: a decimal number or a word."""
        return _WORDS.get(self.sequence_number) or str(self.sequence_number)

    def text(self) -> str:
        """Both halves, for marks and logs: `4959...:11`, `TRIM_HORIZON`."""
        return f"{self.checkpoint}:{self.sub_sequence_number}" if self.is_record else self.checkpoint

    @classmethod
    def parse(cls, checkpoint: str, sub_sequence_number: int = 0) -> "Position":
        """Reads the position from a lease's two attributes, or from `text`. Raises `ValueError` for anything else."""
        word = _POSITIONS.get(checkpoint)
        if word is not None:
            return word
        number, _, sub = checkpoint.partition(":")
        if not (number + sub).isascii() or not number.isdigit() or not (sub or "0").isdigit():
            message = f"{checkpoint[:80]!r} is not a checkpoint"
            raise ValueError(message)
        return cls(int(number), int(sub) if sub else sub_sequence_number)


# KCL's own order of the words: AT_TIMESTAMP < TRIM_HORIZON < LATEST < any number < SHARD_END.
AT_TIMESTAMP = Position(-3)
TRIM_HORIZON = Position(-2)
LATEST = Position(-1)
SHARD_END = Position(1 << 256)

_POSITIONS = {
    "AT_TIMESTAMP": AT_TIMESTAMP,
    "LATEST": LATEST,
    "SHARD_END": SHARD_END,
    "TRIM_HORIZON": TRIM_HORIZON,
}
_WORDS = {position.sequence_number: word for word, position in _POSITIONS.items()}


def read_marks(position: Any) -> dict[str, Position]:
    """Reads positions by shard id from what `write_marks` made (None: there are none)."""
    if not position:
        return {}
    return {shard_id: Position.parse(text) for shard_id, text in position["shards"].items()}


def write_marks(marks: Mapping[str, Position]) -> Any:
    """Gives `{"shards": {shard_id: text}}` for the runner's checkpoint; None where there are no marks."""
    if not marks:
        return None
    return {"shards": {shard_id: mark.text() for shard_id, mark in sorted(marks.items())}}


class StreamIdentity(NamedTuple):
    """The identity of a stream: its ARN, and when it was made, in milliseconds since 1970."""

    arn: str
    created_ms: int


def stream_name_of(stream: str) -> str:
    """Gives the stream's name, from its name or ARN (`arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`)."""
    return stream.rpartition("/")[2] if stream.startswith("arn:") else stream


RECORD_BYTES = 360
"""What a `KinesisRecord` takes in memory, about, with a partition key of 32 characters (64-bit CPython 3.11)."""


class KinesisRecord(msgspec.Struct, gc=False, frozen=True):
    """The record that an event came in: the origin of all its user records.

    Attributes:
        stream: the stream's name (never its ARN, so that both ways to name it give the same position).
        shard_id: the shard it was read from.
        sequence_number: decimal, unique in its shard.
        partition_key: the record's own; an aggregated record has the one that its producer gave it (`a` from KPL).
        arrived_ms: when Kinesis took the record in, in milliseconds since 1970, by its clock.
        user_records: how many user records were aggregated into it; 0 when it is a plain record.
    """

    stream: str
    shard_id: str
    sequence_number: str
    partition_key: str
    arrived_ms: int
    user_records: int = 0

    def position(self) -> bytes:
        """Stream, shard and sequence number. They name the record for ever, however often it is read."""
        return f"{self.stream}/{self.shard_id}/{self.sequence_number}".encode()

    def describe(self) -> dict[str, str | int]:
        """Gives the origin in words, for logs and dead letters."""
        return {
            "stream": self.stream,
            "shard_id": self.shard_id,
            "sequence_number": self.sequence_number,
            "partition_key": self.partition_key,
            "arrived_ms": self.arrived_ms,
        }
