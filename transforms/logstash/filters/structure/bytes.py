"""The filter `bytes` reads sizes such as `3,124.5 MB` as numbers of bytes."""

import math
import re

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Bytes"]

_SIZE = re.compile(r"^([0-9 _,.]*)\s*([kmgtpe]?)b?$", re.IGNORECASE | re.MULTILINE | re.ASCII)
_EXPONENTS = {unit: power for power, unit in enumerate(("", "k", "m", "g", "t", "p", "e"))}


class Bytes(Filter):
    """Reads a size such as `3,124.5 MB` as a number of bytes."""

    name = "bytes"
    options = (
        Option("source", "string", "message", doc="the field that holds the text"),
        Option("target", "string", doc="the field that takes the number; by default the same"),
        Option(
            "conversion_method",
            "choice",
            "binary",
            choices=("binary", "metric"),
            doc="whether a kB is 1024 or 1000",
        ),
        Option("decimal_separator", "choice", ".", choices=(".", ","), doc="what stands before the decimals"),
        Option("tag_on_failure", "array", ["_bytesparsefailure"], doc="the tags of an event without a size"),
    )

    def compile(self) -> Work:  # noqa: D102
        source = self.reference(self["source"])
        target = source if self["target"] is None else self.reference(self["target"])
        base = 1024 if self["conversion_method"] == "binary" else 1000
        separator = self["decimal_separator"]
        tags = [str(tag) for tag in self["tag_on_failure"]]

        def work(event: LogEvent) -> bool:
            value = source.get(event)
            found = _SIZE.search(value.strip()) if type(value) is str else None
            number = None if found is None else _number(found[1], separator)
            if found is None or number is None:
                for tag in tags:
                    event.tag(tag)
                return False
            target.set(event, _rounded(number * base ** _EXPONENTS[found[2].lower()]))
            return True

        return work


def _number(text: str, separator: str) -> float | None:
    """Reads a number with grouping and decimals; None where there is no digit, or more than one separator of decimals."""
    plain = "".join([sign for sign in text if sign == separator or sign not in " _,."]).replace(
        separator, "."
    )
    if not plain or plain.count(".") > 1:
        return None
    return float(plain) if plain != "." else 0.0


def _rounded(number: float) -> int:
    """Rounds to the nearest integer; a half goes up, as in Ruby."""
    whole = math.floor(number)
    return whole + (number - whole >= 0.5)
