"""Metadata put into events: at the right place, the same as by parsing, and not to be forged."""

import contextlib
import gzip
import json
from pathlib import Path

import orjson
import pytest

from penstock.io.beats import BeatsClient
from penstock.io.beats._enrich import NotAnObject, _spliced, enriched, fields_of
from penstock.io.beats.prepare import enrich, validate
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver
from penstock.io.chain.live_objects import LiveReceipt
from penstock.transforms.batch import Event, EventBatch

PLAIN = BeatsClient("10.1.2.3", 4711)
TLS = BeatsClient("10.1.2.3", 4711, "TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=web-1")
FIELDS = fields_of(PLAIN, ["source_metadata"])
ADDED = {"input": {"beats": {"host": {"ip": "10.1.2.3"}}}}


def test_fields_have_logstashs_names() -> None:
    def fields(client: BeatsClient, *kinds: str) -> object:
        return json.loads(b"{%b}" % fields_of(client, kinds))

    assert fields(PLAIN, "source_metadata") == ADDED
    assert fields(PLAIN, "ssl_peer_metadata") == {}
    assert fields(PLAIN) == {}
    assert fields(TLS, "ssl_peer_metadata", "source_metadata") == {
        "tls_peer": {"status": "verified"},
        "input": {
            "beats": {
                "host": {"ip": "10.1.2.3"},
                "tls": {
                    "version_protocol": "TLSv1.3",
                    "client": {"subject": "CN=web-1"},
                    "cipher": "TLS_AES_256_GCM_SHA384",
                },
            }
        },
    }
    unverified = BeatsClient("10.1.2.3", 4711, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert fields(unverified, "ssl_peer_metadata") == {"tls_peer": {"status": "unverified"}}


def test_filebeats_events_are_spliced_never_parsed() -> None:
    receiver = Receiver(Limits())
    receiver.receive((Path(__file__).parent / "fixtures" / "filebeat_7.17_compressed.bin").read_bytes())
    stretch = receiver.next_stretch()
    assert stretch is not None
    for payload in stretch.payloads:
        spliced = _spliced(payload, FIELDS)
        assert spliced is not None
        before, after = json.loads(payload), json.loads(spliced)
        assert after.pop("@metadata") == before.pop("@metadata") | ADDED
        assert after == before


EVENTS = {
    "metadata in front": b'{"@metadata":{"beat":"x"},"message":"m"}',
    "metadata empty": b'{"a":1,"@metadata":{},"message":"m"}',
    "metadata with spaces": b'{"a": 1, "@metadata": { "beat": "x" } }',
    "metadata empty with spaces": b'{"@metadata":{ },"a":1}',
    "no metadata": b'{"message":"m"}',
    "an empty event": b"{}",
    "an empty event with space": b"{ }",
    "metadata below": b'{"a":{"@metadata":{"beat":"y"}},"b":1}',
    "metadata below, then its own": b'{"a":{"@metadata":{}},"@metadata":{"beat":"y"}}',
    "metadata in a string": rb'{"message":"\"@metadata\":{","b":1}',
    "a brace in a string in front": b'{"m":"{","@metadata":{"beat":"x"}}',
    "a brace in a string inside": b'{"@metadata":{"a":"}","b":"c"},"d":1}',
    "a quote in a string inside": rb'{"@metadata":{"a":"\"}"},"d":1}',
    "nested metadata": b'{"@metadata":{"a":{"b":1},"c":2}}',
    "twice": b'{"@metadata":{"a":1},"@metadata":{"b":2}}',
    "forged": b'{"@metadata":{"input":{"beats":{"host":{"ip":"1.1.1.1"}}}}}',
    "forged by another key": b'{"@metadata":{"a":1},"\\u0040metadata":{"input":{"beats":1}}}',
    "forged without a key of its own": b'{"a":1,"\\u0040\\u006detadata":{"input":{"beats":1}}}',
    "forged inside": b'{"@metadata":{"a":1,"inp\\u0075t":{"beats":1}}}',
    "evaded by an escaped quote": b'{"\\"@metadata":{"a":1},"m":2}',
    "evaded by an escaped quote, further on": b'{"a\\"@metadata":{"a":1},"@metadata":{"b":1}}',
    "evaded by metadata that is no object": b'{"@metadata":1,"m":2}',
    "forged beside half a surrogate pair": rb'{"@metadata":{"input":{"beats":{"host":{"ip":"6.6.6.6"}}}},"b":"\ud800"}',
    "half a surrogate pair in a key": rb'{"@metadata":{"input":1},"\ud800":18446744073709551616}',
    "forged flat": b'{"@metadata":{"a":1,"input":"none"}}',
}


@pytest.mark.parametrize("name", EVENTS)
def test_the_same_as_by_parsing_and_ours_wins(name: str) -> None:
    before = json.loads(EVENTS[name])
    metadata = before.get("@metadata") if isinstance(before.get("@metadata"), dict) else {}
    after = json.loads(enriched(EVENTS[name], FIELDS))
    assert after == {**before, "@metadata": {**metadata, **ADDED}}


FORGED = b'{"@metadata":{"input":{"beats":{"host":{"ip":"6.6.6.6"}}}}}'


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"not json", b"[1]", b'"text"', b'{"broken":'),
        *(
            b"[%b]" % FORGED,
            b"{}" + FORGED,
            b'{"a":1}\n' + FORGED,
            b"\xef\xbb\xbf" + FORGED,
            gzip.compress(FORGED),
        ),
        FORGED[:-1]
        + b',"deep":%b%b}' % (b"[" * 100_000, b"]" * 100_000),  # deeper than json goes on any Python
    ],
)
def test_what_is_no_object_is_refused_because_others_may_read_more_into_it(data: bytes) -> None:
    with pytest.raises((orjson.JSONDecodeError, NotAnObject)):
        enriched(data, FIELDS)


