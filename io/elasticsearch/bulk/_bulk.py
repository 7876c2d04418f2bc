"""`_bulk` cuts documents into bulk bodies, and reads bulk replies. Pure.

Problem. One `_bulk` request carries many documents. Its reply says, in the same order, what became of each.
A reply that says too little must never count as success.

A server may answer in another order (`Dialect.ordered`). Then each document is found by its id.

Invariants.
- A body is never longer than the bounds, unless a single document is.
- A document is one line: its own bytes, in which a raw newline has become a space (`payload_of`).
- Every document sent gets exactly one outcome. A reply with another number of items is an error for all.

Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from penstock.io.elasticsearch.bulk._reasons import Cause
from penstock.transforms.batch import Event

__all__ = [
    "FILTER_PATH",
    "IDS_PATH",
    "BadReply",
    "Bulk",
    "Item",
    "cut",
    "in_order",
    "index_of",
    "read_reply",
]

FILTER_PATH = "errors,items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
"""Leaves out what we don't read, but keeps every item, so that positions stay. `items.*.error` alone would not."""

IDS_PATH = ",items.*._id"
"""What is asked for too where the reply may have another order."""

_IN_PLACE = frozenset({201, 409})
"""Statuses of documents that no pipeline has dropped (200) or failed (400, 500): with no others, all are in order."""

_DELETE = b'{"delete"'  # the one action without a source
_INDEX = re.compile(rb'\{"\w+":\{"_index":("(?:[^"\\]|\\.)*")')
_ID = re.compile(rb'"_id":("(?:[^"\\]|\\.)*")')
_FAILURE_STORE = b'"failure_store":"used"'
_CREATED = b'{"create":{"status":201}}'


@dataclasses.dataclass(slots=True)
class Bulk:
    """The documents of one request.

    Attributes:
        events: the events that they were made from.
        body: the request's body: for each event the action line and, where the action has one, the source line.
        attempts: how often it has been sent.
    """

    events: list[Event]
    body: bytes
    attempts: int = 0

    def documents(self) -> list[bytes]:
        """Gives the body in parts: each event's line or lines, newlines included."""
        lines = iter(self.body.split(b"\n")[:-1])
        return [
            head + b"\n" if head.startswith(_DELETE) else b"%b\n%b\n" % (head, next(lines)) for head in lines
        ]

    def halves(self) -> "list[Bulk]":
        """Gives the same documents in two bulks. It needs more than one document."""
        middle = len(self.events) // 2
        return [self.only(range(middle)), self.only(range(middle, len(self.events)))]

    def only(self, positions: Sequence[int]) -> "Bulk":
        """Gives a bulk of the documents at those positions."""
        documents = self.documents()
        body = b"".join([documents[i] for i in positions])
        return Bulk([self.events[i] for i in positions], body, self.attempts)


def cut(events: list[Event], documents: list[bytes], max_count: int, max_bytes: int) -> list[Bulk]:
    """Makes bulks of at most `max_count` documents and `max_bytes` bytes; a longer document goes alone."""
    bulks: list[Bulk] = []
    start = size = 0
    for position, length in enumerate(map(len, documents)):
        if position > start and (position - start == max_count or size + length > max_bytes):
            bulks.append(Bulk(events[start:position], b"".join(documents[start:position])))
            start, size = position, 0
        size += length
    if documents:
        bulks.append(Bulk(events[start:], b"".join(documents[start:])))
    return bulks


class Item(msgspec.Struct, gc=False):
    """The part of a reply about one document."""

    status: int
    error: Cause | None = None
    failure_store: str | None = None
    id: str | None = msgspec.field(default=None, name="_id")


class _Reply(msgspec.Struct, gc=False):
    items: list[dict[str, Item]]
    errors: bool = False


class BadReply(ValueError):
    """The reply is no bulk reply, or it does not have every document that was sent."""


_decode = msgspec.json.Decoder(_Reply).decode


def read_reply(reply: bytes, expected: int) -> list[Item] | None:
    """Reads the reply to a bulk of `expected` documents: one item per document, in order. None: all were written.

    Raises:
        BadReply: the reply isn't a bulk reply, or has another number of items.
    """
    if reply == _all_created(expected):
        return None
    # It has only the fields of our FILTER_PATH, so nothing but an item's status can look like one.
    if (
        b'"errors":false' in reply[:40]
        and reply.count(b'"status":20') == expected == reply.count(b'"status":')
        and _FAILURE_STORE not in reply
    ):
        return None
    try:
        items = _decode(reply).items
    except (msgspec.MsgspecError, RecursionError) as error:
        message = f"no bulk reply: {error}"
        raise BadReply(message) from error
    if not all(200 <= each.status < 600 for item in items for each in item.values()):
        message = "the reply holds what is no HTTP status"
        raise BadReply(message)
    if len(items) != expected or not all(len(item) == 1 for item in items):
        message = f"the reply speaks of {len(items)} documents, {expected} were sent"
        raise BadReply(message)
    return [next(iter(item.values())) for item in items]


def _all_created(count: int) -> bytes:
    """Gives the usual reply. To make it and compare costs a tenth of counting in the reply that came."""
    items = (_CREATED + b",") * count
    return b'{"errors":false,"items":[' + items[:-1] + b"]}"


def index_of(document: bytes) -> str:
    """Gives the index that an action line names; "" where there is none."""
    found = _INDEX.match(document)
    return msgspec.json.decode(found[1], type=str) if found else ""


def in_order(items: list[Item], documents: list[bytes]) -> list[Item]:
    """Gives the items in the order of the documents, found by their ids.

    Documents of one id that fared differently, and documents whose id a pipeline has changed, can't be told apart: each of
    those gets the worst of their items. So none that failed counts as written.
    """
    if _IN_PLACE.issuperset(item.status for item in items):
        return items
    ids = [_id_of(document) for document in documents]
    if [item.id for item in items] == ids:
        return items
    told: dict[str | None, list[Item]] = {}
    for item in items:
        told.setdefault(item.id, []).append(item)
    sent: dict[str | None, list[int]] = {}
    counts = Counter(ids)
    for position, name in enumerate(ids):
        sent.setdefault(name if len(told.get(name, ())) == counts[name] else None, []).append(position)
    known = {name for name in sent if name is not None}
    told[None] = [item for name, each in told.items() if name not in known for item in each]
    ordered: dict[int, Item] = {}
    for name, positions in sent.items():
        same = told[name]
        worst = max(same, key=_badness)
        ordered |= dict.fromkeys(positions, worst)
    return [ordered[position] for position in range(len(documents))]


def _badness(item: Item) -> int:
    """Orders items: written, refused for good, to be tried again."""
    if item.status == 429 or item.status >= 502:
        return 2
    return int(item.status >= 300)


def _id_of(document: bytes) -> str | None:
    found = _ID.search(document, 0, document.index(b"\n"))
    return msgspec.json.decode(found[1], type=str) if found else None
