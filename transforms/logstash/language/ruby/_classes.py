r"""`_classes` translates escapes and character classes of Ruby's regular expressions for the module `regex`.

Each function takes the expression and a place in it, and returns what it made and the place behind what it read.
`\w \d \s \h` become classes of ASCII characters. Classes nest and meet (`&&`) in both syntaxes; what means something only
in the module's (`--`, `||`, `~~`) is escaped.
"""

import re
import string

SHORTHANDS = {"w": "0-9A-Za-z_", "d": "0-9", "s": " \\t\\n\\x0b\\f\\r", "h": "0-9a-fA-F"}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\x0b", "a": "\a", "e": "\x1b"}
_POSIX = re.compile(r"\[:(\^?)([a-z]+):\]")
_POSIX_OWN = {"ascii": "\\x00-\\x7f"}
_HEX = frozenset(string.hexdigits)


class RubyRegexError(ValueError):
    """An expression that Ruby, or the engine here, does not take."""


def shorthand(letter: str) -> str:
    r"""Gives the class that `\w`, `\D` and the like stand for."""
    return f"[{'^' if letter.isupper() else ''}{SHORTHANDS[letter.lower()]}]"


def read_escaped(pattern: str, place: int) -> tuple[str, int]:
    """Reads the character that the escape at `place` (its backslash) stands for."""
    character = pattern[place + 1 : place + 2]
    start = place + 2
    if character in _CONTROLS:
        return _CONTROLS[character], start
    if character == "x" and pattern.startswith("{", start):
        found, end = _code(pattern, start + 1, 8)
        return found, end + 1
    if character in ("x", "u"):
        return _code(pattern, start, 2 if character == "x" else 4)
    if character == "0":
        end = start
        while end < start + 2 and pattern[end : end + 1] in tuple(string.octdigits):
            end += 1
        return chr(int(pattern[place + 1 : end], 8)), end
    if character == "c" and start < len(pattern):
        return chr(ord(pattern[start]) & 0x1F), start + 1
    return character, start


def _code(pattern: str, start: int, most: int) -> tuple[str, int]:
    end = start
    while end < min(start + most, len(pattern)) and pattern[end] in _HEX:
        end += 1
    try:
        return chr(int(pattern[start:end] or "0", 16)), end
    except (ValueError, OverflowError):
        message = f"{pattern[start:end]} is the code of no character"
        raise RubyRegexError(message) from None


def read_property(pattern: str, place: int) -> tuple[str, int]:
    r"""Reads the property whose brace stands at `place`: `\p{Lu}`, `\p{^Lu}`, `\P{Lu}`."""
    end = pattern.find("}", place)
    if end < 0:
        message = "\\p{ is not closed"
        raise RubyRegexError(message)
    letter, name = pattern[place - 1], pattern[place + 1 : end]
    if name.startswith("^"):
        name = name[1:]
        letter = "P" if letter == "p" else "p"
    return f"\\{letter}{{{name}}}", end + 1


def read_class(pattern: str, place: int) -> tuple[str, int]:
    """Reads the class that begins at `place`."""
    place += 1
    out = ["["]
    if pattern.startswith("^", place):
        out.append("^")
        place += 1
    begins = len(out)
    while True:
        character = pattern[place : place + 1]
        if not character:
            message = "a class [ is not closed"
            raise RubyRegexError(message)
        if character == "]" and not (len(out) == begins and "]" in pattern[place + 1 :]):
            break
        if character == "[":
            if posix := _POSIX.match(pattern, place):
                made = posix[0] if posix[1] else _POSIX_OWN.get(posix[2], posix[0])
                place = posix.end()
            else:
                made, place = read_class(pattern, place)
        elif pattern.startswith("&&", place):
            made, place = "&&", place + 2
        else:
            made, place = _range(pattern, place)
        out.append(made)
    if len(out) == begins:
        message = "a class is empty"
        raise RubyRegexError(message)
    return "".join(out) + "]", place + 1


def _range(pattern: str, place: int) -> tuple[str, int]:
    """Reads a character, a range of them, or a class by its letter."""
    low, place, is_class = _member(pattern, place)
    if is_class:
        return low, place
    following = pattern[place + 1 : place + 2]
    if (
        not pattern.startswith("-", place)
        or following in ("]", "[", "")
        or pattern.startswith("&&", place + 1)
    ):
        return _quoted(low), place
    high, place, is_class = _member(pattern, place + 1)
    if is_class:
        return f"{_quoted(low)}\\-{high}", place
    if ord(high) < ord(low):
        message = f"the range {low}-{high} is empty"
        raise RubyRegexError(message)
    return f"{_quoted(low)}-{_quoted(high)}", place


def _member(pattern: str, place: int) -> tuple[str, int, bool]:
    """Reads one member of a class, and whether it is a class itself."""
    if pattern[place] != "\\":
        return pattern[place], place + 1, False
    character = pattern[place + 1 : place + 2]
    if character and character.lower() in SHORTHANDS:
        return shorthand(character), place + 2, True
    if character in ("p", "P") and pattern.startswith("{", place + 2):
        return *read_property(pattern, place + 2), True
    if character == "b":
        return "\b", place + 2, False
    return *read_escaped(pattern, place), False


def _quoted(character: str) -> str:
    return "\\" + character if character in "[]^-\\&~|" else character
