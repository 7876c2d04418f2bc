r"""`_expand` turns a grok expression into a regular expression: it replaces `%{NAME:field:type}` until none is left.

The grammar is jls-grok's, with its accidents: a NAME may hold `[ \ ] ^` and the backtick, what follows the field up
to `}` counts for nothing, a backslash in a definition (`%{NAME=...}`) swallows all up to the last `}`, the name of
the group is the whole `NAME:field:type`, and only the first of several groups of one name is converted.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import regex

from penstock.transforms.logstash.filters.patterns._windows import windows
from penstock.transforms.logstash.language.ruby._oniguruma import compile_ruby, compile_translation, translate

_REFERENCE = regex.compile(
    r"""%\{
    (?P<name>(?P<pattern>[A-z0-9]+)(?::(?P<field>[@\[\]A-z0-9_:.-]+))?)
    (?:=(?P<definition>(?:(?:[^{}\\]+|\\.+)+|(?P<curly>\{(?:(?>[^{}]+|(?>\\[{}])+)|(?&curly))*\})+)+))?
    [^}]*\}""",
    regex.VERSION0 | regex.VERBOSE,
)
_SIMPLE = re.compile(r"%\{((?:[A-z0-9]+)(?::[@\[\]A-z0-9_:.-]+)?)\}")
_MAX_STEPS = 10_000
_MAX_LENGTH = 1 << 20
"""Jls-grok only counts steps; a pattern that doubles at each would fill the memory long before."""
_FILE_LINE = re.compile(r"\s*([^\s#]\S*)\s+(.+?)(?:\r?\n|\r)?\Z", re.DOTALL)


class GrokError(ValueError):
    """An expression that names an unknown pattern, never ends, or is no regular expression."""


class Capture(NamedTuple):
    """One group: where its text goes, and what converts it."""

    group: int
    field: str
    convert: Callable[[str], Any] | None


class Compiled(NamedTuple):
    """A compiled expression.

    Attributes:
        search: finds a match in a text; takes `timeout` (seconds).
        captures: in the order in which they are stored.
        literals: texts that stand in everything it matches, in order.
        text: what it stands for, in Ruby's syntax.
    """

    search: Callable[..., "regex.Match[str] | None"]
    captures: tuple[Capture, ...]
    literals: tuple[str, ...]
    text: str


def read_patterns(lines: Iterable[str]) -> dict[str, str]:
    """Reads the patterns of a file, by name: `NAME PATTERN` lines, `#` comments; the last of a name wins."""
    found = {}
    for line in lines:
        if parts := _FILE_LINE.match(line):
            found[parts[1]] = parts[2]
    return found


def expand(expression: str, patterns: Mapping[str, str], *, named_only: bool = True) -> str:
    """Gives the regular expression that `expression` stands for.

    Raises:
        GrokError: a pattern is not known, or refers to itself.
    """
    own = dict(patterns)
    text, place = expression, 0
    for _ in range(_MAX_STEPS):
        start = text.find("%{", place)
        if start < 0:
            return text
        found = _SIMPLE.match(text, start) or _REFERENCE.search(text, start)
        if found is None:
            return text
        name = found[1]
        pattern = name.partition(":")[0]
        if found.re is not _SIMPLE and (definition := found["definition"]):
            own[pattern] = definition
        meaning = own.get(pattern)
        if meaning is None:
            message = f"the pattern %{{{name}}} is not defined"
            raise GrokError(message)
        place = found.start()
        opening = "(?:" if named_only and ":" not in name else f"(?<{name}>"
        text = f"{text[:place]}{opening}{meaning}){text[found.end() :]}"
        if len(text) > _MAX_LENGTH:
            break
    message = f"{expression!r} refers to itself"
    raise GrokError(message)


def compile_grok(expression: str, patterns: Mapping[str, str], *, named_only: bool = True) -> Compiled:
    """Compiles a grok expression.

    Raises:
        GrokError: see `expand`; or what it stands for is no regular expression.
    """
    return _compile(expand(expression, patterns, named_only=named_only))


@functools.lru_cache(maxsize=512)
def _compile(text: str) -> Compiled:
    try:
        translated = translate(text, dot_all=True)
        compiled = compile_translation(translated, dot_all=True)
    except ValueError as error:
        message = f"{error} (in the expression that it stands for)"
        raise GrokError(message) from None
    return Compiled(compiled.search, tuple(_captures(translated.groups)), translated.literals, text)


Find = Callable[..., "regex.Match[str] | None"]


@functools.lru_cache(maxsize=512)
def pieces_of(text: str) -> tuple[tuple[Find, ...], ...]:
    """Makes the finder of the pieces that must be there where `text` matches: rows, each from the start of the other."""
    return tuple(tuple(compile_ruby(piece, dot_all=True).search for piece in row) for row in windows(text))


_LOCAL_PART = (
    r"[a-zA-Z0-9!#$%\&'*+\-/=?\^_`{\|}\~]{1,64}(?:\.[a-zA-Z0-9!#$%\&'*+\-/=?\^_`{\|}\~]{1,62}){0,63}"
)


_QUOTED = r'"(?:\-|(.*?))" "(?:\-|(.*?))"'
_QUOTED_QUICKLY = r'"(?:\-|([^"]*+(?:"(?! ")[^"]*+)*+))" "(?:\-|([^"]*+))"'


@functools.lru_cache(maxsize=32)
def quick_match(text: str) -> Callable[[str], "re.Match[str] | None"]:
    """Makes a function that finds the same at a text's start by `re`, which cannot be stopped: the expression ends soon.

    What stands before an `@` holds none, so it need not be tried shorter (`(?>`). What ends at the first quote may be
    looked for as what holds none.
    """
    translated = translate(text, dot_all=True).text.replace(f"(?:{_LOCAL_PART})@", f"(?>{_LOCAL_PART})@")
    closing = len(translated) - len(translated.rstrip(")"))
    if translated.endswith(_QUOTED + ")" * closing):
        translated = translated[: -len(_QUOTED) - closing] + _QUOTED_QUICKLY + ")" * closing
    return re.compile(translated, re.DOTALL | re.MULTILINE).match


def _captures(groups: tuple[tuple[str, int], ...]) -> list[Capture]:
    places: dict[str, list[int]] = {}
    for name, index in groups:
        places.setdefault(name, []).append(index)
    captures = []
    for name, indices in places.items():
        parts = name.rstrip(":").split(":")
        field = parts[1] if len(parts) > 1 else parts[0]
        convert = _TYPES.get(parts[2]) if len(parts) > 2 else None
        for index in indices:
            captures.append(Capture(index, field, convert))
            convert = None  # only the first is converted (filter-grok issue 165)
    return captures


_INTEGER = re.compile(r"[\s\0]*([+-]?\d+(?:_\d+)*)", re.ASCII)
_FLOAT = re.compile(r"[\s\0]*([+-]?(?:\d+(?:_\d+)*)?(?:\.\d+(?:_\d+)*)?(?:(?<=\d)[eE][+-]?\d+)?)", re.ASCII)


def to_integer(text: str) -> int:
    """Ruby's `to_i`: the digits that the text begins with, or 0."""
    if text.isdecimal() and text.isascii() and len(text) < 4300:
        return int(text)
    found = _INTEGER.match(text)
    return int(found[1][:4300]) if found else 0


def to_float(text: str) -> float:
    """Ruby's `to_f`: the number that the text begins with, or 0.0."""
    found = _FLOAT.match(text)
    try:
        return float(found[1]) if found else 0.0
    except ValueError:
        return 0.0


_TYPES: dict[str, Callable[[str], Any]] = {"int": to_integer, "float": to_float}
