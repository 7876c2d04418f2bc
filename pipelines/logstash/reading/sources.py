"""`sources` finds the texts of a pipeline: files in their order, a text of the command line, or what `pipelines.yml` names.

A folder's files, or those that fit a pattern, are read in the order of their paths, each by itself. Everything that
can't be read is one line: no such file, no permission, no UTF-8, too long.
"""

import dataclasses
import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from penstock.io.errors import OptionError
from penstock.transforms._variables import UnknownVariable
from penstock.transforms.logstash.language._substitution import substitute

__all__ = ["Pipeline", "Source", "pipelines_of", "read_files", "settings_of"]

MOST_BYTES = 8 << 20
"""Of one file; the largest public one has 0.2 MB."""
MOST_FILES = 1000
_INPUT, _OUTPUT = re.compile(r"input\s*\{"), re.compile(r"output\s*\{")


@dataclasses.dataclass(frozen=True)
class Source:
    """One text, and what errors call it."""

    name: str
    text: str


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """One pipeline as it is configured: its name, where it stands, and settings of its own."""

    name: str
    path: str = ""
    text: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def sources(self) -> list[Source]:
        """Reads its texts. Raises `OptionError`."""
        if self.path:
            return read_files(self.path)
        text = self.text
        if not _INPUT.search(text):
            text += "\ninput { stdin { type => stdin } }"
        if not _OUTPUT.search(text):
            text += "\noutput { stdout { codec => rubydebug } }"
        return [Source("-e", text)]


def read_files(path: str) -> list[Source]:
    """Reads the files of a path: a file, a folder, or a pattern. Raises `OptionError`, which names what can't be read."""
    path = path.removeprefix("file://")
    if path.startswith(("http://", "https://")):
        message = f"-f {path}: a configuration isn't fetched from the network; save it first."
        raise OptionError(message)
    try:
        found = _found(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not found:
        message = f"-f {path}: there is no such file, and nothing that fits."
        raise OptionError(message)
    if len(found) > MOST_FILES:
        message = f"-f {path}: {len(found)} files fit, at most {MOST_FILES} are read."
        raise OptionError(message)
    return [Source(name, _text(name)) for name in found]


def _found(path: str) -> list[str]:
    if os.path.isdir(path):
        names = [os.path.join(path, name) for name in os.listdir(path)]
    elif os.path.exists(path):
        names = [path]
    else:
        names = [name for each in _alternatives(path) for name in glob.glob(each, recursive=True)]
    return sorted({name for name in names if not name.endswith("~") and not os.path.isdir(name)})


def _alternatives(pattern: str) -> list[str]:
    """`{a,b}` in a pattern as a pattern for each, as Ruby's globs have it."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    head, tail = pattern[: found.start()], pattern[found.end() :]
    return [each for part in found[1].split(",") for each in _alternatives(head + part + tail)]


def _text(name: str) -> str:
    try:
        with open(name, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(name, error) from None
    if len(data) > MOST_BYTES:
        message = f"{name}: longer than {MOST_BYTES >> 20} MiB; no configuration is."
        raise OptionError(message)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{name}:{line}: not UTF-8 (byte {data[error.start]:#04x} at {error.start}): is this a configuration?"
        raise OptionError(message) from None
    if text.startswith("\ufeff"):
        message = f"{name}:1:1: begins with a byte order mark; save it as UTF-8 without one."
        raise OptionError(message)
    return text


def _unreadable(name: str, error: OSError) -> OptionError:
    return OptionError(f"{name}: can't be read: {error.strerror or error}.")


def settings_of(folder: str) -> dict[str, Any]:
    """Gives the settings of a folder's `logstash.yml`, flat; none where there is no such file. Raises `OptionError`."""
    path = Path(folder)
    if not path.is_dir():
        message = f"--path.settings {folder}: there is no such folder."
        raise OptionError(message)
    found = _yaml(path / "logstash.yml")
    if found is None:
        return {}
    if not isinstance(found, dict):
        message = f"{path / 'logstash.yml'}: holds no settings (NAME: VALUE)."
        raise OptionError(message)
    return dict(_flat("", found))


def pipelines_of(folder: str) -> list[Pipeline]:
    """Gives the pipelines of a folder's `pipelines.yml`; none where there is no such file. Raises `OptionError`."""
    path = Path(folder) / "pipelines.yml"
    found = _yaml(path)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        message = f"{path}: is no list of pipelines (- pipeline.id: NAME)."
        raise OptionError(message)
    made: list[Pipeline] = []
    for number, each in enumerate(found, 1):
        settings = dict(_flat("", each))
        name = str(settings.get("pipeline.id", "main"))
        text, place = settings.get("config.string"), settings.get("path.config")
        if bool(text) == bool(place):
            message = f"{path}: pipeline {number} ({name}) needs path.config or config.string, and not both."
            raise OptionError(message)
        if any(other.name == name for other in made):
            message = f"{path}: two pipelines are called {name}; give each its pipeline.id."
            raise OptionError(message)
        made.append(Pipeline(name, str(place or ""), str(text or ""), settings))
    return made


def _yaml(path: Path) -> Any:
    if not os.path.lexists(path):
        return None
    try:
        found = yaml.safe_load(_text(str(path)))
        return substitute(found, os.environ)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        message = f"{path}{place}: no YAML: {getattr(error, 'problem', None) or 'it can not be read'}."
        raise OptionError(message) from None
    except (UnknownVariable, RecursionError) as error:
        message = f"{path}: {error}"
        raise OptionError(message) from None


def _flat(head: str, values: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        key = f"{head}{name}"
        found += _flat(f"{key}.", value) if isinstance(value, dict) else [(key, value)]
    return found
