"""Mutate changes fields: renames, replaces, converts, cuts and joins them, in an order of its own.

However the options are written, the operations run in the order of the table below, then the common options. The first
error stops the rest of the block, the common options too; what was done stays, and the event gets a tag.
"""

from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.event import LogEvent
from penstock.transforms.logstash.filters.mutate import _mutations as mutations
from penstock.transforms.logstash.filters.mutate._convert import CONVERTERS, convert
from penstock.transforms.logstash.filters.mutate._gsub import gsub
from penstock.transforms.logstash.language._oniguruma import RubyRegexError

__all__ = ["Mutate"]

_Step = Callable[[LogEvent], object]


class Mutate(Filter):
    """Changes fields: renames, replaces, converts, cuts and joins them."""

    name = "mutate"
    options = (
        Option("coerce", "hash", doc="field -> text for a field that is null"),
        Option("rename", "hash", doc="field -> new name"),
        Option("update", "hash", doc="field -> text for a field that is there"),
        Option("replace", "hash", doc="field -> text, whether it is there or not"),
        Option("convert", "hash", doc="field -> integer, float, integer_eu, float_eu, string or boolean"),
        Option("gsub", "array", doc="field, regular expression, replacement, and so on in threes"),
        Option("uppercase", "array", doc="fields to write in capitals"),
        Option("capitalize", "array", doc="fields to write with one capital"),
        Option("lowercase", "array", doc="fields to write in small letters"),
        Option("strip", "array", doc="fields to take the white space off at both ends"),
        Option("split", "hash", doc="field -> separator: the text becomes an array"),
        Option("join", "hash", doc="field -> separator: the array becomes a text"),
        Option("merge", "hash", doc="field -> field or fields to append to it"),
        Option("copy", "hash", doc="field -> field that takes a copy"),
        Option("tag_on_failure", "string", "_mutate_error", doc="the tag of an event whose operations fail"),
    )

    def compile(self) -> Work:  # noqa: D102
        steps = self._steps()
        matched = self.matched
        plain = self.is_plain
        tag = str(self["tag_on_failure"])
        if len(steps) == 1 and plain:
            step = steps[0]

            def work_one(event: LogEvent) -> bool:
                try:
                    step(event)
                except Exception:
                    event.tag(tag)
                return False

            return work_one

        def work(event: LogEvent) -> bool:
            try:
                for step in steps:
                    step(event)
                if not plain:
                    matched(event)
            except Exception:
                event.tag(tag)
            return False

        return work

    def _steps(self) -> list[_Step]:
        steps: list[_Step] = []
        fields, text = self.reference, self.template
        steps += [mutations.coerce(fields(name), text(value)) for name, value in self["coerce"].items()]
        steps += [mutations.rename(text(old), text(new)) for old, new in self["rename"].items()]
        steps += [mutations.update(fields(name), text(value)) for name, value in self["update"].items()]
        steps += [mutations.replace(fields(name), text(value)) for name, value in self["replace"].items()]
        steps += [self._convert(name, kind) for name, kind in self["convert"].items()]
        steps += self._gsubs()
        for option, change in mutations.CASES.items():
            steps += [mutations.change_case(fields(name), change) for name in self[option]]
        steps += [mutations.strip(fields(name)) for name in self["strip"]]
        steps += [mutations.split(fields(name), separator) for name, separator in self["split"].items()]
        steps += [mutations.join(fields(name), separator) for name, separator in self["join"].items()]
        for name, sources in self["merge"].items():
            listed = sources if isinstance(sources, list) else [sources]
            steps.append(mutations.merge(fields(name), [fields(source) for source in listed]))
        steps += [mutations.copy(fields(name), fields(target)) for name, target in self["copy"].items()]
        return steps

    def _convert(self, name: str, kind: Any) -> _Step:
        if not isinstance(kind, str) or kind not in CONVERTERS:
            message = f"{name}: {kind!r} is none of {', '.join(CONVERTERS)}"
            raise self.refuse(message, "convert")
        return convert(self.reference(name), CONVERTERS[kind])

    def _gsubs(self) -> list[_Step]:
        given = self["gsub"]
        if len(given) % 3:
            message = "takes field, expression and replacement in turn; one of them is missing"
            raise self.refuse(message, "gsub")
        steps: list[_Step] = []
        for name, pattern, replacement in zip(given[::3], given[1::3], given[2::3], strict=True):
            try:
                steps.append(
                    gsub(self.reference(name), pattern, self.template(pattern), self.template(replacement))
                )
            except RubyRegexError as error:
                message = f"{pattern!r} is no regular expression: {error}"
                raise self.refuse(message, "gsub") from None
        return steps
