"""The filter `de_dot` takes the dots out of names of fields."""

from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values._references import MISSING, Reference, reference_of
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["DeDot"]


class DeDot(Filter):
    """Replaces the dots in names of fields, or makes objects of them; what stood at the new name is overwritten."""

    name = "de_dot"
    options = (
        Option("separator", "string", "_", doc="what takes the place of a dot"),
        Option("nested", "boolean", False, doc="whether a.b becomes [a][b] instead"),
        Option("recursive", "boolean", False, doc="whether fields within objects are looked at too"),
        Option("fields", "array", doc="the fields; by default all at the event's top"),
        Option(
            "tag_on_failure", "string", "_de_dot_error", doc="the tag of an event that cannot be changed so"
        ),
    )

    def compile(self) -> Work:  # noqa: D102
        separator = "][" if self["nested"] else str(self["separator"])
        if "." in separator:
            message = "must hold no dot"
            raise self.refuse(message, "separator")
        nested, recursive = self["nested"], self["recursive"]
        fields = [str(name) for name in self["fields"]] if "fields" in self.given else None
        tag = str(self["tag_on_failure"])

        def work(event: LogEvent) -> bool:
            try:
                for name in list(event.document) if fields is None else fields:
                    rename(event, name)
            except Exception:
                event.tag(tag)
                return False
            return True

        def rename(event: LogEvent, name: str) -> None:
            if not recursive and "." not in name:
                return
            reference = reference_of(name)
            value = reference.get(event)
            if value is MISSING:
                return
            if recursive and type(value) is dict:
                value = _without_dots(value, separator, nested)
                reference.set(event, value)
            if "." in name:
                new = name.replace(".", separator)
                reference_of(f"[{new}]" if nested and not new.startswith("[") else new).set(event, value)
                _first_dotted(reference).remove(event)

        return work


def _first_dotted(reference: Reference) -> Reference:
    """Gives the part of a reference up to its first key with a dot: `[a.b]` of `[a.b][c.d]`."""
    keys = []
    for key in reference.path:
        keys.append(f"[{key}]")
        if "." in key:
            break
    return reference_of("".join(keys))


def _without_dots(held: dict[str, Any], separator: str, nested: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in held.items():
        inner = _without_dots(value, separator, nested) if type(value) is dict else value
        if not nested or "." not in key:
            made[key.replace(".", separator)] = inner
            continue
        *outer, last = key.split(".")
        place = made
        for each in outer:
            place = place.setdefault(each, {})
        place[last] = inner
    return made
