"""`step_meters` holds the meters of a job's steps, and the calls that are going on in them.

A call may last for hours while its peer is down: `waiting_steps` counts the time of calls that are going on. Who fills the
meters is `steps`. This module needs no Beam, so that a process that only shows a job can read them.
"""

import dataclasses
import threading
import time

from penstock.io.meters import METERS, Counter

__all__ = [
    "BATCHES",
    "BUSY",
    "BYTES_IN",
    "EVENTS_IN",
    "EVENTS_OUT",
    "FAILURES",
    "REFUSED",
    "TOTALS",
    "Call",
    "Step",
    "StepTotals",
    "begin_call",
    "end_call",
    "waiting_steps",
]

EVENTS_IN = METERS.counter("penstock_step_events_in_total", "Events that came into a step.", "step")
EVENTS_OUT = METERS.counter("penstock_step_events_out_total", "Events that a step handed on.", "step")
BYTES_IN = METERS.counter(
    "penstock_step_bytes_in_total", "Payload of the events that came in, as it was read.", "step"
)
REFUSED = METERS.counter("penstock_step_refused_events_total", "Events that a step refused for good.", "step")
BATCHES = METERS.counter("penstock_step_batches_total", "Batches that came into a step.", "step")
BUSY = METERS.counter(
    "penstock_step_busy_seconds_total", "Seconds spent in a step, waiting for its peer included.", "step"
)
FAILURES = METERS.counter("penstock_step_failures_total", "Batches that failed in a step.", "step")


@dataclasses.dataclass
class Step:
    """One step of the graph.

    Attributes:
        name: its label in the pipeline.
        after: the steps whose output it takes.
        metered: whether any of its parts counts.
    """

    name: str
    after: list[str] = dataclasses.field(default_factory=list)
    metered: bool = False


@dataclasses.dataclass(frozen=True)
class StepTotals:
    """The totals of a step since the process started; see the meters of the same names."""

    events_in: float
    events_out: float
    bytes_in: float
    refused: float
    batches: float
    busy_s: float
    failures: float


TOTALS = (EVENTS_IN, EVENTS_OUT, BYTES_IN, REFUSED, BATCHES, BUSY, FAILURES)
"""The families of `StepTotals`, in its order."""


class Call:
    """A call that is going on: its step, when it began, and until when its time is counted (`time.perf_counter`)."""

    __slots__ = ("began", "counted", "step")

    def __init__(self, step: str, now: float) -> None:
        self.step = step
        self.began = self.counted = now


_CALLS: set[Call] = set()
_CALLS_LOCK = threading.Lock()


def begin_call(step: str) -> Call:
    """Takes note that a call has begun."""
    call = Call(step, time.perf_counter())
    with _CALLS_LOCK:
        _CALLS.add(call)
    return call


def end_call(call: Call, busy: Counter) -> None:
    """Takes note that it has ended, and adds the rest of its time to `busy`."""
    with _CALLS_LOCK:
        if call in _CALLS:
            _CALLS.remove(call)
            busy.add(time.perf_counter() - call.counted)


def waiting_steps() -> dict[str, float]:
    """Gives the seconds that the longest running call of each step has lasted. That time counts as busy."""
    found: dict[str, float] = {}
    with _CALLS_LOCK:
        now = time.perf_counter()
        for call in _CALLS:
            BUSY.of(call.step).add(now - call.counted)
            call.counted = now
            found[call.step] = max(found.get(call.step, 0.0), now - call.began)
    return found
