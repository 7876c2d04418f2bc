"""`_ruby` writes a JSON value as Ruby and Java do (`to_s`, `inspect`, `String.valueOf`)."""

import math
import unicodedata
from typing import Any

import orjson

from penstock.transforms.logstash.values._times import Timestamp


def downcase(text: str) -> str:
    """Puts a text in small letters; Ruby's small sigma is the same at the end of a word."""
    return text.replace("\u03a3", "\u03c3").lower()


def capitalize(text: str) -> str:
    """Writes a text with a capital at its start and small letters behind."""
    return text.replace("\u03a3", "\u03c3").capitalize()


def java_text(value: Any) -> str:
    """Writes a scalar as Java's `toString` writes it: `2.0`, `1.0E20`, `true`."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return java_float(value)
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ", ".join([java_text(each) for each in value]) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{key}={java_text(each)}" for key, each in value.items()]) + "}"
    return str(value)


def java_float(value: float) -> str:
    """Writes a double as Java writes it: decimals between 1e-3 and 1e7, an exponent outside."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return _plain(text) if "e" in text else text
    digits, exponent = _scientific(value)
    return f"{digits}E{exponent}"


def ruby_float(value: float) -> str:
    """Writes a double as Ruby writes it: decimals between 1e-4 and 1e20, `1.0e-05` outside."""
    if math.isnan(value) or math.isinf(value):
        return java_float(value)
    if value == 0 or 1e-4 <= abs(value) < 1e19:  # JRuby, by its %.20g; MRI ends at 1e16
        text = repr(value)
        return _plain(text) if "e" in text else text
    if 1e19 <= abs(value) < 1e20:  # twenty digits before the point: JRuby writes these anew, by %.14e
        value = float(f"{value:.14e}")
    digits, exponent = _scientific(value)
    return f"{digits}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _scientific(value: float) -> tuple[str, int]:
    """`1.5e+300` as ("1.5", 300), with at least one digit behind the point."""
    text = repr(value)
    sign = "-" if text[0] == "-" else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, decimals = mantissa.partition(".")
    decimals = "" if decimals == "0" else decimals
    power = int(exponent or 0) + len(whole) - 1
    digits = whole + decimals
    stripped = digits.lstrip("0")
    power -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0") or "0"
    return f"{sign}{stripped[0]}.{stripped[1:] or '0'}", power


def _plain(text: str) -> str:
    """Writes a number that Python wrote with an exponent as one without."""
    digits, exponent = _scientific(float(text))
    sign = "-" if digits[0] == "-" else ""
    whole = digits.lstrip("-").replace(".", "")
    point = 1 + exponent
    if point <= 0:
        return f"{sign}0.{'0' * -point}{whole}".rstrip("0")
    whole = whole.ljust(point + 1, "0")
    decimals = whole[point:].rstrip("0") or "0"
    return f"{sign}{whole[:point]}.{decimals}"


def ruby_text(value: Any) -> str:
    """Writes a value as Ruby's `to_s` writes it: an array or hash by `inspect`, null as nothing."""
    if isinstance(value, str):
        return str(value)
    return "" if value is None else ruby_inspect(value)


_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f", "\v": "\\v", "\b": "\\b",
    "\a": "\\a", "\x1b": "\\e",
}  # fmt: skip


_ESCAPED = {"Cc", "Cs", "Cn", "Zl", "Zp"}
"""Categories of characters that Onigmo does not call printable."""


def ruby_inspect(value: Any) -> str:
    """Writes a value as Ruby's `inspect` writes it: `["a", {"k" => 1}, nil]` (Ruby 3.4's hashes)."""
    if type(value) is Timestamp:
        return str(value)
    if isinstance(value, str):
        return f'"{_inspected(value)}"'
    if value is None:
        return "nil"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return ruby_float(value)
    if isinstance(value, list):
        return "[" + ", ".join([ruby_inspect(each) for each in value]) + "]"
    if isinstance(value, dict):
        inner = ", ".join([f"{ruby_inspect(key)} => {ruby_inspect(each)}" for key, each in value.items()])
        return "{" + inner + "}"
    return str(value)


def _inspected(text: str) -> str:
    parts = []
    for place, character in enumerate(text):
        if character in _ESCAPES:
            parts.append(_ESCAPES[character])
        elif character == "#" and text[place + 1 : place + 2] in ("{", "$", "@"):
            parts.append("\\#")
        elif character.isprintable() or unicodedata.category(character) not in _ESCAPED:
            parts.append(character)
        else:
            code = ord(character)
            parts.append(f"\\u{code:04X}" if code < 0x10000 else f"\\u{{{code:X}}}")
    return "".join(parts)


def pairs_of(value: dict[str, Any]) -> list[list[Any]]:
    """Gives a hash as Ruby's `Array(hash)` makes it: pairs."""
    return [[key, inner] for key, inner in value.items()]


def json_text(value: Any) -> str:
    """Writes a value as Logstash writes JSON into a text: no blanks, doubles as Java writes them."""
    if _has_float(value):
        return _written(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return _written(value)  # integers beyond 64 bits


def _has_float(value: Any) -> bool:
    if isinstance(value, float):
        return True
    if isinstance(value, dict):
        return any(_has_float(each) for each in value.values())
    return isinstance(value, list) and any(_has_float(each) for each in value)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join([f"{_written(str(key))}:{_written(each)}" for key, each in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_written(each) for each in value]) + "]"
    if isinstance(value, float):
        return java_float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (
        orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()
        if type(value) is not Timestamp
        else f'"{value}"'
    )
