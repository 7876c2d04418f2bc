"""The few fields that identity and time need, read without building the document (a third of the cost).

A scan may say only what the full decoder would say too. It gives up, and the full decoder decides, whenever
a field has an unexpected type, a rule other than 2 or 4 applies, or the text is more than one plain JSON object.
msgspec skips what it was not asked for without checking two things: UTF-8 inside strings (checked here), and
numbers beyond a double (`1e999`: the full decoder calls that an error; here it is left to Elasticsearch, which
refuses such a document).
"""

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
    """Sets `id` and `timestamp` of events; remembers the hash of the origin it saw last."""

    def __init__(self) -> None:
        self._origin: Origin | None = None
        self._position: str | None = None

    def scan(self, event: Event) -> bool:
        """Whether the scan was enough; otherwise `event` is as it was.

        Raises nothing: what isn't JSON isn't enough either.
        """
        data = event.data
        try:
            fields = _read(data)
            if not data.isascii():
                data.decode()
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return False
        metadata, agent, timestamp = fields.metadata, fields.agent, fields.timestamp
        if fields.beat is not None or (metadata is not None and metadata.id is not None):
            return False
        if agent is not None and (reader := agent.ephemeral_id or agent.id):
            log = fields.log
            if log is None or log.offset is None or log.file is None or not log.file.path or not timestamp:
                return False
            event.id = beat_line_id(reader, log.file.path, log.offset, timestamp)
        elif metadata is not None and metadata.beat is not None:
            return False
        else:
            origin = event.origin
            if origin is not self._origin:
                position = origin.position()
                self._position = None if position is None else hash_of(position)
                self._origin = origin
            event.id = None if self._position is None else hashed_position_id(self._position, event)
        event.timestamp = timestamp
        event.document = None
        event.changed = False
        return True
