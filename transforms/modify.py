"""`modify` holds the changes that people need between read and write, each a PTransform on event batches.

Paths are written `a.b`, `[a][b]` or `a` (`penstock.transforms.fields`). A transform that changes a document
makes the sink serialise that event again; `Fingerprint` into the id and `DropEvents` leave the bytes alone.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from penstock.transforms import fields
from penstock.transforms.batch import Document, Event
from penstock.transforms.codecs.json_objects import parse_field
from penstock.transforms.document import document_of, with_document
from penstock.transforms.events import EventTransform
from penstock.transforms.reference import MissingField, Reference, compile_reference
from penstock.transforms.step_kind import StepKind
from penstock.transforms.time import timestamps
from penstock.transforms.time.date_parser import compile_parsers

__all__ = [
    "AddFields",
    "DropEvents",
    "Fingerprint",
    "MoveFields",
    "ParseJson",
    "RemoveFields",
    "RenameFields",
    "SetTimestamp",
]


class AddFields(EventTransform):
    """Sets fields.

    Args:
        values: path -> value; a text may hold references (`%{host.name}-%{+YYYY}`).
        overwrite: whether existing fields are replaced; else they stay.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import AddFields
        >>> through(AddFields({"host.env": "prod", "key": "%{message}-%{+YYYY}"}),
        ...         {"@timestamp": "2026-11-28T00:00:00Z", "message": "a"})
        [{'@timestamp': '2026-11-28T00:00:00Z', 'message': 'a', 'host': {'env': 'prod'}, 'key': 'a-2026'}]
    """

    def __init__(self, values: Mapping[str, Any], *, overwrite: bool = True) -> None:
        compiled = [
            (fields.parse_path(path), compile_reference(value) if isinstance(value, str) else value)
            for path, value in values.items()
        ]
        super().__init__(
            _Add(compiled, overwrite), "add_fields", {"values": dict(values), "overwrite": overwrite}
        )


class RenameFields(EventTransform):
    """Gives fields other paths. A missing field is no error; a field at the new path is replaced.

    Args:
        names: old path -> new path.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import RenameFields
        >>> through(RenameFields({"msg": "message"}), {"msg": "a"})
        [{'message': 'a'}]
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        pairs = [(fields.parse_path(old), fields.parse_path(new)) for old, new in names.items()]
        super().__init__(_Rename(pairs), "rename_fields", {"names": dict(names)})


class MoveFields(EventTransform):
    """Moves fields under one object: `MoveFields(["user", "group"], "labels")` makes `labels.user`, `labels.group`.

    Args:
        paths: the fields; one that isn't there is no error.
        target: the object's path.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import MoveFields
        >>> through(MoveFields(["user", "group"], "labels"), {"user": "u", "group": "g"})
        [{'labels': {'user': 'u', 'group': 'g'}}]
    """

    def __init__(self, paths: Iterable[str], target: str) -> None:
        under = fields.parse_path(target)
        parsed = [fields.parse_path(path) for path in paths]
        pairs = [(path, (*under, path[-1])) for path in parsed]
        super().__init__(_Rename(pairs), "move_fields", {"paths": _texts(parsed), "target": target})


class RemoveFields(EventTransform):
    """Removes fields, and objects that become empty by that. A missing field is no error.

    Args:
        paths: the fields.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import RemoveFields
        >>> through(RemoveFields(["agent.id", "tags"]), {"message": "a", "agent": {"id": 1}, "tags": []})
        [{'message': 'a'}]
    """

    def __init__(self, paths: Iterable[str]) -> None:
        parsed = [fields.parse_path(path) for path in paths]
        super().__init__(_Remove(parsed), "remove_fields", {"paths": _texts(parsed)})


