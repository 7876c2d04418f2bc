import re

import orjson
import pytest

from penstock.transforms.identity import document_id
from tests.tools.samples.events import ToyOrigin, event, filebeat_events

LINE = {
    "@timestamp": "2026-11-22T13:28:38.181Z",
    "agent": {"ephemeral_id": "e1", "id": "a1", "type": "filebeat"},
    "log": {"offset": 129, "file": {"path": "/var/log/x"}},
    "message": "m",
}


def _id(document: dict, index: int = 0, position: bytes | None = b"p") -> str | None:
    return document_id(event(b"", index, ToyOrigin(position)), document)


def test_the_beats_own_id_wins():
    assert _id({**LINE, "@metadata": {"_id": "given"}}) == "given"
    assert _id({**LINE, "@metadata": {"_id": "x" * 513}}) == _id(LINE)
    assert _id({**LINE, "@metadata": {"_id": 5}}) == _id(LINE)
    assert _id({**LINE, "@metadata": {"_id": ""}}) == _id(LINE)


def test_a_line_is_known_by_reader_file_offset_and_time_of_reading_only():
    same = {**LINE, "message": "other", "host": {"name": "h"}, "tags": ["retried"]}
    assert _id(LINE, 1, b"p1") == _id(same, 2, b"p2")
    others = [
        {**LINE, "@timestamp": "2026-11-22T13:28:38.182Z"},
        {**LINE, "log": {"offset": 130, "file": {"path": "/var/log/x"}}},
        {**LINE, "log": {"offset": 129, "file": {"path": "/var/log/y"}}},
        {**LINE, "agent": {"ephemeral_id": "e2"}},
    ]
    ids = {_id(document) for document in [LINE, *others]}
    assert len(ids) == 5


def test_the_reader_is_the_ephemeral_id_else_the_agent_else_the_host():
    def reader(agent: dict, host: dict) -> str | None:
        return _id({**LINE, "@metadata": {"beat": "filebeat"}, "agent": agent, "host": host})

    assert (
        reader({"ephemeral_id": "x"}, {"name": "h"}) == reader({"id": "x"}, {}) == reader({}, {"name": "x"})
    )
    assert reader({"ephemeral_id": "x", "id": "y"}, {}) == reader({"ephemeral_id": "x"}, {})


def test_lengths_keep_reader_and_path_apart():
    def line(reader: str, path: str) -> str | None:
        return _id({**LINE, "agent": {"id": reader}, "log": {"offset": 1, "file": {"path": path}}})

    assert line("ab", "c") != line("a", "bc")


def test_filebeat_6_has_source_and_offset_on_top():
    old = {"@timestamp": "t", "beat": {"hostname": "h"}, "source": "/l", "offset": 5, "message": "m"}
    assert _id(old) == _id({**old, "message": "n"})
    assert _id(old) != _id({**old, "offset": 6})
    assert _id(old) != _id({**old, "source": "/k"})


def test_other_events_of_a_beat_are_known_by_their_content_in_any_key_order():
    metric = {"agent": {"id": "a", "type": "metricbeat"}, "cpu": 1, "@timestamp": "2026-11-22T13:28:38.181Z"}
    assert _id(metric, 0, b"p") == _id(dict(reversed(metric.items())), 9, b"q")
    assert _id(metric) != _id({**metric, "cpu": 2})


def test_anything_else_is_known_by_its_position():
    document = {"message": "m"}
    ids = {_id(document, index, position) for index in (0, 1, 0xFFFFFFFFF) for position in (b"p", b"q")}
    assert len(ids) == 6
    assert _id(document, 3, b"p") == _id({"message": "other"}, 3, b"p")


def test_parts_of_one_payload_differ_and_cannot_meet_another_index():
    ids = set()
    for index in (1, 2, 0x12):
        for part in (0, 1, 2, 0x12):
            one = event(b"", index)
            one.part = part
            ids.add(document_id(one, {}))
    assert len(ids) == 12


def test_without_a_position_there_is_no_id():
    assert _id({"message": "m"}, 0, None) is None
    assert _id(LINE, 0, None) == _id(LINE)


@pytest.mark.parametrize("document", [LINE, {"agent": {"id": "a"}}, {"m": 1}])
def test_ids_are_short_and_need_no_escape(document):
    for index in (0, 1, 10**6, 1 << 40):
        assert re.fullmatch(r"1[A-Za-z0-9_-]{22,31}", _id(document, index) or "")


def test_neighbouring_lines_share_a_prefix_that_rises_with_time():
    def at(time: str) -> str:
        return str(_id({**LINE, "@timestamp": time}))[1:7]

    times = [
        "2026-11-22T13:28:38.181Z",
        "2026-11-22T13:28:39.000Z",
        "2026-11-22T13:29:00.000Z",
        "2027-01-01T00:00:00Z",
    ]
    prefixes = [at(time) for time in times]
    assert prefixes == sorted(set(prefixes))
    assert at("2026-11-22T13:28:38.181Z") == at("2026-11-22T13:28:38.999Z")
    assert at("rubbish") == "------"


def test_the_rule_has_not_changed():
    """Ids are stored state: a change needs a new version character and a changelog entry of its own."""
    assert _id(LINE) == "10m8J7acwjx3c62utmLgUvFskX7Aw"
    assert _id({"agent": {"id": "a"}, "x": 1}) == "1------5CjyQowsrgRec0vpssWV_g"
    assert _id({}, 7) == "14KAmYEpD5D4NA3nEWLSaGg7"
    first = orjson.loads(filebeat_events()[0])
    assert _id(first) == "10m8J7a7mokwbblcndCDdVAZmykCg"
