"""`common` makes the operations of the options that every filter has: they add and remove fields and tags."""

from typing import Any

from penstock.transforms.logstash.fields import operations
from penstock.transforms.logstash.fields.operations import Operation
from penstock.transforms.logstash.values._references import Reference, reference_of
from penstock.transforms.logstash.values._ruby import pairs_of
from penstock.transforms.logstash.values._sprintf import Template
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["add_field", "add_tag", "remove_field", "remove_tag"]

_TAGS = reference_of("tags")


def add_field(name: Template, value: Template) -> Operation:
    """Adds a value to the field `name`. An existing field becomes an array with the new value at its end."""
    fixed = _reference_or_none(name.constant)

    def add(event: LogEvent) -> None:
        field = fixed or reference_of(name.render(event))
        text = value.render(event)
        held = field.get(event)
        if held is MISSING:
            field.set(event, text)
        elif type(held) is list:
            field.set(event, [*held, text])
        elif held is None:
            field.set(event, [text])
        elif type(held) is dict:
            field.set(event, [*pairs_of(held), text])
        else:
            field.set(event, [held, text])

    return Operation(add) if fixed is None else operations.add(add, fixed, value)


def remove_field(name: Template) -> Operation:
    """Removes the field `name`; its parents stay."""
    fixed = _reference_or_none(name.constant)

    def remove(event: LogEvent) -> None:
        (fixed or reference_of(name.render(event))).remove(event)

    return Operation(remove) if fixed is None else operations.drop(remove, fixed)


def add_tag(tag: Template) -> Operation:
    """Adds a tag, also one that is there already."""

    def add(event: LogEvent) -> None:
        event.add_tag(tag.render(event))

    return operations.tag(add, _TAGS, tag)


def remove_tag(tag: Template) -> Operation:
    """Removes a tag wherever it stands; the array stays, even empty."""

    def remove(event: LogEvent) -> None:
        tags = event.document.get("tags")
        if tags is None:
            return
        gone = tag.render(event)
        held = tags if type(tags) is list else [tags]
        kept = [each for each in held if each != gone]
        if kept != tags:
            event.document["tags"] = kept
            event.changed = True

    return Operation(remove)


def _reference_or_none(text: Any) -> Reference | None:
    """Gives the reference for a name that no event changes; None where an event must make it, or where it is wrong."""
    if text is None:
        return None
    try:
        return reference_of(text)
    except ValueError:
        return None
