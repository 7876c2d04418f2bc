import pickle

import pytest

from penstock.transforms.batch import Event
from penstock.transforms.reference import MissingField, compile_reference
from tests.tools.samples.events import ToyOrigin, event


def _at(timestamp: str | None, arrived_ms: int = 0) -> Event:
    return Event(b"{}", ToyOrigin(arrived_ms=arrived_ms), 0, timestamp=timestamp)


def test_a_text_without_references_is_constant():
    reference = compile_reference("logs-app")
    assert reference.constant == "logs-app"
    assert not reference.needs_document
    assert reference(_at(None)) == "logs-app"


@pytest.mark.parametrize(
    ("timestamp", "index"),
    [
        ("2026-11-22T23:59:59.999Z", "l-2026.11.22"),
        ("2026-11-22T23:59:59.999-05:00", "l-2026.11.23"),  # the date in UTC
        ("2026-11-22T00:30:00+01:00", "l-2026.11.21"),
        ("2026-11-22", "l-2026.11.22"),
        ("2026-11-22T99:99:99Z", "l-2026.11.22"),  # dated by its first ten characters
        ("2026-99-99T00:00:00Z", "l-1970.01.02"),  # not a date: that of the arrival
        ("rubbish", "l-1970.01.02"),
        ("", "l-1970.01.02"),
        (None, "l-1970.01.02"),
    ],
)
def test_dates_are_those_of_the_event_in_utc_else_of_its_arrival(timestamp, index):
    reference = compile_reference("l-%{+YYYY.MM.dd}")
    for _ in range(2):  # the second time from memory
        assert reference(_at(timestamp, 86_400_000)) == index


def test_what_is_remembered_of_one_event_is_not_told_of_another():
    reference = compile_reference("%{+YYYY.MM.dd}")
    assert reference(_at("2026-99-99T00:00:00Z", 0)) == "1970.01.01"
    assert reference(_at("2026-99-99T00:00:00Z", 86_400_000)) == "1970.01.02"
    hourly = compile_reference("%{+dd.HH}")
    assert hourly(_at("2026-11-22T01:00:00Z")) == "22.01"
    assert hourly(_at("2026-11-22T02:00:00Z")) == "22.02"


def test_memory_is_bounded():
    reference = compile_reference("%{+YYYY.MM.dd}")
    for year in range(1, 5000):
        reference(_at(f"{year:04d}-01-01T00:00:00Z"))
    assert len(reference._remembered) <= 1024


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("%{service}", "web"),
        ("%{[host][name]}-x", "h1-x"),
        ("%{host.name}", "h1"),
        ("%{n}%{t}%{f}", "5true1.5"),
        ("%{tags}", "a,b,3"),
        ("%{tags.1}", "b"),
        ("%{service}-%{+YYYY}", "web-2026"),
    ],
)
def test_fields(text, result):
    data = (
        b'{"@timestamp":"2026-01-01T00:00:00Z","service":"web","host":{"name":"h1"},"n":5,"t":true,"f":1.5,'
        b'"tags":["a","b",3]}'
    )
    one = event(data)
    one.timestamp = "2026-01-01T00:00:00Z"
    assert compile_reference(text)(one) == result
    assert compile_reference(text).needs_document


@pytest.mark.parametrize("data", [b"{}", b'{"a":null}', b'{"a":{}}', b'{"a":""}'])
def test_a_missing_field_raises(data):
    with pytest.raises(MissingField, match=r"%\{a\}"):
        compile_reference("i-%{a}")(event(data))


@pytest.mark.parametrize("text", ["%{", "%{a", "%{+QQ}", "%{[a}", "%{}", "x%{+}"])
def test_what_cannot_be_compiled_is_refused(text):
    with pytest.raises(ValueError, match=r"%\{|date pattern"):
        compile_reference(text)


def test_it_pickles():
    reference = pickle.loads(pickle.dumps(compile_reference("a-%{+YYYY}")))
    assert reference(_at("2026-01-01T00:00:00Z")) == "a-2026"
