"""`_actions` turns events into bulks: each event has an action line, and a line with the source. Pure.

The options are compiled once. In the common case (create or index, one index or one per day, nothing but index and id)
a line costs one look-up of the day's prefix, and the kernel (`_native_bulk.c`) writes it directly into the body.
All other cases go through `_general`.
"""

import uuid
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quote
from typing import Any

import orjson

from penstock.io.elasticsearch._dialects import ELASTICSEARCH, Dialect
from penstock.io.elasticsearch.bulk._bulk import Bulk, cut
from penstock.io.elasticsearch.bulk._metadata import KEY, MetadataCutter
from penstock.io.elasticsearch.option_checks import ACTIONS
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.transforms.batch import Document, Event
from penstock.transforms.document import document_of, payload_of
from penstock.transforms.kernels import native
from penstock.transforms.reference import Reference, compile_reference

__all__ = ["DocumentMaker"]

_MAX_REMEMBERED = 1024
_BRACE, _NEWLINE = b"{\n"
_ID = ',"_id":'

# `Event` must keep its fields as the kernel expects it of msgspec.
_kernel = native.load(
    "penstock.io.elasticsearch.bulk._native_bulk",
    lambda kernel: kernel.bulk_bodies([], Event, None, "", None, 1, 1),
)


class DocumentMaker:
    """Makes the documents of events for a bulk's body: the action line, and the source line where the action has one."""

    def __init__(self, options: ElasticsearchOptions, dialect: Dialect = ELASTICSEARCH) -> None:
        self._options = options
        self._type = options.document_type if dialect.typed else None
        self._needs_ids = not dialect.ordered
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
        self._cutter = MetadataCutter()
        self._cut: Callable[[bytes], bytes] = bytes if options.keep_metadata else self._cutter
        self._learnt = None if options.keep_metadata else self._cutter.learnt
        self._fast = self._simple and self._takes_event_id and self._index.by_day
        # The beginnings of action lines: for all events, or for those of a day ("2026-11-22T").
        self._always = ""
        self._days: dict[str, str] = {}
        if self._fast and self._index.constant is not None:
            self._always = self._prefix(self._index.constant) + _ID

    def bulks(self, events: list[Event], max_count: int, max_bytes: int) -> list[Bulk]:
        """Makes bulks of `events`, of at most `max_count` documents and `max_bytes` bytes. A longer document goes alone.

        Raises:
            ValueError: a reference names a field that an event lacks, or gives a value that is not allowed.
            TypeError: a changed document holds a value that JSON can't.
        """
        if _kernel is None or not self._fast:
            return cut(events, self.documents(events), max_count, max_bytes)
        prefixes = self._always or self._days
        made: list[tuple[int, bytes]] = _kernel.bulk_bodies(
            events, Event, self, prefixes, self._learnt, max_count, max_bytes
        )
        bulks: list[Bulk] = []
        start = 0
        for count, body in made:
            bulks.append(Bulk(events[start : start + count], body))
            start += count
        return bulks

    def documents(self, events: list[Event]) -> list[bytes]:
        """Makes the document of each event. Raises as `bulks` does."""
        if not self._fast:
            return [self.document(event) for event in events]
        documents: list[bytes] = []
        always, days, cut_out = self._always, self._days, self._cut
        start, end, learnt = self._learnt[0] if self._learnt else (0, 0, b"\0")
        for event in events:
            timestamp, name = event.timestamp, event.id
            # Nearly every event needs only this, without a call.
            prefix = always or (days.get(timestamp[:11]) if timestamp and timestamp[-1] == "Z" else None)
            source = event.data
            if prefix is None or name is None or event.changed or event.stamped or _NEWLINE in source:
                documents.append(self.document(event))
                continue
            head = f"{prefix}{quote(name)}}}}}\n".encode()
            # The cutter's work, without its call and a copy.
            if source.startswith(learnt, start) and _BRACE not in source[1:start]:
                documents.append(b"".join((head, source[:start], source[end:], b"\n")))
            else:
                documents.append(b"".join((head, cut_out(source), b"\n")))
        return documents

    def document(self, event: Event) -> bytes:
        """Makes one event's line or lines, newlines included. Raises as `bulks` does."""
        if not self._simple:
            return self._general(event)
        prefix = self._prefix(self._index(event))
        timestamp = event.timestamp
        if self._fast and timestamp is not None and self._index.remembers(timestamp):
            self._days[timestamp[:11]] = prefix + _ID
        name = event.id if self._takes_event_id else (self._id(event) if self._id else None)
        if name is None and self._needs_ids:
            name = uuid.uuid4().hex
        head = f"{prefix}{_ID}{quote(name)}}}}}\n" if name is not None else f"{prefix}}}}}\n"
        return b"%b%b\n" % (head.encode(), self._payload(event))

    def _prefix(self, index: str) -> str:
        """Gives the beginning of the action lines that name `index`, and remembers it."""
        prefix = self._prefixes.get(index)
        if prefix is None:
            if len(self._prefixes) >= _MAX_REMEMBERED:
                self._prefixes.clear()
                self._days.clear()
            prefix = f'{{"{self._options.action}":{{"_index":{quote(index)}'
            if self._type is not None:
                prefix += f',"_type":{quote(self._type)}'
            self._prefixes[index] = prefix
        return prefix

    def _payload(self, event: Event) -> bytes:
        """Gives the event as one line, without `@metadata` unless that is kept."""
        return self._cut(payload_of(event))

    def _general(self, event: Event) -> bytes:
        document = document_of(event) if self._options.needs_documents else None
        options, action = self._options, self._action(event, document)
        if action not in ACTIONS:
            message = f"action {action[:40]!r} is none of {', '.join(ACTIONS)}"
            raise ValueError(message)
        meta: dict[str, Any] = {"_index": self._index(event, document)}
        if self._type is not None:
            meta["_type"] = self._type
        name = event.id if self._takes_event_id else (self._id(event, document) if self._id else None)
        if name is None and self._needs_ids and action in ("create", "index"):
            name = uuid.uuid4().hex
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
            return head + b"\n"
        source = self._update(event, document) if action == "update" else self._payload(event)
        return b"%b\n%b\n" % (head, source)

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
