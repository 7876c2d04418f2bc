"""The kernel gives what its twin in Python gives, or says that the twin must decide, whatever comes."""

import gc
import hashlib
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.kinesis.kpl._aggregation import Aggregator
from penstock.io.kinesis.kpl._deaggregation import MAGIC, HashRange, deaggregate

kernel: Any = pytest.importorskip(
    "penstock.io.kinesis.kpl._native_deaggregation", reason="no kernel was built"
)

_hash_keys = st.integers(0, (1 << 128) - 1)
_ranges = st.none() | st.builds(HashRange.of, _hash_keys, _hash_keys)
_users = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.binary(max_size=300))
)


def sealed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def aggregated(users: list[tuple[str, bytes]], hash_key: int | None = None) -> bytes:
    record = Aggregator(1000, 1 << 20)
    for key, data in users:
        assert record.add(key, data, None if hash_key is None else str(hash_key))
    return record.encode()


@given(st.lists(_users.map(aggregated) | st.binary(max_size=60), max_size=40), _ranges)
def test_good_records(datas: list[bytes], hash_range: HashRange | None) -> None:
    found = kernel.deaggregate(datas, hash_range)
    assert found == [deaggregate(data, hash_range) for data in datas]


def test_user_records_with_hash_keys_of_their_own_are_the_twins() -> None:
    assert kernel.deaggregate([aggregated([("a", b"x")], 5)], None) == [NotImplemented]


@given(st.lists(_users, min_size=1, max_size=4), st.randoms(use_true_random=False), _ranges)
def test_rotten_messages(batches: list[Any], choose: random.Random, hash_range: HashRange | None) -> None:
    datas = []
    for users in batches:
        message = bytearray(aggregated(users)[4:-16])
        for _ in range(choose.randint(1, 4)):
            if message:
                at = choose.randrange(len(message))
                message[at : at + choose.randint(0, 2)] = choose.randbytes(choose.randint(0, 3))
        datas.append(sealed(bytes(message)))
    for data, found in zip(datas, kernel.deaggregate(datas, hash_range), strict=True):
        if found is not NotImplemented:
            assert found == deaggregate(data, hash_range)


@given(st.lists(st.binary(max_size=60).map(sealed), max_size=4), _ranges)
def test_any_bytes_with_a_right_checksum(datas: list[bytes], hash_range: HashRange | None) -> None:
    for data, found in zip(datas, kernel.deaggregate(datas, hash_range), strict=True):
        assert found is NotImplemented or found == deaggregate(data, hash_range)


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",  # no length
        b"\x0a\x05abcd",  # shorter than it says
        b"\x0a\xff\xff\xff\xff\x0f",  # 4 GB
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x80\x80\x80\x80\x80\x80",  # a varint without an end
        b"\x0a\x01a\x1a\x02\x08\x00",  # no data
        b"\x0a\x01a\x1a\x02\x1a\x00",  # no key
        b"\x0a\x01a\x1a\x04\x08\x01\x1a\x00",  # a key that isn't in the table
        b"\x0a\x01a\x1a\x08\x08\xff\xff\xff\xff\x0f\x1a\x00",
        b"\x0a\x01a\x1a\x04\x08\x00\x1a\x01",  # data that goes on behind the record
        b"\x22\x00",  # a field nobody knows
    ],
)
def test_broken_messages_are_the_twins(message: bytes) -> None:
    assert kernel.deaggregate([sealed(message)], None) == [NotImplemented]


def test_one_wrong_bit_anywhere_is_a_plain_record() -> None:
    datas = []
    for place in range(100):
        data = bytearray(aggregated([("key", bytes(60)), ("other", bytes(place))]))
        data[place] ^= 1
        datas.append(bytes(data))
    assert kernel.deaggregate(datas, None) == [None] * 100


@pytest.mark.parametrize(
    "arguments", [([b"x"],), ([1], None), (5, None), ([b"x"], (b"", b"")), ([b"x"] * 257, None)]
)
def test_what_makes_no_sense_is_an_error(arguments: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        kernel.deaggregate(*arguments)


def test_nothing_is_kept() -> None:
    everybody = [(str(number), bytes(300)) for number in range(100)]
    datas = [
        aggregated(everybody),
        sealed(b"\x0a"),
        sealed(b"\x0a\x01a\x1a\x04\x08\x01\x1a\x00"),
        b"plain",
    ] * 9

    def work() -> None:
        kernel.deaggregate(datas, None)
        kernel.deaggregate(datas, HashRange.of(5, 6))

    work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(100):
        work()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
