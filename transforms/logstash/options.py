"""`options` declares the options of filters, and checks their values at the start, as Logstash does."""

import dataclasses
import datetime
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.transforms.logstash._errors import ConfigError, FieldError
from penstock.transforms.logstash.values._references import parse_reference
from penstock.transforms.logstash.values.event import Timestamp
from penstock.transforms.options import did_you_mean

__all__ = ["COMMON", "ECS", "Context", "Option", "Value", "check_options"]


class Value(NamedTuple):
    """The written value of an option, with its place in the text."""

    value: Any
    where: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a filter.

    Attributes:
        name: as in Logstash.
        kind: `string`, `number`, `boolean`, `array`, `hash`, `field_reference`, `path`, `password`, `strings` or
            `field_references` (a list of them); `choice` takes exactly one of `choices`.
        default: its value when it isn't given; an array or hash without one is empty.
        required: whether it must be given.
        choices: what a `choice` takes.
        doc: what it does, in a sentence.
    """

    name: str
    kind: str
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()
    doc: str = ""


COMMON = (
    Option("add_field", "hash", doc="fields to add after success; a field that is there becomes an array"),
    Option("remove_field", "array", doc="fields to remove after success"),
    Option("add_tag", "array", doc="tags to add after success"),
    Option("remove_tag", "array", doc="tags to remove after success"),
    Option("id", "string", doc="a name for this filter, in errors and metrics"),
    Option("enable_metric", "boolean", True, doc="accepted, without effect"),
    Option("periodic_flush", "boolean", False, doc="accepted, without effect"),
)
ECS = Option(
    "ecs_compatibility",
    "choice",
    choices=("disabled", "v1", "v8"),
    doc="whether fields are named by the Elastic Common Schema; by default as for the whole chain",
)
UNUSED_ECS = dataclasses.replace(ECS, doc="accepted, without effect")
_OBSOLETE = {
    "type": "wrap the filter in if [type] == ... instead",
    "tags": 'wrap the filter in if "tag" in [tags] instead',
    "exclude_tags": 'wrap the filter in if "tag" not in [tags] instead',
}
_RENAMED = {"trim": "trim_value", "trimkey": "trim_key", "pattern": "match", "lru_cache_size": "cache_size"}
"""Names of Logstash 1 to 4 -> what they became."""


@dataclasses.dataclass
class Context:
    """What holds for a whole chain of filters.

    Attributes:
        ecs: whether fields are named by the Elastic Common Schema (`pipeline.ecs_compatibility` v1 or v8).
        timezone: the name of the machine's zone.
        zone: the same as `tzinfo`.
        now: the clock.
        allow_code: whether `python { code }` may run.
        warnings: what the author should know although the chain starts.
    """

    ecs: bool
    timezone: str
    zone: datetime.tzinfo
    now: Callable[[], Timestamp]
    allow_code: bool = False
    warnings: list[str] = dataclasses.field(default_factory=list)

    def warn(self, text: str) -> None:
        """Notes what the author should know although the chain starts."""
        self.warnings.append(text)


class _Wrong(ValueError):
    """A value that its option does not take."""


def check_options(
    filter_name: str,
    declared: tuple[Option, ...],
    given: Mapping[str, Any],
    context: Context,
    where: tuple[int, int] | None,
) -> dict[str, Any]:
    """Gives the value of every option that is declared.

    Raises:
        ConfigError: an option is unknown, missing, or its value of another kind; with all others that are wrong.
    """
    known = {option.name: option for option in declared}
    wrong: list[ConfigError] = []
    for name, value in given.items():
        if name not in known:
            place = value.where if isinstance(value, Value) else (None, None)
            wrong.append(ConfigError(f"{filter_name}: {_unknown(name, known)}", *place))
    values = {}
    for option in declared:
        if option.name in given:
            written = given[option.name]
            plain, place = written if isinstance(written, Value) else (written, where or (None, None))
            try:
                values[option.name] = _KINDS[option.kind](plain, option)
            except _Wrong as error:
                wrong.append(ConfigError(f"{filter_name}: {option.name} {error}", *place))
        elif option.required:
            message = f"{filter_name}: the option {option.name} is missing ({option.doc})"
            wrong.append(ConfigError(message, *(where or (None, None))))
        elif option.default is None and option.kind in _EMPTY:
            values[option.name] = _EMPTY[option.kind]()
        else:
            values[option.name] = option.default
    if wrong:
        raise ConfigError.of(wrong)
    return values


def _unknown(name: str, known: Mapping[str, Option]) -> str:
    if name in _OBSOLETE:
        return f"the option {name} is no longer available; {_OBSOLETE[name]}"
    if _RENAMED.get(name) in known:
        return f"the option {name} is called {_RENAMED[name]} now"
    return f"no option is called {name}{did_you_mean(name, known)}"


_EMPTY: dict[str, Callable[[], Any]] = {
    "array": list,
    "hash": dict,
    "strings": list,
    "field_references": list,
}


def _listed(value: Any) -> list[Any]:
    """Any value as the array that Ruby's `[*value]` makes."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, dict):
        return [[key, inner] for key, inner in value.items()]
    return [] if value is None else [value]


