"""`prepare` is the step behind the read: it refuses what is no JSON object, enriches events, and reports metrics."""

from collections.abc import Iterator, Sequence

import apache_beam as beam
import orjson
from apache_beam.metrics import Metrics

from penstock.io.beats._enrich import NotAnObject, enriched, fields_of
from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.chain.live_objects import LIVE
from penstock.transforms.batch import DeadLetter, Event, EventBatch

__all__ = ["PrepareDoFn", "enrich", "validate"]

NAMESPACE = "beats"


def validate(batch: EventBatch) -> EventBatch:
    """Gives the batch with every event that is no JSON object among its dead letters."""
    events: list[Event] = []
    letters: list[DeadLetter] = []
    for event in batch.events:
        try:
            if isinstance(orjson.loads(event.data), dict):
                events.append(event)
                continue
            letters.append(_refused(event, NotAnObject()))
        except orjson.JSONDecodeError as error:
            letters.append(_refused(event, error))
    return batch.with_events(events, letters) if letters else batch


def enrich(batch: EventBatch, kinds: Sequence[str]) -> EventBatch:
    """Gives the batch with its clients' metadata in each event. What is no JSON object is among its dead letters."""
    events: list[Event] = []
    letters: list[DeadLetter] = []
    client, fields = None, b""
    for event in batch.events:
        if event.origin is not client:  # a client's events follow each other
            client = event.origin
            fields = fields_of(client, kinds) if isinstance(client, BeatsClient) else b""
        if fields:
            try:
                event = Event(enriched(event.data, fields), event.origin, event.index)
            except ValueError as error:
                letters.append(_refused(event, error))
                continue
        events.append(event)
    return batch.with_events(events, letters)


def _refused(event: Event, error: ValueError) -> DeadLetter:
    said = str(error)
    reason = said if isinstance(error, NotAnObject) else f"not JSON: {said}"
    return DeadLetter(event, type(error).__name__, reason, "beats")


class PrepareDoFn(beam.DoFn):
    """Validates and enriches where asked to, and passes each batch on with what the server counted meanwhile.

    Args:
        key: the server's key in the registry.
        validates: whether events that are no JSON objects become dead letters.
        kinds: what to enrich with.
    """

    def __init__(self, key: str, validates: bool, kinds: Sequence[str]) -> None:
        self._key = key
        self._validates = validates
        self._kinds = tuple(kinds)

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        """Prepares one batch."""
        if self._kinds:
            batch = enrich(batch, self._kinds)  # first, so that what is refused is what would have been sent
        if (
            self._validates and getattr(batch.receipt, "source", self._key) == self._key
        ):  # not the receipt of another read
            batch = validate(batch)
        self._report()
        yield batch

    def finish_bundle(self) -> None:
        """Reports what was acknowledged since the bundle's last batch."""
        self._report()

    def _report(self) -> None:
        server = LIVE.find(self._key)
        if not isinstance(server, BeatsServer):
            return
        taken = server.statistics.take()
        for name, value in taken.counts.items():
            Metrics.counter(NAMESPACE, name).inc(value)
        latency = Metrics.distribution(NAMESPACE, "ack_latency_ms")
        for milliseconds in taken.latencies_ms:
            latency.update(milliseconds)
        Metrics.gauge(NAMESPACE, "connections_open").set(server.connection_count)
        Metrics.gauge(NAMESPACE, "pending_events").set(server.pending_events)
        Metrics.gauge(NAMESPACE, "pending_bytes").set(server.pending_bytes)
