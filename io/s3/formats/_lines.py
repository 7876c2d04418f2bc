"""`read_lines` and `read_part` read text in lines, one event per line; in parts where it is uncompressed and large.

Invariants.
- A line belongs to the part in which its first byte stands, so every line is read once however an object is split:
  a part that doesn't begin at 0 skips what stands before the first line end (it looks one byte back), and the
  last line is read beyond the part's end.
- A line longer than the limit becomes a dead letter with its beginning; what follows it is read.
- Where the codec knows how (`long`), a long line is decoded as its blocks come; the limit is that of a value in it.
- Memory: a block, and one unfinished line of at most the limit.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from penstock.io.s3.origin import S3Record
from penstock.transforms.batch import DeadLetter, Event, Origin
from penstock.transforms.codecs.lines._multiline import Joiner, Multiline
from penstock.transforms.kernels._event_lists import events_of

if TYPE_CHECKING:  # Beam comes with it, and the processes that read tables need none
    from penstock.transforms.codecs.long_records import LongRecord

__all__ = ["KEPT_OF_TOO_LONG", "Piece", "join_lines", "read_lines", "read_part"]

Piece = tuple[list[Event], list[DeadLetter]]
"""The result of a reader: events, and letters for what it could not read."""

KEPT_OF_TOO_LONG = 64 << 10
"""Bytes of a line beyond the limit that its dead letter keeps."""

Long = Callable[[Origin, int, int], "LongRecord"]
"""Makes what decodes a line that is too long to hold, from its origin, its number, and the limit of a value."""

_LONG = 1 << 20
"""Bytes of a line that are held before it is decoded as its blocks come; ids don't depend on it."""

_BOM = b"\xef\xbb\xbf"


def read_lines(
    blocks: Iterable[bytes], origin: S3Record, max_line_bytes: int, long: Long | None = None
) -> Iterator[Piece]:
    """Gives the lines of a whole object, numbered from 0; blank ones are counted, and left out.

    Args:
        blocks: the content.
        origin: of its events.
        max_line_bytes: a longer line is a dead letter.
        long: decodes such lines.
    """
    carry = b""
    number = 0
    first = True
    too_long = False
    record: LongRecord | None = None
    for block in blocks:
        if first:
            block = block.removeprefix(_BOM)
            first = False
        if record is not None:
            head, line_end, block = block.partition(b"\n")
            yield record.feed(head)
            if not line_end:
                continue
            yield record.finish()
            record, number = None, number + 1
        returns = b"\r" in block or carry.endswith(b"\r")
        lines = (carry + block).split(b"\n") if carry else block.split(b"\n")
        carry = lines.pop()
        letters: list[DeadLetter] = []
        if too_long and lines:
            lines[0] = b""
            too_long = False
        if returns:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if b"" in lines:
            events = [Event(line, origin, count) for count, line in enumerate(lines, number) if line]
        else:
            events = events_of(lines, origin, number)
        if len(block) + len(carry) > max_line_bytes:
            events, letters = _without_long(events, max_line_bytes, long)
        number += len(lines)
        if too_long:
            carry = b""
        elif long is not None and len(carry) > min(_LONG, max_line_bytes):
            yield events, letters
            record = long(origin, number, max_line_bytes)
            events, letters = record.feed(carry)
            carry = b""
        elif len(carry) > max_line_bytes:
            letters.append(_too_long(carry, origin, number, max_line_bytes))
            carry, too_long = b"", True
        yield events, letters
    if record is not None:
        yield record.finish()
    last = carry.removesuffix(b"\r")
    if last and not too_long:
        yield [Event(last, origin, number)], []


