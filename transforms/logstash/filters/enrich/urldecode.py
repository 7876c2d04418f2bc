"""The filter `urldecode` decodes `%41` in fields."""

import codecs
import re
from typing import Any

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values._references import reference_of
from penstock.transforms.logstash.values._ruby import ruby_inspect
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Urldecode"]

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_INVALID = re.compile("([\udc80-\udcff])")
_MAX_DEPTH = 500


class Urldecode(Filter):
    """Decodes `%41` in a field, in the elements of an array and the values of an object."""

    name = "urldecode"
    options = (
        Option("field", "string", "message", doc="the field"),
        Option("all_fields", "boolean", False, doc="whether every field is decoded"),
        Option("charset", "string", "UTF-8", doc="the encoding of the decoded bytes"),
        Option(
            "tag_on_failure", "array", ["_urldecodefailure"], doc="tags of an event that cannot be decoded"
        ),
    )

    def compile(self) -> Work:
        """Looks up the encoding once."""
        try:
            charset = codecs.lookup(str(self["charset"])).name
        except LookupError:
            message = f"the encoding {self['charset']} is not known"
            raise self.refuse(message, "charset") from None
        field, every = self.reference(self["field"]), self["all_fields"]
        tags = [str(tag) for tag in self["tag_on_failure"]]

        def work(event: LogEvent) -> bool:
            try:
                if every:
                    for key in [key for key in event.document if key != "@metadata"]:
                        place = reference_of(key)
                        place.set(event, _decoded(place.get(event), charset))
                else:
                    value = field.get(event)
                    field.set(event, None if value is MISSING else _decoded(value, charset))
            except (FieldError, RecursionError):
                for tag in tags:
                    event.tag(tag)
                return False
            return True

        return work


def _decoded(value: Any, charset: str, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise RecursionError
    if type(value) is str:
        return _decoded_text(value, charset) if "%" in value else value
    if type(value) is list:
        return [_decoded(each, charset, depth + 1) for each in value]
    if type(value) is dict:
        return {key: _decoded(each, charset, depth + 1) for key, each in value.items()}
    return value


def _decoded_text(text: str, charset: str) -> str:
    data = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("utf-8", "surrogatepass"))
    if charset != "utf-8":
        return data.decode(charset, "replace")
    decoded = data.decode("utf-8", "surrogateescape")
    if _INVALID.search(decoded) is None:
        return decoded
    # Logstash writes a text with bytes that are no UTF-8 as Ruby's `inspect` does.
    return "".join(
        f"\\x{ord(part) - 0xDC00:02X}" if "\udc80" <= part[:1] <= "\udcff" else ruby_inspect(part)[1:-1]
        for part in _INVALID.split(decoded)
    )
