"""`_element_bytes` writes an element of a Beam pipeline as the bytes and the time of an event."""

import dataclasses
import decimal
from collections.abc import Mapping
from typing import Any

import orjson

from penstock.transforms.time import timestamps

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_SHOWN = 1 << 16


def of_text(data: bytes) -> tuple[bytes, str | None]:
    """Gives a JSON object as it came, any other text as `message`; with the object's `@timestamp`."""
    if data.lstrip()[:1] == b"{":
        document = orjson.loads(data)
        return data, timestamps.of_value(document.get("@timestamp"))
    return orjson.dumps({"message": data.decode()}), None


def sorted_document(document: Mapping[Any, Any]) -> bytes:
    """Gives the document as JSON with sorted keys: the same for equal documents."""
    return orjson.dumps(dict(document), _default, _OPTIONS | orjson.OPT_SORT_KEYS)


def of_document(document: Mapping[Any, Any]) -> tuple[bytes, str | None]:
    """Gives the document as JSON, and its `@timestamp`. Raises `TypeError` for what JSON can't hold."""
    data = orjson.dumps(document if type(document) is dict else dict(document), _default, _OPTIONS)
    time = document.get("@timestamp")
    if time is None or isinstance(time, str):
        return data, timestamps.of_value(time)
    return data, timestamps.of_value(orjson.loads(data)["@timestamp"])


def mapping_of(element: Any) -> Mapping[Any, Any]:
    """Gives a row, a named tuple, a dataclass as its fields; a mapping as it is. Raises `TypeError` for anything else."""
    if isinstance(element, Mapping):
        return element
    for name in ("as_dict", "_asdict"):
        if callable(convert := getattr(element, name, None)):
            fields = convert()
            if isinstance(fields, Mapping):
                return fields
    if dataclasses.is_dataclass(element) and not isinstance(element, type):
        return {field.name: getattr(element, field.name) for field in dataclasses.fields(element)}
    message = f"an element must be a dict, a row, a text or bytes, not {type(element).__name__}. Make one by beam.Map"
    raise TypeError(message)


def shown(element: Any) -> bytes:
    """Gives an element that could not be written, for its letter: 64 KiB of it at most."""
    if isinstance(element, bytes):
        return element
    try:
        text = element if isinstance(element, str) else repr(element)[:_SHOWN]
    except Exception as error:  # it nests too deep, or its class is not well
        text = f"<{type(element).__name__}: {type(error).__name__}>"
    return text.encode(errors="backslashreplace")


def _default(value: Any) -> Any:
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return orjson.Fragment(str(value).encode())
    if callable(to_text := getattr(value, "to_rfc3339", None)):  # Beam's Timestamp
        return to_text()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    return mapping_of(value)
