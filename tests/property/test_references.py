"""References: whatever is compiled gives the same text for the same event, remembered or not."""

import datetime

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.fields import MISSING, get, parse_path, put, remove
from penstock.transforms.reference import compile_reference
from penstock.transforms.time import timestamps
from tests.tools.samples.events import ToyOrigin

TIMES = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30))  # noqa: DTZ001
ZONES = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%{}"), max_size=6)
KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="[],.%{}+"), min_size=1, max_size=4
)


def _event(timestamp: str | None, data: bytes = b"{}", arrived_ms: int = 0) -> Event:
    return Event(data, ToyOrigin(arrived_ms=arrived_ms), 0, timestamp=timestamp)


@given(st.lists(st.tuples(TIMES, ZONES), min_size=1, max_size=5))
def test_every_time_is_dated_in_utc(moments):
    reference = compile_reference("l-%{+YYYY.MM.dd}")
    for moment, zone in moments:
        local = moment.replace(tzinfo=zone)
        expected = local.astimezone(datetime.UTC).strftime("%m.%d")
        assert reference(_event(local.isoformat())).endswith(expected)
        assert reference(_event(timestamps.to_text(local))).endswith(expected)


@given(
    st.lists(st.none() | st.text(max_size=30) | TIMES.map(timestamps.to_text), max_size=8),
    st.integers(0, 2**41),
)
def test_what_came_before_makes_no_difference(texts, arrived_ms):
    used = compile_reference("%{+YYYY.MM.dd}")
    for text in texts:
        one = _event(text, arrived_ms=arrived_ms)
        assert used(one) == compile_reference("%{+YYYY.MM.dd}")(one)


@given(
    st.lists(KEYS, min_size=1, max_size=4),
    TEXT,
    TEXT,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
)
def test_fields_by_brackets(keys, before, after, value):
    document: dict = {}
    put(document, tuple(keys), value)
    reference = compile_reference(f"{before}%{{[{']['.join(keys)}]}}{after}")
    assert reference(_event(None, orjson.dumps(document))) == f"{before}{value}{after}"


@given(st.text(max_size=20))
def test_any_text_compiles_or_is_a_value_error(text):
    try:
        reference = compile_reference(text)
    except ValueError:
        return
    if not reference.needs_document:
        assert isinstance(reference(_event("2026-11-22T00:00:00Z")), str)


@given(st.text(st.sampled_from("yYMdHhmsSxweED'. -T"), min_size=1, max_size=12), TIMES)
def test_any_pattern_formats_or_is_a_value_error(pattern, moment):
    try:
        render = timestamps.compile_format(pattern)
    except ValueError:
        assume(False)
    assert isinstance(render(moment.replace(tzinfo=datetime.UTC)), str)


@given(
    st.dictionaries(
        KEYS, st.integers(0, 9) | st.dictionaries(KEYS, st.integers(0, 9), max_size=3), max_size=4
    ),
    st.lists(KEYS, min_size=1, max_size=3),
)
def test_what_is_put_is_got_and_removed_again(document, keys):
    path = tuple(keys)
    assert parse_path(f"[{']['.join(keys)}]") == path
    before = orjson.loads(orjson.dumps(document))
    had = get(document, path)
    try:
        put(document, path, "new")
    except ValueError:
        assert document == before
        return
    assert get(document, path) == "new"
    assert remove(document, path) == "new"
    if had is MISSING:
        assert get(document, path) is MISSING


@pytest.mark.parametrize("text", ["%{+YYYY.MM.dd}", "x"])
def test_cheap_references_need_no_document(text):
    assert not compile_reference(text).needs_document
