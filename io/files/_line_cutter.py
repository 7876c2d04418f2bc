"""`_line_cutter` cuts the bytes of a file into events: lines, or lines that belong together. Pure.

Each event comes with the offset where it begins. `done` is the offset behind the last event given: whoever goes on from
there gets the rest, and nothing twice. A line beyond `MAX_LINE_BYTES` is given in pieces, so memory stays bounded.
"""

from penstock.transforms.codecs.lines._multiline import Joiner, Multiline

MAX_LINE_BYTES = 1 << 20


class LineCutter:
    """Cuts blocks into events.

    Args:
        offset: where the first block begins in its file.
        rule: how lines belong together; None: each is an event.

    Attributes:
        done: the offset behind the last event that was given.
    """

    def __init__(self, offset: int, rule: Multiline | None = None) -> None:
        self.done = offset
        self._rest = b""
        self._at = offset
        self._joiner = None if rule is None else Joiner(rule)

    def feed(self, block: bytes) -> list[tuple[int, bytes]]:
        """Takes the next bytes; gives the events that they end, each with its offset."""
        lines = (self._rest + block if self._rest else block).split(b"\n")
        rest = lines.pop()
        found: list[tuple[int, bytes]] = []
        for line in lines:
            self._add(found, line, 1)
        while len(rest) > MAX_LINE_BYTES:
            self._add(found, rest[:MAX_LINE_BYTES], 0)
            rest = rest[MAX_LINE_BYTES:]
        self._rest = rest
        return found

    def finish(self) -> list[tuple[int, bytes]]:
        """Gives what is left, also without a line end."""
        found: list[tuple[int, bytes]] = []
        rest, self._rest = self._rest, b""
        if rest:
            self._add(found, rest, 0)
        return found + self.flush()

    def flush(self) -> list[tuple[int, bytes]]:
        """Gives the lines that wait for one that might belong to them."""
        event = None if self._joiner is None else self._joiner.finish()
        self.done = self._at
        return [] if event is None else [(event[0], _bytes(event[1]))]

    def _add(self, found: list[tuple[int, bytes]], line: bytes, end: int) -> None:
        at = self._at
        self._at += len(line) + end
        if self._joiner is None:
            found.append((at, line))
            self.done = self._at
            return
        event = self._joiner.add(at, line.decode(errors="surrogateescape"))
        if event is not None:
            found.append((event[0], _bytes(event[1])))
            self.done = at


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
