"""`_reader` reads a configuration's tokens, values and plugins, and knows at each place what the syntax allows.

Facts that surprise, kept as Logstash has them:
- a bare word has two characters at least; a number with a leading zero is octal; `5.` is refused;
- a quote behind a backslash never ends a text, so no text ends in a backslash; backslashes stay in the value;
- white space must come first between two options, before any comment; entries of a hash need none.
"""

import math
import re
from typing import Any

from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.language._substitution import unescape
from penstock.transforms.logstash.language._tree import Places, Plugin, Setting

MAX_DEPTH = 100
"""How deep arrays, hashes, branches and parentheses may nest; Logstash has no limit but its stack."""

_SPACE = re.compile(r"[ \t\r\n]*+")
_SKIP = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
NAME = re.compile(r"[A-Za-z0-9_-]++")
BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]++")
NUMBER = re.compile(r"-?[0-9]++(?:\.[0-9]*+)?")
STRING = re.compile(r'"(?:\\"|[^"])*+"|' + r"'(?:\\'|[^'])*+'")
_MAX_LONG = 1 << 63

_HINTS = (
    (re.compile(r"\$"), 'a variable stands in quotes and braces, "${NAME}"'),
    (re.compile(r"\{\{|\{%|<%|\{ ?\w+ \}\}"), "this is a template; its placeholders must be filled in first"),
    (
        re.compile("[\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb]"),
        "these are typographic quotes; write \" or '",
    ),
    (
        re.compile("[\u00a0\u2000-\u200b\u202f\u3000\ufeff]"),
        "this is a no-break space, or another that isn't seen; write a usual one",
    ),
)
"""What is often found where nothing fits -> what to do."""
_VALUES = ("a text in quotes", "a number", "a word of two letters or more", "[", "{")


