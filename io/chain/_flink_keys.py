"""`_flink_keys` computes which subtask of a Flink job a split lands on, so that splits can land on different ones.

Problem. Flink assigns the elements of a splittable DoFn to subtasks by their hash: two splits may meet on one subtask, and
so in one process, by chance.

Plan. A split's name holds a number that means nothing. It is counted up until the name's hash falls where we want
the split: split i of n at the middle of the i-th n-th of the key groups. That is as even as it gets at any
parallelism, so it stays even when a job is resumed with another one.

Sources: Beam 2.70's `FlinkKey.hashCode` (murmur3_128 of the encoded element, by Guava), Flink 1.19's
`KeyGroupRangeAssignment` and `MathUtils.murmurHash`. With other hashes splits land by chance again; nothing breaks.
"""

from collections.abc import Callable

__all__ = ["DEFAULT_MAX_PARALLELISM", "key_group", "salt_for", "subtask"]

DEFAULT_MAX_PARALLELISM = 128
"""Flink's own for a parallelism up to 85. It can't be changed between a savepoint and its resumption."""

_MASK32 = (1 << 32) - 1
_MASK64 = (1 << 64) - 1
_C1 = 0x87C37B91114253D5
_C2 = 0x4CF5AD432745937F


def salt_for(split: int, splits: int, max_parallelism: int, encode: Callable[[int], bytes]) -> int:
    """Gives the least salt that puts a split on the subtask where it belongs.

    Args:
        split: its number, from 0.
        splits: how many there are.
        max_parallelism: the job's number of key groups.
        encode: the element's bytes with a salt.
    """
    wanted = (2 * split + 1) * max_parallelism // (2 * splits)
    salt = 0
    while key_group(encode(salt), max_parallelism) != wanted:
        salt += 1
    return salt


def subtask(group: int, parallelism: int, max_parallelism: int) -> int:
    """Gives the index of the subtask that holds a key group."""
    return group * parallelism // max_parallelism


def key_group(element: bytes, max_parallelism: int) -> int:
    """Gives the key group of an element, given as its coder encodes it."""
    return _flink_murmur(_murmur3_128_low(_length(element) + element)) % max_parallelism


def _length(element: bytes) -> bytes:
    """Beam's length prefix: a varint."""
    value, out = len(element), bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _flink_murmur(code: int) -> int:
    """Flink's `MathUtils.murmurHash` of an int; never negative."""
    code = code * 0xCC9E2D51 & _MASK32
    code = _rotate(code, 15, 32) * 0x1B873593 & _MASK32
    code = _rotate(code, 13, 32) * 5 + 0xE6546B64 & _MASK32
    code ^= 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & _MASK32
    code ^= code >> 13
    code = code * 0xC2B2AE35 & _MASK32
    code ^= code >> 16
    signed = code - (1 << 32) if code >> 31 else code
    return 0 if signed == -(1 << 31) else abs(signed)


def _murmur3_128_low(data: bytes) -> int:
    """Gives the first 32 bits of MurmurHash3 x64 128 with seed 0, as Guava's `asInt` gives them."""
    h1 = h2 = 0
    whole = len(data) // 16 * 16
    for at in range(0, whole, 16):
        k1 = int.from_bytes(data[at : at + 8], "little")
        k2 = int.from_bytes(data[at + 8 : at + 16], "little")
        h1 ^= _mix1(k1)
        h1 = (_rotate(h1, 27, 64) + h2) * 5 + 0x52DCE729 & _MASK64
        h2 ^= _mix2(k2)
        h2 = (_rotate(h2, 31, 64) + h1) * 5 + 0x38495AB5 & _MASK64
    rest = data[whole:]
    h1 ^= _mix1(int.from_bytes(rest[:8], "little"))
    h2 ^= _mix2(int.from_bytes(rest[8:], "little"))
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = h1 + h2 & _MASK64
    h2 = h2 + h1 & _MASK64
    return _mix_final(h1) + _mix_final(h2) & _MASK32


def _mix1(k1: int) -> int:
    return _rotate(k1 * _C1 & _MASK64, 31, 64) * _C2 & _MASK64


def _mix2(k2: int) -> int:
    return _rotate(k2 * _C2 & _MASK64, 33, 64) * _C1 & _MASK64


def _mix_final(k: int) -> int:
    k ^= k >> 33
    k = k * 0xFF51AFD7ED558CCD & _MASK64
    k ^= k >> 33
    k = k * 0xC4CEB9FE1A85EC53 & _MASK64
    return k ^ k >> 33


def _rotate(value: int, by: int, width: int) -> int:
    return (value << by | value >> width - by) & ((1 << width) - 1)
