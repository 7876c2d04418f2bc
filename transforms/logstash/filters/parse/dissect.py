"""The filter `dissect` cuts a text at fixed delimiters."""

import decimal
import re
from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.filters.parse._dissect_template import (
    BadTemplate,
    Field,
    Find,
    finder_of,
    parse_template,
)
from penstock.transforms.logstash.values._references import Reference, reference_of, reference_or_bad
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Dissect"]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
"""A number; an exponent of more than four digits would fill the memory."""

Store = Callable[[LogEvent, Sequence[str]], None]


class Dissect(Filter):
    """Cuts a text at fixed delimiters, `%{clientip} %{ident} [%{timestamp}]`, without regular expressions."""

    name = "dissect"
    may_cancel = False
    options = (
        Option("mapping", "hash", doc="field => template"),
        Option("convert_datatype", "hash", doc="field => int or float"),
        Option(
            "tag_on_failure",
            "array",
            ["_dissectfailure"],
            doc="tags of an event whose text a template does not fit",
        ),
    )

    def compile(self) -> Work:
        """Parses every template once."""
        steps = []
        for name, template in self["mapping"].items():
            if not str(template):
                continue
            try:
                fields = parse_template(str(template))
            except BadTemplate as error:
                raise self.refuse(str(error), "mapping") from None
            if fields:
                steps.append((self.reference(name), *_step(fields)))
        conversions = [self._conversion(field, kind) for field, kind in self["convert_datatype"].items()]
        tags = [str(tag) for tag in self["tag_on_failure"]]
        matched = self.matched

        def work(event: LogEvent) -> bool:
            for source, find, store in steps:
                text = source.get(event)
                if text is MISSING:
                    continue
                if type(text) is not str:
                    text = ruby_text(text)
                values = find(text) if text else None
                try:
                    if values is not None:
                        store(event, values)
                        matched(event)
                        continue
                except FieldError:
                    pass
                for tag in tags:
                    event.tag(tag)
            for convert in conversions:
                convert(event)
            return False

        return work

    def _conversion(self, name: str, kind: Any) -> Callable[[LogEvent], None]:
        if str(kind).lower() not in ("int", "float"):
            message = f"{name} can become int or float, not {kind}"
            raise self.refuse(message, "convert_datatype")
        field = self.reference(name)
        whole = str(kind).lower() == "int"
        null, wrong = f"_dataconversionnullvalue_{name}_{kind}", f"_dataconversionuncoercible_{name}_{kind}"

        def convert(event: LogEvent) -> None:
            value = field.get(event)
            if value is MISSING or value is None:
                event.tag(null)
                return
            text = ruby_text(value)
            if _NUMBER.fullmatch(text) is None:
                event.tag(wrong)
            elif whole:
                field.set(event, int(decimal.Decimal(text)) if len(text) < 4000 else 0)
            else:
                _set_decimal(event, field, text, wrong)

        return convert


def _set_decimal(event: LogEvent, field: Reference, text: str, wrong: str) -> None:
    """Sets the number that Logstash's BigDecimal writes: `7` stays whole."""
    value = int(text) if text.lstrip("+-").isdigit() and len(text) < 4000 else float(text)
    if value in (float("inf"), float("-inf")):
        event.tag(wrong)
    else:
        field.set(event, value)


def _step(fields: list[Field]) -> tuple[Find, Store]:
    """Makes the step: one function finds the values, another stores them."""
    plain = [at for at, field in enumerate(fields) if field.kind == "plain"]
    if any(field.kind in ("append", "indirect") for field in fields):
        return finder_of(fields, list(range(len(fields)))), _store_of(fields)
    references = [reference_or_bad(fields[at].name) for at in plain]
    if all(type(reference) is Reference for reference in references):
        return finder_of(fields, plain), _store_plain([reference.text for reference in references])

    def store(event: LogEvent, values: Sequence[str]) -> None:
        for reference, value in zip(references, values, strict=True):
            reference.set(event, value)

    return finder_of(fields, plain), store


def _store_plain(names: list[str]) -> Store:
    """Stores values in fields at the top, the usual case."""

    def store(event: LogEvent, values: Sequence[str]) -> None:
        event.changed = True
        event.document.update(zip(names, values, strict=True))

    return store


def _store_of(fields: list[Field]) -> Store:
    """Stores the values: plain fields, then those that append by their order, then those whose name a field holds."""
    plain = [(at, reference_or_bad(field.name)) for at, field in enumerate(fields) if field.kind == "plain"]
    appends = [
        (at, reference_or_bad(field.name), field.before or " ")
        for _, at, field in sorted(
            (field.order, at, field) for at, field in enumerate(fields) if field.kind == "append"
        )
    ]
    indirect = [(at, field.name) for at, field in enumerate(fields) if field.kind == "indirect"]
    names = {field.name: at for at, field in enumerate(fields) if field.kind in ("plain", "skip", "append")}

    def store(event: LogEvent, values: Sequence[str]) -> None:
        for at, field in plain:
            field.set(event, values[at])
        for at, field, delimiter in appends:
            _append(event, field, delimiter, values[at])
        for at, holder in indirect:
            name = _name(event, holder, names, values)
            if name:
                reference_of(name).set(event, values[at])

    return store


def _append(event: LogEvent, field: Reference, delimiter: str, value: str) -> None:
    held = field.get(event)
    if held is not MISSING and held is not None:
        value = f"{ruby_text(held)}{delimiter}{value}"
    field.set(event, value)


def _name(event: LogEvent, holder: str, names: dict[str, int], values: Sequence[str]) -> str:
    held = reference_of(holder).get(event)
    if held is not MISSING and held is not None:
        return ruby_text(held)
    return values[names[holder]] if holder in names else ""
