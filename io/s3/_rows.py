"""A row of a typed file as one JSON object, the way Elasticsearch expects its values.

Times become ISO 8601 in UTC, dates `YYYY-MM-DD`, decimals text (a float would lose digits), bytes text where they are
UTF-8 and base64 where they aren't, NaN and infinity null, maps objects.
"""

import base64
import datetime
import decimal
import uuid
from typing import Any

import orjson

__all__ = ["row_to_json"]

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def row_to_json(row: dict[str, Any]) -> bytes:
    """The row's bytes as an event.

    Raises:
        TypeError: a value that has no JSON form (orjson.JSONEncodeError).
    """
    return orjson.dumps(row, default=_other, option=_OPTIONS)


def _other(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return base64.b64encode(data).decode()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, int):
        return str(value)  # beyond 64 bits
    if isinstance(value, (set, tuple)):
        return list(value)
    raise TypeError(type(value).__name__)
