"""`fields` follows paths into a decoded event: `a.b`, `[a][b]`, `a`. Every option and transform uses this notation.

A dotted name is looked up as nested objects first and, where there are none, as a key that holds the dots
itself (`{"log.level": ...}` is common in ECS loggers). A number in a path picks an element of an array.
"""

import re
from typing import Any

from penstock.transforms.batch import Document

__all__ = ["MISSING", "Path", "get", "parse_path", "put", "remove"]

Path = tuple[str, ...]
"""A parsed path: the keys from the outermost inwards."""

MISSING: Any = object()
"""The default result of `get` for a field that isn't there. None is a value of its own."""

_BRACKETS = re.compile(r"(?:\[[^\[\],]+\])+")


def parse_path(text: str) -> Path:
    """Parses `[a][b]`, `a.b` or `a` into a path.

    Raises:
        ValueError: the text is empty, has an empty key, or unbalanced brackets.
    """
    if text.startswith("["):
        if not _BRACKETS.fullmatch(text):
            message = f"{text!r} is not a field reference such as [a][b]"
            raise ValueError(message)
        return tuple(text[1:-1].split("]["))
    keys = tuple(text.split("."))
    if "[" in text or "]" in text or not all(keys):
        message = f"{text!r} is not a field name such as a, a.b or [a][b]"
        raise ValueError(message)
    return keys


def get(document: Document, path: Path, default: Any = MISSING) -> Any:
    """Gives the value at `path`, or `default` where there is none."""
    value: Any = document
    for key in path:
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 10 and int(key) < len(value):
            value = value[int(key)]
        else:
            value = MISSING
        if value is MISSING:
            return document.get(".".join(path), default) if len(path) > 1 else default
    return value


def put(document: Document, path: Path, value: Any) -> None:
    """Sets the value at `path`, making objects on the way.

    Raises:
        ValueError: a value on the way is no object.
    """
    if len(path) > 1 and ".".join(path) in document:
        document[".".join(path)] = value
        return
    inner: Any = document
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            message = f"cannot set {'.'.join(path)}: {key} is no object"
            raise ValueError(message)
    inner[path[-1]] = value


def remove(document: Document, path: Path) -> Any:
    """Removes the field at `path` and returns its value; `MISSING` where there was none.

    Objects on the path that become empty are removed too.
    """
    parents: list[tuple[Document, str]] = []
    inner: Any = document
    for key in path:
        if not isinstance(inner, dict) or key not in inner:
            return document.pop(".".join(path), MISSING) if len(path) > 1 else MISSING
        parents.append((inner, key))
        inner = inner[key]
    for parent, key in reversed(parents):
        del parent[key]
        if parent:
            break
    return inner
