"""De-aggregation against blobs from KPL itself, and against what only looks aggregated."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from penstock.io.kinesis.kpl import _deaggregation
from penstock.io.kinesis.kpl._deaggregation import MAGIC, HashRange, deaggregate_all

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDS = [
    json.loads(line)
    for name in ("kpl_0.15.12.jsonl", "kpl_1.1.1_sample.jsonl")
    for line in (FIXTURES / name).read_text().splitlines()
]
EVERYTHING = HashRange.of(0, (1 << 128) - 1)


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def user_record(data: bytes, key: int = 0, hash_key: int | None = None) -> bytes:
    hash_part = b"" if hash_key is None else b"\x10" + varint(hash_key)
    return field(3, b"\x08" + varint(key) + hash_part + field(3, data))


def sealed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message).digest()


def hash_of(key: bytes) -> int:
    return int.from_bytes(hashlib.md5(key).digest(), "big")


def deaggregate(data, hash_range=None):
    """Alone, and among others (by the kernel where it was built): the same."""
    alone = _deaggregation.deaggregate(data, hash_range)
    assert deaggregate_all([b"", data, data], hash_range) == [None, alone, alone]
    return alone


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_real_kpl_records(record):
    found = deaggregate(base64.b64decode(record["data_b64"]), EVERYTHING)
    expected = [base64.b64decode(each["data_b64"]) for each in record["user_records"]]
    if record["aggregated"]:
        assert found is not None
        assert found.data == expected
        assert found.outside == []
    else:
        assert found is None
        assert [base64.b64decode(record["data_b64"])] == expected


def test_fixtures_hold_both_kinds():
    assert {record["aggregated"] for record in RECORDS} == {True, False}


GOOD = field(1, b"a") + user_record(b"x") + user_record(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain",
        MAGIC,
        MAGIC + b"\0" * 15,
        sealed(GOOD)[:-1],
        sealed(GOOD)[1:],
        sealed(GOOD)[:-1] + b"\0",
        sealed(GOOD[:-1]),  # a message that doesn't parse
        sealed(user_record(b"x")),  # no key in the table
        sealed(field(1, b"a") + user_record(b"x", key=1)),
        sealed(field(1, b"a") + field(2, b"5") + user_record(b"x", hash_key=1)),
        sealed(field(1, b"a") + field(2, b"12x") + user_record(b"x", hash_key=0)),
        sealed(field(1, b"a") + field(2, b"-1") + user_record(b"x", hash_key=0)),
        sealed(field(1, b"a") + field(2, str(1 << 128).encode()) + user_record(b"x", hash_key=0)),
        sealed(field(1, b"a") + field(3, b"\x08\x00")),  # a user record without data
    ],
)
def test_what_only_looks_aggregated_is_passed_on(data):
    assert deaggregate(data, EVERYTHING) is None


def test_empty_payloads_and_no_records_at_all():
    assert deaggregate(sealed(GOOD)).data == [b"x", b""]
    assert deaggregate(sealed(b"")) == ([], [])


def test_a_key_that_is_not_utf8_does_not_matter():
    assert deaggregate(sealed(field(1, b"\xff\xfe") + user_record(b"x"))).data == [b"x"]


def test_tags_and_unknown_fields_are_skipped():
    record = field(3, b"\x08\x00" + field(3, b"x") + field(4, field(1, b"k")) + field(9, b"?"))
    assert deaggregate(sealed(field(1, b"a") + record)).data == [b"x"]


@pytest.mark.parametrize("place", [0, 1])
def test_range_by_partition_key(place):
    keys = (b"a", b"b")
    message = b"".join(field(1, key) for key in keys) + user_record(b"x", 0) + user_record(b"y", 1)
    inside = hash_of(keys[1 - place])
    assert deaggregate(sealed(message), HashRange.of(inside, inside)).outside == [place]
    low, high = sorted(map(hash_of, keys))
    assert deaggregate(sealed(message), HashRange.of(low, high)).outside == []


def test_an_explicit_hash_key_overrides_the_partition_key():
    message = field(1, b"a") + field(2, b"5") + user_record(b"x", 0, 0) + user_record(b"y", 0)
    assert deaggregate(sealed(message), HashRange.of(5, 5)).outside == [1]
    assert deaggregate(sealed(message), HashRange.of(hash_of(b"a"), hash_of(b"a"))).outside == [0]


def test_an_unused_key_outside_the_range_accuses_nobody():
    message = field(1, b"a") + field(1, b"b") + user_record(b"x", 0)
    assert deaggregate(sealed(message), HashRange.of(hash_of(b"a"), hash_of(b"a"))).outside == []


def test_only_the_whole_range_is_everything():
    assert EVERYTHING.is_everything
    assert not HashRange.of(1, (1 << 128) - 1).is_everything
    assert not HashRange.of(0, (1 << 128) - 2).is_everything
