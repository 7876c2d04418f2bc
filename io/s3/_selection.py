"""`_selection` tells which listed objects are meant: by globs, hidden names, dates in keys, times of change. Pure."""

import datetime
import re
from collections.abc import Callable

from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object

__all__ = ["dates_of_key", "hidden", "literal_prefix", "pattern_of", "selector", "table_of"]

_GLOB = re.compile(r"[*?\[]")
_NEXT = r"(?!\d)"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:^|/)(?:dt|date|day|ds)=(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)(?:/(?:hour|hr|h)=(?P<h>\d\d?))?{_NEXT}",
        rf"(?:^|/)(?:year|y)=(?P<y>\d{{4}})/(?:month|m)=(?P<m>\d\d?)(?:/(?:day|d)=(?P<d>\d\d?)(?:/(?:hour|hr|h)=(?P<h>\d\d?))?)?{_NEXT}",
        rf"(?:^|/)(?P<y>(?:19|20)\d\d)/(?P<m>\d\d)/(?P<d>\d\d)(?:/(?P<h>\d\d)(?=/))?{_NEXT}",
        rf"(?<!\d)(?P<y>(?:19|20)\d\d)-(?P<m>\d\d)-(?P<d>\d\d)(?:[T_-](?P<h>\d\d))?{_NEXT}",
        rf"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d){_NEXT}",
    )
)


_HIDDEN = re.compile(
    r"(?:^|/)(?:\.|_(?![^/]*=))|_\$folder\$$|\._COPYING_$"
    r"|(?:^|/)metadata/(?:[^/]+\.metadata\.json|version-hint\.text|snap-[^/]+\.avro|[^/]+-m\d+\.avro)$"
)
_TABLES = (
    (re.compile(r"(^|/)_delta_log/"), "a Delta table"),
    (re.compile(r"(^|/)metadata/[^/]+\.metadata\.json$"), "an Iceberg table"),
    (re.compile(r"(^|/)\.hoodie/"), "a Hudi table"),
)


def table_of(key: str) -> tuple[str, str] | None:
    """Gives the kind of table, and its folder, of a key that only such a table has; else None."""
    for pattern, kind in _TABLES:
        if found := pattern.search(key):
            return kind, key[: found.start()]
    return None


def literal_prefix(pattern: str) -> str:
    """Tells what every key that fits begins with."""
    found = _GLOB.search(pattern)
    return pattern[: found.start()] if found else pattern


def pattern_of(pattern: str) -> Callable[[str], bool]:
    """Whether a key fits: `*` any text (slashes too), `?` a character, `[ab]` one of those; without any, a prefix."""
    if not _GLOB.search(pattern):
        return lambda key: key.startswith(pattern)
    text = ""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        close = pattern.find("]", position + 2) if character == "[" else -1
        if character == "*":
            text += ".*"
        elif character == "?":
            text += "."
        elif close > 0:
            inside = pattern[position + 1 : close].replace("\\", "\\\\").replace("[", "\\[")
            text += f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]"
            position = close
        else:
            text += re.escape(character)
        position += 1
    expression = re.compile(text, re.DOTALL)
    return lambda key: expression.fullmatch(key) is not None


def dates_of_key(key: str) -> tuple[int, int] | None:
    """Gives the hour, day or month that a key names, as its beginning and end in milliseconds since 1970; None if none."""
    for pattern in _DATES:
        found = pattern.search(key)
        if found is None:
            continue
        parts = found.groupdict()
        year, month, day, hour = (int(parts.get(name) or 0) for name in "ymdh")
        try:
            if not day:
                start = datetime.datetime(year, month, 1, tzinfo=datetime.UTC)
                end = start.replace(year=year + month // 12, month=month % 12 + 1)
            else:
                start = datetime.datetime(year, month, day, hour, tzinfo=datetime.UTC)
                end = start + datetime.timedelta(**{"hours" if parts.get("h") else "days": 1})
        except ValueError:
            continue  # digits that are no date
        return round(start.timestamp() * 1000), round(end.timestamp() * 1000)
    return None


def hidden(key: str, prefix: str) -> bool:
    """Whether the part of a key behind `prefix` names what Spark, Hadoop, Delta and Iceberg keep for themselves.

    As in Spark: a folder or file whose name begins with `.`, or with `_` unless it is a partition (`_day=1`). Besides,
    Hadoop's `x_$folder$`, copies under way, and Iceberg's `metadata/`.
    """
    rest = key[len(prefix) :] if prefix.endswith("/") or not prefix else key[len(prefix) :].partition("/")[2]
    return _HIDDEN.search(rest) is not None


def selector(options: S3ReadOptions) -> Callable[[S3Object], bool]:
    """Whether an object that fits `--input` is to be read."""
    excluded = re.compile(options.exclude_pattern).search if options.exclude_pattern else None
    begin, end = options.time_ms("from_time"), options.time_ms("to_time")
    after, before = options.time_ms("modified_after"), options.time_ms("modified_before")

    def wanted(found: S3Object) -> bool:
        if excluded is not None and excluded(found.key):
            return False
        if (after is not None and found.modified_ms < after) or (
            before is not None and found.modified_ms >= before
        ):
            return False
        if begin is None and end is None:
            return True
        dates = dates_of_key(found.key)
        if dates is None:
            return True
        return (begin is None or dates[1] > begin) and (end is None or dates[0] < end)

    return wanted
