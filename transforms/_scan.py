"""The few fields that identity and time need, read without building the document (a third of the cost).

A scan may say only what the full decoder would say too. It gives up, and the full decoder decides, whenever
a field has an unexpected type, a rule other than 2 or 4 applies, or the text is more than one plain JSON object.
msgspec skips what it was not asked for without checking two things: UTF-8 inside strings (checked here), and
numbers beyond a double (`1e999`: the full decoder calls that an error; here it is left to Elasticsearch, which
refuses such a document).
"""

from collections.abc import Callable

import msgspec

from penstock.transforms.batch import Event, Origin
from penstock.transforms.identity import beat_line_id, hash_of, hashed_position_id

__all__ = ["Scanner"]


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


_read = msgspec.json.Decoder(_Fields).decode


class Scanner:
    """Sets `id` and `timestamp` of events; remembers the hash of the origin it saw last.

    Args:
        max_bytes: larger payloads are left to the full decoder.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._origin: Origin | None = None
        self._position: str | None = None

    def scan(
        self, events: list[Event], found: Callable[[Event], None], otherwise: Callable[[Event], None]
    ) -> None:
        """Calls `found` with each event for which the scan was enough, `otherwise` with the others, in order."""
        max_bytes = self._max_bytes
        for event in events:
            data = event.data
            try:
                fields = _read(data)
                if not data.isascii():
                    data.decode()
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                otherwise(event)
                continue
            metadata, agent, timestamp = fields.metadata, fields.agent, fields.timestamp
            name: str | None = None
            if (metadata is not None and metadata.id is not None) or fields.beat is not None:
                pass
            elif agent is not None and (reader := agent.ephemeral_id or agent.id):
                log = fields.log
                if log is not None and log.file is not None and log.offset is not None and timestamp:
                    path = log.file.path
                    if path:
                        name = beat_line_id(reader, path, log.offset, timestamp)
            elif metadata is None or metadata.beat is None:
                name = self._by_position(event)
            if name is None or len(data) > max_bytes:
                otherwise(event)
                continue
            event.id = name
            event.timestamp = timestamp
            if event.document is not None:
                event.document = None
                event.changed = False
            found(event)

    def _by_position(self, event: Event) -> str | None:
        origin = event.origin
        if origin is not self._origin:
            position = origin.position()
            self._position = None if position is None else hash_of(position)
            self._origin = origin
        return None if self._position is None else hashed_position_id(self._position, event)
