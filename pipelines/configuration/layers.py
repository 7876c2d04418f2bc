"""`layers` gives the options that don't stand on the command line: those of the environment, then those of a file.

The order is: the command line, the environment (`PENSTOCK_NAME`), the file of `--config`, the default. An option that
is found is not looked for further, so lists are replaced, never joined. An empty variable counts as none.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.configuration.config_file import (
    FILE_SUFFIX,
    Entry,
    Options,
    find_in_file,
    options_in,
    text_in,
)
from penstock.pipelines.configuration.declared import Declared
from penstock.pipelines.configuration.values import read

__all__ = ["Layers", "config_of", "secret_in_file"]

_LONGEST_SECRET = 64 << 10
_KUBERNETES = ("tcp://", "udp://", "sctp://")
"""How Kubernetes writes Services into each pod's environment: PENSTOCK_BEATS_PORT=tcp://10.0.0.1:5044 is no port."""


def config_of(arguments: Sequence[str], env: Mapping[str, str] = os.environ) -> str:
    """Gives the file that a command line, or else the environment, names; empty where none does."""
    found = env.get("PENSTOCK_CONFIG", "")
    for number, each in enumerate(arguments):
        if each == "--config" and number + 1 < len(arguments):
            found = arguments[number + 1]
        elif each.startswith("--config="):
            found = each.partition("=")[2]
    return found


class Layers:
    """The environment and the file behind a job's command line.

    Args:
        job: the job, as a file names it.
        config: the file; empty for none.
        env: the environment.

    Raises:
        OptionError: the file is wrong, or has nothing for this job.
    """

    def __init__(self, job: str = "", config: str = "", env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._job = job
        self._file = find_in_file(config, job) if config else None
        self._declared: Options = {}
        self._found: dict[tuple[str, str], Entry] = {}
        self._beam: dict[str, Entry] = {}

    @property
    def file(self) -> str:
        """The file's path; empty where there is none."""
        return "" if self._file is None else self._file[0].path

    def look_up(self, declared: Options) -> None:
        """Looks up the file's options among those of a job. Raises `OptionError` for what is unknown there."""
        self._declared = declared
        if self._file is not None:
            self._found, self._beam = options_in(*self._file, self._job, declared, self._env)

    def early(self) -> list[str]:
        """Gives `--to` as an argument where the environment or the file has it: it decides which options there are."""
        text = self._env.get("PENSTOCK_TO") or (text_in(*self._file, "to", self._env) if self._file else None)
        return [f"--to={text}"] if text else []

    def value(self, option: Declared) -> tuple[Any, str] | None:
        """Gives an option's value in its type, and its place; None where nothing gives it. Raises `OptionError`."""
        entry = self._entry(option)
        return (
            None
            if entry is None
            else (read(entry.place, option.hint, option.field, entry.value), entry.place)
        )

    def _entry(self, option: Declared) -> Entry | None:
        variable = option.variable
        text = self._env.get(variable, "")
        if text and not (option.convert in (int, float) and text.startswith(_KUBERNETES)):
            return Entry(text, variable)
        file_variable = variable + FILE_SUFFIX.upper()
        if option.secret and (path := self._env.get(file_variable)):
            return Entry(secret_in_file(path, file_variable), file_variable)
        if option.secret and (named := self._in_file(option, FILE_SUFFIX)):
            return Entry(secret_in_file(named.value, named.place), named.place)
        return self._in_file(option)

    def _in_file(self, option: Declared, suffix: str = "") -> Entry | None:
        """Gives what the option's own group says, else that of another component that declares the same option."""
        others = (group for (group, _), other in self._declared.items() if other.is_one_with(option))
        found = (self._found.get((group, option.name + suffix)) for group in (option.group, *others))
        return next((each for each in found if each is not None), None)

    @property
    def beam(self) -> dict[str, list[str]]:
        """Beam's options of the file as arguments, by the places where they stand."""
        return {entry.place: _arguments(name, entry.value) for name, entry in self._beam.items()}


def _arguments(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [f"--{name}"]
    return [f"--{name}={each}" for each in (value if isinstance(value, list) else [value])]


def secret_in_file(path: str, place: str) -> str:
    """Gives the secret that a file holds, without the newline at its end. Raises `OptionError`, which names `place`."""
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(_LONGEST_SECRET + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        message = f"{place}: {path}: {error.strerror or error}."
        raise OptionError(message) from error
    except UnicodeDecodeError:
        message = f"{place}: {path} is no text in UTF-8."
        raise OptionError(message) from None
    if len(data) > _LONGEST_SECRET or not text:
        message = f"{place}: {path} is {'empty' if not text else f'longer than {_LONGEST_SECRET} bytes'}."
        raise OptionError(message)
    return text
