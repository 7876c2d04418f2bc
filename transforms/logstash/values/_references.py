"""`_references` makes references: a reference names a field, `name` or `[a][b]`, and gets, sets and removes it.

- A name without brackets is one key, whatever it holds: `a.b` is never a path. `[[a][b]][c]` is `[a][b][c]`.
- A number picks an element of an array (`[l][0]`, `[l][-1]`). Below a text or a number there is nothing.
- Setting makes objects on the way. Removing leaves empty objects behind, and takes elements out of arrays.
- `tags` takes texts only, `@timestamp` takes times only, `@metadata` is always there.

Each kind of path is a class of its own, so that a plain name costs one look-up in a dict.
"""

import re
from typing import Any, Protocol

from penstock.transforms.logstash._errors import CannotSet, InvalidReference
from penstock.transforms.logstash.values._times import Timestamp

Path = tuple[str, ...]


class Fields(Protocol):
    """The part of an event that a reference works on: the document, and whether it was changed."""

    document: dict[str, Any]
    changed: bool


class _Missing:
    """Stands for a field that isn't there; a null is there."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()

_INDEX = re.compile(r"[+-]?[0-9]+")
_PERCENT = re.compile(r"%([0-9A-F]{2})")
_AMPERSAND = re.compile(r"&#([0-9]+);")


def parse_reference(text: str, escape_style: str = "none") -> Path:
    """Gives the keys that `text` names.

    Args:
        text: the reference.
        escape_style: `percent` reads `%5B`, `ampersand` reads `&#91;` within a name.

    Raises:
        InvalidReference: brackets that do not fit, or nothing between them.
    """
    path = _tokens(text)
    if escape_style == "percent":
        return tuple(_PERCENT.sub(lambda found: chr(int(found[1], 16)), key) for key in path)
    if escape_style == "ampersand":
        return tuple(_AMPERSAND.sub(lambda found: chr(int(found[1])), key) for key in path)
    return path


def _tokens(text: str) -> Path:
    if "[" not in text and "]" not in text:
        return (text,)
    path = []
    depth = start = 0
    for place, character in enumerate(text):
        if character == "[":
            if start != place:
                raise _invalid(text)
            depth += 1
            start = place + 1
        elif character == "]":
            if depth == 0 or (start == place and text[place - 1] == "["):
                raise _invalid(text)
            if start < place:
                path.append(text[start:place])
            depth -= 1
            start = place + 1
    if depth or start != len(text):
        raise _invalid(text)
    return tuple(path)


def _invalid(text: str) -> InvalidReference:
    return InvalidReference(f"{text!r} names no field; write name, or [outer][inner]")


class Reference:
    """A field of an event: the base, and the reference to a field at the top.

    Attributes:
        path: its keys.
        text: as a person writes it.
    """

    __slots__ = ("_key", "path", "text")

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self._key = path[0]

    def get(self, event: Fields) -> Any:
        """Gives the field's value, or `MISSING`. It is the event's own value, so copy it before you change it."""
        return event.document.get(self._key, MISSING)

    def set(self, event: Fields, value: Any) -> None:
        """Sets the field.

        Raises:
            CannotSet: the event does not allow it.
        """
        event.changed = True
        event.document[self._key] = value

    def remove(self, event: Fields) -> Any:
        """Removes the field. Returns its value, or `MISSING`."""
        value = event.document.pop(self._key, MISSING)
        if value is not MISSING:
            event.changed = True
        return value

    def __repr__(self) -> str:
        return f"Reference({self.text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return reference_of, (self.text,)


class _Timestamp(Reference):
    """`@timestamp`."""

    __slots__ = ()

    def get(self, event: Fields) -> Any:
        value = event.document.get("@timestamp", MISSING)
        return Timestamp(value) if type(value) is str else value

    def set(self, event: Fields, value: Any) -> None:
        if type(value) is not Timestamp:
            message = f"@timestamp takes a time, not {_kind(value)}"
            raise CannotSet(message)
        event.changed = True
        event.document["@timestamp"] = value


class Tags(Reference):
    """`tags`."""

    __slots__ = ()

    def set(self, event: Fields, value: Any) -> None:
        if not are_tags(value):
            message = f"tags takes a text or an array of texts, not {_kind(value)}"
            raise CannotSet(message)
        event.changed = True
        event.document["tags"] = value


def are_tags(value: Any) -> bool:
    """Says whether `tags` may hold it."""
    if type(value) is list:
        return all(isinstance(tag, str) for tag in value)
    return isinstance(value, str)


class _Metadata(Reference):
    """`@metadata` as a whole: always there, removed by being emptied."""

    __slots__ = ()

    def get(self, event: Fields) -> Any:
        value = event.document.get("@metadata")
        return value if type(value) is dict else {}

    def set(self, event: Fields, value: Any) -> None:
        if type(value) is not dict:
            message = f"@metadata takes an object, not {_kind(value)}"
            raise CannotSet(message)
        event.changed = True
        event.document["@metadata"] = value

    def remove(self, event: Fields) -> Any:
        value = event.document.pop("@metadata", {})
        event.changed = event.changed or bool(value)
        return value


class Nested(Reference):
    """Any path of several keys."""

    __slots__ = ("_inner", "_last", "_outer")

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(path, text)
        # Each key with the index it is in an array; the index of what is no number is None.
        self._outer = [_indexed(key) for key in path[:-1]]
        self._last = _indexed(path[-1])
        self._inner = path[1:]

    def get(self, event: Fields) -> Any:
        value = event.document.get(self._key, MISSING)
        for key in self._inner:
            if type(value) is dict:
                value = value.get(key, MISSING)
            elif type(value) is list:
                value = _element(value, key)
            else:
                return MISSING
        return value

    def set(self, event: Fields, value: Any) -> None:
        if self._key == "tags":
            message = f"{self.text}: tags takes a text or an array of texts, nothing below it"
            raise CannotSet(message)
        parent: Any = event.document
        event.changed = True
        for key, index in self._outer:
            child = _child(parent, key, index)
            if child is MISSING:
                child = {}
                _put(parent, key, index, child, self.text)
            elif type(child) is not dict and type(child) is not list:
                message = f"{self.text} cannot be set: {key} holds {_kind(child)}"
                raise CannotSet(message)
            parent = child
        _put(parent, *self._last, value, self.text)

    def remove(self, event: Fields) -> Any:
        parent: Any = event.document
        for key, index in self._outer:
            parent = _child(parent, key, index)
            if type(parent) is not dict and type(parent) is not list:
                return MISSING
        key, index = self._last
        if type(parent) is dict:
            value = parent.pop(key, MISSING)
        elif index is not None and -len(parent) <= index < len(parent):
            value = parent.pop(index)
        else:
            return MISSING
        if value is not MISSING:
            event.changed = True
        return value


def _indexed(key: str) -> tuple[str, int | None]:
    return key, int(key) if len(key) < 11 and _INDEX.fullmatch(key) else None


def _element(values: list[Any], key: str) -> Any:
    index = _indexed(key)[1]
    return values[index] if index is not None and -len(values) <= index < len(values) else MISSING


def _child(parent: Any, key: str, index: int | None) -> Any:
    if type(parent) is dict:
        return parent.get(key, MISSING)
    return parent[index] if index is not None and -len(parent) <= index < len(parent) else MISSING


_MAX_INDEX = 1 << 20
"""Logstash fills an array up to any index; a text such as [l][999999999] must not fill our memory."""


def _put(parent: Any, key: str, index: int | None, value: Any, text: str) -> None:
    if type(parent) is dict:
        parent[key] = value
    elif index is not None:
        if -len(parent) <= index < len(parent):
            parent[index] = value
        elif 0 <= index <= _MAX_INDEX:
            parent += [None] * (index - len(parent))
            parent.append(value)
        else:
            message = f"{text}: the array has {len(parent)} elements"
            raise CannotSet(message)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", bool: "a boolean", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), "a text")


_KINDS: dict[str, type[Reference]] = {"@timestamp": _Timestamp, "tags": Tags, "@metadata": _Metadata}
_known: dict[str, Reference] = {}
_MAX_KNOWN = 10_000


def reference_of(text: str) -> Reference:
    """Gives the reference of `text`, and remembers it, so that names from events are parsed once.

    Raises:
        InvalidReference: the text is no reference.
    """
    found = _known.get(text)
    if found is None:
        path = parse_reference(text)
        kind = Nested if len(path) > 1 else _KINDS.get(path[0], Reference)
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        found = _known[text] = kind(path, text)
    return found


class _Bad(Reference):
    """A text that names no field: it fails when an event comes, as Logstash's filters do."""

    __slots__ = ("_error",)

    def __init__(self, text: str, error: InvalidReference) -> None:
        super().__init__((text,), text)
        self._error = error

    def get(self, event: Fields) -> Any:
        raise self._error

    def set(self, event: Fields, value: Any) -> None:
        raise self._error

    def remove(self, event: Fields) -> Any:
        raise self._error

    def __reduce__(self) -> tuple[Any, ...]:
        return reference_or_bad, (self.text,)


def reference_or_bad(text: str) -> Reference:
    """Gives the reference of `text`, or one that raises `InvalidReference` whenever it is used."""
    try:
        return reference_of(text)
    except InvalidReference as error:
        return _Bad(text, error)
