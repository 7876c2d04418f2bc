"""`json_rows` makes rows into JSON objects column by column: Arrow writes the text, Python sees only whole rows.

Problem. Making a dict of each row, and JSON of each dict, costs three times what reading the file does.
Plan. Each column becomes an array of JSON tokens, and one call joins them, with the names between, into an array of
JSON objects: what a row costs in Python is one bytes object. A text column is copied as it is when its bytes hold
nothing that JSON escapes, which a few passes over the whole column's buffer tell; else it is escaped first.

Invariant: `json_rows` gives what the writer of single rows would give (`_rows.RowMaker`), token by token, or nothing.
It gives up on columns of other types, on control characters that have no short escape, on text that isn't UTF-8, and
on times beyond the year 9999: the slower way decides there.
"""

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from penstock.io.s3.formats._arrow_values import times_as_text

__all__ = ["json_rows"]

_ESCAPES = (
    ("\\", "\\\\"),
    ('"', '\\"'),
    ("\n", "\\n"),
    ("\r", "\\r"),
    ("\t", "\\t"),
    ("\b", "\\b"),
    ("\f", "\\f"),
)
"""The backslash comes first, because the other escapes add backslashes."""
_SPACE = 0x20


def json_rows(batch: Any) -> Any | None:
    """Gives a record batch's rows as JSON objects, an array of `binary`; None where only the slower way can."""
    names = batch.schema.names
    if not names or len(set(names)) < len(names):
        return None
    if not batch.num_rows:
        return pa.array([], pa.binary())
    arguments: list[Any] = []
    between = "{"
    try:
        for name, column in zip(names, batch.columns, strict=True):
            between += orjson.dumps(name).decode() + ":"
            tokens, quoted = _tokens(column)
            if tokens is None:
                return None
            if quoted and not tokens.null_count:
                # The quotes go with the names: one copy of the column less.
                arguments += [between + '"', tokens]
                between = '",'
                continue
            if quoted:
                tokens = pc.binary_join_element_wise('"', tokens, '"', "")
            arguments += [between, pc.fill_null(tokens, "null")]
            between = ","
        joined = pc.binary_join_element_wise(*arguments, between[:-1] + "}", "")
        return joined.cast(pa.binary())
    except (pa.ArrowException, ValueError):  # not UTF-8, or more than Arrow's arrays of text hold
        return None


def _tokens(column: Any) -> tuple[Any, bool]:
    """Gives a column as JSON tokens (None for other types), and whether quotes belong around each."""
    types, kind = pa.types, column.type
    if types.is_string(kind):
        return _escaped(column), True
    if types.is_timestamp(kind):
        return times_as_text(column), True
    if types.is_integer(kind) or types.is_boolean(kind):
        return column.cast(pa.string()), False
    if types.is_floating(kind):
        # Arrow's own text of a float isn't JSON's (`nan`, `1` for 1.0); no number holds a comma.
        return pa.array(orjson.dumps(column.to_pylist()).decode()[1:-1].split(","), pa.string()), False
    if types.is_null(kind):
        return pa.nulls(len(column), pa.string()), False
    return None, False


def _escaped(column: Any) -> Any:
    """Escapes a column of text for JSON; None where that takes more than short escapes."""
    column.validate(full=True)
    text = _text(column)
    if not text:
        return column
    for character, escape in _ESCAPES:
        if character.encode() in text:
            column = pc.replace_substring(column, character, escape)
    if _has_controls(text) and _has_controls(_text(column)):
        return None
    return column


def _has_controls(text: bytes) -> bool:
    """Whether a text, which must not be empty, has control characters."""
    smallest = pc.min(pa.Array.from_buffers(pa.uint8(), len(text), [None, pa.py_buffer(text)])).as_py()
    return bool(smallest < _SPACE)


def _text(column: Any) -> bytes:
    """Gives all text of a column, one value after another."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b""
    edges = memoryview(offsets).cast("i")
    start, end = edges[column.offset], edges[column.offset + len(column)]
    return data.slice(start, end - start).to_pybytes()  # type: ignore[no-any-return]
