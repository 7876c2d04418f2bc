"""De-aggregation undoes aggregation, finds exactly what lies outside a shard, and survives any bytes."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from penstock.io.kinesis.kpl._aggregation import Aggregator
from penstock.io.kinesis.kpl._deaggregation import MAGIC, HashRange, deaggregate
from tests.tools.models.kpl import user_records
from tests.tools.samples.examples import examples

_keys = st.text(min_size=1, max_size=10)
_hash_keys = st.integers(0, (1 << 128) - 1)
_users = st.lists(st.tuples(_keys, st.binary(max_size=100), st.none() | _hash_keys.map(str)), max_size=30)


def aggregate(users: list[tuple[str, bytes, str | None]]) -> bytes:
    record = Aggregator(1000, 1 << 20)
    for key, data, explicit in users:
        assert record.add(key, data, explicit)
    return record.encode()


@given(_users, _hash_keys, _hash_keys)
def test_it_undoes_aggregation_and_finds_what_is_outside(
    users: list[tuple[str, bytes, str | None]], one: int, other: int
) -> None:
    start, end = sorted((one, other))
    encoded = aggregate(users)
    found = deaggregate(encoded, HashRange.of(start, end))
    assert found is not None
    assert found.data == [data for _, data, _ in users]
    oracle = user_records(encoded, "a")
    assert found.outside == [n for n, user in enumerate(oracle) if not start <= user.hash_key <= end]
    assert deaggregate(encoded) == (found.data, [])


@given(st.binary(max_size=200))
@examples(300)
def test_any_message_with_a_right_checksum_is_parsed_or_passed_on(message: bytes) -> None:
    data = MAGIC + message + hashlib.md5(message).digest()
    found = deaggregate(data, HashRange.of(5, 6))
    assert found is None or all(isinstance(each, bytes) for each in found.data)


@given(_users, st.data())
@examples(300)
def test_a_mutated_message_never_raises(
    users: list[tuple[str, bytes, str | None]], data: st.DataObject
) -> None:
    message = bytearray(aggregate(users)[4:-16])
    for _ in range(data.draw(st.integers(1, 3))):
        if message:
            message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    sealed = MAGIC + bytes(message) + hashlib.md5(message).digest()
    deaggregate(sealed, HashRange.of(0, 1 << 100))
    assert deaggregate(MAGIC + bytes(message) + b"\0" * 16) is None


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_what_has_no_checksum_is_plain(start: bytes, end: bytes) -> None:
    assert deaggregate(start) is None or start[:4] == MAGIC
    assert deaggregate(MAGIC + start + end + b"\0") is None
