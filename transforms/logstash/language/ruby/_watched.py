"""`_watched` searches for an expression of a condition or of `gsub` as cheaply as its form allows, and never for long.

- A simple one (literals, classes, no group that is repeated) goes to `re`, which finds in half of `regex`' time.
- One that may try for ever (a repeated group, or any on a long text) is searched with a limit of `LIMIT_S` seconds, which
  costs 2 us; beyond it `TimeoutError` costs that event only. Logstash has no limit there: its pipeline stands still.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from penstock.transforms.logstash.language.ruby._oniguruma import caret, compile_ruby, translate

LIMIT_S = 10.0
LONG = 4096
"""Characters from which on even a simple expression is watched: two repetitions can cost the square of them."""

_REPEATED_GROUP = re.compile(r"\)[*+{]")
_SIMPLE = re.compile(
    r"(?:[^\\(){}\[\]*+?]"  # characters, . ^ $ and |
    r"|[*+?](?![*{])"
    r"|\\[dDwWsS./\-:,@#%&=_;!<>~\"' ]"
    r"|\[\^?(?:[A-Za-z0-9](?:-[A-Za-z0-9])?|[_ .:/,@%=])+\]"
    r"|\((?!\?)|\(\?:|\))*"
)


_LITERAL = re.compile(r"(\^|\\A)?((?:[^\\.^$*+?{}\[\]()|]|\\[^\w\s])+)(\$|\\z)?", re.ASCII)


class Watched(NamedTuple):
    """A compiled expression.

    Attributes:
        search: finds it in a text, as a match of `re` or `regex`, or None. Raises `TimeoutError`.
        sub: replaces all that it finds, by a function of a match. Raises `TimeoutError`.
        names: the numbers of its named groups.
    """

    search: Callable[[str], Any]
    sub: Callable[[Callable[[Any], str], str], str]
    names: dict[str, int]


@functools.lru_cache(1000)
def watched(pattern: str) -> Watched:
    """Gives the compiled expression. Raises `RubyRegexError` where it is none."""
    compiled = compile_ruby(pattern)
    names = dict(translate(pattern).groups)
    search, sub = compiled.search, compiled.sub
    if _REPEATED_GROUP.search(pattern):
        return Watched(
            lambda text: search(text, timeout=LIMIT_S),
            lambda made, text: str(sub(made, text, timeout=LIMIT_S)),
            names,
        )
    short = _simple(pattern) or search

    def search_watched(text: str) -> Any:
        return short(text) if len(text) < LONG else search(text, timeout=LIMIT_S)

    def sub_watched(made: Callable[[Any], str], text: str) -> str:
        return str(sub(made, text) if len(text) < LONG else sub(made, text, timeout=LIMIT_S))

    return Watched(search_watched, sub_watched, names)


class Literal(NamedTuple):
    """A pattern of nothing but literals: a text matches that begins with, holds, or ends with one of these."""

    start: str | None
    inside: str | None
    end: str | None


def literal_of(pattern: str) -> Literal | None:
    """Gives what a pattern of nothing but literals finds; None for any other."""
    found = _LITERAL.fullmatch(pattern)
    if found is None:
        return None
    start, end = found[1], found[3]
    text = re.sub(r"\\(.)", r"\1", found[2])
    forms = {
        (None, None): Literal(None, text, None),
        ("^", None): Literal(text, f"\n{text}", None),
        ("\\A", None): Literal(text, None, None),
        (None, "$"): Literal(None, f"{text}\n", text),
        (None, "\\z"): Literal(None, None, text),
    }
    return forms.get((start, end))


def _simple(pattern: str) -> Callable[[str], Any] | None:
    """Gives the search by `re`, where it means the same and cannot take long; else None."""
    if not _SIMPLE.fullmatch(pattern) or sum(map(pattern.count, "*+")) > 2:
        return None
    if "^" in pattern:
        pattern = re.sub(
            r"\[\^|\^",
            lambda found: found[0] if found[0] != "^" else caret(found.string, found.start()),
            pattern,
        )
    try:
        return re.compile(pattern, re.MULTILINE | re.ASCII).search
    except re.error:
        return None
