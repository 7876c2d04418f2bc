"""The kernel that makes events in lists gives what msgspec and a loop of Python's give."""

import gc
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.kernels import _event_lists, native
from tests.tools.samples.events import ToyOrigin

kernel = native.load("penstock.transforms.kernels._native_event_lists", str)
pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel isn't built, or switched off")


@given(st.lists(st.binary(max_size=9), max_size=20), st.integers(-3, 1 << 40))
def test_events_are_those_that_msgspec_makes(payloads, first):
    origin = ToyOrigin()
    made = _event_lists.events_of(payloads, origin, first)
    assert made == [Event(payload, origin, index) for index, payload in enumerate(payloads, first)]
    assert all(
        event.data is payload and event.origin is origin
        for event, payload in zip(made, payloads, strict=True)
    )


@given(st.lists(st.tuples(st.none() | st.text(max_size=2), st.none() | st.text(max_size=2)), max_size=20))
def test_what_lacks_an_id_or_a_time(values):
    events = [Event(b"", ToyOrigin(), n, 0, name, time) for n, (name, time) in enumerate(values)]
    for found, field in (
        (_event_lists.without_id(events), "id"),
        (_event_lists.without_time(events), "timestamp"),
    ):
        lacking = [event for event in events if getattr(event, field) is None]
        assert [id(event) for event in found] == [id(event) for event in lacking]
        assert (found is events) == (len(lacking) == len(events))


def test_events_live_as_long_as_somebody_has_them():
    payload, origin = bytes(range(200)), ToyOrigin()
    before = sys.getrefcount(payload), sys.getrefcount(origin), sys.getrefcount(Event)
    made = _event_lists.events_of([payload] * 100, origin)
    made[3].id, made[4].document, made[5].changed = "a" * 30, {"a": made[6].data}, True
    assert sys.getrefcount(payload) >= before[0] + 100
    assert not any(map(gc.is_tracked, made))
    assert msgspec.structs.replace(made[7], index=70) == Event(payload, origin, 70)
    del made
    assert (sys.getrefcount(payload), sys.getrefcount(origin), sys.getrefcount(Event)) == before


def test_a_class_of_another_layout_is_refused():
    class Tracked(msgspec.Struct):
        data: bytes
        index: int

    class NotAnEvent(msgspec.Struct, gc=False):
        data: bytes

    for wrong in (Tracked(b"", 0), NotAnEvent(b""), object(), None):
        with pytest.raises((TypeError, AttributeError)):
            kernel.make_events(wrong, [b""], 0)
    for arguments in ((Event(b"", ToyOrigin(), 0), (b"",), 0), (Event(b"", ToyOrigin(), 0), [b""], "0")):
        with pytest.raises(TypeError):
            kernel.make_events(*arguments)
    with pytest.raises(TypeError, match="item 1 is a int"):
        kernel.lacking([Event(b"", ToyOrigin(), 0), 1], Event, "id")
    with pytest.raises(AttributeError):
        kernel.lacking([], Event, "no_such_field")
