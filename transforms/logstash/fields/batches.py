"""`batches` runs a chain's function over the events of a batch, in the kernel where it is built.

Behind and before the function the kernel (`_native_batches.c`) does what `RunFilters` does with one event: it begins a
usual document itself (`documents`), and makes the changed event. It calls Python for whatever is unusual.
"""

from collections.abc import Callable
from typing import Any

from penstock.transforms.batch import Document, Event, Origin
from penstock.transforms.document import document_of
from penstock.transforms.kernels import native
from penstock.transforms.logstash.fields.documents import Clock, event_of
from penstock.transforms.logstash.values.event import LogEvent, Timestamp
from penstock.transforms.time import timestamps

__all__ = ["BatchRun", "compile_batches", "time_of"]

BatchRun = Callable[[list[Event], list[Event], Callable[[Event, Exception], object]], int]
"""Takes the events, the list for what they become, and what is told of each one that raised. Returns how many it dropped."""


def time_of(value: Any) -> str | None:
    """Gives the time of an event whose document has `value` as `@timestamp`."""
    return timestamps.of_value(str(value) if type(value) is Timestamp else value)


def _plan(
    step: Callable[[LogEvent], object], clock: Clock, behind: object, name: str, keep_document: bool
) -> tuple[Any, ...]:
    def begin(document: Document, origin: Origin) -> LogEvent:
        return event_of(document, clock, origin)

    keys = ("tags", "@timestamp")
    return keys, Event, LogEvent, document_of, begin, step, behind, time_of, name, keep_document


_kernel = native.load(
    "penstock.transforms.logstash.fields._native_batches",
    lambda kernel: kernel.run(_plan(len, None, None, "", False), [], [], len),  # type: ignore[arg-type]
)


def compile_batches(
    step: Callable[[LogEvent], object],
    clock: Clock,
    behind: Callable[[LogEvent], object] | None,
    name: str,
    *,
    keep_document: bool,
) -> BatchRun | None:
    """Gives the function of a batch; None where the kernel isn't there, or an event may become several.

    Args:
        step: does the work on one event.
        clock: the time now, and the zone of times that name none.
        behind: sees each event that goes on.
        name: the name of the filters.
        keep_document: whether an event that wasn't changed keeps its decoded document.
    """
    if _kernel is None:
        return None
    run, plan = _kernel.run, _plan(step, clock, behind, name, keep_document)
    return lambda events, made, refuse: int(run(plan, events, made, refuse))
