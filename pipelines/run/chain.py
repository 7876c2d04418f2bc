"""`chain` builds a chain of steps from its parts: a read, any steps, a sink, dead letters, the acknowledgement.

Every step has a label. Runners store it in savepoints, so it never changes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apache_beam import PTransform

__all__ = ["Step", "connect", "live_chain"]

Step = tuple[str, "PTransform"]
"""A label and its transform."""


def live_chain(*steps: Step, dead_letters: "PTransform") -> list[Step]:
    """Gives the whole chain of an endless job: refused events are kept, and only then the source may tell its peer.

    Args:
        steps: the read, the steps that change events, and the sinks, in order.
        dead_letters: keeps the events that they refuse.
    """
    from penstock.io.chain.acknowledge import Acknowledge  # with Beam, which no --help needs

    return [*steps, ("WriteDeadLetters", dead_letters), ("Acknowledge", Acknowledge())]


def connect(start: Any, steps: Sequence[Step]) -> Any:
    """Puts the steps in a row on a pipeline (or on the output of another step), and returns the output of the last."""
    for label, transform in steps:
        start = start | label >> transform
    return start