def test_no_depth_hides_a_forgery() -> None:
    """How deep json goes differs from Python to Python."""
    data = FORGED[:-1] + b',"deep":%b%b}' % (b"[" * 3000, b"]" * 3000)
    with contextlib.suppress(ValueError):
        assert json.loads(enriched(data, FIELDS))["@metadata"] == ADDED


def test_no_number_hides_a_forgery() -> None:
    data = rb'{"@metadata":{"input":6},"b":"\ud800","c":%b}' % (b"1" * 5000)
    assert json.loads(enriched(data, FIELDS))["@metadata"] == ADDED


def test_each_client_of_a_batch_gets_its_own() -> None:
    other = BeatsClient("10.9.9.9", 1)
    batch = EventBatch(
        LiveReceipt("b", [1]), [Event(b"{}", PLAIN, 0), Event(b"{}", other, 3), Event(b"x", other, 4)], []
    )
    result = enrich(batch, ["source_metadata"])
    assert [json.loads(e.data)["@metadata"]["input"]["beats"]["host"]["ip"] for e in result.events[:2]] == [
        "10.1.2.3",
        "10.9.9.9",
    ]
    assert [(e.origin, e.index) for e in result.events] == [(PLAIN, 0), (other, 3)]
    assert [(x.event.data, x.error, x.stage) for x in result.dead_letters] == [
        (b"x", "JSONDecodeError", "beats")
    ]
    assert result.receipt.tokens == [1]


def test_validation_sets_aside_what_is_no_object() -> None:
    payloads = [b'{"a":1}', b"not json", b"[1]", b'"text"', b'{"a":2}', b"\xff", b"", b"null"]
    batch = EventBatch(LiveReceipt("b", [1]), [Event(data, PLAIN, n) for n, data in enumerate(payloads)], [])
    result = validate(batch)
    assert [e.index for e in result.events] == [0, 4]
    assert [(letter.event.index, letter.error) for letter in result.dead_letters] == [
        (1, "JSONDecodeError"),
        (2, "NotAnObject"),
        (3, "NotAnObject"),
        (5, "JSONDecodeError"),
        (6, "JSONDecodeError"),
        (7, "NotAnObject"),
    ]
    assert all(letter.stage == "beats" and letter.event.data in payloads for letter in result.dead_letters)
    assert result.receipt.tokens == [1]
