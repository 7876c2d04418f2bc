import hashlib
import json

import boto3
import moto

from local.demo import evidence, shipping
from local.demo.logs import LogFile


class Pages:
    """An Elasticsearch client that answers a search with prepared pages."""

    def __init__(self, lines):
        hits = [{"_source": {"log": {"offset": offset, "file": {"path": path}}}} for path, offset in lines]
        self.pages = [hits[:2], hits[2:], []] if len(hits) > 2 else [hits, []]

    def search(self, **_):
        return {"hits": {"hits": self.pages.pop(0)}, "_scroll_id": "s"}

    scroll = search

    def clear_scroll(self, **_):
        pass


def test_documents_are_held_against_lines(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("one\ntwo\nthree\nfour, written meanwhile\n")
    files = [LogFile(path, 14, 3)]
    name = str(path)
    whole = evidence.arrival(Pages([(name, 0), (name, 4), (name, 8)]), "i", files)
    assert whole == evidence.Arrival(3, 0, 0, 0, [])
    assert whole.exactly_once
    # The right total, and yet one line is lost and another stored twice.
    hidden = evidence.arrival(Pages([(name, 0), (name, 4), (name, 4)]), "i", files)
    assert (hidden.documents, hidden.missing, hidden.duplicates) == (3, 1, 1)
    assert not hidden.exactly_once
    assert hidden.examples == [f"{name}:4 (2 times)", f"{name}:8 (missing)"]
    grown = evidence.arrival(Pages([(name, 0), (name, 4), (name, 8), (name, 14)]), "i", files)
    assert grown.exactly_once
    assert grown.strangers == 1


def _aggregated(*payloads):
    """An aggregated record by hand: one partition key, each record a key index of 0 and a payload."""
    body = b"\x0a\x01a"
    for payload in payloads:
        record = b"\x08\x00" + b"\x1a" + bytes([len(payload)]) + payload
        body += b"\x1a" + bytes([len(record)]) + record
    return b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body, usedforsecurity=False).digest()


def test_events_in_a_stream_are_counted(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with moto.mock_aws():
        kinesis = boto3.client("kinesis", region_name="us-east-1")
        kinesis.create_stream(StreamName="s", ShardCount=2)
        broken = _aggregated(b"x")[:-1] + b"?"
        for number, data in enumerate((_aggregated(b"a", b"b", b"c"), b"plain", broken)):
            kinesis.put_record(StreamName="s", Data=data, PartitionKey=str(number))
        assert evidence.count_stream(kinesis, "s") == evidence.StreamCount(records=3, aggregated=1, events=5)
        assert sorted(evidence.stream_events(kinesis, "s")) == sorted([b"a", b"b", b"c", b"plain", broken])


def test_dead_letters_are_counted(tmp_path):
    assert evidence.count_dead_letters(tmp_path / "none") == 0
    (tmp_path / "a.jsonl").write_text("{}\n{}\n")
    (tmp_path / "b.jsonl").write_text("{}\n")
    assert evidence.count_dead_letters(tmp_path) == 3


def test_filebeat_tells_what_was_acknowledged():
    metrics = {
        "monitoring": {
            "metrics": {"libbeat": {"output": {"type": "logstash", "events": {"acked": 123, "batches": 2}}}}
        }
    }
    log = "2026-11-22T16:00:00Z INFO Total metrics " + json.dumps(metrics, separators=(",", ":"))
    assert evidence.acknowledged_by_filebeat(log) == 123
    assert evidence.acknowledged_by_filebeat("nothing") is None


def test_filebeat_gets_these_files_and_one_output(tmp_path):
    configuration = shipping.configuration([LogFile(tmp_path / "a.log", 1, 1)], 5044, tmp_path)
    assert configuration["filebeat.inputs"][0]["paths"] == [str(tmp_path / "a.log")]
    assert [key for key in configuration if key.startswith("output.")] == ["output.logstash"]
