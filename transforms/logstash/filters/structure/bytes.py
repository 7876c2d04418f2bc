"""The filter `bytes` reads sizes such as `3,124.5 MB` as numbers of bytes."""

import re

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.event import MISSING, LogEvent

__all__ = ["Bytes"]

_SIZE = re.compile(r"\s*([0-9][0-9., ]*|\.[0-9]+)\s*([kmgtpezy]?)b?\s*", re.IGNORECASE)
_EXPONENTS = {unit: power for power, unit in enumerate(("", "k", "m", "g", "t", "p", "e", "z", "y"))}


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
        Option(
            "decimal_separator", "string", ".", doc="the separator of decimals, where a text does not show it"
        ),
        Option("tag_on_failure", "array", ["_bytesparsefailure"], doc="the tags of an event without a size"),
    )

    def compile(self) -> Work:  # noqa: D102
        source = self.reference(self["source"])
        target = source if self["target"] is None else self.reference(self["target"])
        base = 1024 if self["conversion_method"] == "binary" else 1000
        separator = str(self["decimal_separator"])
        tags = [str(tag) for tag in self["tag_on_failure"]]

        def work(event: LogEvent) -> bool:
            value = source.get(event)
            if value is MISSING or value is None or value is False:
                return False
            found = _SIZE.fullmatch(value) if type(value) is str else None
            number = None if found is None else _number(found[1], separator)
            if found is None or number is None:
                for tag in tags:
                    event.tag(tag)
                return False
            target.set(event, round(number * base ** _EXPONENTS[found[2].lower()]))
            return True

        return work


def _number(text: str, separator: str) -> float | None:
    """A number with grouping and decimals; where both signs stand in it, the last one separates the decimals."""
    text = text.replace(" ", "")
    signs = [sign for sign in text if sign in ".,"]
    if len(set(signs)) == 2:
        decimal = signs[-1]
    elif len(signs) == 1:
        decimal = separator
    else:
        decimal = ""
    plain = "".join("." if sign == decimal else sign for sign in text if sign not in ".," or sign == decimal)
    try:
        return float(plain) if "." in plain else int(plain)
    except ValueError:
        return None
