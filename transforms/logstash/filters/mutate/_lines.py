"""The usual case of mutate's operations, as lines of the chain's function (`logstash/source.py`).

Each function here writes what its namesake in `_mutations.py` does for a plain field at the event's top, and calls the
operation itself (`step`) for whatever isn't the usual case. Where nothing can be written so, it calls it always.
"""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.transforms.logstash.event import LogEvent
from penstock.transforms.logstash.filters.mutate._convert import to_integer
from penstock.transforms.logstash.language._references import Reference, reference_or_bad
from penstock.transforms.logstash.language._sprintf import Template
from penstock.transforms.logstash.source import Source, plain_key, text_of

Step = Callable[[LogEvent], object]
Lines = Callable[[Source], None]

CASE_METHODS: Mapping[str, str] = {
    "uppercase": "upper()",
    "capitalize": "capitalize()",
    "lowercase": "lower()",
}


def always(step: Step) -> Lines:
    """The operation itself."""
    return lambda source: source.line(f"{source.bind(step)}(event)")


def rename(step: Step, old: Template, new: Reference | None) -> Lines:
    key = None if old.constant is None else plain_key(reference_or_bad(old.constant))
    if key is None or new is None:
        return always(step)

    def lines(source: Source) -> None:
        target = plain_key(new)
        source.line(
            f"value = document.pop({key}, MISSING)",
            "if value is not MISSING:",
            " event.changed = True",
            f" document[{target}] = value" if target else f" {source.bind(new.set)}(event, value)",
        )

    return lines


def replace(step: Step, field: Reference, value: Template, *, present: bool = False) -> Lines:
    """`replace`, and with `present` `update`."""
    key = plain_key(field)
    if key is None:
        return always(step)

    def lines(source: Source) -> None:
        put = (f"document[{key}] = {text_of(value, source)}", "event.changed = True")
        if present:
            source.line(f"if {key} in document:", *(f" {line}" for line in put))
        else:
            source.line(*put)

    return lines


def convert(step: Step, field: Reference, converter: Callable[[Any], Any]) -> Lines:
    key = plain_key(field)
    if key is None:
        return always(step)

    def lines(source: Source) -> None:
        source.line(f"value = document.get({key})")
        if converter is to_integer:
            source.line(
                "if type(value) is str and value.isdecimal() and value.isascii() and len(value) < 19:",
                f" document[{key}] = int(value)",
                " event.changed = True",
                "elif value is not None and type(value) is not int:",
                f" {source.bind(step)}(event)",
            )
        else:
            source.line("if value is not None:", f" {source.bind(step)}(event)")

    return lines


def change_text(step: Step, field: Reference, expression: Callable[[Source], str]) -> Lines:
    """Sets a text to an expression of `value`, if that differs."""
    key = plain_key(field)
    if key is None:
        return always(step)

    def lines(source: Source) -> None:
        source.line(
            f"value = document.get({key})",
            "if type(value) is str:",
            f" text = {expression(source)}",
            " if text != value:",
            f"  document[{key}] = text",
            "  event.changed = True",
            "elif value is not None:",
            f" {source.bind(step)}(event)",
        )

    return lines


def only_present(step: Step, field: Reference) -> Lines:
    """The operation itself, where the field is there and not null."""
    key = plain_key(field)
    if key is None:
        return always(step)
    return lambda source: source.line(f"if document.get({key}) is not None: {source.bind(step)}(event)")


def copy(step: Step, field: Reference, target: Reference) -> Lines:
    key, to = plain_key(field), plain_key(target)
    if key is None or to is None:
        return always(step)
    return lambda source: source.line(
        f"value = document.get({key})",
        "if value is not None:",
        f" document[{to}] = deep_copy(value) if type(value) is dict or type(value) is list else value",
        " event.changed = True",
    )
