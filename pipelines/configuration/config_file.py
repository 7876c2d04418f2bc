"""`config_file` reads a configuration file and gives one job's options, each with the line where it stands.

A file has the options of one job, in its groups; or `jobs`, with a name for each, and then the groups beside `jobs`
are for every job that has such options. `beam` holds Beam's own options. Names that begin with `x-` are for anchors.
What is unknown is an error.
"""

import dataclasses
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.configuration import _document as document
from penstock.pipelines.configuration.declared import Declared, declared_in, groups_of
from penstock.pipelines.jobs.names import JOBS, module_of
from penstock.transforms._variables import UnknownVariable, expanded, is_variable
from penstock.transforms.options import did_you_mean

__all__ = [
    "BEAM",
    "FILE_SUFFIX",
    "ConfigFile",
    "Entry",
    "FileJob",
    "find_in_file",
    "options_in",
    "read_config",
    "text_in",
]

BEAM = "beam"
FILE_SUFFIX = "_file"
"""What a secret's name has at its end where a path stands in its place."""
_LONGEST = 1 << 20
_RESERVED = ("jobs", "job", BEAM)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A value that doesn't come from the command line, and where it stands."""

    value: Any
    place: str


@dataclasses.dataclass(frozen=True)
class FileJob:
    """One job of a file.

    Attributes:
        name: its name in the file; empty where the file is about one job.
        job: the job that it runs; empty where the file says nothing of it.
        own: the groups that are its own: name, line, node.
        shared: the groups that stand beside `jobs`.
    """

    name: str
    job: str
    own: tuple[tuple[str, int, Any], ...]
    shared: tuple[tuple[str, int, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """A file, read but not yet looked up for a job's options."""

    path: str
    jobs: tuple[FileJob, ...]

    def job_of(self, job: str, name: str | None) -> FileJob:
        """Gives the part of the file for `job`; `name` says which of several. Raises `OptionError`."""
        if name is not None:
            named = [each for each in self.jobs if each.name == name]
            if not named:
                known = [each.name for each in self.jobs]
                message = (
                    f"{self.path} has no job called {name!r}{did_you_mean(name, known) or _listed(known)}"
                )
                raise OptionError(message)
            (chosen,) = named
            if chosen.job != job:
                message = f"{self.path}#{name} is for {chosen.job}, not for {job}."
                raise OptionError(message)
            return chosen
        fitting = [each for each in self.jobs if each.job in ("", job)]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting:
            message = f"{self.path} holds no {job}; it is for {', '.join(each.job for each in self.jobs) or 'no job'}."
        else:
            forms = " or ".join(f"{self.path}#{each.name}" for each in fitting)
            message = f"{self.path} holds {len(fitting)} jobs that are {job}; write --config {forms}."
        raise OptionError(message)


def _listed(names: list[str]) -> str:
    return f"; there are {', '.join(filter(None, names))}." if any(names) else ": it has no `jobs`."


def find_in_file(config: str, job: str) -> tuple[ConfigFile, FileJob]:
    """Gives the file that `--config` names, and the job's part of it. Raises `OptionError`."""
    path, name = config, None
    if not os.path.exists(config) and "#" in config:
        path, _, name = config.rpartition("#")
    file = read_config(path)
    return file, file.job_of(job, name)


def read_config(path: str) -> ConfigFile:
    """Reads a file. Raises `OptionError` with file, line and key."""
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(_LONGEST + 1)
        text = data.decode()
    except OSError as error:
        message = f"--config {path}: {error.strerror or error}."
        raise OptionError(message) from error
    except UnicodeDecodeError as error:
        message = f"--config {path}: the file must be UTF-8; byte {error.start} is not."
        raise OptionError(message) from error
    if len(data) > _LONGEST:
        message = f"--config {path}: the file is longer than {_LONGEST} bytes; this is no configuration."
        raise OptionError(message)
    top = [
        each
        for each in document.entries(document.compose(text, path), path, "the file")
        if not _is_anchor(each[0])
    ]
    named = {key: (line, node) for key, line, node in top}
    groups = tuple(each for each in top if each[0] not in ("job", "jobs"))
    if "jobs" not in named:
        job = _job_name(path, *named["job"]) if "job" in named else ""
        return ConfigFile(path, (FileJob("", job, groups),))
    if "job" in named:
        message = f"{path}:{named['job'][0]}: `job` is for a file of one job; this one has `jobs`."
        raise OptionError(message)
    found = tuple(
        _job(path, name, line, node, groups)
        for name, line, node in document.entries(named["jobs"][1], path, "jobs")
    )
    if not found:
        message = f"{path}:{named['jobs'][0]}: `jobs` is empty."
        raise OptionError(message)
    return ConfigFile(path, found)


def _is_anchor(key: str) -> bool:
    return key.startswith(("x-", "x_"))


def _job(path: str, name: str, line: int, node: Any, shared: tuple[tuple[str, int, Any], ...]) -> FileJob:
    own, job = [], ""
    for key, at, value in document.entries(node, path, f"jobs.{name}"):
        if key == "job":
            job = _job_name(path, at, value)
        elif not _is_anchor(key):
            own.append((key, at, value))
    if not job:
        if name not in JOBS:
            message = (
                f"{path}:{line}: jobs.{name}: no job is called {name!r}{did_you_mean(name, JOBS)}; "
                f"where the name is yours, say which job it is: `job: kinesis-to-elasticsearch`."
            )
            raise OptionError(message)
        job = name
    return FileJob(name, job, tuple(own), shared)


def _job_name(path: str, line: int, node: Any) -> str:
    text = str(document.value_of(node, f"{path}:{line}: job"))
    if text not in JOBS:
        message = f"{path}:{line}: no job is called {text!r}{did_you_mean(text, JOBS)}; there are {', '.join(JOBS)}."
        raise OptionError(message)
    return text


@dataclasses.dataclass
class _Reading:
    """What a job's part of a file gives, while it is read."""

    path: str
    declared: Mapping[str, Declared]
    env: Mapping[str, str]
    found: dict[str, Entry] = dataclasses.field(default_factory=dict)
    beam: dict[str, Entry] = dataclasses.field(default_factory=dict)


def options_in(
    file: ConfigFile, part: FileJob, declared: Mapping[str, Declared], env: Mapping[str, str]
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Gives a job's options in a file, and Beam's own.

    Raises:
        OptionError: something is unknown, there twice, or a secret, with file, line and key.
    """
    shared, own = (_Reading(file.path, declared, env) for _ in range(2))
    for group, line, node in part.shared:
        _read_group(shared, group, line, node, shared=True)
    for group, line, node in part.own:
        _read_group(own, group, line, node, shared=False)
    return {**shared.found, **own.found}, {**shared.beam, **own.beam}


def text_in(file: ConfigFile, part: FileJob, name: str, env: Mapping[str, str]) -> str | None:
    """Gives an option's text before it is known which options there are; None where the file doesn't give it."""
    for group, _, node in (*part.own, *part.shared):
        for key, line, value in document.entries(node, file.path, group) if document.is_mapping(node) else ():
            if _underscored(key) == name and not document.is_empty(value):
                place = f"{file.path}:{line}: {group}.{key}"
                return str(_expanded(document.value_of(value, place), place, env))
    return None


def _read_group(to: _Reading, group: str, line: int, node: Any, *, shared: bool) -> None:
    name = _underscored(group)
    if name == BEAM:
        for key, at, value in document.entries(node, to.path, group):
            to.beam[_underscored(key)] = _beam_entry(to, key, at, value)
        return
    groups = groups_of(to.declared.values())
    if name not in groups:
        if shared and name in _all_groups():
            return
        place = f"{to.path}:{line}: {group}"
        if name in to.declared:
            message = f"{place}: this option stands in the group {to.declared[name].group}."
        else:
            known = [*groups, *(_all_groups() if shared else ()), *_RESERVED]
            hint = did_you_mean(name, known) or f"; there are {', '.join([*groups, BEAM])}."
            message = f"{place}: no such group{hint}"
        raise OptionError(message)
    for key, at, value in document.entries(node, to.path, group):
        _read_option(to, group, key, at, value, shared=shared)


def _read_option(to: _Reading, group: str, key: str, line: int, node: Any, *, shared: bool) -> None:
    name, place = _underscored(key), f"{to.path}:{line}: {group}.{key}"
    base = name.removesuffix(FILE_SUFFIX)
    of_secret = name not in to.declared and base in to.declared and to.declared[base].secret
    option = to.declared.get(base if of_secret else name)
    if option is None:
        if shared and name in _all_names():
            return
        known = [each for each in to.declared if each != "config"]
        message = f"{place}: no such option{did_you_mean(name, known) or '.'}"
        raise OptionError(message)
    if name == "config":
        message = f"{place}: a file can't name another one."
        raise OptionError(message)
    if document.is_empty(node):
        return
    value = document.value_of(node, place)
    if option.secret and not of_secret and not (isinstance(value, str) and is_variable(value)):
        message = (
            f"{place}: a secret doesn't stand in the file: write {key}{FILE_SUFFIX}: PATH for a file that holds it, set "
            f"{option.variable} in the environment, or write {key}: ${{NAME}} for another variable."
        )
        raise OptionError(message)
    for other in (option.name, option.name + FILE_SUFFIX) if option.secret else (option.name,):
        if other in to.found:
            message = f"{place}: given already ({to.found[other].place})."
            raise OptionError(message)
    to.found[name] = Entry(_expanded(value, place, to.env), place)


def _beam_entry(to: _Reading, key: str, line: int, node: Any) -> Entry:
    place = f"{to.path}:{line}: {BEAM}.{key}"
    if _underscored(key) in to.declared:
        message = f"{place}: this option is not Beam's; it stands in the group {to.declared[_underscored(key)].group}."
        raise OptionError(message)
    value = _expanded(document.value_of(node, place), place, to.env)
    if isinstance(value, dict):
        message = f"{place}: it takes one value, or a list."
        raise OptionError(message)
    if document.is_true_or_false(node):
        value = value.lower() in ("true", "yes", "on")
    return Entry(None if document.is_empty(node) else value, place)


def _expanded(value: Any, place: str, env: Mapping[str, str]) -> Any:
    try:
        if isinstance(value, list):
            return [expanded(each, env) for each in value]
        if isinstance(value, dict):
            return {name: expanded(each, env) for name, each in value.items()}
        return expanded(value, env)
    except UnknownVariable as error:
        message = f"{place}: {error}"
        raise OptionError(message) from error


def _underscored(name: str) -> str:
    return name.replace("-", "_")


def _every_option() -> Iterator[Declared]:
    """Gives the options of all jobs, for what stands beside `jobs`."""
    for job in JOBS:
        yield from declared_in(importlib.import_module(module_of(job)).JOB.option_classes([])).values()


def _all_names() -> set[str]:
    return {each.name for each in _every_option()} | {
        each.name + FILE_SUFFIX for each in _every_option() if each.secret
    }


def _all_groups() -> set[str]:
    return {each.group for each in _every_option()}
