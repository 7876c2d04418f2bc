"""Small objects are fetched before their turn: several at a time, bounded, and their failures are met at their turn."""

import io
import threading

import pytest

from penstock.io.s3.objects import ObjectFailure
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.units.read_ahead import AHEAD_OBJECTS, ReadAhead


class Bucket:
    """Answers a GET when as many are under way as are waited for."""

    def __init__(self, together=1):
        self.stopping = threading.Event()
        self.failures = {}
        self.asked = []
        self.most = self._under_way = 0
        self._together = together
        self._changed = threading.Condition()

    def get(self, found, start, end):
        with self._changed:
            self.asked.append(found.key)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.most >= self._together, 30)
            self._under_way -= 1
        if failures := self.failures.get(found.key):
            raise failures.pop()
        return io.BytesIO((b'{"k":1}\n' * (found.size // 8))[start:end]), "v1"


@pytest.fixture
def ahead():
    made = []

    def make(bucket):
        made.append(ReadAhead(lambda name: bucket))
        return made[-1]

    yield make
    for each in made:
        each.close()


def units(count, size=800, of=1):
    return [WorkUnit(S3Object("b", f"k{n}", size, "e", 0), 0, of) for n in range(count)]


def read(ahead, bucket, todo):
    """Reads the units as the job does: key -> (events, letters' errors)."""
    waiting = iter(todo)
    found = {}
    for unit in ahead.units(lambda: next(waiting, None)):
        reader = UnitReader(unit, S3ReadOptions(input=["x"]), ahead.store_of(unit.object))
        pieces = list(reader.pieces())
        errors = [letter.error for _, letters in pieces for letter in letters]
        found[unit.object.key] = (sum(len(events) for events, _ in pieces), errors)
    return found


def test_several_gets_are_under_way_and_each_object_is_fetched_once(ahead):
    bucket = Bucket(together=AHEAD_OBJECTS)
    found = read(ahead(bucket), bucket, units(30))
    assert found == {f"k{n}": (100, []) for n in range(30)}
    assert bucket.most == AHEAD_OBJECTS
    assert sorted(bucket.asked) == sorted(f"k{n}" for n in range(30))


@pytest.mark.parametrize(("size", "of"), [(5 << 20, 1), (800, 2)])
def test_large_objects_and_parts_are_not_fetched_ahead(ahead, size, of):
    bucket = Bucket()
    reading = ahead(bucket)
    waiting = iter(units(10, size, of))
    next(reading.units(lambda: next(waiting, None)))
    assert bucket.asked == []


def test_the_bytes_ahead_are_bounded(ahead, monkeypatch):
    monkeypatch.setattr("penstock.io.s3.units.read_ahead._AHEAD_BYTES", 6 << 20)
    bucket = Bucket()
    taken = []
    waiting = iter(units(20, 2 << 20))

    def take():
        unit = next(waiting, None)
        taken.append(unit)
        return unit

    reading = ahead(bucket).units(take)
    next(reading)
    assert len(taken) == 1, "two more of at most 4 MiB would not fit"


def test_what_a_fetch_meets_is_met_again_at_its_turn(ahead):
    """A broken connection is tried again by the reader; an object that is gone is a letter; the others go on."""
    bucket = Bucket()
    bucket.failures = {"k1": [ConnectionError("reset")], "k2": [ObjectFailure("ObjectDeleted", "gone")] * 2}
    assert read(ahead(bucket), bucket, units(4)) == {
        "k0": (100, []), "k1": (100, []), "k2": (0, ["ObjectDeleted"]), "k3": (100, []),
    }  # fmt: skip
    assert bucket.asked.count("k1") == 2
