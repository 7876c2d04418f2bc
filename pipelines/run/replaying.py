"""`replaying` sends dead letters again, batch after batch, and counts what becomes of each.

How a letter's event is sent is the caller's: a function that gets letters, and returns those that are refused again.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import Store, open_store
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.transforms.batch import DeadLetter

__all__ = ["BATCH", "STOPPED", "Counts", "Later", "Send", "replay_all", "without_pieces"]

BATCH = 1000
STOPPED = 3
"""The exit code of a replay that was stopped before its end."""

_LOGGER = logging.getLogger("penstock")

Send = Callable[[list[DeadLetter]], list[DeadLetter]]
"""A function that sends the events of all these letters, and returns the letters of those that are refused again."""


class Later:
    """A store that is opened with the first letter, so that a clean replay leaves no empty file."""

    def __init__(self, url: str, cluster: ElasticsearchOptions | None, aws: AwsOptions | None) -> None:
        self._url = url
        self._cluster = cluster
        self._aws = aws
        self._store: Store | None = None

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good."""
        if self._store is None:
            self._store = open_store(self._url, self._cluster, self._aws)
        self._store.append(letters)


@dataclasses.dataclass
class Counts:
    """Counts what became of the letters."""

    sent: int = 0
    refused: int = 0
    without_event: int = 0
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)

    def text(self, again: str, wrong: int) -> str:
        """Gives the last words of a replay."""
        kept = f" and kept in {again}" if self.refused else ""
        lines = [f"{self.sent} dead letters sent again, {self.refused} of them refused again{kept}"]
        lines += [f"  {count} x {kind}" for kind, count in self.kinds.items()]
        if self.without_event:
            lines.append(
                f"{self.without_event} dead letters hold no whole event and were not sent: "
                "read their objects again from S3, give their elements again"
            )
        if wrong:
            lines.append(f"{wrong} lines are no dead letters and were left out")
        return "\n".join(lines) + "\n"


def replay_all(letters: Iterator[DeadLetter], send: Send, again: Later, counts: Counts) -> None:
    """Sends letters again, batch after batch, until a stop; what is refused again goes to `again`."""
    while (batch := list(islice(letters, BATCH))) and not LIVE.stopping.is_set():
        refused = send(batch)
        if refused:
            again.append(refused)
        counts.sent += len(batch)
        counts.refused += len(refused)
        counts.kinds.update(f"{letter.stage}: {letter.error}" for letter in refused)
        _LOGGER.info("%d sent again, %d refused again", counts.sent, counts.refused)


def without_pieces(send: Send, *, copied: bool = False) -> Send:
    """Gives a `send` that refuses again what was one element of a record, and can't be decoded alone.

    An array that was an element of an array would count as a record of several events, with the ids of the elements beside
    it. An object that had no place for the fields of `--expand_copy` (`copied`) would be stored without them.
    """
    begins = (b"[", b"{") if copied else (b"[",)

    def is_piece(letter: DeadLetter) -> bool:
        refused = letter.stage == "decode" and letter.error in ("ValueError", "NotAnObject")
        return refused and letter.event.data.lstrip()[:1] in begins

    def send_others(letters: list[DeadLetter]) -> list[DeadLetter]:
        pieces = [
            DeadLetter(each.event, each.error, each.reason, each.stage, output=each.output)
            for each in letters
            if is_piece(each)
        ]
        return pieces + send([each for each in letters if not is_piece(each)])

    return send_others
