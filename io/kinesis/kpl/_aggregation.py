"""`aggregate_run` and `aggregate_keyed` make KPL's aggregated records: many user records in one Kinesis record.

Problem. A shard takes 1,000 records per second, however small they are. The Kinesis Producer
Library packs user records into one, and every Kinesis Client Library takes them apart again.

Layout: `f3 89 9a c2`, a protobuf message, the MD5 of that message (16 bytes). The message holds
    1: partition key table (string, repeated)     2: explicit hash key table (string, repeated)
    3: records (repeated): 1 index of the partition key, 2 index of the explicit hash key, 3 data
in this order, the second table only when a user record brings an explicit hash key of its own.

Invariants.
- The bytes are those that KPL 0.15.12 and 1.1.1 make of the same user records (fixtures).
- The encoded size is known before a record is added. "Full" is an answer, not an exception.
- The outer partition key is `a`; the outer explicit hash key is the hash of the first user record. A KCL
  consumer throws away the whole aggregated record when one user record's hash lies outside the shard it was
  read from. So callers put together only what goes to one shard.
- A single user record is written plain.

Plan. `aggregate_run` and `aggregate_keyed` make all aggregated records of a batch. A kernel in C does it where it
was built (`_native_aggregation.c`: 0.1 us per user record, MD5 included); it must give what the functions in Python
here give.

Refused: protobuf's runtime (20-30 % slower here, and a dependency that Beam pins).

Source: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import bisect
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import add
from typing import Any

from penstock.transforms.kernels import native

__all__ = [
    "AGGREGATED_KEY",
    "MAGIC",
    "OVERHEAD",
    "Aggregator",
    "Keyed",
    "Run",
    "aggregate_keyed",
    "aggregate_run",
    "hash_key_of",
    "keyed_in_python",
    "run_in_python",
    "varint",
]

MAGIC = b"\xf3\x89\x9a\xc2"
AGGREGATED_KEY = "a"
"""KPL's partition key of every aggregated record; the explicit hash key says where it goes."""
OVERHEAD = 20
"""Bytes of magic and checksum."""
_TABULATED = 1 << 14
"""Lengths of data up to which headers stand in a table (1 MB, made at first use). Others are made each time."""


Run = tuple[int, int, str, bytes | None]
"""(start, stop, key, encoded) for the user records start to stop; None for a lone record, which goes plain."""
Keyed = tuple[int, list[int], list[int], bytes | None]
"""(group, places of the user records, numbers of their keys without repeats, encoded); None as in `Run`."""


def varint(number: int) -> bytes:
    """Encodes a protobuf varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint_size(number: int) -> int:
    return (number.bit_length() + 6) // 7 or 1


def hash_key_of(partition_key: str) -> int:
    """Gives the hash key of a partition key: its MD5 as an unsigned 128-bit number."""
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def _seal(message: bytes) -> bytes:
    return b"".join((MAGIC, message, hashlib.md5(message, usedforsecurity=False).digest()))


def _table_entry(tag: bytes, text: str) -> bytes:
    encoded = text.encode()
    return b"".join((tag, varint(len(encoded)), encoded))


class Aggregator:
    """One aggregated record in the making, of user records with any keys.

    Args:
        max_count: the most user records.
        max_size: the most bytes encoded, magic and checksum included.
    """

    __slots__ = ("_explicit", "_keys", "_parts", "count", "max_count", "max_size", "size")

    def __init__(self, max_count: int, max_size: int) -> None:
        self.max_count = max_count
        self.max_size = max_size
        self.count = 0
        self.size = OVERHEAD
        """The number of bytes that `encode` would give now."""
        self._keys: dict[str, int] = {}
        self._explicit: dict[str, int] = {}
        self._parts: list[bytes] = []

    def add(self, partition_key: str, data: bytes, explicit_hash_key: str | None = None) -> bool:
        """Adds a user record. Returns False, and changes nothing, when it doesn't fit any more."""
        if self.count >= self.max_count:
            return False
        size = self.size
        index = self._keys.get(partition_key)
        if index is None:
            index = len(self._keys)
            length = len(partition_key.encode())
            size += 1 + _varint_size(length) + length
        head = b"\x08" + varint(index)
        explicit = None
        if explicit_hash_key is not None:
            explicit = self._explicit.get(explicit_hash_key)
            if explicit is None:
                explicit = len(self._explicit)
                size += 2 + len(explicit_hash_key)
            head += b"\x10" + varint(explicit)
        head += b"\x1a" + varint(len(data))
        inner = len(head) + len(data)
        head = b"\x1a" + varint(inner) + head
        size += len(head) + len(data)
        if size > self.max_size:
            return False
        self._keys[partition_key] = index
        if explicit_hash_key is not None and explicit is not None:
            self._explicit[explicit_hash_key] = explicit
        self._parts += (head, data)
        self.count += 1
        self.size = size
        return True

    def encode(self) -> bytes:
        """Gives the Kinesis record's data, `size` bytes."""
        tables = [_table_entry(b"\x0a", key) for key in self._keys]
        tables += [_table_entry(b"\x12", key) for key in self._explicit]
        return _seal(b"".join(tables + self._parts))