def read_part(
    blocks: Iterable[bytes],
    start: int,
    end: int | None,
    origin: S3Record,
    max_line_bytes: int,
    long: Long | None = None,
) -> Iterator[Piece]:
    """Gives the lines that begin in a part of an uncompressed object, with the offset of their first byte.

    Args:
        blocks: the object's content from `max(0, start - 1)` on; read no further than needed.
        start: where the part begins.
        end: where the next part begins; None for the last.
        origin: of its events.
        max_line_bytes: a longer line is a dead letter.
        long: decodes such lines.
    """
    record: LongRecord | None = None
    offset = max(0, start - 1)
    skipping = start > 0
    carry = b""
    too_long = False
    for block in blocks:
        if record is not None:
            head, line_end, block = block.partition(b"\n")
            yield record.feed(head)
            offset += len(head) + len(line_end)
            if not line_end:
                continue
            yield record.finish()
            record = None
            if end is not None and offset >= end:
                return
        data = carry + block if carry else block
        if skipping:
            line_end_at = data.find(b"\n")
            if line_end_at < 0:
                offset += len(data)
                carry = b""
                continue
            data = data[line_end_at + 1 :]
            offset += line_end_at + 1
            skipping = False
        elif offset == 0 and not carry and data.startswith(_BOM):
            data = data.removeprefix(_BOM)
            offset = len(_BOM)
        lines = data.split(b"\n")
        carry = lines.pop()
        events: list[Event] = []
        letters: list[DeadLetter] = []
        for line in lines:
            if end is not None and offset >= end:
                yield events, letters
                return
            if too_long:
                too_long = False
            elif len(line) > max_line_bytes:
                found, refused = _without_long([Event(line, origin, offset)], max_line_bytes, long)
                events += found
                letters += refused
            elif line and line != b"\r":
                events.append(Event(line[:-1] if line.endswith(b"\r") else line, origin, offset))
            offset += len(line) + 1
        begins_here = end is None or offset < end
        if long is not None and begins_here and not too_long and len(carry) > min(_LONG, max_line_bytes):
            yield events, letters
            record = long(origin, offset, max_line_bytes)
            events, letters = record.feed(carry)
            offset += len(carry)
            carry = b""
            yield events, letters
            continue
        if len(carry) > max_line_bytes or too_long:
            if not too_long and begins_here:
                letters.append(_too_long(carry, origin, offset, max_line_bytes))
            offset += len(carry)
            carry, too_long = b"", True
        yield events, letters
        if end is not None and offset >= end:
            return
    if record is not None:
        yield record.finish()
    last = carry.removesuffix(b"\r")
    if last and not skipping and not too_long and (end is None or offset < end):
        yield [Event(last, origin, offset)], []


def join_lines(pieces: Iterable[Piece], rule: Multiline) -> Iterator[Piece]:
    """Joins lines that belong together, over all blocks of an object; an event has the number of its first line.

    Empty lines were left out before. What is held is bounded by the rule's own limits.
    """
    joiner = Joiner(rule)
    origin: Origin | None = None
    for lines, letters in pieces:
        events: list[Event] = []
        for line in lines:
            origin = line.origin
            # Bytes that are no UTF-8 come out as they went in; the decoder refuses them with their place.
            if (event := joiner.add(line.index, line.data.decode(errors="surrogateescape"))) is not None:
                events.append(_joined(event, line.origin))
        yield events, letters
    if origin is not None and (event := joiner.finish()) is not None:
        yield [_joined(event, origin)], []


def _joined(event: tuple[int, str], origin: Origin) -> Event:
    return Event(event[1].encode(errors="surrogateescape"), origin, event[0])


def _without_long(events: list[Event], limit: int, long: Long | None) -> Piece:
    kept: list[Event] = []
    letters: list[DeadLetter] = []
    for event in events:
        if len(event.data) <= limit:
            kept.append(event)
        elif long is None:
            letters.append(_too_long(event.data, event.origin, event.index, limit))
        else:
            record = long(event.origin, event.index, limit)
            for found, refused in (record.feed(event.data), record.finish()):
                kept += found
                letters += refused
    return kept, letters


def _too_long(line: bytes, origin: object, index: int, limit: int) -> DeadLetter:
    event = Event(line[:KEPT_OF_TOO_LONG], origin, index)  # type: ignore[arg-type]
    reason = f"a line of more than {limit} bytes (--max_line_bytes); its first {len(event.data)} bytes are kept here"
    return DeadLetter(event, "LineTooLong", reason, "s3")
