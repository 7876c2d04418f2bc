"""`routes` runs the filters of each source, and decides to which outputs of a chain each event goes.

Strategy. Conditions around outputs are asked behind the last filter, where the event is decoded: one decode serves them
all. All of them are one Python function, which gives a number with a bit per output. The numbers travel with the batch
(`EventBatch.routes`), so no sink decodes an event to know whether it is meant.

- Where conditions alone stand, an event keeps its bytes.
- A condition that cannot be decided for an event costs the event that output only: it gets a letter with the output's name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics

from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.document import document_of
from penstock.transforms.events import apply
from penstock.transforms.logstash._conditions import compile_condition
from penstock.transforms.logstash.beam import RunFilters
from penstock.transforms.logstash.chain import Chain
from penstock.transforms.logstash.compile import Step, compile_steps
from penstock.transforms.logstash.fields.conditions import Condition
from penstock.transforms.logstash.fields.documents import event_of
from penstock.transforms.logstash.fields.source import Source
from penstock.transforms.logstash.language._tree import Places
from penstock.transforms.logstash.values.event import LogEvent
from penstock.transforms.step_kind import StepKind

__all__ = ["CONDITION", "FILTERS", "FilterAndRoute", "Route", "Routes", "filter_function"]

FILTERS = "logstash_filters"
"""The stage of a letter whose event a filter refused."""

CONDITION = "condition"
"""The stage of a letter whose event an output's condition could not decide."""


class Route(msgspec.Struct, frozen=True):
    """An output and its condition.

    Attributes:
        name: the output's name in letters.
        condition: the tree of the condition (`language/_tree`); None: every event goes there.
        places: lines and columns of the condition's text.
        env: the variables that it names.
    """

    name: str
    condition: Any = None
    places: Places | None = None
    env: dict[str, str] = {}


class Routes:
    """Decides to which outputs events go, and notes it for one event after the other.

    Args:
        routes: the outputs, in order; output n has bit n.

    Raises:
        ConfigError: a condition cannot start.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = list(routes)
        self._noted: list[int] = []
        self._undecided: list[tuple[int, int, Exception]] = []
        self._compile()

    def _compile(self) -> None:
        self._conditions: list[Condition | None] = [
            None
            if each.condition is None
            else compile_condition(each.condition, each.places or Places(""), each.env, lambda text: None)
            for each in self.routes
        ]
        source = Source()
        always = sum(1 << n for n, condition in enumerate(self._conditions) if condition is None)
        source.line(f"bits = {always}", "try:", " pass")
        with source.deeper():
            for number, condition in enumerate(self._conditions):
                if condition is not None:
                    source.line(f"if {condition.write(source)}: bits |= {1 << number}")
        source.line("except Exception: return None", "return bits")
        self._decide: Callable[[LogEvent], int | None] = source.function()

    def __getstate__(self) -> Any:
        return self.routes

    def __setstate__(self, routes: list[Route]) -> None:
        self.routes, self._noted, self._undecided = routes, [], []
        self._compile()

    def note(self, event: LogEvent) -> None:
        """Decides for one event, and notes the bits of its outputs."""
        bits = self._decide(event)
        self._noted.append(self._one_by_one(event) if bits is None else bits)

    def _one_by_one(self, event: LogEvent) -> int:
        bits = 0
        for number, condition in enumerate(self._conditions):
            try:
                if condition is None or condition.function(event):
                    bits |= 1 << number
            except Exception as error:
                self._undecided.append((len(self._noted), number, error))
        return bits

    def take(self, events: list[Event]) -> tuple[list[int], list[DeadLetter]]:
        """Gives what was noted of `events` since the last call: their bits, and letters of what could not be decided."""
        noted, undecided = self._noted, self._undecided
        self._noted, self._undecided = [], []
        letters = [
            DeadLetter(
                events[at], type(error).__name__, str(error)[:300], CONDITION, output=self.routes[number].name
            )
            for at, number, error in undecided
        ]
        return noted, letters


class _RouteOnly:
    """Decides about events that pass no filters; they stay as they are."""

    def __init__(self, routes: Routes, keep: bool) -> None:
        self._routes = routes
        self._keep = keep
        self._chain: Chain | None = None

    def __getstate__(self) -> Any:
        return {**self.__dict__, "_chain": None}

    def __call__(self, event: Event) -> tuple[Event]:
        if self._chain is None:
            self._chain = compile_steps([])
        document = document_of(event)
        had_time = "@timestamp" in document
        self._routes.note(event_of(document, self._chain.context, event.origin))
        if not had_time:
            document.pop("@timestamp", None)
        if self._keep:
            event.document = document
        return (event,)


def filter_function(steps: Sequence[Step], routes: Routes | None, keep_documents: bool) -> Any:
    """Gives the function that runs filters on an event and notes its routes; None where there is nothing to do."""
    if steps:
        # Who made the plan has told its warnings, with the lines of the file.
        note = routes.note if routes else None
        return RunFilters(steps, note, keep_document=keep_documents, warns=False)
    return _RouteOnly(routes, keep_documents) if routes else None


class FilterAndRoute(beam.PTransform):
    """Runs filters on each event, then decides to which outputs it goes.

    Args:
        filters: the filters, in order.
        before: filters for the events of one source only, in front of the others, by the source's key.
        routes: the outputs in order; empty: each event goes to all of them.
        keep_documents: whether an event that no filter changed keeps its decoded document, for a sink that needs it.

    Raises:
        ConfigError: a filter or a condition cannot start.

    Delivery guarantee: each event ends up in the batch, in its dead letters, or was dropped by a filter.
    """

    step_kind = StepKind(refuses=True)

    def __init__(
        self,
        filters: Sequence[Step],
        *,
        before: Mapping[str, Sequence[Step]] | None = None,
        routes: Sequence[Route] = (),
        keep_documents: bool = False,
    ) -> None:
        super().__init__()
        decide = Routes(routes) if any(each.condition is not None for each in routes) else None
        usual = filter_function(filters, decide, keep_documents)
        special = {
            key: filter_function([*steps, *filters], decide, keep_documents)
            for key, steps in (before or {}).items()
        }
        self.do_fn = _FilterAndRouteDoFn(usual, special, decide)
        conditions = sum(each.condition is not None for each in routes)
        self._shown = {"filters": getattr(usual, "name", ""), "conditions": conditions}

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return dict(self._shown)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | FILTERS >> beam.ParDo(self.do_fn)


class _FilterAndRouteDoFn(beam.DoFn):
    def __init__(self, usual: Any, special: dict[str, Any], decide: Routes | None) -> None:
        self._usual = usual
        self._special = special
        self._decide = decide
        self._failures = Metrics.counter(FILTERS, "failures")
        self._dropped = Metrics.counter(FILTERS, "dropped")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        run = self._usual
        if self._special:
            source = getattr(batch.receipt, "source", "").partition("#")[0]
            run = self._special.get(source, run)
        if run is None:
            yield batch
            return
        if self._decide is not None:
            self._decide.take([])  # of a batch that failed half-way
        events, letters, dropped = apply(run, batch.events, FILTERS)
        if letters:
            self._failures.inc(len(letters))
        if dropped:
            self._dropped.inc(dropped)
        bits = None
        if self._decide is not None:
            bits, undecided = self._decide.take(events)
            letters += undecided
        made = batch.with_events(events, letters)
        made.routes = bits
        yield made