def _run_head(length: int) -> bytes:
    """Gives the bytes before a user record's data of that length, when its key is at index 0."""
    head = b"\x08\x00\x1a" + varint(length)
    return b"\x1a" + varint(len(head) + length) + head


@functools.cache
def _run_tables() -> tuple[list[bytes], list[int]]:
    """Gives two tables by length of the data: the bytes before it, and the size of both together."""
    heads = [_run_head(length) for length in range(_TABULATED)]
    return heads, [len(head) + length for length, head in enumerate(heads)]


def run_in_python(keys: Iterator[str], datas: Sequence[bytes], max_count: int, max_size: int) -> list[Run]:
    """Does `aggregate_run` without its kernel. Sums and cuts run in C all the same."""
    lengths = list(map(len, datas))
    if max(lengths, default=0) < _TABULATED:
        known, sizes = _run_tables()
        heads = list(map(known.__getitem__, lengths))
        ends = list(itertools.accumulate(map(sizes.__getitem__, lengths), initial=0))
    else:
        heads = list(map(_run_head, lengths))
        ends = list(itertools.accumulate(map(add, lengths, map(len, heads)), initial=0))
    parts = [b""] * (2 * len(datas))
    parts[::2] = heads
    parts[1::2] = datas
    runs: list[Run] = []
    start = 0
    while start < len(datas):
        key = next(keys)
        table = _table_entry(b"\x0a", key)
        room = max_size - OVERHEAD - len(table)
        stop = bisect.bisect_right(ends, ends[start] + room, start + 1) - 1
        stop = min(max(stop, start + 1), start + max_count)
        encoded = None
        if stop - start > 1:
            encoded = _seal(b"".join([table, *parts[2 * start : 2 * stop]]))
        runs.append((start, stop, key, encoded))
        start = stop
    return runs


class _Group:
    """The aggregated record that is being filled for one group."""

    def __init__(self, max_count: int, max_size: int) -> None:
        self.record = Aggregator(max_count, max_size)
        self.members: list[int] = []
        self.keys: dict[int, None] = {}


def keyed_in_python(
    datas: Sequence[bytes],
    key_of: Sequence[int],
    keys: Sequence[str],
    groups: Sequence[int],
    max_count: int,
    max_size: int,
) -> list[Keyed]:
    """Does `aggregate_keyed` without its kernel."""
    made: list[Keyed] = []
    filling: dict[int, _Group] = {}

    def flush(number: int) -> None:
        group = filling.pop(number)
        encoded = group.record.encode() if len(group.members) > 1 else None
        made.append((number, group.members, list(group.keys), encoded))

    for place, (data, key) in enumerate(zip(datas, key_of, strict=True)):
        number = groups[key]
        if number in filling and filling[number].record.add(keys[key], data):
            group = filling[number]
        else:
            if number in filling:
                flush(number)
            group = _Group(max_count, max_size)
            if not group.record.add(keys[key], data):
                # It is larger than an aggregated record may be: it goes plain, in its place.
                made.append((number, [place], [key], None))
                continue
            filling[number] = group
        group.members.append(place)
        group.keys[key] = None
    for number in sorted(filling):
        flush(number)
    return made


_kernel: Any = native.load(
    "penstock.io.kinesis.kpl._native_aggregation", lambda kernel: kernel.aggregate_run(iter(()), (), 1, 0)
)

aggregate_run: Callable[[Iterator[str], Sequence[bytes], int, int], list[Run]] = (
    _kernel.aggregate_run if _kernel else run_in_python
)
"""User records packed so that all of one aggregated record share one key: the cheapest case.

Args:
    keys: the key of each aggregated record, in order.
    datas: the user records' data, in order.
    max_count: as in `Aggregator`.
    max_size: as in `Aggregator`.
"""

aggregate_keyed: Callable[
    [Sequence[bytes], Sequence[int], Sequence[str], Sequence[int], int, int], list[Keyed]
] = _kernel.aggregate_keyed if _kernel else keyed_in_python
"""User records with keys of their own, packed by group: what is together in a record is of one group.

Args:
    datas: the user records' data, in order.
    key_of: the number of each one's key.
    keys: the keys, each once.
    groups: the group of each key, numbered from 0 in the order in which they are to be flushed at the end.
    max_count: as in `Aggregator`.
    max_size: as in `Aggregator`.

Returns:
    Records in the order in which they were full; those of one group in the order of their user records.
"""
