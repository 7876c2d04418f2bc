r"""`_oniguruma` translates a regular expression in Ruby's syntax (Oniguruma) for the module `regex`, with its meaning.

What differs: `\w \d \s \h` are ASCII while `\b` and `[[:alpha:]]` go by Unicode; `(?m)` is "dot matches LF" and
`^ $` always are ends of lines; `\Z` stands before a final LF and `\z` at the end; a group without a name captures
nothing as soon as one has a name; names may repeat and hold anything; `{` that begins no repetition is a character;
`(?i)` in the middle holds for the rest of its group, alternatives included; a repetition may be repeated.

It also gives the pieces of text that every match must hold, in order. They are looked for first, so a line that
does not match costs a hundredth of the engine's own failure.
"""

import re
from typing import Any, NamedTuple

import regex

from penstock.transforms.logstash.language.ruby import _classes
from penstock.transforms.logstash.language.ruby._classes import RubyRegexError
from penstock.transforms.logstash.language.ruby._frames import Frame, best_of

__all__ = ["RubyRegexError", "Translation", "caret", "compile_ruby", "compile_translation", "translate"]

_QUANTIFIER = re.compile(r"([*+?])|\{(\d*)(,?)(\d*)\}")
_FLAGS = re.compile(r"\?([imx]*)(-[imx]*)?([:)])")
_NAMED = re.compile(r"\?(?:<(?![=!])([^>)]*)>|'([^')]*)')")
_REFERENCE = re.compile(r"[<']([^>']+)[>']")
_SPECIAL = frozenset(".^$*+?{}[]\\|()#&~-")
_ANY_NAMED = re.compile(r"(?<!\\)(?:\\\\)*\(\?(?:<(?![=!])|')")
_MAX_COPIES = 200_000  # 100 MB and a second while `regex` compiles
_CONSUMES = re.compile(r"(?:[^\\^$*+?{}\[\]()|]|\\[dDwWsShH.^$*+?{}()|/\-\[\]]|\[\^?[^\[\]\\]+\])(?![*?{])")


class Translation(NamedTuple):
    """A translated expression.

    Attributes:
        text: for the module `regex`.
        groups: each named group's name and number, in order.
        literals: texts that stand in everything it matches, in this order and without overlap.
    """

    text: str
    groups: tuple[tuple[str, int], ...]
    literals: tuple[str, ...]


def caret(pattern: str, place: int) -> str:
    """Tells what `^` at `place` is to Python. Ruby's does not match behind a line's end that ends the text."""
    return "^" if _CONSUMES.match(pattern, place + 1) else r"(?:^(?!\Z)|\A)"


def translate(pattern: str, *, dot_all: bool = False) -> Translation:
    """Translates `pattern`.

    Args:
        pattern: as Ruby writes it, without the slashes.
        dot_all: whether `.` matches LF from the start (Ruby's option MULTILINE).

    Raises:
        RubyRegexError: it is no expression.
    """
    return _Translator(pattern, dot_all).run()


def compile_ruby(pattern: str, *, dot_all: bool = False) -> "regex.Pattern[str]":
    """Translates and compiles `pattern`. Raises `RubyRegexError`."""
    return compile_translation(translate(pattern, dot_all=dot_all), dot_all=dot_all)


def compile_translation(translation: Translation, *, dot_all: bool) -> "regex.Pattern[str]":
    """Compiles what `translate` made. Raises `RubyRegexError`."""
    flags = regex.V1 | regex.MULTILINE | (regex.DOTALL if dot_all else 0)
    try:
        return regex.compile(translation.text, flags)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise RubyRegexError(str(error)) from None


