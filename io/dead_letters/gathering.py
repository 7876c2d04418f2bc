"""`Gatherer` stores the letters of several batches together, and acknowledges the batches only then.

Problem. An object in S3 per batch: 35 letters made 31 objects.

Plan. A batch of a live source leaves its letters and its receipt here, and travels on with a receipt for nothing. Letters
are stored together when they are old or large enough, when the source has no room for much more, and at the end of a
bundle: a runner that keeps positions takes what a bundle has read for done.

Invariants.
- A receipt is acknowledged once, after the letters of its batch are stored; the batch has come through its sink before.
- What is not stored at the end is not acknowledged, and is read or sent again.
"""

import threading
import time
from collections.abc import Callable

from penstock.io.chain.live_objects import LIVE, LiveReceipt
from penstock.io.errors import PeerError, PenstockError, without_traceback
from penstock.transforms.batch import EVENT_BYTES, DeadLetter

__all__ = ["Gatherer"]

_TICK_S = 0.1
_GATHER_S = 2.0
_GATHER_BYTES = 4 << 20
_PRESSURE = 0.5


class Gatherer:
    """Letters on their way into a store; shared by all DoFn instances of a process, safe from any thread.

    Args:
        keep: stores letters, or raises a `PenstockError`.
    """

    def __init__(self, keep: Callable[[list[DeadLetter]], None]) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._letters: list[DeadLetter] = []
        self._receipts: list[LiveReceipt] = []
        self._size = 0
        self._since = 0.0
        self._failure: PenstockError | None = None
        self._closing = threading.Event()
        self._timer = threading.Thread(target=self._tick, name="dead-letters", daemon=True)
        self._timer.start()

    def add(self, letters: list[DeadLetter], receipt: LiveReceipt) -> None:
        """Takes letters, and the receipt of the batch that has no others. Raises what an earlier try to store raised."""
        with self._lock:
            if self._failure is not None:
                raise without_traceback(self._failure)
            if not self._receipts:
                self._since = time.monotonic()
            self._letters += letters
            self._receipts.append(receipt)
            self._size += sum(len(letter.event.data) + EVENT_BYTES for letter in letters)
            due = self._is_due()
        if due:
            self.flush()

    def flush(self) -> None:
        """Stores what is here, and acknowledges it. Raises a `PenstockError` when that fails."""
        with self._storing:
            with self._lock:
                letters, receipts = self._letters, self._receipts
                self._letters, self._receipts, self._size = [], [], 0
            if receipts:
                self._keep(letters)
            for receipt in receipts:
                receipt.acknowledge()

    def close(self) -> None:
        """Ends the timer. What is still here is not acknowledged."""
        self._closing.set()
        if self._timer is not threading.current_thread():
            self._timer.join(5.0)

    def _is_due(self) -> bool:
        return bool(self._receipts) and (
            self._size >= _GATHER_BYTES
            or time.monotonic() - self._since >= _GATHER_S
            or any(map(_is_filling, {receipt.source for receipt in self._receipts}))
        )

    def _tick(self) -> None:
        while not self._closing.wait(_TICK_S):
            with self._lock:
                due = self._is_due()
                sources = {receipt.source for receipt in self._receipts}
            if not due:
                continue
            try:
                self.flush()
            except PenstockError as error:
                self._fail(error, sources)
                return
            except Exception as error:
                message = f"storing dead letters failed: {type(error).__name__}: {error}"
                self._fail(PeerError(message[:500]), sources)
                return

    def _fail(self, error: PenstockError, sources: set[str]) -> None:
        LIVE.fail(error)
        with self._lock:
            self._failure = without_traceback(error)
        for key in sources:
            source = LIVE.find(key)
            if source is not None:
                source.fail(error)


def _is_filling(key: str) -> bool:
    source = LIVE.find(key)
    return source is not None and (
        source.stopping
        or source.pending_events >= _PRESSURE * source.max_pending_events
        or source.pending_bytes >= _PRESSURE * source.max_pending_bytes
    )
