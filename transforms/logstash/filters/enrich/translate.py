"""The filter `translate` looks a value up in a dictionary."""

import re
from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.filters.enrich.dictionary_file import (
    ENDINGS,
    BadDictionary,
    DictionaryFile,
)
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError, compile_ruby
from penstock.transforms.logstash.values._references import reference_of
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent, deep_copy

__all__ = ["Translate"]

_NOTHING: Any = object()
Lookup = Callable[[str], Any]
"""The value of a text, or `_NOTHING`."""


class Translate(Filter):
    """Looks a value up in a dictionary, of the configuration or of a file that is read again when it changes."""

    name = "translate"
    options = (
        Option("source", "field_reference", doc="the field to look up"),
        Option("field", "field_reference", doc="the old name of source"),
        Option("target", "field_reference", doc="the field that gets the value; by default the source (ECS)"),
        Option("destination", "field_reference", doc="the old name of target"),
        Option("dictionary", "hash", doc="text => value"),
        Option("dictionary_path", "path", doc="a file .yml, .yaml, .json or .csv"),
        Option(
            "refresh_interval",
            "number",
            300,
            doc="after how many seconds the file is looked at again; 0: never",
        ),
        Option(
            "refresh_behaviour",
            "choice",
            "merge",
            choices=("merge", "replace"),
            doc="what a changed file does",
        ),
        Option("override", "boolean", None, doc="whether a target that is there is replaced; true in place"),
        Option(
            "exact",
            "boolean",
            True,
            doc="whether the whole value must be a key, or every key in it is replaced",
        ),
        Option("regex", "boolean", False, doc="whether keys are regular expressions (with exact)"),
        Option("fallback", "string", doc="the value when nothing is found; may hold %{field}"),
        Option("iterate_on", "field_reference", doc="an array: each element is looked up"),
        Option("yaml_dictionary_code_point_limit", "number", 134217728, doc="how long a YAML file may be"),
        Option("yaml_load_strategy", "choice", "one_shot", choices=("one_shot", "streaming"), doc="accepted"),
        ECS,
    )

    def compile(self) -> Work:
        """Reads the dictionary once."""
        source, target = self._fields()
        lookup = self._lookup()
        in_place = source == target
        override = in_place if self["override"] is None else self["override"]
        fallback = None if self["fallback"] is None else self.template(self["fallback"])
        iterate_on = self["iterate_on"]
        if iterate_on is None:
            update = _one(source, target, lookup, fallback)
            needs, unless = self.reference(source), self.reference(target)
        elif iterate_on == source:
            update = _each_value(source, target, lookup, fallback)
            needs, unless = self.reference(source), self.reference(target)
        else:
            update = _each_object(iterate_on, source, target, lookup, fallback, override=override)
            needs, unless, override = self.reference(iterate_on), self.reference(target), True

        def work(event: LogEvent) -> bool:
            if needs.get(event) is MISSING or (not override and unless.get(event) is not MISSING):
                return False
            try:
                return update(event) or in_place
            except FieldError:
                return False

        return work

    def _fields(self) -> tuple[str, str]:
        for new, old in (("source", "field"), ("target", "destination")):
            if self[new] is not None and self[old] is not None:
                message = f"cannot be given beside {new}, whose old name it is"
                raise self.refuse(message, old)
        source = self["source"] or self["field"]
        if source is None:
            message = "the option source is missing (the field to look up)"
            raise self.refuse(message)
        ecs = self.ecs
        target = self["target"] or self["destination"]
        if target is None:
            target = source if ecs else "translation"
            if ecs and self["iterate_on"] is not None and self["iterate_on"] != source:
                target = source
        return str(source), str(target)

    def _lookup(self) -> Lookup:
        path = self["dictionary_path"]
        if path is None:
            return self._by(self["dictionary"])
        if "dictionary" in self.given:
            message = "cannot be given beside dictionary"
            raise self.refuse(message, "dictionary_path")
        if not path.endswith(ENDINGS):
            message = f"{path} ends in none of {', '.join(ENDINGS)}"
            raise self.refuse(message, "dictionary_path")
        try:
            file = DictionaryFile(
                path,
                int(self["yaml_dictionary_code_point_limit"]),
                float(self["refresh_interval"]),
                replace=self["refresh_behaviour"] == "replace",
            )
        except BadDictionary as error:
            message = str(error)
            raise self.refuse(message, "dictionary_path") from None
        version, current = file.version, self._by(file.words)

        def find(text: str) -> Any:
            nonlocal version, current
            file.refresh()
            if file.version != version:
                version, current = file.version, self._by(file.words)
            return current(text)

        return find

    def _by(self, words: dict[Any, Any]) -> Lookup:
        """Makes the function that looks a text up in a dictionary."""
        if not self["exact"]:
            return _replacer(words)
        if not self["regex"]:
            return lambda text: words.get(text, _NOTHING)
        patterns = []
        for key, value in words.items():
            try:
                patterns.append((compile_ruby(ruby_text(key)).search, value))
            except RubyRegexError as error:
                message = f"{key!r} is no regular expression: {error}"
                raise self.refuse(message, "dictionary") from None

        def search(text: str) -> Any:
            return next((value for found, value in patterns if found(text)), _NOTHING)

        return search


