"""The filter `mutate` changes fields: it renames, replaces, converts, cuts and joins them, in an order of its own.

In any order of the options, the operations run in the order of the table below, then the common options. The first
error stops the rest of the block, with the common options. Changes before it stay, and the event gets a tag.
"""

import operator
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.fields import operations
from penstock.transforms.logstash.fields.operations import Block, Kind, Operation
from penstock.transforms.logstash.filters.mutate import _mutations as mutations
from penstock.transforms.logstash.filters.mutate._convert import CONVERTERS, convert, to_float, to_integer
from penstock.transforms.logstash.filters.mutate._gsub import gsub
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError
from penstock.transforms.logstash.values._sprintf import Template
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Mutate"]

_NUMBERS: dict[Any, Kind] = {to_integer: Kind.INTEGER, to_float: Kind.FLOAT}


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

    may_cancel = False

    def compile(self) -> Work:  # noqa: D102
        made = self._all()
        steps = [operation.step for operation in made]
        matched = self.matched
        tag = str(self["tag_on_failure"])

        def work(event: LogEvent) -> bool:
            try:
                for step in steps:
                    step(event)
                matched(event)
            except Exception:
                event.tag(tag)
            return False

        self.blocks = [Block([*made, *self.common], tag, work)]
        return work

    def _all(self) -> list[Operation]:
        """Gives the operations in the order in which they run."""
        fields, text = self.reference, self.template
        made = [
            Operation(mutations.coerce(fields(name), text(value))) for name, value in self["coerce"].items()
        ]
        made += [self._rename(text(old), text(new)) for old, new in self["rename"].items()]
        for name, value in self["update"].items():
            step = mutations.update(fields(name), text(value))
            made.append(operations.put(step, fields(name), text(value), present=True))
        for name, value in self["replace"].items():
            step = mutations.replace(fields(name), text(value))
            made.append(operations.put(step, fields(name), text(value)))
        made += [self._convert(name, kind) for name, kind in self["convert"].items()]
        made += self._gsubs()
        for option, change in mutations.CASES.items():
            for field in map(fields, self[option]):
                made.append(operations.change(mutations.change_case(field, change), field, change))
        strip = operator.methodcaller("strip", mutations.SPACE)
        made += [
            operations.change(mutations.strip(field), field, strip) for field in map(fields, self["strip"])
        ]
        for name, separator in self["split"].items():
            made.append(Operation(mutations.split(fields(name), separator)))
        for name, separator in self["join"].items():
            made.append(Operation(mutations.join(fields(name), separator)))
        for name, sources in self["merge"].items():
            listed = sources if isinstance(sources, list) else [sources]
            made.append(Operation(mutations.merge(fields(name), [fields(source) for source in listed])))
        for name, target in self["copy"].items():
            step = mutations.copy(fields(name), fields(target))
            made.append(operations.read(step, Kind.COPY, fields(name), fields(target)))
        return made

    def _rename(self, old: Template, new: Template) -> Operation:
        step = mutations.rename(old, new)
        if old.constant is None or new.constant is None:
            return Operation(step)
        return operations.move(step, self.reference(old.constant), self.reference(new.constant))

    def _convert(self, name: str, kind: Any) -> Operation:
        if not isinstance(kind, str) or kind not in CONVERTERS:
            message = f"{name}: {kind!r} is none of {', '.join(CONVERTERS)}"
            raise self.refuse(message, "convert")
        field, converter = self.reference(name), CONVERTERS[kind]
        step = convert(field, converter)
        number = _NUMBERS.get(converter)
        return Operation(step) if number is None else operations.read(step, number, field)

    def _gsubs(self) -> list[Operation]:
        given = self["gsub"]
        if len(given) % 3:
            message = "takes field, expression and replacement in turn; one of them is missing"
            raise self.refuse(message, "gsub")
        made: list[Operation] = []
        for name, pattern, replacement in zip(given[::3], given[1::3], given[2::3], strict=True):
            field = self.reference(name)
            if not isinstance(pattern, str):
                message = f"the expression {pattern!r} must stand in quotes"
                raise self.refuse(message, "gsub")
            try:
                made.append(gsub(field, pattern, self.template(pattern), self.template(replacement)))
            except RubyRegexError as error:
                message = f"{pattern!r} is no regular expression: {error}"
                raise self.refuse(message, "gsub") from None
        return made
