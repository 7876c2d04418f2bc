"""The kernel gives what its twins in Python give, byte for byte and cut for cut, whatever comes."""

import gc
import itertools
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.kinesis.kpl._aggregation import keyed_in_python, run_in_python

kernel: Any = pytest.importorskip("penstock.io.kinesis.kpl._native_aggregation", reason="no kernel was built")

_keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_datas = st.lists(st.binary(max_size=90) | st.integers(100, 20_000).map(bytes), max_size=40)
_bounds = st.tuples(st.integers(1, 50) | st.just(1 << 70), st.integers(0, 3000) | st.just(51_200))


@given(_datas, st.lists(_keys, min_size=40, max_size=40), _bounds)
def test_runs(datas: list[bytes], keys: list[str], bounds: tuple[int, int]) -> None:
    assert kernel.aggregate_run(iter(keys), datas, *bounds) == run_in_python(iter(keys), datas, *bounds)


@given(st.data(), st.lists(_keys, min_size=1, max_size=12, unique=True), _datas, _bounds)
def test_keyed(draw: st.DataObject, keys: list[str], datas: list[bytes], bounds: tuple[int, int]) -> None:
    number = st.integers(0, len(keys) - 1)
    key_of = draw.draw(st.lists(number, min_size=len(datas), max_size=len(datas)))
    groups = draw.draw(st.lists(number, min_size=len(keys), max_size=len(keys)))
    arguments = (datas, key_of, keys, groups, *bounds)
    assert kernel.aggregate_keyed(*arguments) == keyed_in_python(*arguments)


@pytest.mark.parametrize("count", [*range(1, 40), 200])
def test_checksums_of_any_number_of_records_of_any_length(count: int) -> None:
    choose = random.Random(count)
    datas = [choose.randbytes(choose.choice((3, 200, 5000))) for _ in range(3 * count)]
    for size in range(count):
        datas[size] = bytes(size)  # each rest of a block of 64 bytes
    arguments = (
        datas,
        [place % count for place in range(3 * count)],
        list(map(str, range(count))),
        range(count),
    )
    assert kernel.aggregate_keyed(*arguments, 100, 1 << 20) == keyed_in_python(*arguments, 100, 1 << 20)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernel.aggregate_run(iter("a"), [b"x", "y"], 1, 100),
        lambda: kernel.aggregate_run(iter("a"), [b"x", b"y"], 1, 100),
        lambda: kernel.aggregate_run(iter([5]), [b"x", b"y"], 10, 100),
        lambda: kernel.aggregate_run(iter(["\ud800"]), [b"x", b"y"], 10, 100),
        lambda: kernel.aggregate_run("a", [b"x"], 10, 100),
        lambda: kernel.aggregate_run(iter("a"), 5, 10, 100),
        lambda: kernel.aggregate_run(iter("a"), [b"x"], 0, 100),
        lambda: kernel.aggregate_run(iter("a"), [b"x"]),
        lambda: kernel.aggregate_run((1 / 0 for _ in "a"), [b"x"], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [1], ["a"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [-1], ["a"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], ["0"], ["a"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [0], ["a"], [1], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [0], ["a"], [1 << 80], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [0], [b"a"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [0, 0], ["a"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [0], ["a", "b"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x", None], [0, 0], ["a"], [0], 1, 100),
        lambda: kernel.aggregate_keyed([b"x"], [0], ["a"], [0], -1, 100),
    ],
)
def test_what_makes_no_sense_is_an_error(call: Any) -> None:
    with pytest.raises((TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError)):
        call()


def test_nothing_is_kept() -> None:
    datas, keys = [bytes([number]) * 300 for number in range(100)], ["a", "b", "c"]
    key_of = [number % 3 for number in range(100)]

    def work() -> None:
        kernel.aggregate_run(itertools.repeat("key"), datas, 7, 51_200)
        kernel.aggregate_keyed(datas, key_of, keys, [0, 1, 1], 7, 51_200)
        kernel.aggregate_keyed(datas, key_of, keys, [0, 1, 1], 7, 100)
        for broken in (datas[:5] * 3, [*datas[:4], None]):
            with pytest.raises((ValueError, TypeError)):
                kernel.aggregate_run(iter(["k"]), broken, 7, 51_200)

    work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(200):
        work()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
