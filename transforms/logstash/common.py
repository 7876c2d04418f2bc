"""`common` makes the options of every filter that add and remove fields and tags: functions of an event, and lines.

The lines are those of a chain's function (`source.py`). They do the usual case directly, and any other by a call.
"""

from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.event import MISSING, LogEvent
from penstock.transforms.logstash.language._references import Reference, reference_of
from penstock.transforms.logstash.language._ruby import pairs_of
from penstock.transforms.logstash.language._sprintf import Template
from penstock.transforms.logstash.source import Source, is_absent, put_absent, take, text_of

__all__ = ["Lines", "Step", "add_field", "add_tag", "remove_field", "remove_tag"]

Step = Callable[[LogEvent], None]
Lines = Callable[[Source], None]


def add_field(name: Template, value: Template) -> tuple[Step, Lines]:
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

    if fixed is None:
        return add, _call(add)
    known = fixed

    def lines(source: Source) -> None:
        source.line(
            f"made = {text_of(value, source)}",
            f"if {is_absent(known, source)}:",
            *(f" {line}" for line in put_absent(known, source, "made")),
            f"else: {source.bind(add)}(event)",
        )

    return add, lines


def remove_field(name: Template) -> tuple[Step, Lines]:
    """Removes the field `name`; its parents stay."""
    fixed = _reference_or_none(name.constant)

    def remove(event: LogEvent) -> None:
        (fixed or reference_of(name.render(event))).remove(event)

    if fixed is None:
        return remove, _call(remove)
    known = fixed
    return remove, lambda source: source.line(*take(known, source))


def add_tag(tag: Template) -> tuple[Step, Lines]:
    """Adds a tag, also one that is there already."""

    def add(event: LogEvent) -> None:
        event.add_tag(tag.render(event))

    return add, lambda source: source.line(
        "tags = document.get('tags')",
        "if type(tags) is list:",
        f" tags.append({text_of(tag, source)})",
        " changed = True",
        "elif tags is None:",
        f" document['tags'] = [{text_of(tag, source)}]",
        " changed = True",
        f"else: {source.bind(add)}(event)",
    )


def remove_tag(tag: Template) -> tuple[Step, Lines]:
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

    return remove, _call(remove)


def _call(step: Step) -> Lines:
    return lambda source: source.line(f"{source.bind(step)}(event)")


def _reference_or_none(text: Any) -> Reference | None:
    """The reference for a name that no event changes; None where an event must make it, or where it is wrong."""
    if text is None:
        return None
    try:
        return reference_of(text)
    except ValueError:
        return None
