"""The filter `truncate` cuts texts that are too long, at whole characters."""

from typing import Any

from penstock.transforms.logstash._errors import InvalidReference
from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Truncate"]


class Truncate(Filter):
    """Cuts texts to a number of bytes, at whole characters; it succeeds when it cut one."""

    name = "truncate"
    options = (
        Option("length_bytes", "number", required=True, doc="how long a text may be, in bytes of UTF-8"),
        Option("fields", "array", doc="the fields; by default all"),
    )

    def compile(self) -> Work:  # noqa: D102
        limit = int(self["length_bytes"])
        fields = [self.reference(name) for name in self["fields"]]
        all_of_them = "fields" not in self.given

        def work(event: LogEvent) -> bool:
            changed = False
            if all_of_them:
                document = event.document
                for name in document:
                    if name not in ("@timestamp", "@metadata"):
                        cut = _cut(document[name], limit)
                        if cut is not document[name]:
                            document[name] = cut
                            event.changed = changed = True
                return changed
            for field in fields:
                value = field.get(event)
                if value is MISSING:
                    continue
                if type(value) is dict and not field.text.startswith("["):
                    message = f"truncate: {field.text} holds an object; write [{field.text}]"
                    raise InvalidReference(message)
                cut = _cut(value, limit)
                if cut is not value:
                    field.set(event, cut)
                    changed = True
            return changed

        return work


def _cut(value: Any, limit: int) -> Any:
    """`value` with its texts cut; the same object where nothing had to be."""
    if type(value) is str:
        if len(value) * 4 <= limit:
            return value
        data = value.encode(errors="surrogatepass")
        return value if len(data) <= limit else data[:limit].decode(errors="ignore")
    if type(value) is list:
        cut = [_cut(each, limit) for each in value]
        return value if all(map(_is, cut, value)) else cut
    if type(value) is dict:
        inner = {key: _cut(each, limit) for key, each in value.items()}
        return value if all(map(_is, inner.values(), value.values())) else inner
    return value


def _is(left: Any, right: Any) -> bool:
    return left is right
