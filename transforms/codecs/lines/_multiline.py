"""`_multiline` joins lines that belong together: a stack trace, a statement over several lines. Pure.

The meaning is that of Logstash's multiline codec: a line that matches `pattern` (with `negate`, one that doesn't)
belongs to the `previous` line or to the `next` one. Events are bounded in lines and bytes: a pattern that matches
everything can't gather a whole file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Multiline"]


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
        found = re.compile(self.pattern).search
        belongs_before = self.what == "previous"
        held: list[str] = []
        size = first = 0
        open_end = False  # the last held line says that the next one belongs to it
        for number, line in enumerate(lines):
            belongs = (found(line) is not None) is not self.negate
            together = belongs if belongs_before else open_end
            if held and (not together or len(held) >= self.max_lines or size + len(line) > self.max_bytes):
                yield first, "\n".join(held)
                held, size = [], 0
            if not held:
                first = number
            held.append(line)
            size += len(line) + 1
            open_end = belongs
        if held:
            yield first, "\n".join(held)
