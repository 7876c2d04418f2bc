"""The filter `grok` reads fields out of a text by patterns."""

import glob
import os
import time
from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.fields.source import Source, value_of
from penstock.transforms.logstash.filters.parse._grok_store import Store, store_of
from penstock.transforms.logstash.filters.patterns import pattern_set
from penstock.transforms.logstash.filters.patterns._expand import (
    Compiled,
    GrokError,
    compile_grok,
    pieces_of,
    quick_match,
    read_patterns,
)
from penstock.transforms.logstash.values._references import Reference, reference_or_bad
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Grok"]

KNOWN_TO_END = frozenset(
    f"%{{{name}}}"
    for name in (
        "COMMONAPACHELOG", "COMBINEDAPACHELOG", "HTTPD_COMMONLOG", "HTTPD_COMBINEDLOG", "SYSLOGBASE", "SYSLOGBASE2",
        "SYSLOGLINE",
    )
)  # fmt: skip
"""Expressions that no text of `KNOWN_LENGTH` keeps busy for long (a test tries hostile ones): 0.03 s at most.

To watch the clock costs a match 2 us, half of what it costs itself; these, as shipped, go without, and first by `re`,
which matches at the start of a text in three quarters of `regex`' time.
"""
KNOWN_LENGTH = 1024

DOUBTED = 30
"""How many texts are looked through for the pieces of an expression after it failed: as often as a look is cheaper than a
failure. A look in vain ends it."""

TRUSTED = 1000
"""How many matches, one after the other, end the search for literals before each: a failure costs as much as 200 such
searches."""

Search = Callable[[str], Any]
Try = Callable[[LogEvent, str, float], bool]
"""Matches a text and stores what it captured; the third is when the event's time is over."""


class Grok(Filter):
    """Reads fields out of a text by patterns such as `%{COMBINEDAPACHELOG}`."""

    name = "grok"
    may_cancel = False
    options = (
        Option("match", "hash", doc="field => pattern, or an array of patterns that are tried in order"),
        Option("patterns_dir", "array", doc="files, or directories of files, with patterns of your own"),
        Option("patterns_files_glob", "string", "*", doc="which files of such a directory"),
        Option("pattern_definitions", "hash", doc="patterns of your own, name => pattern"),
        Option("break_on_match", "boolean", True, doc="whether the first match ends the filter"),
        Option("named_captures_only", "boolean", True, doc="whether patterns without a field store nothing"),
        Option("keep_empty_captures", "boolean", False, doc="whether empty captures are stored"),
        Option(
            "overwrite", "array", doc="fields to replace; others become arrays when they are there already"
        ),
        Option("target", "field_reference", doc="the field to store everything under"),
        Option("tag_on_failure", "array", ["_grokparsefailure"], doc="tags of an event that nothing matches"),
        Option(
            "tag_on_timeout", "string", "_groktimeout", doc="the tag of an event whose match took too long"
        ),
        Option(
            "timeout_millis", "number", 30000, doc="how long a match may take, in milliseconds; 0: no limit"
        ),
        Option(
            "timeout_scope", "choice", "pattern", choices=("pattern", "event"), doc="what the limit is for"
        ),
        ECS,
    )

    def compile(self) -> Work:
        """Compiles every expression once."""
        patterns = self._patterns()
        self._overwrite = frozenset(map(str, self["overwrite"]))
        fields: list[tuple[Reference, list[Try]]] = []
        for field, expressions in self["match"].items():
            written = expressions if isinstance(expressions, list) else [expressions]
            fields.append((self.reference(field), [self._try(ruby_text(each), patterns) for each in written]))
        failure, on_timeout = [str(tag) for tag in self["tag_on_failure"]], str(self["tag_on_timeout"])
        break_on_match = self["break_on_match"]
        limit = float(self["timeout_millis"]) / 1000 if self["timeout_scope"] == "event" else 0.0

        def failed(event: LogEvent) -> bool:
            for tag in failure:
                event.tag(tag)
            return False

        def work(event: LogEvent) -> bool:
            matched = False
            ends = time.monotonic() + limit if limit else 0.0
            try:
                for field, tries in fields:
                    if _match(event, field, tries, break_on_match, ends):
                        matched = True
                        if break_on_match:
                            break
            except TimeoutError:
                event.tag(on_timeout)
                return False
            return matched or failed(event)

        self._once = None
        if len(fields) == len(fields[0][1] if fields else ()) == 1 and not limit:
            self._once = (fields[0][0], fields[0][1][0], failed)
        return work

    def emit(self, source: Source) -> None:
        """Writes the usual case, one field with a text and one expression, as lines."""
        if self._once is None:
            super().emit(source)
            return
        field, attempt, failed = self._once
        source.line(
            "try:",
            f" value = {value_of(field, source)}",
            f" if type(value) is str: matched = {source.bind(attempt)}(event, value, 0.0) or {source.bind(failed)}(event)",
            f" else: matched = {source.bind(self.work)}(event)",
            f"except {source.bind(TimeoutError)}:",
            f" matched = event.tag({str(self['tag_on_timeout'])!r})",
            f"except {source.bind(FieldError)}:",
            f" matched = {source.bind(failed)}(event)",
        )
        if not self.is_plain:
            source.line("if matched:")
            with source.deeper():
                self.emit_common(source)

    def _patterns(self) -> dict[str, str]:
        patterns = dict(pattern_set(ecs=self.ecs))
        self._own_files = 0
        for path in map(str, self["patterns_dir"]):
            found = os.path.join(path, str(self["patterns_files_glob"])) if os.path.isdir(path) else path
            for name in sorted(glob.glob(found)):
                if os.path.isdir(name):
                    continue
                if not os.path.isfile(name):  # a pipe would keep the start waiting
                    message = f"{name} is no regular file"
                    raise self.refuse(message, "patterns_dir")
                try:
                    with open(name, encoding="utf-8") as lines:
                        patterns |= read_patterns(lines)
                    self._own_files += 1
                except (OSError, UnicodeDecodeError) as error:
                    message = f"cannot read {name}: {error}"
                    raise self.refuse(message, "patterns_dir") from None
        for name, pattern in self["pattern_definitions"].items():
            patterns[name] = ruby_text(pattern)
        return patterns

    def _try(self, expression: str, patterns: dict[str, str]) -> Try:
        try:
            compiled = compile_grok(expression, patterns, named_only=self["named_captures_only"])
        except GrokError as error:
            empty = (
                "" if self._own_files else "".join(f"; {each} holds no file" for each in self["patterns_dir"])
            )
            message = f"{error}{empty}"
            raise self.refuse(message, "match") from None
        limit = float(self["timeout_millis"]) / 1000
        known = expression in KNOWN_TO_END and compiled is compile_grok(expression, pattern_set(ecs=self.ecs))
        quick = quick_match(compiled.text) if known and limit >= 1 else None
        return _matcher(compiled, self._store(compiled), limit, quick)

    def _store(self, compiled: Compiled) -> Store:
        """Makes the function that stores the groups of a match."""
        target, keep_empty = self["target"], self["keep_empty_captures"]
        if target and "[" not in target:
            target = f"[{target}]"
        captures = []
        for group, name, convert in compiled.captures:
            inner = name if name.startswith("[") else f"[{name}]"
            field = reference_or_bad(f"{target}{inner}" if target else name)
            captures.append((group - 1, field, name in self._overwrite, convert))
        return store_of(captures, keep_empty=keep_empty)


