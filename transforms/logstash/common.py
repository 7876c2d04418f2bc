"""The options of every filter that add and remove fields and tags, each as a function of an event."""

from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.event import MISSING, LogEvent
from penstock.transforms.logstash.language._references import Reference, reference_of
from penstock.transforms.logstash.language._ruby import pairs_of
from penstock.transforms.logstash.language._sprintf import Template

__all__ = ["Step", "add_field", "add_tag", "remove_field", "remove_tag"]

Step = Callable[[LogEvent], None]


def add_field(name: Template, value: Template) -> Step:
    """Adds a value to the field `name`: a field that is there becomes an array with the new value at its end."""
    constant = name.constant
    fixed = _reference_or_none(constant)

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

    return add


def remove_field(name: Template) -> Step:
    """Removes the field `name`; its parents stay."""
    fixed = _reference_or_none(name.constant)
    if fixed is not None:
        remove = fixed.remove
        return lambda event: remove(event) and None

    def remove_named(event: LogEvent) -> None:
        reference_of(name.render(event)).remove(event)

    return remove_named


def add_tag(tag: Template) -> Step:
    """Adds a tag, also one that is there already."""
    return lambda event: event.add_tag(tag.render(event))


def remove_tag(tag: Template) -> Step:
    """Removes a tag wherever it stands; the array stays, even empty."""

    def remove(event: LogEvent) -> None:
        tags = event.document.get("tags")
        if tags is None:
            return
        gone = tag.render(event)
        held = tags if type(tags) is list else [tags]
        kept = [each for each in held if each != gone]
        if len(kept) != len(held):
            event.document["tags"] = kept
            event.changed = True

    return remove


def _reference_or_none(text: Any) -> Reference | None:
    """The reference for a name that no event changes; None where an event must make it, or where it is wrong."""
    if text is None:
        return None
    try:
        return reference_of(text)
    except ValueError:
        return None
