"""`values` checks what a configuration gives a plugin, and makes the options of our connectors of it.

Every problem is noted with the place of its option, and the next is looked for: a plugin is checked to its end.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from penstock.io.errors import OptionError
from penstock.io.options import flag_of
from penstock.pipelines.configuration.making import options_from
from penstock.pipelines.logstash.plan import Place
from penstock.pipelines.logstash.plugins.declaration import (
    IGNORED,
    REFUSED,
    PluginDeclaration,
    PluginOption,
)
from penstock.pipelines.logstash.report import Report
from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.options import Context, Option, check_options
from penstock.transforms.options import did_you_mean

__all__ = ["CodecUse", "Setting", "Situation", "Values", "Written", "check"]

T = TypeVar("T")
_BYTES = re.compile(r"([0-9]+)\s*([kmgtp]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_FLAG = re.compile(r"--(\w+)")


@dataclasses.dataclass(frozen=True)
class Written:
    """The value of an option as it is used, as it is shown, and where it stands."""

    value: Any
    shown: Any
    place: Place


@dataclasses.dataclass(frozen=True)
class Setting:
    """One option that took effect, for `--explain` and the other forms of a pipeline.

    Attributes:
        name: Logstash's name of the option, or ours where `source` is `ours`.
        value: as shown: variables by their names, secrets hidden.
        source: `FILE:LINE`, `default` (Logstash's), `--set` or `ours` (on purpose other than there).
        to: our option, without dashes; "" where there is none of that name.
    """

    name: str
    value: Any
    source: str
    to: str = ""


@dataclasses.dataclass(frozen=True)
class Situation:
    """What holds for the whole configuration.

    Attributes:
        compat: the Logstash whose defaults hold, 6 to 9.
        ecs: whether fields are named by the Elastic Common Schema.
        logstash_fields: whether the fields that Logstash adds by itself are added.
        names: says whether the configuration's text names something.
    """

    compat: int
    ecs: bool
    logstash_fields: bool
    text: str

    def names(self, *words: str) -> bool:
        """Whether the configuration names one of these fields, or all of Logstash's own are asked for."""
        return self.logstash_fields or any(word in self.text for word in words)


@dataclasses.dataclass(frozen=True)
class CodecUse:
    """A codec with its options, checked."""

    name: str
    options: Mapping[str, Any]
    place: Place


class Values:
    """The values of one plugin.

    Args:
        declared: the plugin.
        written: its options as the configuration gives them.
        place: where it stands.
        report: takes problems and notes.
        situation: what holds for the whole configuration.
        extra: values of options that only ours have (`--set`), by our flags without dashes.
    """

    def __init__(
        self,
        declared: PluginDeclaration,
        written: Mapping[str, Written],
        place: Place,
        report: Report,
        situation: Situation,
        extra: Mapping[str, Written] | None = None,
    ) -> None:
        self.declared = declared
        self.written = written
        self.place = place
        self.report = report
        self.situation = situation
        self.settings: list[Setting] = []
        self.codec: CodecUse | None = None
        self._extra = dict(extra or {})
        self._unused = dict(self._extra)
        before = len(report.problems)
        self._values = check(declared.name, declared.all_options, written, place, report, situation.compat)
        self._whole = len(report.problems) == before and all(
            given.value is not None for given in written.values()
        )
        for option in declared.all_options:
            if option.name in written and option.fate == "mapped" and option.kind != "codec":
                given = written[option.name]
                shown = "***" if option.secret and "${" not in str(given.shown) else given.shown
                self.settings.append(Setting(option.name, shown, _source(given.place), option.to))
            elif option.name not in written and option.default is not None and option.fate == "mapped":
                self.settings.append(Setting(option.name, option.default, "default", option.to))

    def __getitem__(self, name: str) -> Any:
        """Gives the value of an option, its default where it isn't given; None without either."""
        return self._values.get(name)

    def given(self, name: str) -> bool:
        """Whether the configuration gives the option."""
        return name in self.written

    def set(self, name: str, value: Any) -> None:
        """Replaces a value by what it means here; the option stays as given in what is shown."""
        self._values[name] = value

    def ours(self, name: str, value: Any, to: str = "") -> None:
        """Notes a value of ours that differs from Logstash's on purpose, for `--explain`."""
        self.settings.append(Setting(name, value, "ours", to or name))

    def derived(self, name: str, value: Any, why: str, to: str = "") -> None:
        """Notes a value that follows from others."""
        self.settings.append(Setting(name, value, why, to or name))

    def problem(self, name: str, message: str) -> None:
        """Notes a problem at an option's place, or at the plugin's where the option isn't given."""
        given = self.written.get(name)
        text = f"{self.declared.name}: {message}"
        self.report.problem(given.place if given else self.place, text)

    def note(self, message: str, name: str = "") -> None:
        """Notes a line for the start."""
        given = self.written.get(name)
        place = given.place if given else self.place
        self.report.note(f"{place.file}:{place.line}: {self.declared.name}: {message}")

    def component(self, cls: type[T], **more: Any) -> T | None:
        """Makes the options of one of our connectors from those that map to it.

        Args:
            cls: its dataclass.
            more: values by our flags, without dashes; they win.

        Returns:
            The options, or None where a value is refused; that is noted.
        """
        flags = {flag_of(field)[2:] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given = {
            option.to: self._values[option.name]
            for option in self.declared.all_options
            if option.to in flags and self._values.get(option.name) is not None
        }
        for name in flags & self._extra.keys():
            extra = self._extra[name]
            self._unused.pop(name, None)
            more[name] = extra.value
            self.settings.append(Setting(name, extra.shown, "--set", name))
        try:
            return options_from(cls, {**given, **more})
        except OptionError as error:
            if self._whole:  # otherwise it may be about what is missing only because it was refused
                self._option_error(str(error))
            return None

    def require_extra_used(self) -> None:
        """Notes as a problem what `--set` gives and nobody knows."""
        known = [option.name for option in self.declared.all_options]
        for name, extra in self._unused.items():
            hint = did_you_mean(name, known)
            self.report.problem(extra.place, f"{self.declared.name}: no option is called {name}{hint}")

    def _option_error(self, message: str) -> None:
        """Notes an error of ours at the place of the first option that it names, by Logstash's names."""
        names = {option.to: option.name for option in reversed(self.declared.all_options) if option.to}
        found = [names[flag] for flag in _FLAG.findall(message) if flag in names]
        given = [name for name in found if name in self.written]
        text = _FLAG.sub(lambda flag: names.get(flag[1], flag[1]), message)
        first = (given or found or [""])[0]
        self.problem(first, text)


def _source(place: Place) -> str:
    return f"{place.file}:{place.line}" if place.line else "--set"


def check(
    plugin: str,
    options: tuple[PluginOption, ...],
    written: Mapping[str, Written],
    place: Place,
    report: Report,
    compat: int,
) -> dict[str, Any]:
    """Gives the values of all options, with defaults. Notes every problem, and what is ignored."""
    known = {option.name: option for option in options}
    for name, given in written.items():
        if name not in known:
            report.problem(given.place, f"{plugin}: no option is called {name}{did_you_mean(name, known)}")
    values: dict[str, Any] = {}
    for option in options:
        found = written.get(option.name)
        if found is None:
            if option.required:
                report.problem(place, f"{plugin}: the option {option.name} is missing")
            values[option.name] = option.default
            continue
        if option.fate == REFUSED:
            report.problem(found.place, f"{plugin}: {option.name} is not supported: {option.note}")
        elif option.until and compat > option.until:
            report.old(found.place, plugin, option.name, option.note, option.until)
        elif option.fate == IGNORED:
            report.ignored(found.place, plugin, option.name, option.note)
        if option.fate != REFUSED and option.kind not in ("codec", "any"):
            values[option.name] = _checked(plugin, option, found, report)
    return values


def _checked(plugin: str, option: PluginOption, given: Written, report: Report) -> Any:
    """Gives the value in its kind; notes it as a problem where it isn't of that kind."""
    try:
        if option.kind == "bytes":
            return _bytes(given.value)
        kind = {"uris": "strings"}.get(option.kind, option.kind)
        declared = Option(option.name, kind, choices=option.choices)
        value = check_options(plugin, (declared,), {option.name: given.value}, _NO_CONTEXT, None)[option.name]
        if option.kind == "uris":
            return [part for each in value for part in str(each).split()]
        return str(value) if option.kind in ("string", "password") and value is not None else value
    except ConfigError as error:
        report.problem(given.place, error.message)
    except ValueError as error:
        report.problem(given.place, f"{plugin}: {option.name}: {error}")
    return None


_NO_CONTEXT: Context = None  # type: ignore[assignment]  # these kinds need none


def _bytes(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _BYTES.fullmatch(str(value).strip())
    if found is None:
        message = f"takes bytes, such as 1048576 or 10mb, not {value!r}"
        raise ValueError(message)
    power = _POWERS[found[2].lower()]
    return int(found[1]) * int((1024 if found[3] else 1000) ** power)
