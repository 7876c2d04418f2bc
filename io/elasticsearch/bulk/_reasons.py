"""`_reasons` puts Elasticsearch's errors into words: in full for letters, without the event's values for the log. Pure."""

import re
from collections.abc import Iterator

import msgspec

__all__ = ["MAX_REASON", "Cause", "reason_of", "sentences", "shortened", "without_values"]

MAX_REASON = 1000
"""Characters that are kept of Elasticsearch's reason, from its head and its tail. It may hold a whole mapping."""

_MAX_CAUSES = 20
_QUOTED = re.compile(r"""(?<![\w=])(?:'.*'|".*")""")  # up to the last quote, because a value may hold quotes
_VALUE = re.compile(r"(?i)\b(value|date field|date|string|text)(:? ?)(\[[^\]]*\]|\([^)]*\))")


class Cause(msgspec.Struct, gc=False):
    """Elasticsearch's `error` object, or the `caused_by` in it."""

    type: str = ""
    reason: str | None = None
    caused_by: "Cause | None" = None


def reason_of(error: Cause | None) -> str:
    """Gives Elasticsearch's reason in one line, with its causes. The innermost cause mostly tells most."""
    parts: list[str] = []
    for cause in _causes(error):
        part = " ".join((cause.reason or cause.type).split())
        if part and not any(part in told for told in parts):
            parts.append(part)
    return shortened(": ".join(parts))


def _causes(error: Cause | None) -> Iterator[Cause]:
    for _ in range(_MAX_CAUSES):
        if error is None:
            return
        yield error
        error = error.caused_by


def shortened(text: str, limit: int = MAX_REASON) -> str:
    """Gives the text in one line of at most `limit` characters: its head, and its tail, which names the cause."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    tail = limit // 3
    return f"{line[: limit - tail - 5]} ... {line[-tail:]}"


def sentences(*texts: str) -> str:
    """Joins the texts that aren't empty, each with one full stop."""
    return " ".join(f"{text.rstrip(' .;')}." for text in texts if text)


def without_values(reason: str, limit: int = 300) -> str:
    """Gives a reason that a log may hold, without what may be a value of the event (quoted, or called a value)."""
    return shortened(_VALUE.sub(r"\1\2[...]", _QUOTED.sub("'...'", reason)), limit)
