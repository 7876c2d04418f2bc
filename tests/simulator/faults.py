"""`faults` makes things go wrong on purpose: refused calls, refused records, resets, slowness, a chosen moment."""

import dataclasses
import random
import threading
import time
from collections.abc import Callable


@dataclasses.dataclass
class Fault:
    """One thing to go wrong. `operation` None means any; `times` None means always."""

    kind: (
        str  # "refuse" a call, "reset" before or "reset_after" its effect, "records" in a PutRecords, "body"
    )
    operation: str | None
    times: int | None = 1
    code: str = ""
    status: int = 400
    message: str = ""
    share: float = 1.0


class Faults:
    """The faults of one simulator; safe from any thread.

    Attributes:
        latency_s: added to every reply, in seconds; or by operation in `latencies_s`.
        calls: how often each operation was called.
    """

    def __init__(self, seed: int = 1) -> None:
        self.latency_s = 0.0
        self.latencies_s: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self.random = random.Random(seed)
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._moments: list[tuple[str, int, Callable[[], object]]] = []

    def refuse(
        self, operation: str | None, code: str, *, status: int = 400, times: int | None = 1, message: str = ""
    ) -> None:
        """The next `times` calls get this error (5xx for a server's fault)."""
        self._add(Fault("refuse", operation, times, code, status, message))

    def refuse_records(
        self, code: str, *, share: float = 0.5, times: int | None = 1, message: str = ""
    ) -> None:
        """In the next `times` PutRecords, that share of the records (by chance) fails with this error code."""
        self._add(Fault("records", "PutRecords", times, code, 200, message, share))

    def no_next_iterator(self, *, times: int | None = 1) -> None:
        """The next `times` replies to GetRecords have neither NextShardIterator nor ChildShards."""
        self._add(Fault("no_next_iterator", "GetRecords", times))

    def answer(self, operation: str, body: bytes, *, times: int | None = 1) -> None:
        """The next `times` calls get status 200 and this body."""
        self._add(Fault("body", operation, times, status=200, message=body.decode()))

    def reset(self, operation: str | None, *, times: int | None = 1, after: bool = False) -> None:
        """The next `times` calls end in a connection reset, before or `after` they took effect."""
        self._add(Fault("reset_after" if after else "reset", operation, times))

    def at(self, operation: str, call: int, action: Callable[[], object]) -> None:
        """Runs `action` just before the operation's `call`-th call (from 1, from now on) is served."""
        with self._lock:
            self._moments.append((operation, self.calls.get(operation, 0) + call, action))

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()
            self._moments.clear()
        self.latency_s = 0.0
        self.latencies_s.clear()

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def called(self, operation: str) -> None:
        """Counts a call, waits out the latency, and runs what was to happen at this moment."""
        latency = self.latencies_s.get(operation, self.latency_s)
        if latency:
            time.sleep(latency)
        with self._lock:
            count = self.calls[operation] = self.calls.get(operation, 0) + 1
            due = [moment for moment in self._moments if moment[0] == operation and moment[1] <= count]
            self._moments = [moment for moment in self._moments if moment not in due]
        for _, _, action in due:
            action()

    def take(self, kind: str, operation: str) -> Fault | None:
        """The fault of that kind that strikes now, if any."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.kind == kind and fault.operation in (None, operation):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    return fault
        return None