class _Translator:
    def __init__(self, pattern: str, dot_all: bool) -> None:
        self._pattern = pattern
        self._place = 0
        self._out: list[str] = []
        self._named = _ANY_NAMED.search(pattern) is not None
        self._groups: list[tuple[str, int]] = []
        self._count = 0
        self._late: list[tuple[int, str]] = []  # where in `_out` a group is called, its name
        self._flags = (False, dot_all, False)  # i, m, x
        self._stack = [Frame("top", 0, self._flags)]
        self._atom: int | None = None  # where in `_out` the last thing that can be repeated begins
        self._copies = 1  # of it
        self._pending: Any = None  # its text, or its runs, until we know whether it repeats
        self._repeated = False  # whether that is a repetition itself
        self._greedy: str | None = None  # and which, where it is a simple greedy one

    def run(self) -> Translation:
        pattern = self._pattern
        while self._place < len(pattern):
            self._step(pattern[self._place])
        self._settle()
        while self._stack[-1].kind == "rest":
            self._fold_rest()
        if len(self._stack) != 1:
            message = "a group is not closed"
            raise RubyRegexError(message)
        top = self._stack[0]
        self._out.append(top.closing)
        self._resolve()
        runs = [] if top.alternated else [run for run in (*top.runs, top.current) if run]
        return Translation("".join(self._out), tuple(self._groups), best_of(runs))

    def _step(self, character: str) -> None:
        if character == "\\":
            self._escape()
        elif character == "[":
            start = len(self._out)
            self._settle()
            made, self._place = _classes.read_class(self._pattern, self._place)
            self._out.append(made)
            self._begin(start, None)
        elif character == "(":
            self._open()
        elif character == ")":
            self._close()
        elif character == "|":
            self._settle()
            frame = self._stack[-1]
            frame.alternated = True
            self._put("|")
        elif (
            character in "*+?{"
            and (found := _QUANTIFIER.match(self._pattern, self._place))
            and found[0]
            not in (
                "{}",
                "{,}",
            )
        ):
            self._repeat(found)
        elif self._flags[2] and character in " \t\n\r\f\v":
            self._place += 1
        elif self._flags[2] and character == "#":
            end = self._pattern.find("\n", self._place)
            self._place = len(self._pattern) if end < 0 else end + 1
        elif character in ".^$":
            self._settle()
            self._out.append(caret(self._pattern, self._place) if character == "^" else character)
            self._place += 1
            self._atom = self._greedy = None
            self._begin(len(self._out) - 1, None)
        else:
            self._place += 1
            self._literal(character)

    # --- what is written ------------------------------------------------------------------------------------------

    def _put(self, text: str) -> None:
        self._out.append(text)
        self._place += len(text)
        self._atom = self._greedy = None

    def _literal(self, character: str) -> None:
        self._settle()
        start = len(self._out)
        self._out.append("\\" + character if character in _SPECIAL else character)
        self._begin(start, character)

    def _begin(self, start: int, pending: Any, copies: int = 1) -> None:
        self._atom, self._repeated, self._greedy = start, False, None
        self._copies = copies
        self._stack[-1].copies += copies
        self._pending = pending if pending is not None else ()

    def _settle(self) -> None:
        """The last thing is not repeated: a character joins the run, anything else ends it."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        frame = self._stack[-1]
        if isinstance(pending, str):
            frame.current += "" if self._flags[0] else pending
            if self._flags[0]:
                self._end_run()
        else:
            self._end_run()
            frame.runs += pending

    def _end_run(self) -> None:
        frame = self._stack[-1]
        if frame.current:
            frame.runs.append(frame.current)
            frame.current = ""

    # --- groups ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._settle()
        pattern, place = self._pattern, self._place + 1
        start = len(self._out)
        if pattern.startswith("?#", place):
            end = pattern.find(")", place)
            self._place = len(pattern) if end < 0 else end + 1
            return
        if flags := _FLAGS.match(pattern, place):
            self._flagged(flags, start)
            return
        if named := _NAMED.match(pattern, place):
            name = named[1] if named[1] is not None else named[2]
            if not name or name[0].isdigit():
                message = f"{name!r} is no name of a group"
                raise RubyRegexError(message)
            self._count += 1
            self._groups.append((name, self._count))
            self._push("group", start, "(", place + len(named[0]))
            return
        for prefix in ("?<=", "?<!", "?=", "?!"):
            if pattern.startswith(prefix, place):
                self._push("look", start, "(" + prefix, place + len(prefix))
                return
        if pattern.startswith("?>", place):
            self._push("group", start, "(?>", place + 2)
        elif pattern.startswith("?", place):
            message = f"the group {pattern[place - 1 : place + 3]} is unknown"
            raise RubyRegexError(message)
        elif self._named:
            self._push("group", start, "(?:", place)
        else:
            self._count += 1
            self._push("group", start, "(", place)

    def _push(self, kind: str, start: int, text: str, place: int) -> None:
        self._out.append(text)
        self._stack.append(Frame(kind, start, self._flags))
        self._place = place
        self._atom = self._greedy = None

    def _flagged(self, found: "re.Match[str]", start: int) -> None:
        on, off = found[1], found[2] or ""
        now = tuple(
            (letter in on or was) and letter not in off
            for letter, was in zip("imx", self._flags, strict=True)
        )
        written = ("i" if now[0] else "") + ("s" if now[1] else "")
        unset = ("" if now[0] else "i") + ("" if now[1] else "s")
        text = f"(?{written}{'-' + unset if unset else ''}:" if now[:2] != self._flags[:2] else "(?:"
        place = self._place + 1 + len(found[0])
        if found[3] == ":":
            self._push("group", start, text, place)
        else:  # for the rest of the group that is open
            self._end_run()
            self._out.append(text)
            self._stack[-1].closing += ")"
            self._stack.append(Frame("rest", start, self._flags))
            self._place = place
            self._atom = self._greedy = None
        self._flags = (now[0], now[1], now[2])

    def _close(self) -> None:
        self._settle()
        while self._stack[-1].kind == "rest":
            self._fold_rest()
        if len(self._stack) == 1:
            message = "a group is closed that was not opened"
            raise RubyRegexError(message)
        frame = self._stack.pop()
        self._out.append(frame.closing + ")")
        self._place += 1
        self._flags = frame.flags
        runs = [run for run in (*frame.runs, frame.current) if run]
        whole = not frame.alternated and frame.kind != "look"
        self._begin(frame.start, tuple(runs) if whole else (), max(1, frame.copies))

    def _fold_rest(self) -> None:
        rest = self._stack.pop()
        frame = self._stack[-1]
        frame.closing = rest.closing + frame.closing
        frame.copies += rest.copies
        if not rest.alternated:
            frame.runs += [run for run in (*rest.runs, rest.current) if run]

    # --- repetitions ----------------------------------------------------------------------------------------------

    def _repeat(self, found: "re.Match[str]") -> None:
        simple, least, comma, most = found[1], found[2], found[3], found[4]
        if self._atom is None:
            if simple:
                message = f"nothing to repeat before {simple}"
                raise RubyRegexError(message)
            self._place += 1
            self._literal("{")
            return
        start = self._atom
        self._place += len(found[0])
        mode = self._pattern[self._place : self._place + 1]
        if simple:
            mode = mode if mode and mode in "?+" else ""
            text = simple + mode
        else:
            mode = mode if mode == "?" and comma else ""
            text = f"{{{least or '0'}{comma}{most}}}{mode}"
        self._place += len(mode)
        greedy = simple if simple and not mode else None
        if self._greedy is not None and greedy is not None:
            greedy = greedy if greedy == self._greedy else "*"  # `a?*` is `a*`
            self._out[-1] = greedy
        else:
            if self._repeated:
                self._out.insert(start, "(?:")
                self._late = [(at + (at >= start), name) for at, name in self._late]
                self._out.append(")")
            self._out.append(text)
            self._copy(1 if simple == "+" else 0 if simple else int(least or "0"))
        once = simple == "+" or (not simple and int(least or "0") > 0)
        pending = self._pending
        self._pending = None
        self._end_run()
        if once and pending:
            if not isinstance(pending, str):
                self._stack[-1].runs += pending
            elif not self._flags[0]:
                self._stack[-1].runs.append(pending)
        self._atom, self._repeated, self._greedy, self._pending = start, True, greedy, ()

    def _copy(self, least: int) -> None:
        """A thing that must stand there `least` times is compiled so many times more (above 20 it is counted instead)."""
        frame, before = self._stack[-1], self._copies
        self._copies *= 1 + min(least, 20)
        frame.copies += self._copies - before
        if frame.copies > _MAX_COPIES:
            message = (
                f"its repetitions of repetitions write out to over {_MAX_COPIES} parts; nest fewer of them"
            )
            raise RubyRegexError(message)

    # --- escapes --------------------------------------------------------------------------------------------------

    def _escape(self) -> None:
        pattern, place = self._pattern, self._place
        character = pattern[place + 1 : place + 2]
        if not character:
            message = "it ends in a backslash"
            raise RubyRegexError(message)
        start = len(self._out)
        self._place += 2
        if character.lower() in _classes.SHORTHANDS:
            self._settle()
            self._out.append(_classes.shorthand(character))
            self._begin(start, None)
        elif character in "AzZbBGKXR":
            self._settle()
            self._out.append(_ANCHORS.get(character, "\\" + character))
            self._begin(start, None)
        elif character in "pP" and pattern.startswith("{", place + 2):
            self._settle()
            made, self._place = _classes.read_property(pattern, place + 2)
            self._out.append(made)
            self._begin(start, None)
        elif character in "kg" and (found := _REFERENCE.match(pattern, place + 2)):
            self._settle()
            self._place = place + 2 + len(found[0])
            self._out.append("")
            if character == "g":
                self._late.append((start, found[1]))
            else:
                self._out[start] = self._reference_to(found[1])
            self._begin(start, None)
        elif character in "123456789":
            self._settle()
            if self._named:
                message = f"\\{character}: with named groups, refer to one by \\k<name>"
                raise RubyRegexError(message)
            self._out.append(f"(?:\\{character})")
            self._begin(start, None)
        else:
            made, self._place = _classes.read_escaped(pattern, place)
            self._literal(made)

    # --- references to groups -------------------------------------------------------------------------------------

    def _numbers_of(self, letter: str, name: str) -> list[int]:
        found = [index for known, index in self._groups if known == name]
        if not found and not self._named and name.isdigit() and int(name) <= self._count:
            found = [int(name)]
        if not found:
            message = f"\\{letter}<{name}> names no group"
            raise RubyRegexError(message)
        return found

    def _reference_to(self, name: str) -> str:
        """Gives what a reference to a group in front of it matches: any of that name, the last first."""
        return "(?:" + "|".join(f"\\{index}" for index in reversed(self._numbers_of("k", name))) + ")"

    def _resolve(self) -> None:
        """Calls of groups may stand before them."""
        for at, name in self._late:
            self._out[at] = "(?R)" if name == "0" else f"(?{self._numbers_of('g', name)[0]})"


_ANCHORS = {"z": "\\Z", "Z": "(?=\\n?\\Z)", "R": "(?>\\r\\n|[\\n-\\r\\x85\\u2028\\u2029])"}
