"""Split makes an event of each line of a text, or of each element of an array."""

from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.event import LogEvent, deep_copy
from penstock.transforms.logstash.filters.mutate._mutations import ruby_split

__all__ = ["Split"]

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
                pieces = ruby_split(value, terminator)
                if terminator not in value and value:
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
