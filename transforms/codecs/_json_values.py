"""`_json_values` cuts a text into the JSON values that it holds, each as its own bytes. Pure.

Producers write one of these: one object; an array; objects one per line; objects without anything between them (`{}{}`:
Firehose concatenates records in this way); objects over many lines, one after another; any of these in UTF-16 or
behind a byte order mark.

Plan. Values can only meet where `}` or `]` is followed by `{` or `[`, with white space at most between them. `cut` cuts
there, and the parser of the pieces sees whether the guess was right. It is wrong only where a string holds such a
pair; then `cut_exactly` goes from bracket to bracket, strings whole.

Invariants: nothing is dropped but white space; a piece's bytes stay as they came; the time is linear.
"""

import re
from collections.abc import Iterator

import msgspec

__all__ = ["NotJson", "cut", "cut_exactly", "elements", "text_of"]

_MEETING = re.compile(rb"[}\]][ \t\r\n]*[{\[]")
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]|"(?:[^"\\]|\\.)*+")*+([{}\[\]])', re.DOTALL)
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)

_raw_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class NotJson(ValueError):
    """The text is no JSON, or ends too early. The message says where."""


def text_of(data: bytes) -> bytes:
    """Gives UTF-8 without a byte order mark; UTF-16 and UTF-32 are known by theirs.

    Raises:
        NotJson: a mark of UTF-16 or UTF-32 before bytes that are neither.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            rest = data[len(mark) :]
            if name == "utf-8":
                return rest
            try:
                return rest.decode(name).encode()
            except UnicodeError as error:
                message = f"the byte order mark says {name}, the bytes do not: {error}"
                raise NotJson(message) from None
    return data


def cut(text: bytes) -> list[bytes]:
    """Gives the probable top-level objects and arrays of `text`, in order.

    A piece that can't be parsed shows a wrong guess.
    """
    text = text.strip()
    pieces, start = [], 0
    for meeting in _MEETING.finditer(text):
        pieces.append(text[start : meeting.start() + 1])
        start = meeting.end() - 1
    if start:
        pieces.append(text[start:])
        return pieces
    return [text] if text else []


def cut_exactly(text: bytes) -> Iterator[bytes]:
    """Gives the top-level objects and arrays of `text`, in order.

    Raises:
        NotJson: there is something else before, between or behind them, or the last one is cut short.
    """
    position = depth = start = 0
    while step := _TO_BRACKET.match(text, position):
        position = step.end()
        if text[position - 1] in b"{[":
            if not depth:
                if text[start : position - 1].strip():
                    break
                start = position - 1
            depth += 1
        else:
            depth -= 1
            if depth < 0:
                break
            if not depth:
                yield text[start:position]
                start = position
    if depth or text[start:].strip():
        what = "a value is cut short" if depth > 0 else "something that is neither an object nor an array"
        message = f"{what}, from byte {start} on"
        raise NotJson(message)


def elements(text: bytes) -> list[bytes]:
    """Gives the elements of a JSON array, each with its own bytes.

    Raises:
        NotJson: the text is no JSON array.
    """
    try:
        return [bytes(element) for element in _raw_elements(text)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NotJson(str(error)) from None
