"""`_lines` writes the usual case of mutate's operations as lines of the chain's function (`logstash/source.py`).

Each function here writes the work of its namesake in `_mutations.py` in the usual case (a text, a field whose parents are
objects), and calls the operation itself (`step`) for any other. A name that events make is always such a call.
"""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.transforms.logstash.event import LogEvent
from penstock.transforms.logstash.filters.mutate._convert import to_float, to_integer
from penstock.transforms.logstash.language._references import Reference, reference_or_bad
from penstock.transforms.logstash.language._sprintf import Template
from penstock.transforms.logstash.source import Source, is_there, put, take, text_of, value_of

Step = Callable[[LogEvent], object]
Lines = Callable[[Source], None]

CASE_METHODS: Mapping[str, str] = {
    "uppercase": "upper()",
    "capitalize": "replace('\u03a3', '\u03c3').capitalize()",
    "lowercase": "replace('\u03a3', '\u03c3').lower()",  # Ruby's small sigma is the same at the end of a word
}


_SHORT: Mapping[Callable[[Any], Any], tuple[str, str, str]] = {
    to_integer: ("value.isdecimal() and len(value) < 19", "int(value)", "int"),
    to_float: ("value.replace('.', '', 1).isdecimal()", "float(value)", "float"),
}
"""How a text of nothing but digits is converted: the test, the expression, and what need not be converted."""


def always(step: Step) -> Lines:
    """The operation itself."""
    return lambda source: source.line(f"{source.bind(step)}(event)")


def rename(step: Step, old: Template, new: Reference | None) -> Lines:
    if old.constant is None or new is None:
        return always(step)
    field, target = reference_or_bad(old.constant), new

    return lambda source: source.line(*take(field, source, put(target, source, "value")))


def replace(step: Step, field: Reference, value: Template, *, present: bool = False) -> Lines:
    """`replace`, and with `present` `update`."""

    def lines(source: Source) -> None:
        source.line(*([f"if {is_there(field, source)}:"] if present else ["if True:"]))
        with source.deeper():
            source.line(f"made = {text_of(value, source)}", *put(field, source, "made"))

    return lines


def convert(step: Step, field: Reference, converter: Callable[[Any], Any]) -> Lines:
    def lines(source: Source) -> None:
        call = f"{source.bind(step)}(event)"
        source.line(f"value = {value_of(field, source)}")
        short = _SHORT.get(converter)
        if short is not None:
            test, made, kind = short
            source.line(
                f"if type(value) is str and value.isascii() and {test}:",
                f" value = {made}",
                *(f" {line}" for line in put(field, source, "value")),
                f"elif type(value) is not {kind} and value is not MISSING: {call}",
            )
        else:
            source.line(f"if value is not MISSING: {call}")

    return lines


def change_text(step: Step, field: Reference, expression: Callable[[Source], str]) -> Lines:
    """Sets a text to an expression of `value`, if that differs."""

    def lines(source: Source) -> None:
        source.line(
            f"value = {value_of(field, source)}",
            "if type(value) is str:",
            f" made = {expression(source)}",
            " if made != value:",
            *(f"  {line}" for line in put(field, source, "made")),
            f"elif type(value) is list: {source.bind(step)}(event)",
        )

    return lines


def only_present(step: Step, field: Reference) -> Lines:
    """The operation itself, where the field is there."""
    return lambda source: source.line(f"if {is_there(field, source)}: {source.bind(step)}(event)")


def copy(field: Reference, target: Reference) -> Lines:
    return lambda source: source.line(
        f"value = {value_of(field, source)}",
        "if value is not MISSING and value is not None:",
        " if type(value) is dict or type(value) is list: value = deep_copy(value)",
        *(f" {line}" for line in put(target, source, "value")),
    )
