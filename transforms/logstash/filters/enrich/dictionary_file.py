"""`dictionary_file` reads a dictionary of YAML, JSON or CSV, and reads it again when the file has changed."""

import datetime
import os
import re
import time
from collections.abc import Callable
from typing import Any

import orjson
import yaml

from penstock.transforms.logstash.filters.parse.csv import read_line
from penstock.transforms.logstash.values._times import canonical

__all__ = ["ENDINGS", "BadDictionary", "DictionaryFile", "read_dictionary"]

ENDINGS = (".yml", ".yaml", ".json", ".csv")


class BadDictionary(ValueError):
    """A file that cannot be read, or that holds no dictionary."""


def read_dictionary(path: str, *, most_characters: int) -> dict[Any, Any]:
    """Gives the dictionary in a file.

    Args:
        path: the file; its ending says what it holds.
        most_characters: how long a YAML file may be.

    Raises:
        BadDictionary: the file is missing, or holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return _READERS[os.path.splitext(path)[1]](text, most_characters)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        message = f"cannot read the dictionary {path}: {str(error).splitlines()[0]}"
        raise BadDictionary(message) from None


def _from_yaml(text: str, most_characters: int) -> dict[Any, Any]:
    if len(text) > most_characters:
        message = f"{len(text)} characters are more than yaml_dictionary_code_point_limit ({most_characters})"
        raise ValueError(message)
    return _object(yaml.load(text, Loader=_Loader))  # noqa: S506 - a SafeLoader


def _from_json(text: str, most_characters: int) -> dict[Any, Any]:
    return _object(orjson.loads(text) if text.strip() else {})


def _from_csv(text: str, most_characters: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for line in text.splitlines():
        values = read_line(line, ",", '"')
        if values:
            found[values[0]] = values[1] if len(values) > 1 else None
    return found


def _object(value: Any) -> dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        message = "it holds no names with values"
        raise ValueError(message)
    return {key: _plain(inner) for key, inner in value.items()}


def _plain(value: Any) -> Any:
    """Gives a value as JSON has it: a date of YAML is a text, a time an event's."""
    if isinstance(value, datetime.datetime):
        return canonical(value.isoformat())
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


class _Loader(yaml.SafeLoader):
    """YAML without objects, and without aliases, which could make a small file a huge dictionary."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            message = "aliases are not read"
            raise yaml.YAMLError(message)
        return super().compose_node(parent, index)


_LATER_THAN_YAML = re.compile(
    r"(?:[-+]?[1-9][0-9]*(?:,[0-9]+)+|[-+]\.[0-9]+|[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}|[=]|<<|[0-9]+__[0-9_]*)$"
)


def _as_ruby(loader: yaml.SafeLoader, node: Any) -> Any:
    """What Ruby's YAML reads where PyYAML differs: `1,000`, `-.5`, and `12:30`, which are hours and minutes, in seconds."""
    text = node.value
    if text in ("=", "<<") or "__" in text:
        return text
    if ":" in text:
        hours, minutes, *seconds = (int(part) for part in text.replace("_", "").split(":"))
        return hours * 3600 + minutes * 60 + sum(seconds)
    return float(text) if "." in text else int(text.replace(",", ""))


_Loader.yaml_implicit_resolvers = {
    first: [("!ruby", _LATER_THAN_YAML), *_Loader.yaml_implicit_resolvers.get(first, [])]
    for first in {*_Loader.yaml_implicit_resolvers, *"0123456789-+=<"}
}
_Loader.add_constructor("!ruby", _as_ruby)


_READERS: dict[str, Callable[[str, int], dict[Any, Any]]] = {
    ".yml": _from_yaml,
    ".yaml": _from_yaml,
    ".json": _from_json,
    ".csv": _from_csv,
}


class DictionaryFile:
    """A dictionary that follows its file.

    Args:
        path: the file.
        most_characters: see `read_dictionary`.
        interval_s: seconds after which the file is looked at again; 0: never.
        replace: whether a changed file replaces the dictionary, or is merged into it.

    Raises:
        BadDictionary: the file cannot be read now. One that becomes unreadable later leaves the old dictionary.
    """

    def __init__(self, path: str, most_characters: int, interval_s: float, *, replace: bool) -> None:
        self._path = path
        self._most_characters = most_characters
        self._interval_s = interval_s
        self._replace = replace
        self._state = self._stat()
        self._looked = time.monotonic()
        self.version = 0
        self.words = read_dictionary(path, most_characters=most_characters)

    def refresh(self) -> None:
        """Reads the file again if the interval is over and the file has changed; then `version` grows."""
        if self._interval_s <= 0 or time.monotonic() - self._looked < self._interval_s:
            return
        self._looked = time.monotonic()
        state = self._stat()
        if state == self._state:
            return
        try:
            found = read_dictionary(self._path, most_characters=self._most_characters)
        except BadDictionary:
            return
        self.words = found if self._replace else self.words | found
        self._state = state
        self.version += 1

    def _stat(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size
