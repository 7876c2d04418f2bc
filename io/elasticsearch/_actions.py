"""From an event to its two lines of a bulk: the action with its metadata, and the source. Pure.

The options are compiled once. In the common case (create or index, one index a day, nothing but index and id)
a line costs one look-up of the day's prefix; everything else goes through `_general`.
"""

from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quote
from typing import Any

import orjson

from penstock.io.elasticsearch._metadata import KEY, MetadataCutter
from penstock.io.elasticsearch.options import ACTIONS, ElasticsearchOptions
from penstock.transforms.batch import Document, Event
from penstock.transforms.document import document_of, payload_of
from penstock.transforms.reference import Reference, compile_reference

__all__ = ["LineMaker"]

_MAX_REMEMBERED = 1024
_BRACE, _NEWLINE = b"{\n"


class LineMaker:
    """Makes the lines of events: an action, and a source (empty where the action has none), without newlines."""

    def __init__(self, options: ElasticsearchOptions) -> None:
        self._options = options
        self._index = compile_reference(options.target)
        self._action = compile_reference(options.action)
        self._id = _reference(options.document_id if options.document_id not in ("auto", "none") else None)
        self._takes_event_id = options.document_id == "auto"
        self._routing = _reference(options.routing)
        self._version = _reference(options.version)
        self._pipeline = _reference(options.pipeline)
        self._prefixes: dict[str, str] = {}
        self._simple = options.action in ("create", "index") and not (
            options.routing or options.version or options.pipeline
        )
        self._days: dict[str, str] = {}
        self._cutter = MetadataCutter()
        self._cut: Callable[[bytes], bytes] = bytes if options.keep_metadata else self._cutter
        self._fast = self._simple and self._takes_event_id and self._index.by_day

    def lines(self, events: list[Event]) -> tuple[list[bytes], list[bytes]]:
        """The action and source lines of `events`, side by side.

        Raises:
            ValueError: a reference names a field that an event lacks, or gives something that cannot be.
            TypeError: a changed document holds what JSON cannot.
        """
        heads: list[bytes] = []
        sources: list[bytes] = []
        days, cut = (self._days if self._fast else {}), self._cut
        start, end, learnt = self._cutter.latest
        for event in events:
            timestamp, name = event.timestamp, event.id
            # "2026-11-22T" -> the line's beginning: what nearly every event needs, without a call.
            prefix = days.get(timestamp[:11]) if timestamp and timestamp[-1] == "Z" else None
            if prefix is None or name is None or event.changed:
                head, source = self.line(event)
            else:
                head, source = f"{prefix}{quote(name)}}}}}".encode(), event.data
                # As the cutter would do it, without the call.
                if source.startswith(learnt, start) and _BRACE not in source[1:start]:
                    source = source[:start] + source[end:]
                else:
                    source = cut(source)
                if _NEWLINE in source:
                    source = self._payload(event)
            heads.append(head)
            sources.append(source)
        return heads, sources

    def line(self, event: Event) -> tuple[bytes, bytes]:
        """One event's lines; raises as `lines` does."""
        if not self._simple:
            return self._general(event)
        index = self._index(event)
        prefix = self._prefixes.get(index)
        if prefix is None:
            if len(self._prefixes) >= _MAX_REMEMBERED:
                self._prefixes.clear()
                self._days.clear()
            prefix = self._prefixes[index] = f'{{"{self._options.action}":{{"_index":{quote(index)}'
        timestamp = event.timestamp
        if self._fast and timestamp is not None and self._index.remembers(timestamp):
            self._days[timestamp[:11]] = f'{prefix},"_id":'
        name = event.id if self._takes_event_id else (self._id(event) if self._id else None)
        head = f'{prefix},"_id":{quote(name)}}}}}' if name is not None else f"{prefix}}}}}"
        return head.encode(), self._payload(event)

    def _payload(self, event: Event) -> bytes:
        """The event as one line, without `@metadata` unless that is kept."""
        return self._cut(payload_of(event))

    def _general(self, event: Event) -> tuple[bytes, bytes]:
        document = document_of(event) if self._options.needs_documents else None
        options, action = self._options, self._action(event, document)
        if action not in ACTIONS:
            message = f"action {action[:40]!r} is none of {', '.join(ACTIONS)}"
            raise ValueError(message)
        meta: dict[str, Any] = {"_index": self._index(event, document)}
        name = event.id if self._takes_event_id else (self._id(event, document) if self._id else None)
        if name is not None:
            meta["_id"] = name
        elif action in ("update", "delete"):
            message = f"{action} without a document id"
            raise ValueError(message)
        if self._routing is not None:
            meta["routing"] = self._routing(event, document)
        if self._version is not None and action != "update":
            meta["version"] = _whole(self._version(event, document))
            if options.version_type:
                meta["version_type"] = options.version_type
        if self._pipeline is not None and action in ("create", "index"):
            meta["pipeline"] = self._pipeline(event, document)
        if action == "update":
            meta["retry_on_conflict"] = options.retry_on_conflict
        head = orjson.dumps({action: meta})
        if action == "delete":
            return head, b""
        source = self._update(event, document) if action == "update" else self._payload(event)
        return head, source

    def _update(self, event: Event, document: Document | None) -> bytes:
        options = self._options
        if options.script is None:
            end = b',"doc_as_upsert":true}' if options.doc_as_upsert else b"}"
            if options.upsert is not None:
                end = b',"upsert":' + options.upsert.encode().replace(b"\n", b" ") + end
            return b'{"doc":%b%b' % (self._payload(event), end)
        document = dict(document_of(event) if document is None else document)
        if not options.keep_metadata:
            document.pop(KEY, None)
        script: dict[str, Any] = {"params": {options.script_var_name: document}}
        if options.script_type == "inline":
            script |= {"source": options.script, "lang": options.script_lang}
        else:
            script["id"] = options.script
        body: dict[str, Any] = {"script": script}
        if options.scripted_upsert:
            body["scripted_upsert"] = True
            body["upsert"] = {}
        if options.upsert is not None:
            body["upsert"] = orjson.loads(options.upsert)
        elif options.doc_as_upsert:
            body["upsert"] = document
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)


def _reference(text: str | None) -> Reference | None:
    return None if text is None else compile_reference(text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        message = f"version {text[:40]!r} is no whole number"
        raise ValueError(message) from None
