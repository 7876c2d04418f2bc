"""`scan` reads the few fields that identity and time need, without building the document (a third of the cost).

A scan may say only what the full decoder would say too. It gives up, and the full decoder decides, whenever
a field has an unexpected type, a rule other than 2 or 4 applies, or the text is more than one plain JSON object.
msgspec skips the other fields without checking two things: UTF-8 inside strings (checked here), and
numbers beyond a double (`1e999`: the full decoder calls that an error; here it is left to Elasticsearch, which
refuses such a document).

The kernel (`_native_scan.c`) does the same in one walk over the bytes; it checks everything, knows fewer cases, and leaves
the others to the scan here.
"""

import msgspec

from penstock.transforms.batch import Event, Origin
from penstock.transforms.identity import beat_line_id, hash_of, hashed_position_id
from penstock.transforms.kernels import native

__all__ = ["scan", "scan_in_python"]

# msgspec must keep the fields of `Event` as the kernel expects.
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1

_kernel = native.load(
    "penstock.transforms.kernels._native_scan", lambda kernel: kernel.scan_batch([], Event, 0)
)


class _Metadata(msgspec.Struct, gc=False):
    beat: str | None = None
    id: str | None = msgspec.field(name="_id", default=None)


class _Agent(msgspec.Struct, gc=False):
    ephemeral_id: str | None = None
    id: str | None = None


class _File(msgspec.Struct, gc=False):
    path: str | None = None


class _Log(msgspec.Struct, gc=False):
    offset: int | None = None
    file: _File | None = None


class _Fields(msgspec.Struct, gc=False):
    timestamp: str | None = msgspec.field(name="@timestamp", default=None)
    metadata: _Metadata | None = msgspec.field(name="@metadata", default=None)
    agent: _Agent | None = None
    log: _Log | None = None
    beat: msgspec.Raw | None = None


_MAX_DEPTH = 1024
_read = msgspec.json.Decoder(_Fields).decode


def scan(events: list[Event], max_bytes: int) -> list[int]:
    """Sets `id` and `timestamp` of the events for which a scan is enough.

    Args:
        events: any events; those that the full decoder must decide stay as they are.
        max_bytes: larger payloads are left to the full decoder.

    Returns:
        The positions of the events that are left, in order.
    """
    if _kernel is None:
        return scan_in_python(events, max_bytes)
    left: list[int] = _kernel.scan_batch(events, Event, max_bytes)
    if not left:
        return left
    # The kernel knows the usual events; others cost more here, but less than a document.
    again = scan_in_python([events[position] for position in left], max_bytes)
    return [left[position] for position in again]


def scan_in_python(events: list[Event], max_bytes: int) -> list[int]:
    """Does the work of `scan` without the kernel."""
    positions = _Positions()
    left: list[int] = []
    for number, event in enumerate(events):
        data = event.data
        # How deep msgspec goes depends on Python; the full decoder goes down 1,024 levels.
        if data.count(b"{") + data.count(b"[") > _MAX_DEPTH:
            left.append(number)
            continue
        try:
            fields = _read(data)
            if not data.isascii():
                data.decode()
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            left.append(number)
            continue
        metadata, agent, timestamp = fields.metadata, fields.agent, fields.timestamp
        name: str | None = None
        if (metadata is not None and metadata.id is not None) or fields.beat is not None:
            pass
        elif agent is not None and (reader := agent.ephemeral_id or agent.id) is not None:
            log = fields.log
            if reader and timestamp and log is not None and log.file is not None and log.offset is not None:
                path = log.file.path
                # Beyond 64 bits the full decoder takes a number for a float, and rule 3 applies.
                if path and _LEAST <= log.offset <= _MOST:
                    name = beat_line_id(reader, path, log.offset, timestamp)
        elif metadata is None or metadata.beat is None:
            name = positions.id_of(event)
        if name is None or len(data) > max_bytes:
            left.append(number)
            continue
        event.id = name
        event.timestamp = timestamp
        if event.document is not None:
            event.document = None
            event.changed = False
    return left


class _Positions:
    """Applies rule 4, and remembers the hash of the last origin."""

    def __init__(self) -> None:
        self._origin: Origin | None = None
        self._position: str | None = None

    def id_of(self, event: Event) -> str | None:
        origin = event.origin
        if origin is not self._origin:
            position = origin.position()
            self._position = None if position is None else hash_of(position)
            self._origin = origin
        return None if self._position is None else hashed_position_id(self._position, event)
