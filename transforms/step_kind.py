"""`StepKind` says what a step does to a chain, so that a chain without a necessary step is refused before it runs."""

import dataclasses

__all__ = ["WHOLE", "StepKind"]

WHOLE = 1 << 62
"""The `split_bytes` of a read that gives no parts of objects, since one line may say what others mean."""


@dataclasses.dataclass(frozen=True)
class StepKind:
    """The kind of one of our transforms; its attribute `step_kind` holds it.

    Attributes:
        reads: what its batches need at the end: `live` (Acknowledge) or `units` (FinishUnits); empty: it is no read.
        gives_ids: events have document ids behind it.
        needs_ids: events must have ids; otherwise a second read would store them twice.
        refuses: events may become dead letters in it.
        keeps_letters: it stores dead letters.
        acknowledges: batches of which `reads` it acknowledges.
        leaves: its output is no batch.
        splits: it is a read that may give parts of objects.
        whole_objects: it must get an object's lines from the first to the last.
        makes_batches: it makes batches of a runner's elements, which nobody acknowledges.
    """

    reads: str = ""
    gives_ids: bool = False
    needs_ids: bool = False
    refuses: bool = False
    keeps_letters: bool = False
    acknowledges: str = ""
    leaves: bool = False
    splits: bool = False
    whole_objects: bool = False
    makes_batches: bool = False
