import datetime
import pickle

import orjson
import pytest

from penstock.transforms import (
    AddFields,
    DropEvents,
    Fingerprint,
    MoveFields,
    ParseJson,
    RemoveFields,
    RenameFields,
    SetTimestamp,
)
from penstock.transforms.document import document_of, payload_of
from penstock.transforms.time.date_parser import compile_parsers
from tests.tools.samples.events import ARRIVED_MS, event


def _one(transform, document):
    (made,) = pickle.loads(pickle.dumps(transform))._function(event(orjson.dumps(document)))
    return document_of(made)


def test_add_fields_with_references():
    document = {"@timestamp": "2026-05-01T00:00:00Z", "host": {"name": "h"}, "old": 1}
    one = event(orjson.dumps(document))
    one.timestamp = document["@timestamp"]
    (made,) = AddFields({"a.b": "%{host.name}-%{+YYYY}", "n": 5, "old": 2, "l": [1]})._function(one)
    assert document_of(made) == {**document, "a": {"b": "h-2026"}, "n": 5, "old": 2, "l": [1]}
    assert _one(AddFields({"old": 2}, overwrite=False), document)["old"] == 1


def test_added_values_are_not_shared():
    transform = AddFields({"tags": []})
    (a,), (b,) = transform._function(event(b"{}")), transform._function(event(b"{}"))
    a.document["tags"].append("x")
    assert b.document["tags"] == []


def test_rename_move_and_remove():
    document = {"a": {"b": 1, "c": 2}, "d": 3}
    assert _one(RenameFields({"a.b": "x.y", "nothing": "z", "d": "a.c"}), document) == {
        "a": {"c": 3},
        "x": {"y": 1},
    }
    assert _one(MoveFields(["a.b", "d"], "labels"), document) == {"a": {"c": 2}, "labels": {"b": 1, "d": 3}}
    assert _one(RemoveFields(["a.b", "a.c", "nothing"]), document) == {"d": 3}


@pytest.mark.parametrize(
    ("value", "formats", "timezone", "expected"),
    [
        ("2026-11-22T13:00:00+01:00", ["ISO8601"], "UTC", "2026-11-22T12:00:00.000Z"),
        ("2026-11-22T13:00:00", ["ISO8601"], "Europe/Berlin", "2026-11-22T12:00:00.000Z"),
        (1_700_000_000, ["UNIX"], "UTC", "2023-11-14T22:13:20.000Z"),
        ("1700000000.25", ["UNIX"], "UTC", "2023-11-14T22:13:20.250Z"),
        (1_700_000_000_123, ["UNIX_MS"], "UTC", "2023-11-14T22:13:20.123Z"),
        ("22/Nov/2026:12:00:00 +0100", ["dd/MMM/yyyy:HH:mm:ss Z"], "UTC", "2026-11-22T11:00:00.000Z"),
        ("Nov  2 03:04:05", ["MMM d HH:mm:ss"], "UTC", "2026-11-02T03:04:05.000Z"),
        ("Jan 2 03:04:05", ["MMM d HH:mm:ss"], "UTC", "2027-01-02T03:04:05.000Z"),  # nearest to the arrival
        ("11/22/26 01:02:03 PM", ["nope yyyy", "MM/dd/yy hh:mm:ss a"][1:], "UTC", "2026-11-22T13:02:03.000Z"),
        (
            "2026-11-22 12:00:00,123456",
            ["UNIX", "yyyy-MM-dd HH:mm:ss,SSSSSS"],
            "UTC",
            "2026-11-22T12:00:00.123Z",
        ),
    ],
)
def test_set_timestamp(value, formats, timezone, expected):
    made = _one(SetTimestamp("t", formats, timezone=timezone), {"t": value})
    assert made["@timestamp"] == expected


@pytest.mark.parametrize("document", [{}, {"t": "rubbish"}, {"t": None}, {"t": "2026-02-30"}, {"t": 1e300}])
def test_a_time_that_fits_no_format_raises(document):
    with pytest.raises(ValueError, match=r".+"):
        _one(SetTimestamp("t", ["ISO8601", "UNIX", "yyyy-MM-dd"]), document)


@pytest.mark.parametrize(
    ("formats", "zone"), [([], "UTC"), (["yyyy-QQ"], "UTC"), (["'open"], "UTC"), (["UNIX"], "Mars/X")]
)
def test_wrong_formats_are_refused_when_the_pipeline_is_built(formats, zone):
    with pytest.raises(ValueError, match=r"date|zone"):
        SetTimestamp("t", formats, timezone=zone)


def test_29_february_without_a_year():
    parse = compile_parsers(["MMM d"], "UTC")
    assert parse("Feb 29", 1_709_200_000_000) == datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)
    with pytest.raises(ValueError, match="fits none"):
        parse("Feb 29", ARRIVED_MS)  # 2025, 2026 and 2027 have none


def test_fingerprint_becomes_the_id_and_leaves_the_bytes():
    def name(document):
        (made,) = Fingerprint(["a", "b.c"])._function(event(orjson.dumps(document)))
        assert not made.changed
        return made.id

    assert name({"a": 1, "x": 1}) == name({"x": 2, "a": 1})
    distinct = [
        {"a": 1},
        {"a": "1"},
        {"a": None},
        {"a": []},
        {"b": {"c": 1}},
        {"a": 1, "b": {"c": None}},
        {"a": [1]},
    ]
    assert len({name(document) for document in distinct}) == len(distinct)
    assert len(_one(Fingerprint(["a"], target="event.hash", digest_size=8), {"a": 1})["event"]["hash"]) == 16
    with pytest.raises(ValueError, match="none of"):
        name({"z": 1})
    with pytest.raises(ValueError, match="at least one"):
        Fingerprint([])


def test_parse_json():
    document = {"message": '{"a":1}', "k": 2}
    assert _one(ParseJson("message"), document) == {**document, "a": 1}
    assert _one(ParseJson("message", "m.j", remove_source=True), document) == {"k": 2, "m": {"j": {"a": 1}}}
    assert _one(ParseJson("message", remove_source=True), document) == {"k": 2, "a": 1}
    for wrong in ({}, {"message": "nope"}, {"message": 5}, {"message": "[1]"}):
        for remove in (True, False):
            with pytest.raises(ValueError, match=r".+"):
                _one(ParseJson("message", remove_source=remove), wrong)


@pytest.mark.parametrize(
    ("arguments", "dropped"),
    [
        ({}, [True, True, False]),
        ({"values": ["DEBUG"]}, [True, False, False]),
        ({"matching": "^(DE|IN)"}, [True, True, False]),
        ({"values": ["DEBUG"], "unless": True}, [False, True, True]),
        ({"unless": True}, [False, False, True]),
    ],
)
def test_drop(arguments, dropped):
    transform = DropEvents("log.level", **arguments)
    payloads = [b'{"log":{"level":"DEBUG"}}', b'{"log.level":"INFO"}', b'{"log":1}']
    assert [transform._function(event(payload)) == [] for payload in payloads] == dropped


def test_dropping_leaves_the_bytes():
    (made,) = DropEvents("x")._function(event(b'{"a": 1}'))
    assert payload_of(made) == b'{"a": 1}'
