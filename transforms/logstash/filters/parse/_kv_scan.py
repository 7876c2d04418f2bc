"""`_kv_scan` is the scanner of `kv`: it finds KEY SPLITTER VALUE in a text, and is built once from the splitters.

It uses regular expressions as Logstash builds them, in Ruby's syntax. The usual case, splitters that are plain
characters and a text without a backslash, runs on a simpler one of the standard library with the same meaning.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import regex

from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError, compile_ruby, translate

_QUOTES = (('"', '"'), ("'", "'"))
_BRACKETS = (("(", ")"), ("[", "]"), ("<", ">"))
_FAST_LENGTH = 1 << 15
"""Beyond, an opening bracket that nothing closes, many times over, costs too long without a limit of time."""

Pairs = Iterable[Sequence[str | None]] | dict[str, str]
"""Each a key and candidates for its value; where no key comes twice and no value is empty, maybe as one dictionary."""


class Splitters(NamedTuple):
    """How keys, values and pairs are told apart; a pattern wins over its set of characters."""

    field: str
    value: str
    field_pattern: str | None
    value_pattern: str | None
    brackets: bool
    lenient: bool


def compile_scan(split: Splitters, limit: float) -> tuple[Callable[[str], bool], Callable[[str], Pairs]]:
    """Makes a test for a value splitter in a text, and the finder of the pairs: key, then candidates for the value.

    Args:
        split: the splitters.
        limit: seconds that one scan may take; 0: no limit.

    Raises:
        RubyRegexError: a splitter is no regular expression.
    """
    field = f"(?:{split.field_pattern or f'[{split.field}]'})"
    value = f"(?:{split.value_pattern or f'[{split.value}]'})"
    for each in (field, value):
        compile_ruby(each)
    if split.lenient:
        value = f"(?: *{value} *)"
    if split.field_pattern or split.value_pattern:
        key = rf"((?:\\.|(?!{value}|{field}).)+)"
    else:
        key = rf"((?:\\.|[^{split.value}{split.field}])+)"
    unquoted = rf"((?:\\.|(?!{field}).)+)" if split.field_pattern else rf"((?:\\.|[^{split.field}])+)"
    pairs = _QUOTES + (_BRACKETS if split.brackets else ())
    quoted = [f"{re.escape(start)}((?:\\\\.|[^{re.escape(end)}])+)?{re.escape(end)}" for start, end in pairs]
    scan = _limited(f"{key}{value}(?:{'|'.join([*quoted, unquoted])})?(?:{field}|$)", limit)
    holds = compile_ruby(value).search
    if _is_plain(split):
        return _plain(split, scan)
    return (lambda text: holds(text) is not None), scan


def _limited(expression: str, limit: float) -> Callable[[str], Pairs]:
    translated = translate(expression)
    if translated.groups:
        message = "groups with a name have no place in a splitter"
        raise RubyRegexError(message)
    compiled = regex.compile(translated.text, regex.V1 | regex.MULTILINE)
    if limit:
        return lambda text: [found.groups() for found in compiled.finditer(text, timeout=limit)]
    return lambda text: [found.groups() for found in compiled.finditer(text)]


def _is_plain(split: Splitters) -> bool:
    return (
        not split.field_pattern
        and not split.value_pattern
        and bool(split.field)
        and not set(split.field + split.value) & set("\\[]^-&:\n")
    )


def _plain(
    split: Splitters, slow: Callable[[str], Pairs]
) -> tuple[Callable[[str], bool], Callable[[str], Pairs]]:
    field, value = (f"[{re.escape(characters)}]" for characters in (split.field, split.value))
    both = f"[^{re.escape(split.value + split.field)}]"
    blanks = " *" if split.lenient else ""
    pairs = _QUOTES + (_BRACKETS if split.brackets else ())
    quoted = [f"{re.escape(start)}([^{re.escape(end)}]+)?{re.escape(end)}" for start, end in pairs]
    unquoted = f"([^{re.escape(split.field)}]+)"
    # A key that cannot be followed by its splitter is not tried again from its second character on: `both++`.
    scan = re.compile(
        f"({both}++){blanks}{value}{blanks}(?:{'|'.join([*quoted, unquoted])})?(?:{field}|$)",
        re.MULTILINE,
    ).findall
    splitters = split.value

    def holds(text: str) -> bool:
        return any(splitter in text for splitter in splitters)

    def find(text: str) -> Pairs:
        return slow(text) if "\\" in text or len(text) > _FAST_LENGTH else scan(text)

    if len(split.field) == len(split.value) == 1 and split.field != split.value:
        return (lambda text: splitters in text), _cutter(split, find)
    return holds, find


def _cutter(split: Splitters, find: Callable[[str], Pairs]) -> Callable[[str], Pairs]:
    """Cuts a text at its splitters, where nothing in it could mean something else; that is the usual case."""
    field, value = split.field, split.value
    signs = ['"', "'", "\\", "\n", *("([<" if split.brackets else "")]
    # A key without a name, and blanks around the splitter
    edges = {f"{field}{value}", f"{value}{field}"} | ({f" {value}", f"{value} "} if split.lenient else set())
    # Seven look-ups in a text cost a quarter of one expression for them all.
    holds = " or ".join(f"{sign!r} in text" for sign in signs)
    unusual: Callable[[str], bool] = eval(f"lambda text: {holds}")  # noqa: S307 - of constants

    def cut(text: str) -> Pairs:
        if unusual(text):
            return find(text)
        parts = text.split(field)
        if len(edges) == 2:
            try:
                pairs = dict([part.split(value) for part in parts])
            except ValueError:  # no pair, or more than one splitter in it
                pass
            else:
                if len(pairs) == len(parts) and "" not in pairs and "" not in pairs.values():
                    return pairs
        if text.startswith(value) or text.endswith(value):
            return find(text)
        for edge in edges:
            if edge in text:
                return find(text)
        return [pair for part in parts if len(pair := part.split(value, 1)) == 2]

    return cut
