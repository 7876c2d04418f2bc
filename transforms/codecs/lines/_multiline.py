"""`_multiline` joins lines that belong together: a stack trace, a statement over several lines. Pure.

The meaning is that of Logstash's multiline codec: a line that matches `pattern` (with `negate`, one that doesn't)
belongs to the `previous` line or to the `next` one. Events are bounded in lines and bytes: a pattern that matches
everything can't gather a whole file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Joiner", "Multiline"]


@dataclass(frozen=True)
class Multiline:
    """The rule by which lines belong together.

    Attributes:
        pattern: a regular expression that is looked for in each line.
        negate: whether the lines without it are meant.
        what: the line that such a line belongs to, `previous` or `next`.
        max_lines: the most lines of one event; the next line begins a new event.
        max_bytes: the most bytes of one event, in the same way.
    """

    pattern: str
    negate: bool = False
    what: str = "previous"
    max_lines: int = 500
    max_bytes: int = 10 << 20

    def join(self, lines: list[str]) -> Iterator[tuple[int, str]]:
        """Gives (number of its first line, text) per event."""
        joiner = Joiner(self)
        for number, line in enumerate(lines):
            if (event := joiner.add(number, line)) is not None:
                yield event
        if (event := joiner.finish()) is not None:
            yield event


class Joiner:
    """Takes lines one after another, and gives each event once the next one begins."""

    def __init__(self, rule: Multiline) -> None:
        self._rule = rule
        self._found = re.compile(rule.pattern).search
        self._first = self._size = 0
        self._held: list[str] = []
        self._open_end = False  # the last line held says that the next one belongs to it

    def add(self, number: int, line: str) -> tuple[int, str] | None:
        """Takes a line; gives (number of its first line, text) of an event that ended before it."""
        rule, held = self._rule, self._held
        belongs = (self._found(line) is not None) is not rule.negate
        together = belongs if rule.what == "previous" else self._open_end
        self._open_end = belongs
        ended = None
        if held and (not together or len(held) >= rule.max_lines or self._size + len(line) > rule.max_bytes):
            ended = self.finish()
        if not self._held:
            self._first = number
        self._held.append(line)
        self._size += len(line) + 1
        return ended

    def finish(self) -> tuple[int, str] | None:
        """Gives the event that is held, if there is one."""
        if not self._held:
            return None
        event = self._first, "\n".join(self._held)
        self._held, self._size = [], 0
        return event
