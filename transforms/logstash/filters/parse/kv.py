"""The filter `kv` reads pairs such as `user=ann status="not found"` out of a text."""

from collections.abc import Callable, Iterable
from typing import Any

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import UNUSED_ECS, Filter, Option, Work
from penstock.transforms.logstash.filters.parse._kv_scan import Splitters, compile_scan
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError, compile_ruby
from penstock.transforms.logstash.values._references import reference_of
from penstock.transforms.logstash.values._ruby import capitalize, downcase, ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Kv"]

Change = Callable[[str], str]
_TRANSFORMS: dict[str, Change] = {
    "lowercase": downcase,
    "uppercase": str.upper,
    "capitalize": capitalize,
}
_MAX_DEPTH = 100
"""How deep `recursive` goes; a value ends up smaller each time, so only hostile texts come near."""


class Kv(Filter):
    """Reads pairs of keys and values out of a text."""

    name = "kv"
    may_cancel = False
    options = (
        Option("source", "field_reference", "message", doc="the field to read: a text, or an array of texts"),
        Option("target", "field_reference", doc="the field to store the pairs under; it is replaced"),
        Option(
            "field_split",
            "string",
            " ",
            doc="the characters between pairs, as in a class of a regular expression",
        ),
        Option("value_split", "string", "=", doc="the characters between key and value, likewise"),
        Option("field_split_pattern", "string", doc="a regular expression instead of field_split"),
        Option("value_split_pattern", "string", doc="a regular expression instead of value_split"),
        Option("prefix", "string", "", doc="what to put before each key; may hold %{field}"),
        Option("include_keys", "array", doc="the only keys to keep"),
        Option("exclude_keys", "array", doc="keys to leave out"),
        Option("default_keys", "hash", doc="keys with the values they have when they are not found"),
        Option("trim_key", "string", doc="characters to cut off both ends of a key"),
        Option("trim_value", "string", doc="characters to cut off both ends of a value"),
        Option("remove_char_key", "string", doc="characters to remove from a key"),
        Option("remove_char_value", "string", doc="characters to remove from a value"),
        Option("transform_key", "choice", choices=tuple(_TRANSFORMS), doc="how to write keys"),
        Option("transform_value", "choice", choices=tuple(_TRANSFORMS), doc="how to write values"),
        Option("allow_duplicate_values", "boolean", True, doc="whether a key keeps the same value twice"),
        Option("allow_empty_values", "boolean", False, doc="whether keys without a value are kept"),
        Option("include_brackets", "boolean", True, doc="whether ( ) [ ] < > around a value are quotes"),
        Option("recursive", "boolean", False, doc="whether values that hold pairs become objects"),
        Option(
            "whitespace", "choice", "lenient", choices=("lenient", "strict"), doc="blanks around value_split"
        ),
        Option(
            "timeout_millis", "number", 30000, doc="how long a scan may take, in milliseconds; 0: no limit"
        ),
        Option(
            "tag_on_timeout",
            "string",
            "_kv_filter_timeout",
            doc="the tag of an event whose scan took too long",
        ),
        Option(
            "tag_on_failure", "array", ["_kv_filter_error"], doc="tags of an event that cannot hold the pairs"
        ),
        UNUSED_ECS,
    )

    def compile(self) -> Work:
        """Builds the scanner once."""
        parse = self._parser()
        source = self.reference(self["source"])
        target = self.reference(self["target"]) if self["target"] else None
        defaults = self["default_keys"]
        failure, on_timeout = [str(tag) for tag in self["tag_on_failure"]], str(self["tag_on_timeout"])

        def work(event: LogEvent) -> bool:
            try:
                text = source.get(event)
                pairs: dict[str, Any] = {}
                if type(text) is str:
                    pairs = parse(text, event, pairs, 0)
                elif type(text) is list:
                    for each in text:
                        if type(each) is str:
                            pairs = parse(each, event, pairs, 0)
                elif text is not MISSING and text is not None:
                    pass  # no text: only the defaults count
                if defaults:
                    pairs = defaults | pairs
                if not pairs:
                    return False
                if target is not None:
                    target.set(event, pairs)
                else:
                    _set_all(event, pairs)
            except TimeoutError:
                event.tag(on_timeout)
                return False
            except FieldError:
                for tag in failure:
                    event.tag(tag)
                return False
            return True

        return work

    def _parser(self) -> Callable[[str, LogEvent, dict[str, Any], int], dict[str, Any]]:
        holds, scan = self._scan()
        change_key = self._change("key")
        change_value = self._change("value")
        include = [self.template(str(key)) for key in self["include_keys"]]
        exclude = [self.template(str(key)) for key in self["exclude_keys"]]
        prefix = self.template(self["prefix"]) if self["prefix"] else None
        unique, keep_empty, recursive = (
            not self["allow_duplicate_values"],
            self["allow_empty_values"],
            self["recursive"],
        )
        plain = not (change_key or change_value or include or exclude or prefix or unique or recursive)

        def parse_plain(text: str, event: LogEvent, pairs: dict[str, Any], depth: int) -> dict[str, Any]:
            if not holds(text):
                return pairs
            scanned = scan(text)
            if type(scanned) is dict:
                if not pairs:
                    return scanned
                scanned = scanned.items()
            for found in scanned:
                if len(found) == 2:
                    key, value = found
                else:
                    key, *candidates = found
                    value = next(filter(None, candidates), "")
                if not value and not keep_empty:
                    continue
                if key not in pairs:
                    pairs[key] = value
                else:
                    _gather(pairs, key, value)
            return pairs

        def parse(text: str, event: LogEvent, pairs: dict[str, Any], depth: int) -> dict[str, Any]:
            if not holds(text):
                return pairs
            only = {template.render(event) for template in include}
            without = {template.render(event) for template in exclude}
            before = prefix.render(event) if prefix is not None else ""
            scanned = scan(text)
            for key, *candidates in scanned.items() if type(scanned) is dict else scanned:
                value: Any = next(filter(None, candidates), "")
                if not value and not keep_empty:
                    continue
                key = change_key(key) if change_key else key
                if (only and key not in only) or key in without:
                    continue
                key = before + key
                value = change_value(value) if change_value else value
                if unique and key in pairs and value in pairs[key]:
                    continue
                if recursive and depth < _MAX_DEPTH:
                    value = parse(value, event, {}, depth + 1) or value
                _gather(pairs, key, value)
            return pairs

        return parse_plain if plain else parse

    def _scan(self) -> tuple[Callable[[str], bool], Callable[[str], Iterable[Any]]]:
        for option in ("field_split_pattern", "value_split_pattern", "value_split"):
            if self[option] == "":
                message = "is empty"
                raise self.refuse(message, option)
        split = Splitters(
            ruby_text(self["field_split"]),
            ruby_text(self["value_split"]),
            self["field_split_pattern"],
            self["value_split_pattern"],
            self["include_brackets"],
            self["whitespace"] == "lenient",
        )
        try:
            return compile_scan(split, float(self["timeout_millis"]) / 1000)
        except RubyRegexError as error:
            message = f"the splitters make no regular expression: {error}"
            raise self.refuse(message) from None

    def _change(self, what: str) -> Change | None:
        """Makes the function for trim, remove_char and transform of a key or a value; None where they do nothing."""
        steps: list[Change] = []
        for option, expression in (("trim", "^[{0}]+|[{0}]+$"), ("remove_char", "[{0}]")):
            name = f"{option}_{what}"
            if self[name] is None:
                continue
            try:
                compiled = compile_ruby(expression.format(ruby_text(self[name])))
            except RubyRegexError as error:
                message = f"no class of characters: {error}"
                raise self.refuse(message, name) from None
            steps.append(lambda text, sub=compiled.sub: sub("", text))  # type: ignore[misc]
        if self[f"transform_{what}"] is not None:
            steps.append(_TRANSFORMS[self[f"transform_{what}"]])
        if len(steps) < 2:
            return steps[0] if steps else None

        def change(text: str) -> str:
            for step in steps:
                text = step(text)
            return text

        return change


def _set_all(event: LogEvent, pairs: dict[str, Any]) -> None:
    """Sets each pair as a field; a key is a reference."""
    document = event.document
    keys = "".join(pairs)
    special = "tags" in pairs or "@timestamp" in pairs or "@metadata" in pairs
    if not special and "[" not in keys and "]" not in keys:
        document.update(pairs)
        event.changed = True
        return
    for key, value in pairs.items():
        reference_of(key).set(event, value)
    event.changed = True


def _gather(pairs: dict[str, Any], key: str, value: Any) -> None:
    """Stores a value; a second one of the same key makes an array."""
    held = pairs.get(key)
    if held is None:
        pairs[key] = value
    elif type(held) is list:
        held.append(value)
    else:
        pairs[key] = [held, value]
