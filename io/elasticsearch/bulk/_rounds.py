"""`_rounds` holds what the writer knows between two rounds of bulks. Pure."""

import dataclasses
from typing import Any, NamedTuple, Protocol

from penstock.io.elasticsearch._dialects import Dialect
from penstock.io.elasticsearch.bulk._bulk import Bulk, Item

__all__ = ["Refusing", "Reply", "Round", "Sender"]


class Sender(Protocol):
    """Who sends bulks."""

    where: str

    def root(self) -> tuple[int, Any]: ...

    def speak(self, dialect: Dialect) -> None: ...

    def bulk(self, body: bytes) -> tuple[int, bytes]: ...

    def close(self) -> None: ...


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
