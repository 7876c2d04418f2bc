"""`chain` builds a chain of steps from its parts: a read, any steps, a sink, dead letters, the acknowledgement.

Every step has a label; runners store it in savepoints, so it stays what it is from release to release.
"""

from collections.abc import Sequence
from typing import Any

from apache_beam import PTransform

from penstock.io.chain.acknowledge import Acknowledge

__all__ = ["Step", "connect", "live_chain"]

Step = tuple[str, PTransform]
"""A label, and the transform that bears it."""


def live_chain(*steps: Step, dead_letters: PTransform) -> list[Step]:
    """The whole chain of an endless job: what is refused is kept, and only then the source may tell its peer.

    Args:
        steps: the read, whatever changes events, and the sinks, in order.
        dead_letters: keeps what they refuse.
    """
    return [*steps, ("WriteDeadLetters", dead_letters), ("Acknowledge", Acknowledge())]


def connect(start: Any, steps: Sequence[Step]) -> Any:
    """Puts the steps one behind the other on a pipeline (or on what another step gives), and returns what comes out."""
    for label, transform in steps:
        start = start | label >> transform
    return start
