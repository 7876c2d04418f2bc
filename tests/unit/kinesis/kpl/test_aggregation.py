"""KPL's format: byte for byte what both KPL versions made (fixtures), sizes known beforehand."""

import base64
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.io.kinesis.kpl._aggregation import (
    Aggregator,
    aggregate_keyed,
    aggregate_run,
    hash_key_of,
    keyed_in_python,
    varint,
)
from tests.tools.models.kpl import user_records

_FIXTURES = Path(__file__).parents[1] / "fixtures"
_BLOBS: list[dict[str, Any]] = [
    json.loads(line)
    for name in ("kpl_0.15.12.jsonl", "kpl_1.1.1_sample.jsonl")
    for line in (_FIXTURES / name).read_text().splitlines()
]
_AGGREGATED = [blob for blob in _BLOBS if blob["aggregated"]]
_KEYS_ONLY = [
    blob for blob in _AGGREGATED if not any(user["explicit_hash_key"] for user in blob["user_records"])
]


def _name(blob: dict[str, Any]) -> str:
    version = re.search(r":([\d.]+) ", blob["producer"])
    assert version is not None
    return f"{version[1]}-{len(blob['user_records'])}-{blob['sequence_number'][-6:]}"


@pytest.mark.parametrize("blob", _AGGREGATED, ids=_name)
def test_re_encodes_what_kpl_made_byte_for_byte(blob: dict[str, Any]) -> None:
    real = base64.b64decode(blob["data_b64"])
    record = Aggregator(4294967295, 51200)
    for user in blob["user_records"]:
        assert record.add(
            user["partition_key"], base64.b64decode(user["data_b64"]), user["explicit_hash_key"]
        )
    assert record.size == len(real)
    assert record.encode() == real
    first = blob["user_records"][0]
    explicit = first["explicit_hash_key"] or str(hash_key_of(first["partition_key"]))
    assert (blob["partition_key"], blob["explicit_hash_key"]) == ("a", explicit)


@pytest.mark.parametrize("make", [aggregate_keyed, keyed_in_python], ids=["chosen", "python"])
@pytest.mark.parametrize("blob", _KEYS_ONLY, ids=_name)
def test_a_batch_is_encoded_as_kpl_did(blob: dict[str, Any], make: Any) -> None:
    users = blob["user_records"]
    numbers: dict[str, int] = {}
    key_of = [numbers.setdefault(user["partition_key"], len(numbers)) for user in users]
    datas = [base64.b64decode(user["data_b64"]) for user in users]
    [(_, members, keys, encoded)] = make(datas, key_of, list(numbers), [0] * len(numbers), 4294967295, 51200)
    assert encoded == base64.b64decode(blob["data_b64"])
    assert (members, keys) == (list(range(len(users))), list(range(len(numbers))))


def test_fixtures_come_from_both_versions() -> None:
    versions = {re.search(r":([\d.]+) ", blob["producer"])[1] for blob in _AGGREGATED}  # type: ignore[index]
    assert versions == {"0.15.12", "1.1.1"}
    assert any(user["explicit_hash_key"] for blob in _AGGREGATED for user in blob["user_records"])


def test_a_run_of_one_key_is_what_the_aggregator_makes() -> None:
    datas = [b"x" * length for length in (0, 1, 100, 127, 128, 16384, 3)]
    [(start, stop, key, encoded)] = aggregate_run(itertools.repeat("-"), datas, 100, 51200)
    record = Aggregator(100, 51200)
    assert all(record.add("-", data) for data in datas)
    assert (start, stop, key) == (0, len(datas), "-")
    assert encoded == record.encode()


@pytest.mark.parametrize(("max_count", "max_size"), [(3, 51200), (1000, 200), (1000, 121), (7, 400)])
def test_a_run_is_cut_where_the_aggregator_is_full(max_count: int, max_size: int) -> None:
    datas = [bytes([index]) * (index * 7 % 60) for index in range(50)]
    got = list(aggregate_run(itertools.repeat("key"), datas, max_count, max_size))
    assert [at for start, stop, _, _ in got for at in range(start, stop)] == list(range(50))
    for start, stop, key, encoded in got:
        record = Aggregator(max_count, max_size)
        assert record.add(key, datas[start]) or encoded is None
        assert all(record.add(key, data) for data in datas[start + 1 : stop])
        if stop < len(datas):
            assert not record.add(key, datas[stop]), "it would have fitted"
        assert encoded == (record.encode() if stop - start > 1 else None)


def test_what_is_too_large_to_aggregate_goes_plain_in_its_place() -> None:
    datas = [b"a", b"b", b"c" * 300, b"d", b"e"]
    got = list(aggregate_run(itertools.repeat("-"), datas, 100, 200))
    assert [(start, stop, encoded is None) for start, stop, _, encoded in got] == [
        (0, 2, False),
        (2, 3, True),
        (3, 5, False),
    ]


def test_a_full_record_refuses_and_stays_as_it_was() -> None:
    record = Aggregator(10, 100)
    assert record.add("key", b"x" * 40)
    before = record.encode()
    assert not record.add("another", b"y" * 60, "12")
    assert record.encode() == before
    assert record.size == len(before)
    assert record.count == 1


def test_max_count_is_kept() -> None:
    record = Aggregator(2, 51200)
    assert [record.add("k", b"1"), record.add("k", b"2"), record.add("k", b"3")] == [True, True, False]


def test_each_record_of_a_run_takes_a_fresh_key() -> None:
    keys = iter(f"{number:032x}" for number in range(1000))
    datas = [b"y" * 350] * 1000
    got = list(aggregate_run(keys, datas, 4294967295, 51200))
    assert len({key for _, _, key, _ in got}) == len(got) > 6
    for start, stop, key, encoded in got:
        assert encoded is not None
        assert {user[0] for user in user_records(encoded, "a")} == {key}
        assert len(user_records(encoded, "a")) == stop - start


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (1 << 32, b"\x80\x80\x80\x80\x10"),
    ],
)
def test_varint(number: int, encoded: bytes) -> None:
    assert varint(number) == encoded


def test_hash_key() -> None:
    # MD5 of the empty string and of "pk-0", as KPL's outer hash key in the fixture has it.
    assert hash_key_of("") == 0xD41D8CD98F00B204E9800998ECF8427E
    assert str(hash_key_of("pk-0")) == "318996840767547934070577442296912359277"


def test_a_run_with_large_records_is_the_same() -> None:
    datas = [b"x" * length for length in (10, 16383, 16384, 20000, 5)]
    [(_, stop, _, encoded)] = aggregate_run(itertools.repeat("-"), datas, 100, 1 << 20)
    record = Aggregator(100, 1 << 20)
    assert all(record.add("-", data) for data in datas)
    assert stop == 5
    assert encoded == record.encode()


def test_no_events_are_no_records() -> None:
    assert list(aggregate_run(itertools.repeat("-"), [], 100, 51200)) == []
