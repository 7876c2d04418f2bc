"""`declaration` holds what is declared of a plugin: its options, what becomes of each, and how ours are made of them.

The checks at the start, `--explain` and the tables of docs/logstash.md come from these declarations.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "IGNORED",
    "MAPPED",
    "REFUSED",
    "Made",
    "PluginDeclaration",
    "PluginOption",
    "ignored",
    "mapped",
    "old",
    "refused",
]

MAPPED, IGNORED, REFUSED = "mapped", "ignored", "refused"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PluginOption:
    """One option of a plugin.

    Attributes:
        name: as in Logstash.
        kind: as of a filter's options (`transforms/logstash/options`), or `bytes`, `uris`, `codec`.
        default: Logstash's default, where it holds here too.
        fate: what becomes of it: `mapped`, `ignored` (without harm) or `refused`.
        to: our option, without dashes; "" where the plugin's `make` decides.
        note: what differs here, why it does no harm, or why it is refused and what to do instead.
        required: whether it must be given.
        choices: what a `choice` takes.
        hidden: whether its value is never shown, as that of a password isn't.
        until: the last Logstash that takes it, where later ones don't; 0: all of them.
    """

    name: str
    kind: str = "string"
    default: Any = None
    fate: str = MAPPED
    to: str = ""
    note: str = ""
    required: bool = False
    choices: tuple[Any, ...] = ()
    hidden: bool = False
    until: int = 0

    @property
    def secret(self) -> bool:
        """Whether its value is never shown."""
        return self.hidden or self.kind == "password"


def mapped(name: str, kind: str = "string", *, to: str | None = None, **more: Any) -> PluginOption:
    """An option that has an effect here; by default our option has the same name."""
    return PluginOption(name=name, kind=kind, to=name if to is None else to, **more)


def ignored(note: str, *names: str, kind: str = "any") -> tuple[PluginOption, ...]:
    """Options without effect here, and without harm."""
    return tuple(PluginOption(name=name, kind=kind, fate=IGNORED, note=note) for name in names)


def refused(note: str, *names: str, kind: str = "any") -> tuple[PluginOption, ...]:
    """Options whose meaning can't be had here."""
    return tuple(PluginOption(name=name, kind=kind, fate=REFUSED, note=note) for name in names)


def old(note: str, *names: str, until: int = 6) -> tuple[PluginOption, ...]:
    """Options that only older versions know, and that need nothing here."""
    return tuple(PluginOption(name=name, kind="any", fate=IGNORED, note=note, until=until) for name in names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """What a plugin becomes: the fields of `plan.Input` or `plan.Output` that it decides.

    `for_reads` are options that it sets for the inputs beside it, by our flags.
    """

    options: Any
    aws: Any = None
    decode: Any = None
    after: tuple[Any, ...] = ()
    properties: bool = False
    fallback: Any = None
    for_reads: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PluginDeclaration:
    """One plugin.

    Attributes:
        section: `input` or `output`.
        name: as in Logstash.
        options: all options that it takes.
        make: makes ours of the plugin's `Values`. Problems are noted in the values; then what it returns isn't used.
        codecs: the codecs that it takes; the first is the default. Empty: it has none.
        plugin: our name for it, where several plugins are one thing here.
        about: a sentence for the docs.
    """

    section: str
    name: str
    options: tuple[PluginOption, ...]
    make: Callable[[Any], Made]
    codecs: tuple[str, ...] = ()
    plugin: str = ""
    about: str = ""

    @property
    def all_options(self) -> tuple[PluginOption, ...]:
        """Its own options, and those that every plugin of its section takes."""
        return (*self.options, *_COMMON[self.section])


_EVERY = (
    mapped("id", to="", note="names the plugin in errors, `--set` and dead letters"),
    *ignored("metrics are the job's own", "enable_metric"),
)
_COMMON = {
    "input": (
        mapped("type", to="", note="set unless the event has one"),
        mapped("tags", "array", to=""),
        mapped("add_field", "hash", to=""),
        mapped("codec", "codec", to=""),
        *_EVERY,
    ),
    "output": (
        mapped("codec", "codec", to=""),
        *ignored("the job decides how many write at once", "workers"),
        *_EVERY,
    ),
}
