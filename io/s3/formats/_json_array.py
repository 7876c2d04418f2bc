"""`read_array` reads a JSON array, or the one in `{"Records": [...]}`, element by element from a stream of blocks.

Problem. Such files can't be read line by line, and a whole one may not fit into memory.

Plan. Guess where the last whole element of the buffer ends (before the last `},{`, or before the array's end), and let
msgspec take what stands before apart; it fails when the guess was wrong or the JSON is bad. Then the slow way: look
for brackets outside of strings, count how deep they are, and cut an element's bytes out when it ends. One step of
the regular expression goes from bracket to bracket. An element is parsed later, like any other record.

Invariants.
- An element's bytes stay as they came. Elements that are no object or array (a number, a
  string) are handed on too: the decoder refuses them with their place.
- Data behind the array's end is reported, not dropped in silence: a second array, or a second `"Records"`.
- Memory: a block and one element of at most the limit, beyond which the rest can't be read.
"""

import itertools
import re
from collections.abc import Iterable, Iterator

import msgspec

from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._lines import KEPT_OF_TOO_LONG, Piece
from penstock.io.s3.origin import S3Record
from penstock.transforms.batch import DeadLetter, Event

__all__ = ["RECORDS", "read_array"]

RECORDS = re.compile(rb'"Records"\s*:\s*\[')
"""Where the records begin in what CloudTrail and S3's own notifications write."""

# Everything up to the next bracket, strings whole. Possessive: it never goes back over what it has passed.
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]|"(?:[^"\\]|\\.)*+")*+([{}\[\]])', re.DOTALL)
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s,]+', re.DOTALL)
_FIND_RECORDS_WITHIN = 1 << 20
_BETWEEN = re.compile(rb"\}\s*,\s*\{")
_LOOK_BACK = 64 << 10
_LOOK_BEHIND = 256
_GUESSES = 3
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_array(
    blocks: Iterable[bytes], origin: S3Record, max_element_bytes: int, *, records: bool
) -> Iterator[Piece]:
    """Gives the array's elements, numbered from 0.

    Args:
        blocks: the content.
        origin: of its events.
        max_element_bytes: a larger element ends the reading with a dead letter.
        records: whether the array is the value of `"Records"`.

    Raises:
        Damaged: the array doesn't end, or isn't all there is, or there is none; what could be read was yielded.
    """
    scanner = _Scanner(origin, max_element_bytes)
    buffer = b""
    begun = False
    blocks = iter(blocks)
    for block in blocks:
        buffer = buffer + block if buffer else block
        if not begun:
            begin = _begin(buffer, records=records)
            if begin is None:
                if len(buffer) > _FIND_RECORDS_WITHIN:
                    break
                continue
            begun = True
            buffer = buffer[begin:]
        events, buffer = scanner.scan(buffer)
        yield events, []
        if scanner.ended:
            _check_rest(itertools.chain([buffer], blocks), scanner.count, records=records)
            return
        if len(buffer) > max_element_bytes:
            yield [], [scanner.too_long(buffer)]
            return
    if not begun:
        if not buffer.strip():
            return  # an empty object
        message = 'no array of "Records"' if records else "no JSON array"
        raise Damaged(message)
    # The guess at the last whole element may have been wrong.
    events, buffer = scanner.scan_slowly(buffer)
    yield events, []
    if scanner.ended:
        _check_rest([buffer], scanner.count, records=records)
        return
    message = f"the JSON array is cut short after {scanner.count} elements"
    raise Damaged(message)


def _begin(buffer: bytes, *, records: bool) -> int | None:
    """Gives the position behind the array's opening bracket."""
    if records:
        found = RECORDS.search(buffer)
        return found.end() if found else None
    text = buffer.removeprefix(b"\xef\xbb\xbf").lstrip()
    return len(buffer) - len(text) + 1 if text.startswith(b"[") else None


def _check_rest(blocks: Iterable[bytes], count: int, *, records: bool) -> None:
    """Raises `Damaged` when more records follow the array."""
    held = b""
    for block in blocks:
        held += block
        if RECORDS.search(held) if records else held.strip():
            message = (
                f"more follows the array of {count} elements, and is not read. If each line is a record of its own, "
                "give --format lines"
            )
            raise Damaged(message)
        held = held[-_LOOK_BEHIND:] if records else b""


def _guesses(buffer: bytes) -> Iterator[tuple[int, int | None]]:
    """Gives places where the last whole element may end, and where the next one begins (None: the array ends there)."""
    if buffer[-64:].rstrip(b" \t\r\n}").endswith(b"]"):
        yield buffer.rindex(b"]"), None
    last = buffer.rfind(b"},{")
    if last >= 0:
        yield last + 1, last + 2
    start = max(0, len(buffer) - _LOOK_BACK)
    for found in list(_BETWEEN.finditer(buffer, start))[: -_GUESSES - 1 : -1]:
        yield found.start() + 1, found.end() - 1


class _Scanner:
    """Scans elements. When `scan` returns, it is always between two elements; a cut one stays in the buffer."""

    def __init__(self, origin: S3Record, max_element_bytes: int) -> None:
        self._origin = origin
        self._limit = max_element_bytes
        self._resume = (0, 0)  # position in the buffer up to which a cut element was looked at, and its depth
        self.count = 0
        self.ended = False

    def scan(self, buffer: bytes) -> tuple[list[Event], bytes]:
        """Gives the elements that end in `buffer`, and the rest of it."""
        if self._resume == (0, 0):
            buffer = buffer.lstrip(b", \t\r\n")
            for end, rest in _guesses(buffer):
                try:
                    found = _elements(b"[%b]" % buffer[:end])
                except (msgspec.MsgspecError, RecursionError):
                    continue
                first, self.count = self.count, self.count + len(found)
                self.ended = rest is None
                origin = self._origin
                events = [Event(bytes(raw), origin, n) for n, raw in enumerate(found, first)]
                return events, buffer[end + 1 if rest is None else rest :]
        return self.scan_slowly(buffer)

    def scan_slowly(self, buffer: bytes) -> tuple[list[Event], bytes]:
        """Does the same bracket by bracket."""
        events: list[Event] = []
        position, depth = self._resume
        element = 0  # where the element, or the gap before it, begins
        start = 0 if depth else -1
        match = _TO_BRACKET.match
        origin, append = self._origin, events.append
        while step := match(buffer, position):
            position = step.end()
            bracket = buffer[position - 1]
            if bracket in b"{[":
                if not depth:
                    self._gap(buffer[element : position - 1], append)
                    start = position - 1
                depth += 1
            elif depth:
                depth -= 1
                if not depth:
                    append(Event(buffer[start:position], origin, self.count))
                    self.count += 1
                    element, start = position, -1
            else:
                self._gap(buffer[element : position - 1], append)
                self.ended = True
                return events, buffer[position:]
        keep = start if depth else element
        self._resume = (position - keep, depth)
        return events, buffer[keep:]

    def _gap(self, gap: bytes, append: object) -> None:
        """Looks at the gap between elements. Anything but a comma is an element of another kind."""
        if gap.strip(b", \t\r\n"):
            for found in _SCALAR.finditer(gap):
                append(Event(found[0], self._origin, self.count))  # type: ignore[operator]
                self.count += 1

    def too_long(self, buffer: bytes) -> DeadLetter:
        """Makes the letter for an element beyond the limit."""
        event = Event(buffer[:KEPT_OF_TOO_LONG], self._origin, self.count)
        reason = f"an element of more than {self._limit} bytes (--max_line_bytes); it and the rest of the array are not read"
        return DeadLetter(event, "ElementTooLong", reason, "s3")