def _one(value: Any, kind: str) -> Any:
    values = _listed(value)
    if len(values) > 1 or isinstance(value, dict) or (values and isinstance(values[0], (list, dict))):
        message = f"takes one {kind}, not {_shown(value)}"
        raise _Wrong(message)
    return values[0] if values else None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a hash"
    return f"an array of {len(value)}" if isinstance(value, list) else repr(value)[:80]


def _string(value: Any, option: Option) -> Any:
    return _one(value, "text")


def _number(value: Any, option: Option) -> Any:
    found = _one(value, "number")
    if found is None or (isinstance(found, (int, float)) and not isinstance(found, bool)):
        return found
    text = str(found)
    if re.fullmatch(r"0|-?[1-9][0-9]*", text):
        return int(text)
    if re.fullmatch(r"-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0)", text):
        return float(text)
    message = f"takes a number, not {found!r}"
    raise _Wrong(message)


def _boolean(value: Any, option: Option) -> bool:
    found = _one(value, "boolean")
    if isinstance(found, bool):
        return found
    if isinstance(found, str) and re.search(r"^(true|false)$", found, re.MULTILINE):
        return found == "true"
    message = f"takes true or false, not {found!r}"
    raise _Wrong(message)


def _array(value: Any, option: Option) -> list[Any]:
    return [value] if isinstance(value, dict) else _listed(value)


def _hash(value: Any, option: Option) -> dict[str, Any]:
    if isinstance(value, dict):
        return dict(value)
    values = _listed(value)
    if len(values) % 2:
        message = f"takes a hash, or an array of names and values in turn; {len(values)} items are odd"
        raise _Wrong(message)
    made: dict[str, Any] = {}
    for key, each in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str):
            message = f"takes texts as names, not {key!r}"
            raise _Wrong(message)
        held = made.get(key)
        if held is None:
            made[key] = list(each) if isinstance(each, list) else each
        elif isinstance(held, list):
            held.append(each)
        else:
            made[key] = [held, each]
    return made


def _field_reference(value: Any, option: Option) -> Any:
    found = _one(value, "field")
    if found is None or found == "":
        return None
    try:
        parse_reference(str(found))
    except FieldError as error:
        message = f"takes a field: {error}"
        raise _Wrong(message) from None
    return str(found)


def _path(value: Any, option: Option) -> Any:
    found = _one(value, "path")
    if not isinstance(found, str) or not os.path.exists(found):
        message = f"names a file that isn't there: {_shown(found)}"
        raise _Wrong(message)
    if not os.path.isfile(found):  # a pipe would keep the start waiting
        message = f"names what is no regular file: {_shown(found)}"
        raise _Wrong(message)
    return found


def _choice(value: Any, option: Option) -> Any:
    values = _listed(value)
    if len(values) != 1 or values[0] not in option.choices:
        message = f"takes one of {', '.join(map(str, option.choices))}, not {_shown(value)}"
        raise _Wrong(message)
    return values[0]


def _list_of(check: Callable[[Any, Option], Any]) -> Callable[[Any, Option], list[Any]]:
    return lambda value, option: [check(each, option) for each in _listed(value)]


_KINDS: dict[str, Callable[[Any, Option], Any]] = {
    "string": _string,
    "number": _number,
    "boolean": _boolean,
    "array": _array,
    "hash": _hash,
    "field_reference": _field_reference,
    "path": _path,
    "password": _string,
    "choice": _choice,
    "strings": _list_of(_string),
    "field_references": _list_of(_field_reference),
}
