"""`Report` counts what became of a batch's documents, and tells the process's meters."""

import dataclasses
from collections import Counter
from collections.abc import Iterable

from penstock.io.meters import METERS
from penstock.transforms.batch import DeadLetter

__all__ = ["REQUEST", "Report"]

REQUEST = "elasticsearch_bulk"
"""The name of a bulk in the meters."""

_DOCUMENTS = METERS.counter(
    "penstock_elasticsearch_documents_total",
    "Documents by what became of them: written, there_already (a replay), refused.",
    "outcome",
)


@dataclasses.dataclass
class Report:
    """Holds what became of a batch's events.

    Attributes:
        letters: the letters of refused events.
        ways_out: letter's reason -> what lifts the block or the denial; the reason ends with it.
        written: documents written in this call.
        replayed: documents that were there already.
        bulks: requests sent.
        bytes: bytes of their bodies, before compression.
        retries: documents sent again, by status (`no_answer`: there was none).
        latencies_ms: how long each request took.
    """

    letters: list[DeadLetter] = dataclasses.field(default_factory=list)
    ways_out: dict[str, str] = dataclasses.field(default_factory=dict)
    written: int = 0
    replayed: int = 0
    bulks: int = 0
    bytes: int = 0
    retries: Counter[str] = dataclasses.field(default_factory=Counter)
    latencies_ms: list[int] = dataclasses.field(default_factory=list)

    def retried(self, kinds: Iterable[object]) -> None:
        """Takes note of documents that are sent again: one status, or other kind, per document."""
        for kind, count in Counter(map(str, kinds)).items():
            self.retries[kind] += count
            METERS.retried(REQUEST, kind, count)

    def count(self) -> None:
        """Tells the process's meters what became of all documents."""
        _DOCUMENTS.of("written").add(self.written)
        _DOCUMENTS.of("there_already").add(self.replayed)
        _DOCUMENTS.of("refused").add(len(self.letters))
