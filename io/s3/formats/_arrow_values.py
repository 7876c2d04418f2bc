"""`python_values` turns an Arrow column of any type into Python values that JSON holds; nothing is rounded or wrapped.

Arrow's own conversion fails on nanoseconds inside of lists and structs, on maps whose keys are structs, and on dates
that Python does not know; and it writes times of the year 20000 as nonsense. So nested columns are taken apart here:
- times, at any depth, are text in UTC with the digits that the column has;
- a map whose keys are text, numbers or times is an object; another one is a list of `{"key": ..., "value": ...}`;
- a value without a right form in JSON (text that is not UTF-8, a year beyond 1 to 9999) raises `ValueError`. The caller then
  asks row by row, and finds the row.
"""

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["python_values", "times_as_text"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_S = -62_135_596_800
_END_S = 253_402_300_800
"""The first second of the year 1, and of the year 10000: Elasticsearch's ISO dates have four digits of year."""


def times_as_text(column: Any) -> Any:
    """Gives a column of times as ISO 8601 in UTC. Arrow does it, which is faster and keeps nanoseconds.

    Raises:
        ValueError: a time is outside of the years 1 to 9999.
    """
    unit = column.type.unit
    plain = column.cast(pa.timestamp(unit))  # a zone only says how to show it: the values are UTC
    if unit != "ns":  # nanoseconds of 64 bits end in 2262
        edges = pc.min_max(plain.cast(pa.int64())).as_py()
        scale = _PER_SECOND[unit]
        if edges["min"] is not None and (edges["min"] < _FIRST_S * scale or edges["max"] >= _END_S * scale):
            message = "a time outside of the years 1 to 9999"
            raise ValueError(message)
    return pc.strftime(plain, format="%Y-%m-%dT%H:%M:%SZ")


def python_values(column: Any) -> list[Any]:
    """Gives a column's values, in order.

    Raises:
        ValueError, pyarrow.ArrowException: a value has no right form in JSON.
    """
    kind, types = column.type, pa.types
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if types.is_timestamp(kind):
        return times_as_text(column).to_pylist()  # type: ignore[no-any-return]
    if types.is_dictionary(kind):
        return python_values(column.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        return python_values(column.storage)
    if types.is_map(kind):
        return _maps(column)
    if types.is_nested(kind):
        return _structs(column) if types.is_struct(kind) else _lists(column)
    if types.is_time64(kind) and kind.unit == "ns":
        return [_time_text(each) for each in column.cast(pa.int64()).to_pylist()]
    if types.is_duration(kind) and kind.unit == "ns":
        return [None if each is None else each / 10**9 for each in column.cast(pa.int64()).to_pylist()]
    if types.is_float16(kind):
        return column.cast(pa.float32()).to_pylist()  # type: ignore[no-any-return]
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        message = "text that is not UTF-8"
        raise ValueError(message) from None
    except OverflowError as error:
        what = "outside of the years 1 to 9999" if types.is_date(kind) else "beyond what has a form in JSON"
        message = f"a {kind} {what}"
        raise ValueError(message) from error


def _time_text(nanoseconds: int | None) -> Any:
    if nanoseconds is None:
        return None
    seconds, fraction = divmod(nanoseconds, 10**9)
    if fraction % 1000:
        return f"{_clock(seconds).isoformat()}.{fraction:09d}"
    return _clock(seconds, fraction // 1000)


def _clock(seconds: int, microsecond: int = 0) -> datetime.time:
    return datetime.time(seconds // 3600, seconds // 60 % 60, seconds % 60, microsecond)


def _structs(column: Any) -> list[Any]:
    names = [column.type.field(number).name for number in range(column.type.num_fields)]
    if len(set(names)) < len(names):
        message = "a struct with two fields of one name"
        raise ValueError(message)
    there = column.is_valid().to_pylist()
    if not names:
        return [{} if valid else None for valid in there]
    fields = [python_values(field) for field in column.flatten()]
    rows = zip(*fields, strict=True)
    return [
        dict(zip(names, row, strict=True)) if valid else None for valid, row in zip(there, rows, strict=True)
    ]


def _lists(column: Any) -> list[Any]:
    values = python_values(column.flatten())  # without what nulls may hold
    made: list[Any] = []
    position = 0
    for length in pc.list_value_length(column).to_pylist():
        if length is None:
            made.append(None)
        else:
            made.append(values[position : position + length])
            position += length
    return made


def _maps(column: Any) -> list[Any]:
    edges = column.offsets.to_pylist()
    if not edges:
        return []
    first, last = edges[0], edges[-1]
    keys, values = (python_values(part.slice(first, last - first)) for part in (column.keys, column.items))
    flat = not pa.types.is_nested(column.type.key_type)
    made: list[Any] = []
    for number, valid in enumerate(column.is_valid().to_pylist()):
        start, end = edges[number] - first, edges[number + 1] - first
        pairs = zip(keys[start:end], values[start:end], strict=True)
        if not valid:
            made.append(None)
        elif flat:
            made.append({_key(key): value for key, value in pairs})
        else:
            made.append([{"key": key, "value": value} for key, value in pairs])
    return made


def _key(key: Any) -> Any:
    """Bytes and decimals become text; orjson writes the other kinds."""
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    return str(key) if isinstance(key, decimal.Decimal) else key