def _replacer(words: dict[Any, Any]) -> Lookup:
    """Replaces every key that stands in a text; a text that stays as it was is not found."""
    keys = [key for key in words if isinstance(key, str)]
    if not keys:
        return lambda text: _NOTHING
    replace = re.compile("|".join(re.escape(key) for key in keys)).sub
    texts = {key: ruby_text(words[key]) for key in keys}

    def find(text: str) -> Any:
        made = replace(lambda found: texts[found[0]], text)
        return _NOTHING if made == text else made

    return find


def _first_text(value: Any) -> str:
    """Gives the text that is looked up: of an array the first element."""
    if type(value) is list:
        value = value[0] if value else None
    elif type(value) is dict:
        value = [*next(iter(value.items()))] if value else None
    return ruby_text(value)


def _one(source: str, target: str, lookup: Lookup, fallback: Any) -> Callable[[LogEvent], bool]:
    source_field, target_field = reference_of(source), reference_of(target)

    def update(event: LogEvent) -> bool:
        value = source_field.get(event)
        found = lookup(value if type(value) is str else _first_text(value))
        if found is _NOTHING:
            if fallback is None:
                return False
            found = fallback.render(event)
        target_field.set(event, deep_copy(found))
        return True

    return update


def _each_value(source: str, target: str, lookup: Lookup, fallback: Any) -> Callable[[LogEvent], bool]:
    source_field, target_field = reference_of(source), reference_of(target)

    def update(event: LogEvent) -> bool:
        value = source_field.get(event)
        values = value if type(value) is list else [] if value is None else [value]
        default = None if fallback is None else fallback.render(event)
        made = []
        for each in values:
            found = lookup(ruby_text(each))
            made.append(default if found is _NOTHING else deep_copy(found))
        target_field.set(event, made)
        return any(each is not None and each is not False for each in made)

    return update


def _each_object(
    iterate_on: str, source: str, target: str, lookup: Lookup, fallback: Any, *, override: bool
) -> Callable[[LogEvent], bool]:
    outer, source, target = (
        text if text.startswith("[") else f"[{text}]" for text in (iterate_on, source, target)
    )
    array = reference_of(iterate_on)

    def update(event: LogEvent) -> bool:
        values = array.get(event)
        hit = False
        for index in range(len(values) if type(values) is list else 1):
            value = reference_of(f"{outer}[{index}]{source}").get(event)
            if value is MISSING or value is None:
                continue
            place = reference_of(f"{outer}[{index}]{target}")
            found = lookup(_first_text(value))
            if found is _NOTHING:
                if fallback is None:
                    continue
                found = fallback.render(event)
            place.set(event, deep_copy(found))
            hit = True
        return hit

    return update
