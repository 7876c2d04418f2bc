"""The small Beats client of `local/`: it ships all, and again what was not acknowledged."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from local.demo.beats_client import Shipper, Source
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.transforms.batch import EventBatch

FIXTURE = Path(__file__).parent / "fixtures" / "filebeat_7.17_uncompressed.bin"
Serve = Callable[..., BeatsServer]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"".join(b"line %d\n" % n if n % 100 else b"\n" for n in range(5000)) + b"unfinished")
    return path


def shapes(event: object) -> object:
    return {key: shapes(value) for key, value in event.items()} if isinstance(event, dict) else type(event)


def test_events_have_filebeats_shape_and_offsets(
    serve: Serve, pump: Callable[..., object], log: Path
) -> None:
    pipeline = pump(serve())
    counts = Shipper(*pipeline.server.address, [log]).run()  # type: ignore[attr-defined]
    events = [json.loads(data) for data in pipeline.events]  # type: ignore[attr-defined]
    assert (counts.shipped, counts.acknowledged, counts.resent) == (4950, 4950, 0)
    assert counts.done
    assert [e["message"] for e in events] == [f"line {n}" for n in range(5000) if n % 100]
    text = log.read_bytes()
    for event in events[::97]:
        begin = event["log"]["offset"]
        assert text[begin:].startswith(event["message"].encode() + b"\n")
    real = FIXTURE.read_bytes()
    real_event = json.loads(real[16 : 16 + int.from_bytes(real[12:16], "big")])
    assert shapes(events[0]) == shapes(real_event)


def test_a_file_is_shipped_up_to_its_end_option(serve: Serve, pump: Callable[..., object], log: Path) -> None:
    pipeline = pump(serve())
    counts = Shipper(*pipeline.server.address, [Source(log, end=1 + 7 * 5 + 3)]).run()  # type: ignore[attr-defined]
    assert counts.acknowledged == 5


def test_a_rate_limit_holds(serve: Serve, pump: Callable[..., object], log: Path) -> None:
    pipeline = pump(serve())
    shipper = Shipper(*pipeline.server.address, [log], rate=100)  # type: ignore[attr-defined]
    timer = threading.Timer(1.0, shipper.stop)
    timer.start()
    counts = shipper.run()
    timer.cancel()
    assert 50 <= counts.shipped <= 130
    assert not counts.done


def test_what_was_not_acknowledged_is_sent_again_in_another_order_of_keys(
    serve: Serve, pump: Callable[..., object], log: Path
) -> None:
    server = serve(max_pending_records=400)
    port = server.options.port
    seen: list[bytes] = []
    batches = 0

    def sink(batch: EventBatch) -> bool:
        nonlocal batches
        batches += 1
        seen.extend(event.data for event in batch.events)
        if batches % 5 == 0:
            # Written, but the client never hears of it.
            for connection in server._all_connections():
                connection.replies.abandon()
        return True

    assert port == 0
    pump(server, sink)
    shipper = Shipper(*server.address, [log], window=500, backoff_s=(0.01, 0.02))
    counts = shipper.run()
    assert counts.done
    assert counts.acknowledged == 4950
    assert counts.reconnects > 0
    assert counts.resent > 0
    offsets = {json.loads(data)["log"]["offset"] for data in seen}
    assert len(offsets) == 4950
    keyed = {json.dumps(json.loads(data), sort_keys=True) for data in seen}
    assert len(keyed) == 4950 < len(set(seen)), "sent again as the same event in other bytes"