class SetTimestamp(EventTransform):
    """Sets `@timestamp` from another field.

    Args:
        field: the field with the time.
        formats: tried in order: `ISO8601`, `UNIX` (seconds), `UNIX_MS`, or a pattern such as `dd/MMM/yyyy:HH:mm:ss Z`
            in the letters of Logstash's date filter. A pattern without a year takes the year that puts the time
            nearest to the event's arrival.
        timezone: the IANA zone of times that name none.
        target: the field that takes the time.

    A field that is missing, or fits no format, sends the event to the dead letters.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import SetTimestamp
        >>> through(SetTimestamp("time", ["dd/MMM/yyyy:HH:mm:ss Z"]), {"time": "28/Nov/2026:10:00:00 +0100"})
        [{'time': '28/Nov/2026:10:00:00 +0100', '@timestamp': '2026-11-28T09:00:00.000Z'}]
    """

    def __init__(
        self,
        field: str,
        formats: Sequence[str] = ("ISO8601",),
        *,
        timezone: str = "UTC",
        target: str = "@timestamp",
    ) -> None:
        compile_parsers(formats, timezone)  # a wrong format is the author's mistake, not an event's
        step = _Timestamp(fields.parse_path(field), tuple(formats), timezone, fields.parse_path(target))
        super().__init__(
            step,
            "set_timestamp",
            {"field": field, "formats": ", ".join(formats), "timezone": timezone, "target": target},
        )


class Fingerprint(EventTransform):
    """Makes a hash of some fields the document id, so that equal events are one document.

    Args:
        paths: the fields; a missing field counts as missing, but if all are missing, that is an error.
        target: a field that takes the hash instead of the id.
        digest_size: bytes of the BLAKE2b hash, 8 to 64.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import Fingerprint
        >>> through(Fingerprint(["user", "path"], target="hash", digest_size=8), {"user": "u", "path": "/"})
        [{'user': 'u', 'path': '/', 'hash': 'bc9d688fe1043d35'}]
    """

    step_kind = StepKind(gives_ids=True, refuses=True)

    def __init__(self, paths: Iterable[str], *, target: str | None = None, digest_size: int = 16) -> None:
        parsed = [fields.parse_path(path) for path in paths]
        if not parsed or not 8 <= digest_size <= 64:
            message = "Fingerprint needs at least one field, and a digest_size of 8 to 64"
            raise ValueError(message)
        where = fields.parse_path(target) if target else None
        super().__init__(
            _Fingerprint(parsed, where, digest_size),
            "fingerprint",
            {"paths": _texts(parsed), "target": target or "_id"},
        )


class ParseJson(EventTransform):
    """Decodes JSON text inside a field.

    Args:
        source: the field that holds the text.
        target: the field that takes the result; without it an object's fields go to the event's top level.
        remove_source: whether the text is removed after decoding.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import ParseJson
        >>> through(ParseJson("message", remove_source=True), {"message": '{"level": "info"}'})
        [{'level': 'info'}]
    """

    def __init__(self, source: str, target: str | None = None, *, remove_source: bool = False) -> None:
        where = fields.parse_path(target) if target else None
        step = _ParseJson(fields.parse_path(source), where, remove_source)
        super().__init__(step, "parse_json", {"source": source, "target": target or "the event"})


class DropEvents(EventTransform):
    """Drops events by the content of one field; for other conditions see `FilterEvents`.

    Args:
        field: the field to look at. Without further arguments an event is dropped when the field is there.
        values: the event is dropped when the field holds one of these.
        matching: the event is dropped when this regular expression is found in the field's text.
        unless: whether to drop when the condition is false instead.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import DropEvents
        >>> through(DropEvents("level", values=["debug"]), {"level": "debug"}, {"level": "info"})
        [{'level': 'info'}]
    """

    def __init__(
        self,
        field: str,
        *,
        values: Iterable[Any] | None = None,
        matching: str | None = None,
        unless: bool = False,
    ) -> None:
        pattern = re.compile(matching) if matching is not None else None
        listed = None if values is None else list(values)
        step = _Drop(fields.parse_path(field), listed, pattern, unless)
        shown = {"field": field, "values": listed, "matching": matching, "unless": unless}
        super().__init__(
            step, "drop_events", {name: each for name, each in shown.items() if each is not None}
        )


def _texts(paths: Iterable[fields.Path]) -> str:
    """Writes paths for a person."""
    return ", ".join(".".join(map(str, path)) for path in paths)


