"""`JsonCutter` cuts JSON that is too long to hold into values, and a long value into the elements of its list. Pure.

Problem. What Firehose writes is objects without anything between them, megabytes of them in one line; AWS Config writes
one object of hundreds of megabytes, of which one list is all that counts.

Plan. One step of a regular expression goes from bracket to bracket, strings whole, and counts how deep it is. A value is
handed out when it ends. A value that is longer than `HOLD` is searched for the list: once that is found, what stood
before it is parsed (the outer fields), and each element is handed out when it ends.

Invariants.
- How the text is split into blocks makes no difference.
- A value that is handed out whole and one that is handed out in elements give the same events, in the same order.
- Memory: a block, and one value or element of at most `max_bytes`; a longer one is refused, and what follows it is read.
- Outer fields that are wanted and don't stand before the list keep a value whole; beyond `max_bytes` it is refused.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from penstock.transforms import fields

__all__ = ["HOLD", "Cut", "JsonCutter"]

HOLD = 1 << 20
"""Bytes of a value that are held before its list is looked for."""

_KEPT_OF_TOO_LONG = 64 << 10
_STEP = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]])', re.DOTALL)
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*\Z', re.DOTALL)
_OPEN_TEXT = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+"(?:[^"\\]++|\\.)*+(\\?)\Z', re.DOTALL)
"""What ends within a text, and whether within an escape of it."""
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s,"]+', re.DOTALL)


class Cut(NamedTuple):
    """A piece of the text.

    Attributes:
        data: its bytes.
        outer: of an element, the fields that stood before its list; None for a whole value.
        refused: why it can't be read; empty where it can.
        cut_off: whether `data` is only the beginning of what is refused.
    """

    data: bytes
    outer: dict[str, Any] | None = None
    refused: str = ""
    cut_off: bool = False


class JsonCutter:
    """Cuts text that comes in blocks. Call `feed` for each, and `finish` at the end.

    Args:
        path: the list whose elements are wanted; None: whole values.
        wanted: outer fields that must stand before the list of a value that is handed out in elements.
        max_bytes: a longer value or element is refused.
    """

    def __init__(self, path: fields.Path | None, wanted: tuple[fields.Path, ...], max_bytes: int) -> None:
        self._path, self._wanted, self._limit = path, wanted, max_bytes
        self._buffer = b""
        self._position = 0  # up to where the brackets are counted
        self._depth = 0
        self._base = 0  # how deep values begin: 0, or that of the list's elements
        self._begin = 0  # where the value begins, or what stands before the next one
        self._outer: dict[str, Any] | None = None
        self._skipping = False  # the rest of a value is dropped
        self._ended = False
        self._look_at = HOLD

    def feed(self, block: bytes) -> Iterator[Cut]:
        """Gives what ends in this block."""
        if self._ended:
            return
        self._buffer += block
        yield from self._cut()
        while self._enter_list():
            yield from self._cut()
        if len(self._buffer) <= self._limit:
            return
        if self._depth == self._base:  # no JSON at all
            reason = f"{self._limit} bytes without a bracket; the rest of the record is not read"
            yield Cut(self._buffer[:_KEPT_OF_TOO_LONG], refused=reason, cut_off=True)
            self._ended, self._buffer = True, b""
        else:
            what = "a value" if self._outer is None else "an element of the list"
            reason = f"{what} of more than {self._limit} bytes is not read"
            missing = [".".join(path) for path in self._wanted] if self._path and self._outer is None else []
            if missing:
                reason += (
                    f": its list isn't found, or {', '.join(missing)} of --expand_copy don't stand before it"
                )
            yield Cut(self._buffer[:_KEPT_OF_TOO_LONG], refused=reason, cut_off=True)
            self._skipping = True
            self._drop()

    def finish(self) -> Iterator[Cut]:
        """Gives what is left at the end: nothing, unless the text is cut short or ends with something else."""
        rest = self._buffer.strip()
        if not self._ended and not self._skipping and (self._depth or rest):
            what = "the JSON is cut short" if self._depth else "no JSON object"
            yield Cut(rest[:_KEPT_OF_TOO_LONG], refused=what, cut_off=len(rest) > _KEPT_OF_TOO_LONG)

    def _cut(self) -> Iterator[Cut]:
        buffer, position = self._buffer, self._position
        while step := _STEP.match(buffer, position):
            position = step.end()
            if buffer[position - 1] in b"{[":
                if self._depth == self._base and not self._skipping:
                    yield from self._between(buffer[self._begin : position - 1])
                    self._begin = position - 1
                self._depth += 1
                continue
            self._depth -= 1
            if self._depth < 0:
                yield Cut(buffer[self._begin : position], refused="a bracket that closes nothing")
                self._depth, self._begin = 0, position
            elif self._depth < self._base:  # the list ends; what follows it in its value is not wanted
                if not self._skipping:
                    yield from self._between(buffer[self._begin : position - 1])
                self._base, self._outer, self._skipping = 0, None, self._depth > 0
            if self._depth == self._base:
                if not self._skipping:
                    yield Cut(buffer[self._begin : position], self._outer)
                self._skipping, self._begin = False, position
                self._look_at = HOLD
        self._position = position
        self._drop()

    def _drop(self) -> None:
        """Lets go of what is not needed any more."""
        if self._skipping:
            text = _OPEN_TEXT.match(self._buffer, self._position)
            self._buffer = b'"' + text[1] if text else b""
            self._position = self._begin = 0
            return
        keep = self._begin
        self._buffer = self._buffer[keep:]
        self._position -= keep
        self._begin = 0

    def _between(self, gap: bytes) -> Iterator[Cut]:
        """What stands between values: white space; in a list commas, and elements that are no objects."""
        if self._outer is None:
            if gap.strip():
                yield Cut(gap, refused="something that is neither an object nor an array")
            return
        for found in _SCALAR.finditer(gap):
            yield Cut(found[0], self._outer)

    def _enter_list(self) -> bool:
        """Whether the value that is held is from now on handed out in elements."""
        if self._path is None or self._base or self._skipping or not self._depth:
            return False
        if len(self._buffer) < self._look_at:
            return False
        self._look_at = 2 * len(self._buffer)
        found = self._list_in(self._buffer, self._path)
        if found is None:
            return False
        outer, position = found
        if any(fields.get(outer, path) is fields.MISSING for path in self._wanted):
            return False
        self._outer, self._position = outer, position
        self._base = self._depth = len(self._path) + 1
        self._begin = self._position
        return True

    @staticmethod
    def _list_in(value: bytes, path: fields.Path) -> tuple[dict[str, Any], int] | None:
        """Gives the fields before the list at `path`, and the position behind its bracket; None where it isn't found."""
        keys: list[str | None] = []
        position = 0
        while step := _STEP.match(value, position):
            begin, position = position, step.end()
            bracket = value[position - 1]
            if bracket in b"}]":
                keys.pop()
                continue
            key = _KEY.search(value[begin : position - 1]) if keys else None
            keys.append(orjson.loads(key[1]) if key else None)
            if key and bracket == ord("[") and tuple(keys[1:]) == tuple(path):
                before = value[: begin + key.start()].rstrip().removesuffix(b",")
                try:
                    return orjson.loads(before + b"}" * len(path)), position
                except orjson.JSONDecodeError:
                    return None
        return None
