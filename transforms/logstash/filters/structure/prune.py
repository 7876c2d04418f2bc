"""The filter `prune` removes fields by their names and by their values."""

from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.event import LogEvent
from penstock.transforms.logstash.language._oniguruma import RubyRegexError
from penstock.transforms.logstash.language._references import reference_of
from penstock.transforms.logstash.language.ruby._watched import watched

__all__ = ["Prune"]

_Search = Callable[[str], Any]
_Searches = Callable[[LogEvent], list[_Search]]


class Prune(Filter):
    """Removes fields at the event's top by name or value; `@timestamp`, `@version` and `tags` are fields too."""

    name = "prune"
    options = (
        Option("whitelist_names", "array", doc="expressions; a field stays only if one is found in its name"),
        Option(
            "blacklist_names",
            "array",
            [r"%\{[^}]+\}"],
            doc="expressions; a field goes if one is found in its name",
        ),
        Option("whitelist_values", "hash", doc="field -> expression; it stays only if its text holds it"),
        Option("blacklist_values", "hash", doc="field -> expression; it goes if its text holds it"),
        Option("interpolate", "boolean", False, doc="whether names and expressions hold references"),
    )

    def compile(self) -> Work:  # noqa: D102
        wanted, unwanted = self._names("whitelist_names"), self._names("blacklist_names")
        values = [(each, True) for each in self._values_of("whitelist_values")]
        values += [(each, False) for each in self._values_of("blacklist_values")]
        has_wanted = bool(self["whitelist_names"])

        def work(event: LogEvent) -> bool:
            keep = wanted(event) if has_wanted else []
            drop = unwanted(event)
            for name in list(event.document):
                if name == "@metadata":
                    continue
                if (has_wanted and not any(search(name) for search in keep)) or any(
                    search(name) for search in drop
                ):
                    reference_of(name).remove(event)
            for step, stays in values:
                step(event, stays)
            return True

        return work

    def _compiled(self, pattern: Any, option: str) -> _Search:
        try:
            search: _Search = watched(str(pattern)).search
        except RubyRegexError as error:
            message = f"{pattern!r} is no regular expression: {error}"
            raise self.refuse(message, option) from None
        return search

    def _names(self, option: str) -> _Searches:
        if not self["interpolate"]:
            fixed = [self._compiled(pattern, option) for pattern in self[option]]
            return lambda event: fixed
        templates = [self.template(pattern) for pattern in self[option]]
        return lambda event: [watched(each.render(event)).search for each in templates]

    def _values_of(self, option: str) -> list[Callable[[LogEvent, bool], None]]:
        return [self._value(name, pattern, option) for name, pattern in self[option].items()]

    def _value(self, name: str, pattern: Any, option: str) -> Callable[[LogEvent, bool], None]:
        interpolate = self["interpolate"]
        fixed = None if interpolate else self._compiled(pattern, option)
        name_of, pattern_of = self.template(name), self.template(pattern)

        def step(event: LogEvent, stays: bool) -> None:
            key = name_of.render(event) if interpolate else name
            search = fixed or watched(pattern_of.render(event)).search
            value = reference_of(key).get(event) if key == "@timestamp" else event.document.get(key)
            if value is None or value is False:
                return
            if type(value) is list:
                kept = [each for each in value if (search(_text(each)) is not None) is stays]
                if kept and len(kept) < len(value):
                    event.document[key] = kept
                    event.changed = True
            else:
                kept = [value] if (search(_text(value)) is not None) is stays else []
            if not kept:
                event.document.pop(key, None)
                event.changed = True

        return step


def _text(value: Any) -> str:
    if type(value) is not str:
        message = f"prune: a value is no text but {type(value).__name__}"
        raise TypeError(message)
    return value
