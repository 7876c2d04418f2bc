"""`_bulk` cuts documents into bulk bodies, reads bulk replies, and judges each document's status. Pure.

Problem. One `_bulk` request carries many documents; its reply says of each, in the same order, what became of it.
A reply that says too little must never pass for success.

Invariants.
- A body is never longer than the bounds, unless a single document is.
- A document is one line: its own bytes, in which a raw newline has become a space (`payload_of`).
- Every document sent gets exactly one outcome; a reply with another number of items is an error for all.
- Outcomes: written; replayed (409 on create of our own id: it is there already); retry (it may work later);
  refused (it never will); denied (nothing will, until somebody changes the permissions).

Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

import dataclasses
import enum
from collections.abc import Sequence

import msgspec

from penstock.transforms.batch import Event

__all__ = [
    "FILTER_PATH",
    "OVERLOADED",
    "BadReply",
    "Bulk",
    "Cause",
    "Item",
    "Outcome",
    "Policy",
    "cut",
    "judge",
    "read_reply",
    "reason_of",
]

FILTER_PATH = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"
"""Leaves out what we don't read, and keeps every item, so that positions stay (a bare `items.*.error` would not)."""

MAX_REASON = 1000
"""Characters of Elasticsearch's reason that are kept: with a whole mapping in it, it can be very long."""

_MAX_CAUSES = 20
_DELETE = b'{"delete"'  # the one action without a source


class Outcome(enum.Enum):
    """What became of a document."""

    WRITTEN = "written"
    REPLAYED = "replayed"
    RETRY = "retry"
    REFUSED = "refused"
    DENIED = "denied"


@dataclasses.dataclass(slots=True)
class Bulk:
    """Documents that travel in one request.

    Attributes:
        events: what they were made from.
        body: the request's body: of each event the action line and, where the action has one, the source line.
        attempts: how often it has been sent.
    """

    events: list[Event]
    body: bytes
    attempts: int = 0

    def documents(self) -> list[bytes]:
        """The body in parts: each event's line or lines, newlines included."""
        lines = iter(self.body.split(b"\n")[:-1])
        return [
            head + b"\n" if head.startswith(_DELETE) else b"%b\n%b\n" % (head, next(lines)) for head in lines
        ]

    def halves(self) -> "list[Bulk]":
        """The same documents in two bulks; only for more than one."""
        middle = len(self.events) // 2
        return [self.only(range(middle)), self.only(range(middle, len(self.events)))]

    def only(self, positions: Sequence[int]) -> "Bulk":
        """The documents at those positions."""
        documents = self.documents()
        body = b"".join([documents[i] for i in positions])
        return Bulk([self.events[i] for i in positions], body, self.attempts)


def cut(events: list[Event], documents: list[bytes], max_count: int, max_bytes: int) -> list[Bulk]:
    """Bulks of at most `max_count` documents and `max_bytes` bytes; a longer document goes alone."""
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


class Cause(msgspec.Struct, gc=False):
    """Elasticsearch's `error` object, or the `caused_by` in it."""

    type: str = ""
    reason: str | None = None
    caused_by: "Cause | None" = None


class Item(msgspec.Struct, gc=False):
    """What a reply says of one document."""

    status: int
    error: Cause | None = None


class _Reply(msgspec.Struct, gc=False):
    items: list[dict[str, Item]]
    errors: bool = False


class BadReply(ValueError):
    """A reply that isn't one, or that doesn't speak of every document sent."""


_decode = msgspec.json.Decoder(_Reply).decode


def read_reply(reply: bytes, expected: int) -> list[Item] | None:
    """What the reply to a bulk of `expected` documents says of each, in order; None: all were written.

    Raises:
        BadReply: it isn't a bulk reply, or has another number of items.
    """
    # Only our own FILTER_PATH's fields are in it, so nothing but an item's status can look like one.
    if b'"errors":false' in reply[:40] and reply.count(b'"status":20') == expected == reply.count(
        b'"status":'
    ):
        return None
    try:
        items = _decode(reply).items
    except (msgspec.MsgspecError, RecursionError) as error:
        message = f"no bulk reply: {error}"
        raise BadReply(message) from error
    if len(items) != expected or not all(len(item) == 1 for item in items):
        message = f"the reply speaks of {len(items)} documents, {expected} were sent"
        raise BadReply(message)
    return [next(iter(item.values())) for item in items]


def reason_of(error: Cause | None) -> str:
    """Elasticsearch's reason in one line, with its causes, of which the innermost mostly is the telling one."""
    parts: list[str] = []
    for _ in range(_MAX_CAUSES):
        if error is None:
            break
        part = " ".join((error.reason or error.type).split())
        if part and part not in parts:
            parts.append(part)
        error = error.caused_by
    return ": ".join(parts)[:MAX_REASON]


@dataclasses.dataclass(frozen=True)
class Policy:
    """How statuses are judged.

    Attributes:
        own_ids: whether a 409 on create means that this very event is there already.
        versioned: whether a 409 means that the same or a newer version is there already.
        dead_letter_codes: statuses that are refusals even where they could be tried again.
    """

    own_ids: bool = True
    versioned: bool = False
    dead_letter_codes: frozenset[int] = frozenset()


OVERLOADED = frozenset({429, 502, 503, 504})
"""Statuses that mean "later": tried again for as long as it takes."""

GOING_AWAY = frozenset(
    {
        "already_closed_exception",
        "engine_closed_exception",
        "illegal_index_shard_state_exception",
        "index_shard_closed_exception",
        "node_closed_exception",
        "node_disconnected_exception",
        "node_not_connected_exception",
    }
)
"""Errors of a shard or node that ends or begins; they come with 500, as lasting ones do (a failing pipeline)."""


def judge(item: Item, action: bytes, policy: Policy) -> Outcome:
    """What became of a document.

    Args:
        item: its part of the reply.
        action: the action line, or what begins with it.
        policy: see there.
    """
    status = item.status
    if 200 <= status < 300 or (status == 404 and item.error is None):
        return Outcome.WRITTEN  # 404 without an error: deleted already
    if status == 409:
        if policy.versioned or (policy.own_ids and action.startswith(b'{"create"')):
            return Outcome.REPLAYED
        if action.startswith(b'{"update"') and status not in policy.dead_letter_codes:
            return Outcome.RETRY  # another writer was faster; it is read and changed anew
        return Outcome.REFUSED
    if status in policy.dead_letter_codes:
        return Outcome.REFUSED
    if status in OVERLOADED or (item.error is not None and item.error.type in GOING_AWAY):
        return Outcome.RETRY
    return Outcome.DENIED if status in (401, 403) else Outcome.REFUSED
