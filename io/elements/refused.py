"""`WithRefused` gives what a sink refused to a pipeline of one's own, as elements beside the written ones."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from penstock.transforms.batch import DeadLetter, EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = ["Refused", "WithRefused"]


class Refused(NamedTuple):
    """An event that a step refused, with the reason; its fields are a schema, so Beam SQL and YAML read it.

    Attributes:
        element: the event's bytes as they came.
        error: the kind of failure in one word.
        msg: what happened, in a sentence.
        stage: which step refused it.
        status: the peer's status code; 0 where no peer refused it.
    """

    element: bytes
    error: str
    msg: str
    stage: str
    status: int


class WithRefused(beam.PTransform):
    """A sink whose refused events come out as a PCollection of `Refused`, as Beam's `with_exception_handling` gives them.

    Args:
        sink: one of ours.
        main_tag: the tag of the batches, without what was refused.
        dead_letter_tag: the tag of the refused.
    """

    step_kind = StepKind(keeps_letters=True)

    def __init__(self, sink: beam.PTransform, main_tag: str, dead_letter_tag: str) -> None:
        super().__init__(sink.default_label())
        self._sink = sink
        self._tags = (main_tag, dead_letter_tag)

    def expand(self, collection: beam.PCollection) -> Any:  # noqa: D102
        main, dead = self._tags
        both = (
            collection | self._sink | "Refused" >> beam.ParDo(_SplitDoFn(dead)).with_outputs(dead, main=main)
        )
        both[main].element_type, both[dead].element_type = (
            EventBatch,
            Refused,
        )  # of both, Beam infers the main one's
        return both


class _SplitDoFn(beam.DoFn):
    def __init__(self, tag: str) -> None:
        self._tag = tag

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        for letter in batch.dead_letters:
            letter.kept = True  # the caller who asked for them has them
            yield beam.pvalue.TaggedOutput(self._tag, _refused(letter))
        yield batch


def _refused(letter: DeadLetter) -> Refused:
    return Refused(letter.event.data, letter.error, letter.reason, letter.stage, letter.status or 0)
