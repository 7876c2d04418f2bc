"""`_mutations` makes the operations of mutate, except `convert` and `gsub`, as functions of an event.

In a chain's function the usual case of each is written as lines (`_lines.py`), which call these functions for the others.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock.transforms.logstash.values._references import Reference, reference_of, reference_or_bad
from penstock.transforms.logstash.values._ruby import capitalize, downcase, ruby_text
from penstock.transforms.logstash.values._sprintf import Template
from penstock.transforms.logstash.values.event import MISSING, LogEvent, deep_copy

Step = Callable[[LogEvent], object]

SPACE = "\0\t\n\v\f\r "
_ANY_SPACE = re.compile(r"[\t\n\v\f\r ]+")


def coerce(field: Reference, value: Template) -> Step:
    """Gives a field that is null a text."""

    def step(event: LogEvent) -> None:
        if field.get(event) is None:
            field.set(event, value.render(event))

    return step


def rename(old: Template, new: Template) -> Step:
    """Moves a field. A field of the new name is replaced."""
    if old.constant is None or new.constant is None:

        def rename_named(event: LogEvent) -> None:
            source, target = reference_of(old.render(event)), reference_or_bad(new.render(event))
            value = source.remove(event)
            if value is not MISSING:
                target.set(event, value)

        return rename_named
    source, target = reference_or_bad(old.constant), reference_or_bad(new.constant)
    remove, put = source.remove, target.set

    def step(event: LogEvent) -> None:
        value = remove(event)
        if value is not MISSING:
            put(event, value)

    return step


def update(field: Reference, value: Template) -> Step:
    """Gives an existing field a text. A null counts as existing."""

    def step(event: LogEvent) -> None:
        if field.get(event) is not MISSING:
            field.set(event, value.render(event))

    return step


def replace(field: Reference, value: Template) -> Step:
    """Gives a field a text."""
    render, put = value.render, field.set
    return lambda event: put(event, render(event))


CASES: Mapping[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "capitalize": capitalize,
    "lowercase": downcase,
}


def change_case(field: Reference, change: Callable[[str], str]) -> Step:
    """Changes the letters of a text, or of the texts in an array."""

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if type(value) is str:
            changed = change(value)
            if changed != value:
                field.set(event, changed)
        elif type(value) is list:
            field.set(event, [change(each) if type(each) is str else each for each in value])

    return step


def strip(field: Reference) -> Step:
    """Takes white space and NUL off both ends of a text, or of an array's texts."""

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if type(value) is str:
            stripped = value.strip(SPACE)
            if stripped != value:
                field.set(event, stripped)
        elif type(value) is list:
            field.set(event, [_stripped(each) for each in value])

    return step


def _stripped(value: Any) -> str:
    if type(value) is not str:
        message = "strip: an element of the array is no text"
        raise TypeError(message)
    return value.strip(SPACE)


def split(field: Reference, separator: Any) -> Step:
    """Makes an array of a text."""

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if type(value) is str:
            field.set(event, ruby_split(value, separator))

    return step


def ruby_split(text: str, separator: Any) -> list[str]:
    """Gives the pieces of a text, as Ruby's `split` makes them: none that is empty at the end."""
    if not isinstance(separator, str):
        message = f"split: the separator {separator!r} is no text"
        raise TypeError(message)
    if separator == "":
        return list(text)
    if separator == " ":
        return [piece for piece in _ANY_SPACE.split(text) if piece]
    pieces = text.split(separator)
    while pieces and not pieces[-1]:
        pieces.pop()
    return pieces


def join(field: Reference, separator: Any) -> Step:
    """Makes a text of an array."""

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if type(value) is list:
            if value and not isinstance(separator, str):
                message = f"join: {separator!r} is no text"
                raise TypeError(message)
            field.set(event, _joined(value, str(separator)))

    return step


def _joined(values: list[Any], between: str) -> str:
    return between.join(
        [_joined(each, between) if type(each) is list else ruby_text(each) for each in values]
    )


def merge(field: Reference, sources: list[Reference]) -> Step:
    """Appends fields to a field; two objects become one, and an object with anything else is left alone.

    Logstash reads the field once. So a field that was no array takes each source alone, and the last one stays.
    """

    def step(event: LogEvent) -> None:
        held = _or_none(field.get(event))
        for source in sources:
            added = _or_none(source.get(event))
            if type(held) is dict and type(added) is dict:
                held = {**held, **deep_copy(added)}
                field.set(event, held)
            elif type(held) is not dict and type(added) is not dict:
                made = [*_as_array(held), *deep_copy(_as_array(added))]
                field.set(event, made)
                held = made if type(held) is list else held

    return step


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _as_array(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    return [] if value is None else [value]


def copy(field: Reference, target: Reference) -> Step:
    """Copies a field that is neither missing nor null."""

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if value is not MISSING and value is not None:
            target.set(event, deep_copy(value) if type(value) is dict or type(value) is list else value)

    return step
