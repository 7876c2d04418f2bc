"""`Acknowledge` ends every chain: a batch that arrives here is durable, so the source may tell its peer."""

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.errors import DeliveryError
from penstock.transforms.batch import EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = ["Acknowledge"]


class Acknowledge(beam.PTransform):
    """Tells the source that a batch's events are durable: written, or kept as dead letters.

    Put it once, last, behind every sink, in the same unbroken chain as the read: no GroupByKey, Reshuffle,
    Flatten or stateful step in between, since tokens mean something only in the process that read them.

    Delivery guarantee: at least once. A batch that fails anywhere before this step is not acknowledged;
    its Beat sends it again, its shard is read again from the checkpoint.
    """

    step_kind = StepKind(acknowledges="live")

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "Acknowledge" >> beam.ParDo(_AcknowledgeDoFn())


class _AcknowledgeDoFn(beam.DoFn):
    def __init__(self) -> None:
        self._events = Metrics.counter("acknowledge", "events")
        self._dead_letters = Metrics.counter("acknowledge", "dead_letters")

    def process(self, batch: EventBatch) -> Iterator[None]:
        if batch.dead_letters and not all(letter.kept for letter in batch.dead_letters):
            message = (
                f"{len(batch.dead_letters)} refused events reached Acknowledge without being "
                "kept. Put WriteDeadLetters between the last sink and Acknowledge."
            )
            raise DeliveryError(message)
        batch.receipt.acknowledge()
        self._events.inc(len(batch.events))
        if batch.dead_letters:
            self._dead_letters.inc(len(batch.dead_letters))
        return iter(())
