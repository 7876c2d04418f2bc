"""`_rounds` holds what the writer knows between two rounds of bulks. Pure."""

import dataclasses
from typing import NamedTuple

from penstock.io.elasticsearch.bulk._bulk import Bulk, Item

__all__ = ["Refusing", "Reply", "Round"]


@dataclasses.dataclass
class Refusing:
    """The documents of a bulk whose index refuses everything, and the reason."""

    index: str
    item: Item
    denied: bool
    positions: list[int]


@dataclasses.dataclass
class Round:
    """The bulks of the next round: to send at once, after a wait, or parts of bulks that are yet to be decided."""

    at_once: list[Bulk] = dataclasses.field(default_factory=list)
    later: list[Bulk] = dataclasses.field(default_factory=list)
    partly: list[tuple[Bulk, list[int], list[Refusing]]] = dataclasses.field(default_factory=list)


class Reply(NamedTuple):
    """The reply to one bulk: its HTTP status (0: no reply, and `failure` says why) and its body."""

    status: int
    body: bytes
    failure: str
    size: int
    latency_ms: int
