"""Events for tests: an origin of nothing but its position, and Filebeat's real events."""

import dataclasses
import struct
from pathlib import Path

from penstock.io.chain.live_objects import LiveReceipt
from penstock.transforms.batch import Event, EventBatch

ARRIVED_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z
_CAPTURE = Path(__file__).parents[2] / "unit/beats/fixtures/filebeat_7.17_uncompressed.bin"


@dataclasses.dataclass(frozen=True)
class ToyOrigin:
    name: bytes | None = b"stream/shard/1"
    arrived_ms: int = ARRIVED_MS

    def position(self) -> bytes | None:
        return self.name

    def describe(self) -> dict[str, str | int]:
        return {"toy": "" if self.name is None else self.name.decode()}


def event(data: bytes, index: int = 0, origin: ToyOrigin | None = None) -> Event:
    return Event(data, origin or ToyOrigin(), index)


def batch(*events: Event) -> EventBatch:
    return EventBatch(LiveReceipt("toy", [1]), list(events), [], ARRIVED_MS)


def filebeat_events() -> list[bytes]:
    """The payloads that Filebeat 7.17 sent (origin: README.md beside the capture)."""
    capture, found, at = _CAPTURE.read_bytes(), [], 0
    while at < len(capture):
        if capture[at + 1 : at + 2] == b"W":
            at += 6
            continue
        _, length = struct.unpack(">II", capture[at + 2 : at + 10])
        found.append(capture[at + 10 : at + 10 + length])
        at += 10 + length
    return found
