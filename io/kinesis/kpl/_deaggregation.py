"""`deaggregate_all` takes apart what the Kinesis Producer Library aggregated.

Format: 4 magic bytes, a protobuf `AggregatedRecord` (a table of partition keys, a table of explicit hash
keys, user records that index both), the MD5 of that message.

Rules, which are KCL's: a record is passed on as it is when it has no magic bytes, is too short, has another MD5, holds a
message that doesn't parse, or has an index outside its table. A user
record's hash key is its explicit one, else the MD5 of its partition key. A user record outside the shard's range was
sent again by KPL after a reshard, or its producer ignores shards (then it exists only here).

Plan. A kernel in C, where it was built, reads what producers really write (`_native_deaggregation.c`); protobuf's C parser
reads the odd records, and all records where there is no kernel (already here for Beam: 0.26 us per user record; a loop
in Python takes 0.65). Hash keys are compared as 16 bytes. Only a table's smallest and largest key are compared,
unless one of them is outside. Keys are declared `bytes` (the same on the wire as `string`): a key that isn't UTF-8
must not make a record unreadable.

Source: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from penstock.transforms.kernels import native

try:
    from _md5 import md5 as _md5_small  # costs half of hashlib for a key of a few bytes
except ImportError:  # a Python built without it
    from hashlib import md5 as _md5_small

__all__ = ["MAGIC", "TOGETHER", "HashRange", "UserRecords", "deaggregate", "deaggregate_all"]

TOGETHER = 32
"""How many records to give to `deaggregate_all` at once: 1.6 MB as KPL makes them, enough to check them side by side."""

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_SIZE = 16
_MINIMUM_SIZE = len(MAGIC) + _DIGEST_SIZE


class HashRange(NamedTuple):
    """A shard's hash keys, both ends included, as 16 bytes big-endian each (so that bytes compare as numbers)."""

    start: bytes
    end: bytes

    @classmethod
    def of(cls, start: int, end: int) -> "HashRange":
        """Makes a range from the two numbers of ListShards."""
        return cls(start.to_bytes(16, "big"), end.to_bytes(16, "big"))

    @property
    def is_everything(self) -> bool:
        """Whether no hash key can be outside."""
        return self.start == bytes(16) and self.end == b"\xff" * 16


class UserRecords(NamedTuple):
    """The user records of one aggregated record.

    Attributes:
        data: each user record's payload; its place in the list is its sub-sequence number.
        outside: the places of those whose hash key is outside the shard's range.
    """

    data: list[bytes]
    outside: list[int]


def _message_class() -> Callable[[bytes], Any]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="penstock/kinesis/aggregated_record.proto", package="penstock.kinesis", syntax="proto2"
    )

    def message(name: str, *fields: tuple[str, int, int, int, str | None]) -> None:
        declared = file.message_type.add(name=name)
        for field_name, number, label, kind, type_name in fields:
            declared.field.add(name=field_name, number=number, label=label, type=kind, type_name=type_name)

    message(
        "Record",
        ("partition_key_index", 1, field.LABEL_REQUIRED, field.TYPE_UINT64, None),
        ("explicit_hash_key_index", 2, field.LABEL_OPTIONAL, field.TYPE_UINT64, None),
        ("data", 3, field.LABEL_REQUIRED, field.TYPE_BYTES, None),
    )
    message(
        "AggregatedRecord",
        ("partition_key_table", 1, field.LABEL_REPEATED, field.TYPE_BYTES, None),
        ("explicit_hash_key_table", 2, field.LABEL_REPEATED, field.TYPE_BYTES, None),
        ("records", 3, field.LABEL_REPEATED, field.TYPE_MESSAGE, ".penstock.kinesis.Record"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: Any = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("penstock.kinesis.AggregatedRecord")
    )
    parse: Callable[[bytes], Any] = found.FromString
    return parse


_parse = _message_class()


def deaggregate(data: bytes, hash_range: HashRange | None = None) -> UserRecords | None:
    """Gives the user records in a record's payload; None for a plain record, which is passed on as it is.

    Args:
        data: a record's payload.
        hash_range: the range of its shard; None when hash keys need no check.
    """
    if data[:4] != MAGIC or len(data) < _MINIMUM_SIZE:
        return None
    message = data[4:-_DIGEST_SIZE]
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-_DIGEST_SIZE:]:
        return None
    try:
        parsed = _parse(message)
    except DecodeError:
        return None
    if not parsed.IsInitialized():  # a user record without data or key
        return None
    # A list, because the repeated field makes a new wrapper for each record each time it is walked.
    records = list(parsed.records)
    keys = parsed.partition_key_table
    hash_keys = parsed.explicit_hash_key_table
    # The largest index is enough to know that none is outside its table.
    if records and max([record.partition_key_index for record in records]) >= len(keys):
        return None
    if hash_keys or hash_range is not None:
        outside = _outside(records, keys, hash_keys, hash_range)
        if outside is None:
            return None
    else:
        outside = []
    return UserRecords([record.data for record in records], outside)


def _outside(records: Any, keys: Any, hash_keys: Any, hash_range: HashRange | None) -> list[int] | None:
    """Gives the places of user records outside the range; None when an explicit hash key makes no sense."""
    explicit: list[bytes] = []
    for text in hash_keys:
        if not text.isdigit() or len(text) > 39 or (number := int(text)) >> 128:
            return None
        explicit.append(number.to_bytes(16, "big"))
    used = (
        [
            record.explicit_hash_key_index if record.HasField("explicit_hash_key_index") else -1
            for record in records
        ]
        if explicit
        else []
    )
    if used and max(used) >= len(explicit):
        return None
    if hash_range is None or not records:
        return []
    start, end = hash_range
    hashed = [_md5_small(key, usedforsecurity=False).digest() for key in keys]
    everything = hashed + explicit
    if min(everything) >= start and max(everything) <= end:
        return []
    return [
        place
        for place, record in enumerate(records)
        if not start
        <= (explicit[used[place]] if used and used[place] >= 0 else hashed[record.partition_key_index])
        <= end
    ]


_kernel: Any = native.load(
    "penstock.io.kinesis.kpl._native_deaggregation", lambda kernel: kernel.deaggregate((), None)
)


def deaggregate_all(
    datas: Sequence[bytes], hash_range: HashRange | None = None
) -> list[tuple[list[bytes], list[int]] | None]:
    """Does `deaggregate` for each payload (at most 256 of them; `TOGETHER` is a good number)."""
    if _kernel is None:
        return [deaggregate(data, hash_range) for data in datas]
    return [
        deaggregate(data, hash_range) if found is NotImplemented else found
        for data, found in zip(datas, _kernel.deaggregate(datas, hash_range), strict=True)
    ]
