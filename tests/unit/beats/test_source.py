"""`ReadFromBeats` in a pipeline: batches, dead letters, metadata, metrics; and what `check` finds."""

import json
import pickle
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.beats import BeatsClient, BeatsOptions, ReadFromBeats
from penstock.io.beats.preflight import require_listenable
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.beats.source import key_of
from penstock.io.beats.transport.sockets import listen
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.errors import OptionError
from tests.tools.peers.lumberjack import Client, payloads, whole_window

WRITTEN: list[bytes] = []


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    LIVE.close()
    WRITTEN.clear()
    yield
    LIVE.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink(beam.DoFn):
    def process(self, batch: Any) -> Iterator[Any]:
        WRITTEN.extend(event.data for event in batch.events)
        yield batch


def run(options: BeatsOptions, letters: Path) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def pipeline() -> None:
        chain = beam.Pipeline(runner=FnApiRunner())
        _ = (
            chain
            | ReadFromBeats(options)
            | beam.ParDo(Sink())
            | WriteDeadLetters(f"file://{letters}")
            | Acknowledge()
        )
        results.append(chain.run())

    thread = threading.Thread(target=pipeline, daemon=True)
    thread.start()
    return thread, results


def connected(options: BeatsOptions) -> BeatsServer:
    for _ in range(500):
        server = LIVE.find(key_of(options))
        if isinstance(server, BeatsServer):
            return server
        threading.Event().wait(0.02)
    pytest.fail("the pipeline did not listen in time")


def test_a_pipeline_from_the_first_byte_to_the_metrics(tmp_path: Path) -> None:
    options = BeatsOptions(port=free_port(), validate=True, enrich=["source_metadata"])
    require_listenable(options)
    thread, results = run(options, tmp_path / "letters.jsonl")
    server = connected(options)
    with Client(server.address, timeout_s=30) as client:
        client.send(whole_window([b'{"a":1}', b"not json", b"[2]", b'{"a":3}']))
        assert client.acks_until(4)[-1] == 4
        client.send(whole_window(payloads(100)))
        assert client.acks_until(100)[-1] == 100
    assert LIVE.get(key_of(options), lambda: pytest.fail("a second server")) is server
    LIVE.stop()
    thread.join(30)
    assert not thread.is_alive()
    written = [json.loads(data) for data in WRITTEN]
    assert [event.get("a") for event in written[:2]] == [1, 3]
    assert len(written) == 102
    assert {event["@metadata"]["input"]["beats"]["host"]["ip"] for event in written} == {"127.0.0.1"}
    letters = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert [(letter["data"], letter["stage"]) for letter in letters] == [
        ("not json", "beats"),
        ("[2]", "beats"),
    ]
    assert letters[0]["origin"]["client"].startswith("127.0.0.1:")
    metrics = [m for kind in results[0].metrics().query().values() for m in kind]
    ours = {m.key.metric.name: m.committed for m in metrics if m.key.metric.namespace == "beats"}
    counters = {name: value for name, value in ours.items() if isinstance(value, int)}
    assert counters["events"] == 104
    assert counters["connections"] == 1
    assert counters["windows"] == 2
    assert counters["bytes_received"] > 0
    assert counters["bytes_inflated"] > counters["bytes_received"] / 2
    assert {"ack_latency_ms", "connections_open", "pending_events", "pending_bytes"} <= set(ours)


def test_what_the_server_counts(serve: Any) -> None:
    server = serve(keepalive_interval=0.1)
    with Client(server.address) as client:
        client.send(whole_window(payloads(10)))
        batch = server.take(10)
        assert client.read_ack() == (b"2", 0)
        server.acknowledge(batch.receipt.tokens)
        client.acks_until(10)
    with Client(server.address) as client:
        client.send(b"rubbish")
        client.read_to_end()
    counts: dict[str, int] = {}
    latencies: list[int] = []
    for _ in range(200):
        taken = server.statistics.take()
        latencies += taken.latencies_ms
        for name, count in taken.counts.items():
            counts[name] = counts.get(name, 0) + count
        if counts.get("closed_closed") and counts.get("closed_protocol"):
            break
        threading.Event().wait(0.02)
    assert counts["keepalives"] >= 1
    expected = {
        "connections": 2,
        "windows": 1,
        "events": 10,
        "acks": 1,
        "closed_closed": 1,
        "closed_protocol": 1,
    }
    assert {name: counts[name] for name in expected} == expected
    assert len(latencies) == 1
    assert latencies[0] >= 90


def test_a_taken_port_is_named_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OptionError, match=f"--beats_port {port}: port {port} of 127.0.0.1 is taken"):
            require_listenable(BeatsOptions(port=port))


def test_a_second_job_is_noticed_even_where_ports_may_be_shared(serve: Any) -> None:
    server = serve()
    with pytest.raises(OptionError, match="is taken"):
        require_listenable(BeatsOptions(port=server.address[1], share_port=True))


def test_a_port_that_an_orphan_still_holds_is_waited_for() -> None:
    other = socket.create_server(("127.0.0.1", 0))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.close()

    listen("127.0.0.1", other.getsockname()[1], sleep=sleep).close()
    assert len(waits) == 3


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(OptionError, match=f"--beats_host '{host}': cannot listen there"):
        require_listenable(BeatsOptions(host=host, port=0))


def test_localhost_and_ipv6() -> None:
    require_listenable(BeatsOptions(host="localhost", port=0))
    if socket.has_ipv6:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
        require_listenable(BeatsOptions(host="::1", port=0))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"port": 70000}, "--beats_port 70000 is not a port"),
        ({"host": ""}, "--beats_host is empty"),
        ({"max_pending_records": 0}, "--max_pending_records must be at least 1"),
        ({"record_max_buffered_time": -1}, "--record_max_buffered_time must be 0 or more"),
        ({"client_inactivity_timeout": -1}, "--client_inactivity_timeout"),
        ({"keepalive_interval": 60}, "--keepalive_interval must be between"),
        ({"max_frame_bytes": 1 << 30}, "--max_frame_bytes"),
        ({"enrich": ["everything"]}, "--enrich 'everything' is none of"),
        ({"enrich": ["none", "all"]}, "--enrich none stands alone"),
    ],
)
def test_wrong_options_name_their_flag(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        BeatsOptions(**given)


def test_what_travels_between_workers_can_be_pickled() -> None:
    options = BeatsOptions(enrich=["all"])
    assert pickle.loads(pickle.dumps(options)) == options
    client = BeatsClient("::1", 5, "TLSv1.3", "x", "CN=y")
    assert pickle.loads(pickle.dumps(client)) == client
    assert str(client) == "[::1]:5"
    assert client.describe()["tls_subject"] == "CN=y"
    assert client.arrived_ms > 1_700_000_000_000