class Reader:
    """A place in a text, and what can be read from there.

    Args:
        text: the configuration.
        support_escapes: whether escapes in texts are replaced.
    """

    def __init__(self, text: str, support_escapes: bool) -> None:
        self._text = text
        self._escapes = support_escapes
        self._at = 0
        self._depth = 0

    def _skip(self) -> None:
        """Passes over white space and comments."""
        self._at = _SKIP.match(self._text, self._at).end()  # type: ignore[union-attr]

    def _take(self, token: str) -> bool:
        if self._text.startswith(token, self._at):
            self._at += len(token)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._take(token):
            message = f"there is no {token} here"
            raise self._error(message, (token,))

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels of brackets, braces and parentheses"
            raise self._error(message, ())

    def _error(self, message: str, expected: tuple[str, ...], at: int | None = None) -> ConfigError:
        at = self._at if at is None else at
        line, column = Places(self._text).of(min(at, len(self._text)))
        found = self._text[at : at + 20].split("\n")[0].rstrip("\r")
        where = f" (at {found!r})" if found else (" (at the end)" if at >= len(self._text) else "")
        for begins, hint in _HINTS:
            if begins.match(found):
                return ConfigError(f"{message}{where}: {hint}", line, column)
        return ConfigError(message + where, line, column, expected)

    # Plugins

    def _plugin_block(self, name: str, start: int) -> Plugin:
        self._expect("{")
        self._enter()
        settings: list[Setting] = []
        self._skip()
        while not self._take("}"):
            settings.append(self._setting())
            end = self._at
            self._at = _SPACE.match(self._text, end).end()  # type: ignore[union-attr]
            spaced = self._at > end
            self._skip()
            if not spaced and not self._text.startswith("}", self._at):
                self._at = end
                message = "this cannot follow a value: between two options stands white space"
                raise self._error(message, ("white space", "}"))
        self._depth -= 1
        return Plugin(name, settings, start)

    def _setting(self) -> Setting:
        start = self._at
        name = self._name()
        if name is None:
            message = "no option begins here"
            raise self._error(message, ("an option's name", "}"))
        self._skip()
        self._expect("=>")
        self._skip()
        return Setting(name, self._value(), start)

    def _name(self, *, quoted: bool = False) -> str | None:
        """Reads a plugin's or option's name; the quotes around an option's name are taken off."""
        found = NAME.match(self._text, self._at)
        if found is None:
            found = STRING.match(self._text, self._at)
            if found is None:
                return None
            self._at = found.end()
            return found[0] if quoted else found[0][1:-1]
        self._at = found.end()
        return found[0]

    # Values

    def _value(self) -> Any:
        text, start = self._text, self._at
        first = text[start : start + 1]
        if first == "[":
            return self._array()
        if first == "{":
            return self._hash()
        name = NAME.match(text, start) or STRING.match(text, start)
        if name is not None:
            after = skipped(text, name.end())
            if text.startswith("{", after):
                self._at = after
                return self._plugin_block(name[0], start)
            if first in "\"'":
                self._at = name.end()
                return self._content(name[0])
            word = BARE_WORD.match(text, start)
            if word is not None:
                self._at = word.end()
                return word[0]
            number = NUMBER.match(text, start)
            if number is not None:
                self._at = number.end()
                return self._number(number[0], start)
            if first.isalpha() or first == "_":
                message = "a word without quotes has two letters at least"
                raise self._error(message, ())
        if first in ("'", '"'):
            message = "this text has no end (a quote behind a backslash doesn't end it)"
            raise self._error(message, ())
        message = "no value begins here"
        raise self._error(message, _VALUES)

    def _content(self, literal: str) -> str:
        return unescape(literal[1:-1]) if self._escapes else literal[1:-1]

    def _number(self, text: str, start: int) -> int | float:
        digits = text.lstrip("-")
        if "." in digits:
            if digits.endswith("."):
                message = f"{text} is no number"
                raise self._error(message, ("digits behind the point",), start)
            number = float(text)
            if math.isinf(number):
                message = f"{text[:20]}... is larger than any number"
                raise self._error(message, (), start)
            return number
        try:
            whole = int(text, 8) if len(digits) > 1 and digits[0] == "0" else int(text)
        except ValueError:
            message = f"{text} is no number: a leading zero makes it octal"
            raise self._error(message, (), start) from None
        if not -_MAX_LONG <= whole < _MAX_LONG:
            message = f"{text} has more than 64 bits"
            raise self._error(message, (), start)
        return whole

    def _array(self) -> list[Any]:
        self._expect("[")
        self._enter()
        values = []
        self._skip()
        if not self._take("]"):
            while True:
                value = self._value()
                if not isinstance(value, Plugin):  # a plugin within an array vanishes
                    values.append(value)
                self._skip()
                if self._take("]"):
                    break
                if not self._take(","):
                    message = "the array goes on without a comma"
                    raise self._error(message, (",", "]"))
                self._skip()
        self._depth -= 1
        return values

    def _hash(self) -> dict[Any, Any]:
        self._expect("{")
        self._enter()
        values: dict[Any, Any] = {}
        written = set()
        self._skip()
        while not self._take("}"):
            start = self._at
            key = self._key()
            literal = self._text[start : self._at]
            if literal in written:
                message = f"the key {literal} stands twice in this hash"
                raise self._error(message, (), start)
            written.add(literal)
            self._skip()
            self._expect("=>")
            self._skip()
            values[key] = self._value()
            self._skip()
        self._depth -= 1
        return values

    def _key(self) -> Any:
        start = self._at
        for pattern in (NUMBER, BARE_WORD, STRING):
            found = pattern.match(self._text, start)
            if found is not None:
                self._at = found.end()
                if pattern is NUMBER:
                    return self._number(found[0], start)
                return found[0] if pattern is BARE_WORD else self._content(found[0])
        message = "no key begins here"
        raise self._error(message, ("a text in quotes", "a word of two letters or more", "}"))


def skipped(text: str, at: int) -> int:
    """Gives the next place behind `at` that is no white space and no comment."""
    return _SKIP.match(text, at).end()  # type: ignore[union-attr]
