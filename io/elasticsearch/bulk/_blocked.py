"""`Blocked` remembers which indices refuse every document, and decides how long to wait for them. Pure.

Problem. An index may be closed, read-only, or denied to us, while all others accept. Its events must not stop other
events, and must not be given up when somebody is about to lift the block.

Rules.
- While another index accepts, we wait at most `wait_s` seconds for a refusing one. Then its events are given up, until
  it accepts again. Each later batch tries it once.
- Where events choose their index, the same holds while none accepts, if the cause is the index's own (blocked, closed,
  denied). Nothing is tried behind a batch that waits, so no other index could ever accept.
- In all other cases we wait without end while no other index accepts: the cluster is the reason (its disks are full), or
  there is no other index.
- A denied constant index ends the job. So do bulks that are denied as a whole, where everything else that was tried is
  denied too.
- An index counts as accepting when its last answer was an acceptance, not longer ago than `wait_s` and ten minutes.
"""

import enum
import math
import threading
from collections.abc import Callable

from penstock.io.elasticsearch.bulk._reasons import Cause

__all__ = ["WHOLE", "Blocked", "Verdict", "way_out"]

WHOLE = ""
"""Stands in the place of an index, for bulks that are denied as a whole."""

_RECENT_S = 600.0
_MAX_INDICES = 10_000

_WAYS_OUT = (
    ("TOO_MANY_REQUESTS/12", "Make room on its disks; Elasticsearch lifts the block itself."),
    (
        "FORBIDDEN/12",  # before 7.4, nothing but this lifts it
        'Make room on its disks; PUT {index}/_settings {{"index.blocks.read_only_allow_delete": null}} lifts the block.',
    ),
    ("FORBIDDEN/4/", "POST {index}/_open opens it."),
    ("FORBIDDEN/5/", 'PUT {index}/_settings {{"index.blocks.read_only": null}} lifts the block.'),
    ("FORBIDDEN/6/", 'PUT _cluster/settings {{"persistent": {{"cluster.blocks.read_only": null}}}} lifts the block.'),
    ("FORBIDDEN/8/", 'PUT {index}/_settings {{"index.blocks.write": null}} lifts the block.'),
    ("index_closed", "POST {index}/_open opens it."),
    ("security_exception", "Grant the privileges on {index} in the role; see docs/elasticsearch.md."),
)  # fmt: skip
"""What lifts a block, by what its error says."""

_OF_THE_INDEX = ("FORBIDDEN/4/", "FORBIDDEN/5/", "FORBIDDEN/8/", "index_closed")


class Verdict(enum.Enum):
    """What to do with the documents of an index that refuses them."""

    WAIT = "wait for at most wait_s seconds"
    WAIT_ON = "wait without end"
    GIVE_UP = "give up"
    END = "end"


class _State:
    __slots__ = ("accepted_at", "denied", "refusing_since")

    def __init__(self) -> None:
        self.accepted_at: float | None = None
        self.refusing_since: float | None = None
        self.denied = False


class Blocked:
    """The indices of one cluster, by how they answered last. Safe from any thread.

    Args:
        wait_s: seconds to wait, as the rules above say.
        varies: whether events choose their index, so that there may be others than those that were tried.
        clock: monotonic seconds.
    """

    def __init__(self, wait_s: float, varies: bool, clock: Callable[[], float]) -> None:
        self._wait_s = wait_s
        self._varies = varies
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}
        self.refusing: tuple[str, ...] = ()
        """The indices that refused everything when they were last tried."""

    def accepted(self, index: str) -> None:
        """Takes note that the index took a document (or has it already)."""
        with self._lock:
            state = self._state(index)
            state.accepted_at = self._clock()
            if state.refusing_since is not None:
                state.refusing_since = None
                self._list()

    def refused(self, index: str, error: Cause | None, *, denied: bool) -> Verdict:
        """Takes note that the index refused a document, as it would refuse any. Gives what to do with the document."""
        now = self._clock()
        with self._lock:
            state = self._state(index)
            state.denied = denied
            if state.refusing_since is None:
                state.refusing_since = now
                self._list()
            oldest = now - self._wait_s - _RECENT_S
            others = [
                each
                for each in self._states.values()
                if each is not state
                and (each.refusing_since is not None or (each.accepted_at or 0) >= oldest)
            ]
            accepting = any(each.refusing_since is None for each in others)
            everything = index == WHOLE or not self._varies
            if denied and everything and not accepting and all(each.denied for each in others):
                return Verdict.END
            its_own = self._varies and (denied or _says(error, _OF_THE_INDEX))
            if not accepting and not its_own:
                return Verdict.WAIT_ON
            return Verdict.GIVE_UP if now - state.refusing_since >= self._wait_s else Verdict.WAIT

    def how_long(self, verdict: Verdict) -> str:
        """Says in a sentence how long a document waits."""
        if verdict is Verdict.WAIT_ON:
            return "They are waited for until it accepts."
        return f"They are waited for at most {self._wait_s:g} s (--blocked_index_timeout), then they go to the dead letters."

    def forget(self, index: str) -> None:
        """Forgets the index, as if it was never tried."""
        with self._lock:
            self._states.pop(index, None)
            self._list()

    def patience(self) -> float:
        """Seconds until the next index may be given up; never less than a tenth."""
        now = self._clock()
        with self._lock:
            since = [each.refusing_since for each in self._states.values() if each.refusing_since is not None]
        left = [began + self._wait_s - now for began in since]
        return max(0.1, min([each for each in left if each > 0], default=math.inf))

    def _state(self, index: str) -> _State:
        state = self._states.get(index)
        if state is None:
            while len(self._states) >= _MAX_INDICES:
                del self._states[next(iter(self._states))]
            state = self._states[index] = _State()
        return state

    def _list(self) -> None:
        self.refusing = tuple(name for name, each in self._states.items() if each.refusing_since is not None)


def way_out(index: str, error: Cause | None) -> str:
    """Says in a sentence what lifts the block."""
    return next(
        (text.format(index=index or "the index") for told, text in _WAYS_OUT if _says(error, (told,))), ""
    )


def _says(error: Cause | None, texts: tuple[str, ...]) -> bool:
    told = f"{error.type} {error.reason}" if error is not None else ""
    return any(text in told for text in texts)
