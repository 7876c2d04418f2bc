"""The filter `mutate` changes fields: it renames, replaces, converts, cuts and joins them, in an order of its own.

In any order of the options, the operations run in the order of the table below, then the common options. The first
error stops the rest of the block, with the common options. Changes before it stay, and the event gets a tag.
"""

from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.event import LogEvent
from penstock.transforms.logstash.filters.mutate import _lines as lines
from penstock.transforms.logstash.filters.mutate import _mutations as mutations
from penstock.transforms.logstash.filters.mutate._convert import CONVERTERS, convert
from penstock.transforms.logstash.filters.mutate._gsub import gsub, gsub_lines
from penstock.transforms.logstash.language._oniguruma import RubyRegexError
from penstock.transforms.logstash.source import Source

__all__ = ["Mutate"]

_Operation = tuple[Callable[[LogEvent], object], lines.Lines]
"""What an operation does to an event, and the lines that do it in a chain's function."""


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
        self._operations = self._all()
        steps = [step for step, _ in self._operations]
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

        return work

    def emit(self, source: Source) -> None:  # noqa: D102
        source.line("try:")
        with source.deeper():
            for _, write in self._operations:
                write(source)
            self.emit_common(source)
            source.line("pass")
        source.line("except Exception:", f" event.tag({str(self['tag_on_failure'])!r})")

    def _all(self) -> list[_Operation]:
        """The operations in the order in which they run, each with its lines."""
        made: list[_Operation] = []
        fields, text = self.reference, self.template
        for name, value in self["coerce"].items():
            step = mutations.coerce(fields(name), text(value))
            made.append((step, lines.always(step)))
        for old, new in self["rename"].items():
            target = text(new).constant
            step = mutations.rename(text(old), text(new))
            made.append((step, lines.rename(step, text(old), None if target is None else fields(target))))
        for name, value in self["update"].items():
            step = mutations.update(fields(name), text(value))
            made.append((step, lines.replace(step, fields(name), text(value), present=True)))
        for name, value in self["replace"].items():
            step = mutations.replace(fields(name), text(value))
            made.append((step, lines.replace(step, fields(name), text(value))))
        made += [self._convert(name, kind) for name, kind in self["convert"].items()]
        made += self._gsubs()
        for option, change in mutations.CASES.items():
            made += [self._case(name, option, change) for name in self[option]]
        for name in self["strip"]:
            step = mutations.strip(fields(name))
            made.append(
                (
                    step,
                    lines.change_text(step, fields(name), lambda source: f"value.strip({mutations.SPACE!r})"),
                )
            )
        for name, separator in self["split"].items():
            step = mutations.split(fields(name), separator)
            made.append((step, lines.only_present(step, fields(name))))
        for name, separator in self["join"].items():
            step = mutations.join(fields(name), separator)
            made.append((step, lines.only_present(step, fields(name))))
        for name, sources in self["merge"].items():
            listed = sources if isinstance(sources, list) else [sources]
            step = mutations.merge(fields(name), [fields(source) for source in listed])
            made.append((step, lines.always(step)))
        for name, target in self["copy"].items():
            step = mutations.copy(fields(name), fields(target))
            made.append((step, lines.copy(fields(name), fields(target))))
        return made

    def _case(self, name: str, option: str, change: Callable[[str], str]) -> _Operation:
        field = self.reference(name)
        step = mutations.change_case(field, change)
        return step, lines.change_text(step, field, lambda source: f"value.{lines.CASE_METHODS[option]}")

    def _convert(self, name: str, kind: Any) -> _Operation:
        if not isinstance(kind, str) or kind not in CONVERTERS:
            message = f"{name}: {kind!r} is none of {', '.join(CONVERTERS)}"
            raise self.refuse(message, "convert")
        field, converter = self.reference(name), CONVERTERS[kind]
        step = convert(field, converter)
        return step, lines.convert(step, field, converter)

    def _gsubs(self) -> list[_Operation]:
        given = self["gsub"]
        if len(given) % 3:
            message = "takes field, expression and replacement in turn; one of them is missing"
            raise self.refuse(message, "gsub")
        made: list[_Operation] = []
        for name, pattern, replacement in zip(given[::3], given[1::3], given[2::3], strict=True):
            field = self.reference(name)
            if not isinstance(pattern, str):
                message = f"the expression {pattern!r} must stand in quotes"
                raise self.refuse(message, "gsub")
            try:
                step = gsub(field, pattern, self.template(pattern), self.template(replacement))
                made.append((step, gsub_lines(step, field, pattern, self.template(replacement))))
            except RubyRegexError as error:
                message = f"{pattern!r} is no regular expression: {error}"
                raise self.refuse(message, "gsub") from None
        return made
