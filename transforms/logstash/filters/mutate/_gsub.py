r"""`_gsub` is mutate's `gsub`: it replaces the matches of a regular expression, in texts and in the texts of arrays.

A replacement is interpolated first, then its `\0` to `\9`, `\k<name>`, `\&` and the like are what was found.
"""

import functools
import operator
import re
from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.fields import operations
from penstock.transforms.logstash.fields.operations import Operation
from penstock.transforms.logstash.language.ruby._oniguruma import compile_ruby
from penstock.transforms.logstash.language.ruby._watched import LIMIT_S, watched
from penstock.transforms.logstash.values._references import Reference
from penstock.transforms.logstash.values._sprintf import Template
from penstock.transforms.logstash.values.event import LogEvent

_Sub = Callable[[str, str], str]
_BACKSLASH = re.compile(r"\\(?:([0-9])|k<([^>]+)>|([&`'\\])|)")
_RELUCTANT = re.compile(r"[*?}]\?")
_PLAIN = re.compile(r"[^\\.^$*+?{}\[\]()|]+")


def gsub(field: Reference, written: Any, pattern: Template, replacement: Template) -> Operation:
    """Replaces the matches of `pattern` in `field`. Raises `RubyRegexError` where it is no expression."""
    text = pattern.constant
    fixed = None if isinstance(written, str) and "%{" in written else _compiled(text or "")
    render = replacement.render

    def step(event: LogEvent) -> None:
        value = field.get(event)
        if type(value) is str:
            sub = fixed or _compiled(pattern.render(event))
            made = sub(value, render(event))
            if made != value:
                field.set(event, made)
        elif type(value) is list:
            sub = fixed or _compiled(pattern.render(event))
            with_this = render(event)
            field.set(event, [sub(each, with_this) if type(each) is str else each for each in value])

    constant = replacement.constant
    if fixed is None or constant is None:
        return Operation(step)
    known = fixed
    if _PLAIN.fullmatch(str(written)) and "\\" not in constant:
        return operations.change(step, field, operator.methodcaller("replace", written, constant))
    return operations.change(step, field, lambda text: known(text, constant))


@functools.lru_cache(1000)
def _compiled(pattern: str) -> _Sub:
    search, replace, names = watched(pattern)
    if _RELUCTANT.search(pattern):
        replace = _one_by_one(pattern)

    def sub(text: str, replacement: str) -> str:
        return text if search(text) is None else replace(_replacer(replacement, names), text)

    if not _PLAIN.fullmatch(pattern):
        return sub
    return lambda text, replacement: (
        text.replace(pattern, replacement) if "\\" not in replacement else sub(text, replacement)
    )


def _one_by_one(pattern: str) -> Callable[[Callable[[Any], str], str], str]:
    """Replaces as Ruby does where a match may be empty though a longer one begins there: it goes on behind a character."""
    search = compile_ruby(pattern).search

    def replace(made: Callable[[Any], str], text: str) -> str:
        parts: list[str] = []
        place = 0
        while place <= len(text) and (found := search(text, place, timeout=LIMIT_S)):
            start, end = found.span()
            after = end + (start == end)
            parts += (text[place:start], made(found), text[end:after])
            place = after
        return "".join([*parts, text[place:]])

    return replace


def _replacer(replacement: str, names: dict[str, int]) -> Callable[[Any], str]:
    if "\\" not in replacement:
        return lambda found: replacement

    def replace(found: Any) -> str:
        def meaning(escape: "re.Match[str]") -> str:
            number, name, sign = escape.groups()
            if number is not None:
                if (names and number != "0") or int(number) > found.re.groups:
                    return ""  # beside groups with names, numbers are none
                return found[int(number)] or ""
            if name is not None:
                if name not in names:
                    message = f"gsub: the expression has no group called {name}"
                    raise IndexError(message)
                return found[names[name]] or ""
            if sign == "&":
                return str(found[0])
            if sign == "`":
                return str(found.string[: found.start()])
            if sign == "'":
                return str(found.string[found.end() :])
            return "\\"

        return _BACKSLASH.sub(meaning, replacement)

    return replace