def _matcher(compiled: Compiled, store: Store, limit: float, quick: Search | None) -> Try:
    search, literals = compiled.search, compiled.literals
    doubt = matches = 0
    unwatched = KNOWN_LENGTH if quick else 0

    def attempt(event: LogEvent, text: str, ends: float) -> bool:
        nonlocal matches
        found = quick(text) if quick and matches == TRUSTED and len(text) <= unwatched and not ends else None
        if found is None:
            found = find_with_care(text, ends)
        if found is None:
            matches = 0
            return False
        if matches < TRUSTED:
            matches += 1
        store(event, found.groups())
        return True

    def find_with_care(text: str, ends: float) -> Any:
        nonlocal doubt
        if matches < TRUSTED or quick:
            place = 0
            for literal in literals:
                place = text.find(literal, place)
                if place < 0:
                    return None
                place += len(literal)
        allowed = limit
        if ends:
            allowed = ends - time.monotonic()
            if allowed <= 0:
                raise TimeoutError
        watch = allowed and len(text) > unwatched
        looked = doubt > 0
        if looked:
            doubt -= 1
            for row in pieces_of(compiled.text):
                place = 0
                for piece in row:
                    found = piece(text, place, timeout=allowed) if watch else piece(text, place)
                    if found is None:
                        doubt = DOUBTED
                        return None
                    place = found.start()
        found = None if watch or quick is None else quick(text)
        if found is None:
            found = search(text, timeout=allowed) if watch else search(text)
        if found is None:
            doubt = 0 if looked else DOUBTED
        return found

    return attempt


def _match(event: LogEvent, field: Reference, tries: list[Try], break_on_match: bool, ends: float) -> bool:
    """Says whether the last expression tried matched the field, or for an array one of its elements."""
    try:
        value = field.get(event)
        if type(value) is str:
            return _match_text(event, value, tries, break_on_match, ends)
        if type(value) is list:
            matched = False
            for each in value:
                matched = _match_text(event, ruby_text(each), tries, break_on_match, ends) or matched
            return matched
        text = "" if value is MISSING else ruby_text(value)
        return _match_text(event, text, tries, break_on_match, ends)
    except FieldError:
        return False


def _match_text(event: LogEvent, text: str, tries: list[Try], break_on_match: bool, ends: float) -> bool:
    matched = False
    for attempt in tries:
        matched = attempt(event, text, ends)
        if matched and break_on_match:
            return True
    return matched
