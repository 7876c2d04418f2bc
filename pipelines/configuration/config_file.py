"""`config_file` reads a configuration file and gives one job's options, each with the line where it stands.

A file has the options of one job, in its groups; or `jobs`, with a name for each, and then the groups beside `jobs`
are for every job that has such options. `beam` holds Beam's own options. Names that begin with `x-` are for anchors.
What is unknown is an error.
"""

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.configuration import _document as document
from penstock.pipelines.configuration.declared import Declared, in_groups
from penstock.pipelines.job_names import JOBS, declared_job, hint_about
from penstock.transforms._variables import UnknownVariable, expanded, is_variable
from penstock.transforms.options import did_you_mean

__all__ = [
    "BEAM", "FILE_SUFFIX", "ConfigFile", "Entry", "FileJob", "Options", "find_in_file", "jobs_in", "options_in", "text_in",
]  # fmt: skip

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

    def arguments(self, part: FileJob) -> list[str]:
        """Gives the arguments that make a job read its part."""
        return [f"--config={self.path}#{part.name}" if part.name else f"--config={self.path}"]

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


def jobs_in(path: str) -> ConfigFile:
    """Reads a file that must say which jobs it is for. Raises `OptionError`."""
    file = read_config(path, path)
    if any(not each.job for each in file.jobs):
        message = f"{path}: which job is it? Write `job: kinesis-to-elasticsearch` at its top, or `jobs`."
        raise OptionError(message)
    return file


def read_config(path: str, given: str = "") -> ConfigFile:
    """Reads a file. Raises `OptionError` with file, line and key; `given` is how it was given, else by `--config`."""
    given = given or f"--config {path}"
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(_LONGEST + 1)
        text = data.decode()
    except OSError as error:
        message = f"{given}: {error.strerror or error}."
        raise OptionError(message) from error
    except UnicodeDecodeError as error:
        message = f"{given}: the file must be UTF-8; byte {error.start} is not."
        raise OptionError(message) from error
    if len(data) > _LONGEST:
        message = f"{given}: the file is longer than {_LONGEST} bytes; this is no configuration."
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


Options = Mapping[tuple[str, str], Declared]
"""Options by group and name."""


@dataclasses.dataclass
class _Reading:
    """What a job's part of a file gives, while it is read."""

    path: str
    job: str
    declared: Options
    env: Mapping[str, str]
    found: dict[tuple[str, str], Entry] = dataclasses.field(default_factory=dict)
    beam: dict[str, Entry] = dataclasses.field(default_factory=dict)

    def places_of(self, name: str) -> list[str]:
        """Gives the groups that have an option of this name."""
        return [group for group, each in self.declared if each == name]


def options_in(
    file: ConfigFile, part: FileJob, job: str, declared: Options, env: Mapping[str, str]
) -> tuple[dict[tuple[str, str], Entry], dict[str, Entry]]:
    """Gives a job's options in a file by group and name (of a secret also NAME_file), and Beam's own by name.

    Raises:
        OptionError: something is unknown, there twice, or a secret, with file, line and key.
    """
    shared, own = (_Reading(file.path, job, declared, env) for _ in range(2))
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


def _read_group(to: _Reading, key: str, line: int, node: Any, *, shared: bool) -> None:
    group = _underscored(key)
    if group == BEAM:
        for name, at, value in document.entries(node, to.path, key):
            to.beam[_underscored(name)] = _beam_entry(to, name, at, value)
        return
    groups = list(dict.fromkeys(group for group, _ in to.declared))
    if group not in groups:
        if shared and any(group == other for other, _ in _every_option()):
            return
        place = f"{to.path}:{line}: {key}"
        if there := to.places_of(group):
            message = f"{place}: this option stands in the group {' or '.join(there)}."
        else:
            known = [*groups, *(other for other, _ in _every_option() if shared), *_RESERVED]
            hint = did_you_mean(group, known) or f"; there are {', '.join([*groups, BEAM])}."
            message = f"{place}: no such group{hint}"
        raise OptionError(message)
    for name, at, value in document.entries(node, to.path, key):
        _read_option(to, group, name, at, value, shared=shared)


def _read_option(to: _Reading, group: str, key: str, line: int, node: Any, *, shared: bool) -> None:
    name, place = _underscored(key), f"{to.path}:{line}: {group}.{key}"
    option, is_path = _found(to.declared, group, name)
    if option is None:
        if shared and _found(_every_option(), group, name)[0] is not None:
            return
        if there := to.places_of(name):
            message = f"{place}: this option stands in the group {' or '.join(there)}."
        else:
            known = [other for _, other in to.declared if other != "config"]
            hint = hint_about(to.job, name) or did_you_mean(name, known) or "."
            message = f"{place}: no such option{hint}"
        raise OptionError(message)
    if name == "config":
        message = f"{place}: a file can't name another one."
        raise OptionError(message)
    if document.is_empty(node):
        return
    value = document.value_of(node, place)
    if option.secret and not is_path and not (isinstance(value, str) and is_variable(value)):
        message = (
            f"{place}: a secret doesn't stand in the file: write {key}{FILE_SUFFIX}: PATH for a file that holds it, set "
            f"{option.variable} in the environment, or write {key}: ${{NAME}} for another variable."
        )
        raise OptionError(message)
    for (other_group, other_name), entry in to.found.items():
        other = _found(to.declared, other_group, other_name)[0]
        if other is not None and other.is_one_with(option):
            message = f"{place}: given already ({entry.place})."
            raise OptionError(message)
    if (meant := _expanded(value, place, to.env)) != "":
        to.found[group, name] = Entry(meant, place)


def _found(declared: Options, group: str, name: str) -> tuple[Declared | None, bool]:
    """Gives the option of that name, and whether the name is the one for the path of a secret's file."""
    if option := declared.get((group, name)):
        return option, False
    option = declared.get((group, name.removesuffix(FILE_SUFFIX)))
    return (option, True) if option is not None and option.secret else (None, False)


def _beam_entry(to: _Reading, key: str, line: int, node: Any) -> Entry:
    place = f"{to.path}:{line}: {BEAM}.{key}"
    if there := to.places_of(_underscored(key)):
        message = f"{place}: this option is not Beam's; it stands in the group {' or '.join(there)}."
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


@functools.cache
def _every_option() -> Options:
    """Gives the options of all jobs, for what stands beside `jobs`."""
    classes = [declared_job(job).option_classes([]) for job in JOBS]
    return in_groups([cls for each in classes for cls in each])
