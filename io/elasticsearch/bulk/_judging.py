"""`_judging` decides what became of each document of a bulk, by its status and error. Pure.

The outcomes are: written; replayed (409 on create of our own id: it is there already); retry (it may work later); refused
(it never works); blocked or denied (no document of this index works, until somebody lifts the block or grants the
privilege).
"""

import dataclasses
import enum

from penstock.io.elasticsearch.bulk._bulk import Bulk, Item
from penstock.io.elasticsearch.bulk._reasons import Cause, reason_of, sentences
from penstock.transforms.batch import DeadLetter

__all__ = ["OVERLOADED", "Outcome", "Policy", "judge", "refused", "without_overtaken"]

STAGE = "elasticsearch"


class Outcome(enum.Enum):
    """What became of a document."""

    WRITTEN = "written"
    REPLAYED = "replayed"
    RETRY = "retry"
    REFUSED = "refused"
    BLOCKED = "blocked"
    DENIED = "denied"


@dataclasses.dataclass(frozen=True)
class Policy:
    """The rules by which statuses are judged.

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

BLOCKS = frozenset({"cluster_block_exception", "index_closed_exception"})
"""Errors of an index that takes no document at all: read-only, closed, its disks full."""

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
"""Errors of a shard or node that starts or stops. They come with 500, as permanent errors do (a failing pipeline)."""


def judge(item: Item, action: bytes, policy: Policy) -> Outcome:
    """Decides what became of a document.

    Args:
        item: its part of the reply.
        action: the action line, or bytes that begin with it.
        policy: the rules.
    """
    status = item.status
    if 200 <= status < 300 or (status == 404 and item.error is None):
        # 404 without an error: deleted already. A document that the mapping refused may lie in the stream's failure store.
        return Outcome.REFUSED if item.failure_store == "used" else Outcome.WRITTEN
    if status == 409:
        if policy.versioned or (policy.own_ids and action.startswith(b'{"create"')):
            return Outcome.REPLAYED
        if action.startswith(b'{"update"') and status not in policy.dead_letter_codes:
            return Outcome.RETRY  # another writer was faster, so it is read and changed again
        return Outcome.REFUSED
    if status in policy.dead_letter_codes:
        return Outcome.REFUSED
    if item.error is not None and item.error.type in BLOCKS:
        return Outcome.BLOCKED
    if status in OVERLOADED or (item.error is not None and item.error.type in GOING_AWAY):
        return Outcome.RETRY
    return Outcome.DENIED if status in (401, 403) else Outcome.REFUSED


def refused(bulk: Bulk, position: int, item: Item, hint: str = "") -> DeadLetter:
    """Makes the letter of a document that is given up."""
    error = item.error
    if error is None and item.failure_store:
        error = Cause("failure_store", "the mapping refused it; it lies in the data stream's failure store")
    name = (error.type if error is not None else "") or "refused"
    reason = sentences(reason_of(error), hint) if hint else reason_of(error)
    return DeadLetter(bulk.events[position], name, reason, STAGE, item.status, bulk.attempts)


def without_overtaken(again: list[int], items: list[Item], documents: list[bytes]) -> list[int]:
    """Gives the positions of `again` without those that a later action on the same document has overtaken.

    Written after it, the older version would replace the newer one.
    """
    heads = [document[: document.index(b"\n")] for document in documents]
    last = {
        head.partition(b'"_index":')[2]: position
        for position, head in enumerate(heads)
        if head.startswith((b'{"index"', b'{"delete"')) and 200 <= items[position].status < 300
    }
    return [
        position
        for position in again
        if b'"_id":' not in heads[position]
        or last.get(heads[position].partition(b'"_index":')[2], -1) < position
    ]
