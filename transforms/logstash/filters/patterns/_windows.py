"""`_windows` gives the pieces of an expression between its literals. Where one is missing, the whole does not match.

On a line with one broken field, an engine needs a hundred times as long to fail as to match a good line, because it
begins again at each place of the line. Such a piece fails at once.
"""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from penstock.transforms.logstash.language.ruby._classes import read_class

_QUANTIFIER = re.compile(r"(?!\{,?\})(?:[*+?]|\{\d*,?\d*\})[?+*]*")
_OPENING = re.compile(r"\((?:\?(?:<(?![=!])[^>]*>|'[^']*'|[im]*(?:-[im]+)?:|>|=|!|<=|<!))?")
_KEPT = re.compile(r"\(\?(?:[im-]+:|>|=|!|<=|<!)")
_ESCAPE = re.compile(r"\\(?:[wWdDsShHbBAzZntr]|[^\w\s])", re.ASCII)
_ANY = re.compile(r"(?:.*\|)?\.\*[?+]?\)?", re.DOTALL)
_SEPARATORS = frozenset((" ", "\t", r"\t", ",", ";", r"\|", "|"))
_MOST = 16


class _Unknown(Exception):
    """Something whose meaning hangs on what is around it, such as a reference to a group."""


class _Item(NamedTuple):
    text: str
    literal: bool


def windows(expression: str) -> tuple[tuple[str, ...], ...]:
    """Gives rows of expressions that are found in every text that `expression` (Ruby's syntax) matches.

    In a row each is found from the last one's start. The first row holds those that begin with several characters, which
    stand at few places of a text: they fail soonest. There is none where `expression` has alternatives or anything unusual
    at the top.
    """
    try:
        items, alternated, end = _sequence(expression, 0)
    except (_Unknown, ValueError):
        return ()
    if alternated or end != len(expression):
        return ()
    found = list(_between(items))[:_MOST]
    rows = ([text for text, rare in found if rare], [text for text, rare in found if not rare])
    return tuple(tuple(row) for row in rows if row)


def _between(items: list[_Item]) -> Iterator[tuple[str, bool]]:
    """Gives what is from each separator (or two characters and more) to the one after the next, where it matters.

    Beside each is whether it begins with several characters.
    """
    separators = []
    at = 0
    while at < len(items):
        end = at
        while end < len(items) and items[end].literal:
            end += 1
        if end - at > 1 or (end > at and items[at].text in _SEPARATORS):
            separators.append((at, end))
        at = max(end, at + 1)
    separators.append((len(items), len(items)))
    says = [_says_something(items[end:start]) for (_, end), (start, _) in itertools.pairwise(separators)]
    done = 0
    for number, (start, _) in enumerate(separators[:-1]):
        last = number + 2 if number + 1 < len(says) and says[number + 1] else number + 1
        if says[number] and last > done:
            done = last
            text = "".join(item.text for item in items[start : separators[last][1]])
            yield text, separators[number][1] - start > 1


def _says_something(items: list[_Item]) -> bool:
    return any(not item.literal and not _ANY.fullmatch(item.text) for item in items)


def _sequence(text: str, place: int) -> tuple[list[_Item], bool, int]:
    """Reads the items up to the end of the group, whether it has alternatives, and where it ends."""
    items: list[_Item] = []
    alternated = False
    while place < len(text) and text[place] != ")":
        character = text[place]
        inner: list[_Item] | None = None
        literal = False
        if character == "|":
            alternated = True
            items.append(_Item("|", literal=False))
            place += 1
            continue
        if character == "(":
            made, inner, place = _group(text, place)
        elif character == "[":
            end = read_class(text, place)[1]
            made, place = text[place:end], end
        elif character == "\\":
            found = _ESCAPE.match(text, place)
            if found is None:
                raise _Unknown
            made, place = found[0], found.end()
            literal = made == r"\t" or not made[1].isalpha()
        elif character in "*+?" or (character == "{" and _QUANTIFIER.match(text, place)):
            raise _Unknown
        else:
            made, place = character, place + 1
            literal = character not in ".^$"
        if found := _QUANTIFIER.match(text, place):
            items.append(_Item(made + found[0], literal=False))
            place = found.end()
        elif inner is not None:
            items += inner
        else:
            items.append(_Item(made, literal))
    return items, alternated, place


def _group(text: str, place: int) -> tuple[str, list[_Item] | None, int]:
    """Reads the group at `place`, without its name; its items where it is nothing but brackets; and where it ends."""
    opening = _OPENING.match(text, place)
    if opening is None or text.startswith("?", opening.end()):
        raise _Unknown
    items, alternated, end = _sequence(text, opening.end())
    if end >= len(text):
        raise _Unknown
    kept = _KEPT.fullmatch(opening[0])
    made = (opening[0] if kept else "(?:") + "".join(item.text for item in items) + ")"
    return made, None if kept or alternated else items, end + 1