class _Step:
    """One change of a document, as an `EventFunction`."""

    def __call__(self, event: Event) -> list[Event]:
        return [with_document(event, self.change(document_of(event), event))]

    def change(self, document: Document, event: Event) -> Document:
        raise NotImplementedError


class _Add(_Step):
    def __init__(self, values: list[tuple[fields.Path, Any]], overwrite: bool) -> None:
        self._values = values
        self._overwrite = overwrite

    def change(self, document: Document, event: Event) -> Document:
        for path, value in self._values:
            if self._overwrite or fields.get(document, path) is fields.MISSING:
                made = value(event, document) if isinstance(value, Reference) else _copied(value)
                fields.put(document, path, made)
        return document


class _Rename(_Step):
    def __init__(self, pairs: list[tuple[fields.Path, fields.Path]]) -> None:
        self._pairs = pairs

    def change(self, document: Document, event: Event) -> Document:
        for old, new in self._pairs:
            value = fields.remove(document, old)
            if value is not fields.MISSING:
                fields.put(document, new, value)
        return document


class _Remove(_Step):
    def __init__(self, paths: list[fields.Path]) -> None:
        self._paths = paths

    def change(self, document: Document, event: Event) -> Document:
        for path in self._paths:
            fields.remove(document, path)
        return document


class _Timestamp(_Step):
    def __init__(
        self, field: fields.Path, formats: tuple[str, ...], timezone: str, target: fields.Path
    ) -> None:
        self._field = field
        self._formats = formats
        self._timezone = timezone
        self._target = target
        self._parse: Callable[[Any, int], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_parse": None}  # compiled parsers can't be pickled

    def change(self, document: Document, event: Event) -> Document:
        if self._parse is None:
            self._parse = compile_parsers(self._formats, self._timezone)
        value = fields.get(document, self._field)
        if value is fields.MISSING:
            message = f"{'.'.join(self._field)}: the event has no such field"
            raise MissingField(message)
        moment = self._parse(value, event.origin.arrived_ms)
        fields.put(document, self._target, timestamps.to_text(moment))
        return document


class _Fingerprint:
    def __init__(self, paths: list[fields.Path], target: fields.Path | None, digest_size: int) -> None:
        self._paths = paths
        self._target = target
        self._digest_size = digest_size

    def __call__(self, event: Event) -> list[Event]:
        document = document_of(event)
        found = [fields.get(document, path) for path in self._paths]
        if all(value is fields.MISSING for value in found):
            message = "none of the fingerprint's fields is there"
            raise MissingField(message)
        # A missing field is an empty list, so it differs from null and from every value.
        text = orjson.dumps(
            [[] if value is fields.MISSING else [value] for value in found], option=orjson.OPT_SORT_KEYS
        )
        digest = hashlib.blake2b(text, digest_size=self._digest_size).hexdigest()
        if self._target is not None:
            fields.put(document, self._target, digest)
            return [with_document(event, document)]
        return [msgspec.structs.replace(event, id=digest)]


class _ParseJson(_Step):
    def __init__(self, source: fields.Path, target: fields.Path | None, remove_source: bool) -> None:
        self._source = source
        self._target = target
        self._remove = remove_source

    def change(self, document: Document, event: Event) -> Document:
        if not self._remove:
            return parse_field(document, self._source, self._target)
        text = fields.remove(document, self._source)
        made = parse_field({"text": text}, ("text",), ("value",))["value"]
        if self._target is not None:
            fields.put(document, self._target, made)
            return document
        if not isinstance(made, dict):
            message = f"{'.'.join(self._source)} holds no JSON object"
            raise ValueError(message)
        return {**document, **made}


class _Drop:
    def __init__(
        self, field: fields.Path, values: list[Any] | None, pattern: "re.Pattern[str] | None", unless: bool
    ) -> None:
        self._field = field
        self._values = values
        self._pattern = pattern
        self._unless = unless

    def __call__(self, event: Event) -> list[Event]:
        value = fields.get(document_of(event), self._field)
        found = value is not fields.MISSING
        if found and self._values is not None:
            found = value in self._values
        if found and self._pattern is not None:
            found = isinstance(value, str) and self._pattern.search(value) is not None
        return [event] if found is self._unless else []


def _copied(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, (dict, list)) else value
