"""`_convert` makes numbers, texts and booleans of values; as in Logstash 8.14 and later, a wrong number is an error."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from penstock.transforms.logstash.values._references import Reference
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent, Timestamp

Converter = Callable[[Any], Any]

_TRUE = re.compile(r"^(true|t|yes|y|1|1.0)$", re.IGNORECASE | re.MULTILINE)
_FALSE = re.compile(r"^(false|f|no|n|0|0.0)$", re.IGNORECASE | re.MULTILINE)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]++(?:_[0-9]++)*+(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]{1,4})?")
_HEXADECIMAL = re.compile(r"[+-]?0x[0-9a-f]++(?:\.[0-9a-f]++)?(?:p[+-]?[0-9]{1,4})?")
_SWAPPED = str.maketrans(".,", ",.")


class NotANumber(ValueError):
    """A text that should have been a number."""


def convert(field: Reference, converter: Converter) -> Callable[[LogEvent], None]:
    """Converts a field, or the elements of an array; hashes, nulls and missing fields are passed over."""

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if value is MISSING or value is None or type(value) is dict:
            return
        if type(value) is list:
            field.set(event, [None if each is None else converter(each) for each in value])
            return
        made = converter(value)
        if made is not value:
            field.set(event, made)

    return step


def _number_text(text: str) -> str:
    return text.strip("\0\t\n\v\f\r ").replace(",", "").lower()


def _refuse(value: Any) -> NotANumber:
    return NotANumber(f"{str(value)[:60]!r} is no number")


def to_integer(value: Any) -> int:
    """Turns a value into an integer, cut towards zero; digits beyond those of a double are kept."""
    if isinstance(value, bool):
        return int(value)
    if type(value) is int:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _refuse(value)
        return int(value)
    if type(value) is Timestamp:
        return value.seconds
    if not isinstance(value, str):
        raise _refuse(value)
    if value.isdigit() and value.isascii() and len(value) < 20:
        return int(value)
    text = _number_text(value)
    if _DECIMAL.fullmatch(text):
        return int(Decimal(text))
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16) if "." not in text and "p" not in text else int(float.fromhex(text))
    raise _refuse(value)


def to_float(value: Any) -> float:
    """Turns a value into a double."""
    if isinstance(value, (bool, int, float)):
        return value if type(value) is float else float(value)
    if type(value) is Timestamp:
        return value.seconds + value.nanoseconds / 1e9
    if not isinstance(value, str):
        raise _refuse(value)
    if value.isascii() and value.replace(".", "", 1).isdecimal():
        return float(value)
    text = _number_text(value)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _HEXADECIMAL.fullmatch(text):
        return float.fromhex(text)
    raise _refuse(value)


def to_boolean(value: Any) -> Any:
    """Turns the words for a boolean into one; anything else stays."""
    if isinstance(value, bool):
        return value
    text = ruby_text(value)
    if _TRUE.search(text):
        return True
    return False if not text or _FALSE.search(text) else value


def to_string(value: Any) -> str:
    """Turns a value into a text, as Ruby writes it."""
    return ruby_text(value)


def _european(converter: Converter) -> Converter:
    return lambda value: converter(value.translate(_SWAPPED) if type(value) is str else value)


CONVERTERS: Mapping[str, Converter] = {
    "string": to_string,
    "integer": to_integer,
    "float": to_float,
    "boolean": to_boolean,
    "integer_eu": _european(to_integer),
    "float_eu": _european(to_float),
}
