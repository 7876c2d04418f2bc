"""The filter `split` makes an event of each line of a text, or of each element of an array."""

import re
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values.event import LogEvent, deep_copy

__all__ = ["Split"]

_WHITE_SPACE = re.compile(r"[\t\n\v\f\r ]+")
FAILURE_TAG = "_split_type_failure"


class Split(Filter):
    """Makes an event of each line of a text, or of each element of an array; the original goes."""

    name = "split"
    options = (
        Option("field", "string", "message", doc="the text or array"),
        Option("terminator", "string", "\n", doc="what stands between the pieces of a text"),
        Option("target", "string", doc="the field that takes a piece; by default the field itself"),
    )
    makes_events = True

    def compile(self) -> Work:  # noqa: D102
        field = self.reference(self["field"])
        target = field if self["target"] is None else self.reference(self["target"])
        terminator = str(self["terminator"])
        matched = self.matched

        def work(event: LogEvent) -> list[LogEvent]:
            value = field.get(event)
            if type(value) is list:
                pieces = value
                if target is field:
                    field.remove(event)
            elif type(value) is str:
                pieces = _pieces(value, terminator)
                if len(pieces) == 1:
                    return [event]
            else:
                event.tag(FAILURE_TAG)
                return [event]
            return [
                made(event, piece, str(number))
                for number, piece in enumerate(pieces)
                if piece is not None and piece != ""
            ]

        def made(event: LogEvent, piece: Any, number: str) -> LogEvent:
            copy = event.clone(number)
            target.set(copy, deep_copy(piece))
            matched(copy)
            return copy

        return work


def _pieces(text: str, terminator: str) -> list[str]:
    """Gives the pieces of a text as Ruby's `split(terminator, -1)` makes them, the empty ones too."""
    if not text:
        return []
    if terminator == " ":
        return _WHITE_SPACE.split(text.lstrip("\t\n\v\f\r "))
    return text.split(terminator) if terminator else [*text, ""]
