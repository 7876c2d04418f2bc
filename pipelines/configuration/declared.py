"""`declared` lists the options of a job's dataclasses: name, group, type. All that tells of options is made of it.

The command line, configuration files and their schema, help, completion, and the page of all options read it, so no
fact about an option stands twice. A name that two components declare is one option, given to both; it is listed with
the first.
"""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from penstock.io.options import flag_of
from penstock.pipelines.configuration.values import boolean, converter, pairs

__all__ = [
    "ENVIRONMENT_PREFIX",
    "Declared",
    "declared_in",
    "group_of",
    "groups_of",
    "in_groups",
    "without_twins",
]

ENVIRONMENT_PREFIX = "PENSTOCK_"
_KINDS: dict[Callable[[str], Any], str] = {
    int: "N",
    float: "NUMBER",
    boolean: "true|false",
    pairs: "NAME=VALUE",
}


@dataclasses.dataclass(frozen=True)
class Declared:
    """One option of a job.

    Attributes:
        name: as a user types it, without the dashes.
        group: its group in help and in configuration files, such as `kinesis`.
        title: what the group is about, in a sentence without a period.
        field: the field that declares it.
        hint: the field's type.
    """

    name: str
    group: str
    title: str
    field: "dataclasses.Field[Any]"
    hint: Any

    @property
    def flag(self) -> str:
        """The name with its dashes."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """The environment's variable that gives it."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def help(self) -> str:
        """What it does."""
        return str(self.field.metadata["help"])

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed values; empty where any will do."""
        return tuple(self.field.metadata.get("choices") or ())

    @property
    def secret(self) -> bool:
        """Whether its value must not be seen."""
        return bool(self.field.metadata.get("secret"))

    @property
    def convert(self) -> Callable[[str], Any]:
        """The function that makes one value of a text."""
        return converter(self.hint)[0]

    @property
    def repeated(self) -> bool:
        """Whether it takes several values."""
        return converter(self.hint)[1]

    @property
    def metavar(self) -> str:
        """The word for its value in help."""
        return "|".join(self.choices) or _KINDS.get(self.convert, "TEXT")

    @property
    def required(self) -> bool:
        """Whether a job needs it."""
        return self.field.default is dataclasses.MISSING and self.field.default_factory is dataclasses.MISSING

    def is_one_with(self, other: "Declared") -> bool:
        """Whether two components declare one option: in a file it is said in one of their groups, and holds for both.

        Where defaults differ, the name has another meaning in each (connections of Beats, connections to Kinesis).
        """
        return self.name == other.name and self.default == other.default and self.hint == other.hint

    @property
    def default(self) -> Any:
        """Its default; None where it is required, or has none."""
        if self.field.default_factory is not dataclasses.MISSING:
            return self.field.default_factory()
        return None if self.required else self.field.default


def declared_in(classes: Sequence[type]) -> dict[str, Declared]:
    """Gives the options of these dataclasses by their names, each once."""
    found: dict[str, Declared] = {}
    for cls in classes:
        hints = typing.get_type_hints(cls)
        owners = _owners(cls)
        for field in dataclasses.fields(cls):
            name, owner = flag_of(field)[2:], owners[field.name]
            if name not in found:
                found[name] = Declared(name, group_of(owner), _title(owner), field, hints[field.name])
    return found


def in_groups(classes: Sequence[type]) -> dict[tuple[str, str], Declared]:
    """Gives the options of these dataclasses by group and name, as files have them."""
    found: dict[tuple[str, str], Declared] = {}
    for cls in classes:
        for each in declared_in([cls]).values():
            found.setdefault((each.group, each.name), each)
    return found


def without_twins(options: Iterable[Declared]) -> list[Declared]:
    """Gives the options without those that are one with an earlier one."""
    found: list[Declared] = []
    for each in options:
        if not any(each.is_one_with(other) for other in found):
            found.append(each)
    return found


def groups_of(options: Iterable[Declared]) -> dict[str, list[Declared]]:
    """Gives the options by their groups."""
    found: dict[str, list[Declared]] = {}
    for each in options:
        found.setdefault(each.group, []).append(each)
    return found


def _owners(cls: type) -> dict[str, type]:
    """Gives the class that declares each field first; the options of every job are declared in bases."""
    found: dict[str, type] = {}
    for each in reversed(cls.__mro__):
        for name in inspect.get_annotations(each):
            found.setdefault(name, each)
    return found


def group_of(cls: type) -> str:
    """`KinesisWriteOptions` are of the group `kinesis`, `BatchJobOptions` of `run` (`job` says which job it is)."""
    return re.sub(r"^(Batch)?Job|(Read|Write)?Options$", "", cls.__name__).lower() or "run"


def _title(cls: type) -> str:
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")
