"""The filter `prune` removes fields by their names and by their values."""

from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError
from penstock.transforms.logstash.language.ruby._watched import watched
from penstock.transforms.logstash.values._references import reference_of
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Prune"]

_Search = Callable[[str], Any]
_Searches = Callable[[LogEvent], list[_Search]]
_Judge = Callable[[LogEvent, bool], tuple[str, list[str] | None] | None]
"""Gives a field that loses elements, with these; None instead of them where the whole field goes."""


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
            gone = [
                name
                for name in event.document
                if name != "@metadata"
                and (
                    (has_wanted and not any(search(name) for search in keep))
                    or any(search(name) for search in drop)
                )
            ]
            # Values are judged while all fields are there: an expression may refer to one that goes.
            parts = [found for judge, stays in values if (found := judge(event, stays))]
            for name in gone:
                reference_of(name).remove(event)
            for key, bad in parts:
                if bad is None:
                    event.document.pop(key, None)
                else:
                    event.document[key] = [each for each in event.document[key] if each not in bad]
                event.changed = True
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

    def _values_of(self, option: str) -> list[_Judge]:
        return [self._value(name, pattern, option) for name, pattern in self[option].items()]

    def _value(self, name: str, pattern: Any, option: str) -> _Judge:
        interpolate = self["interpolate"]
        fixed = None if interpolate else self._compiled(pattern, option)
        name_of, pattern_of = self.template(name), self.template(pattern)

        def judge(event: LogEvent, stays: bool) -> tuple[str, list[str] | None] | None:
            key = name_of.render(event) if interpolate else name
            search = fixed or watched(pattern_of.render(event)).search
            value = None if key == "@metadata" else event.document.get(key)
            if key == "@timestamp" and value is not None:
                value = reference_of(key).get(event)
            if value is None or value is False:
                return None
            every = value if type(value) is list else [value]
            bad = [each for each in every if (search(_text(each)) is not None) is not stays]
            return (key, bad if len(bad) < len(every) else None) if bad else None

        return judge


def _text(value: Any) -> str:
    if type(value) is not str:
        message = f"prune: a value is no text but {type(value).__name__}"
        raise TypeError(message)
    return value
