"""What a grok match captured goes into the event: a new field is set, one that is there becomes an array.

Nearly every capture goes into a field that isn't there, below objects that are there or can be made. This way is paved:
each object on the way is looked up once for an event, whatever the number of fields below it. All else goes by
references, which know the rules.
"""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.logstash.event import MISSING, LogEvent
from penstock.transforms.logstash.language._references import Reference

Groups = tuple[Any, ...]
Store = Callable[[LogEvent, Groups], None]
Capture = tuple[int, Reference, bool, Callable[[str], Any] | None]
"""The place among the groups, the field, whether it is replaced, and what converts the text."""

_SPECIAL = ("tags", "@timestamp", "@metadata")


def store_of(captures: Sequence[Capture], *, keep_empty: bool) -> Store:
    """What stores the groups of a match, in the order of `captures`."""
    parents: list[tuple[int, str]] = []  # each object on the way: which one it is in, and its name there
    known: dict[tuple[str, ...], int] = {(): -1}
    plan: list[tuple[int, Reference, int | None, str, bool, Callable[[str], Any] | None]] = []
    for group, field, overwrite, convert in captures:
        outer = field.path[:-1]
        if not _is_paved(field):
            plan.append((group, field, None, "", overwrite, convert))
            continue
        for length in range(1, len(outer) + 1):
            if outer[:length] not in known:
                parents.append((known[outer[: length - 1]], outer[length - 1]))
                known[outer[:length]] = len(parents) - 1
        plan.append((group, field, known[outer], field.path[-1], overwrite, convert))
    count = len(parents)

    def store(event: LogEvent, groups: Groups) -> None:
        event.changed = True
        objects: list[Any] = [None] * count
        objects.append(event.document)  # at -1
        for group, field, parent, name, overwrite, convert in plan:
            value = groups[group]
            if not value and not keep_empty and (value is None or convert is None):
                continue
            if convert is not None and value is not None:
                value = convert(value)
            if parent is not None:
                place = objects[parent]
                if place is None:
                    place = _object(objects, parents, parent)
                if place is not None and name not in place:
                    place[name] = value
                    continue
            _store_slowly(event, field, value, overwrite=overwrite)

    return store


def _is_paved(field: Reference) -> bool:
    """Whether plain objects lead to the field, and it takes any value."""
    return (
        field.path[0] not in _SPECIAL[:2]
        and (len(field.path) > 1 or (field.path[0] not in _SPECIAL and type(field) is Reference))
        and not any(key.lstrip("+-").isdigit() for key in field.path)
        and not hasattr(field, "_error")
    )


def _object(objects: list[Any], parents: list[tuple[int, str]], at: int) -> dict[str, Any] | None:
    """The object on the way, made where there is none; None where something else is there."""
    outer, name = parents[at]
    place = objects[outer]
    if place is None:
        place = _object(objects, parents, outer)
        if place is None:
            return None
    found = place.get(name)
    if found is None and name not in place:
        found = place[name] = {}
    if type(found) is not dict:
        return None
    objects[at] = found
    return found


def _store_slowly(event: LogEvent, field: Reference, value: Any, *, overwrite: bool) -> None:
    held = field.get(event)
    if overwrite or held is MISSING or held is None:
        field.set(event, value)
    elif type(held) is list:
        field.set(event, [*held, value])
    elif type(held) is str:
        field.set(event, [held, value])
