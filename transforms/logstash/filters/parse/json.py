"""The filter `json` reads a JSON text into the event or into a field."""

import json
import math
import re
from typing import Any

import orjson

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import UNUSED_ECS, Filter, Option, Work
from penstock.transforms.logstash.values._references import reference_of
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values._times import canonical
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Json"]

_BLANK = re.compile(r"[ \t\r\n]*")
_END_OF_WORD = re.compile(r"[ \t\r\n]|\Z")


class Json(Filter):
    """Reads a JSON text; its fields become the event's, or those of a field."""

    name = "json"
    options = (
        Option("source", "string", required=True, doc="the field with the text"),
        Option(
            "target",
            "field_reference",
            doc="the field to store the value in; without it, it must be an object",
        ),
        Option(
            "tag_on_failure", "array", ["_jsonparsefailure"], doc="tags of an event whose text is no JSON"
        ),
        Option("skip_on_invalid_json", "boolean", False, doc="whether a text that is no JSON gets no tags"),
        UNUSED_ECS,
    )

    def compile(self) -> Work:
        """Resolves the fields once."""
        source = self.reference(self["source"])
        target = self.reference(self["target"]) if self["target"] else None
        tags, skip = [str(tag) for tag in self["tag_on_failure"]], self["skip_on_invalid_json"]
        zone, now = self.context.zone, self.context.now

        def failed(event: LogEvent) -> bool:
            for tag in tags:
                event.tag(tag)
            return False

        def work(event: LogEvent) -> bool:
            text = source.get(event)
            if text is MISSING or text is None or text is False:
                return False
            try:
                if type(text) is not str:
                    message = "no text"
                    raise TypeError(message)
                value = read_json(text)
            except (ValueError, TypeError, RecursionError):
                return False if skip else failed(event)
            try:
                if target is not None:
                    target.set(event, value)
                    return True
                if type(value) is not dict:
                    return failed(event)
                time = value.pop("@timestamp", None)
                for key, inner in value.items():
                    reference_of(key).set(event, inner)
            except FieldError:
                return failed(event)
            if time is not None and time is not False:
                found = canonical(time, zone) if type(time) is str else None
                event.document["@timestamp"] = now() if found is None else found
                event.changed = True
                if found is None:
                    event.tag("_timestampparsefailure")
                    event.document["_@timestamp"] = ruby_text(time)
            return True

        return work


def read_json(text: str) -> Any:
    """Reads the first JSON value in a text; None in a blank one. What stands behind it counts for nothing, as in Logstash.

    Raises:
        ValueError: there is none.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        start = _BLANK.match(text).end()  # type: ignore[union-attr]
        if start == len(text):
            return None
        value, end = _DECODER.raw_decode(text, start)
        if type(value) is not dict and type(value) is not list and _END_OF_WORD.match(text, end) is None:
            raise
        return value


def _no_constant(name: str) -> Any:
    message = f"{name} is no JSON"
    raise ValueError(message)


def _number(text: str) -> float:
    """Reads a float, as `orjson` also makes of an integer of more than 64 bits."""
    value = float(text)
    if math.isinf(value):
        message = f"no float holds {text[:40]}"
        raise ValueError(message)
    return value


def _integer(text: str) -> float:
    return int(text) if len(text) < 19 else _number(text)


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_number, parse_int=_integer)
