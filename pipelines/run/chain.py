"""`chain` builds a chain of steps from its parts: a read, any steps, a sink, dead letters, the acknowledgement.

Every step has a label. Runners store it in savepoints, so it never changes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.io.beats import BeatsOptions
from penstock.io.errors import OptionError
from penstock.io.kinesis import KinesisWriteOptions

if TYPE_CHECKING:
    from apache_beam import PTransform

__all__ = ["Step", "connect", "live_chain", "require_time_to_send"]

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


def require_time_to_send(source: BeatsOptions, sink: KinesisWriteOptions) -> None:
    """Raises `OptionError` where events would expire while a batch is gathered."""
    if 0 < sink.record_ttl <= source.record_max_buffered_time:
        message = (
            f"--record_ttl ({sink.record_ttl} ms) must be greater than "
            f"--record_max_buffered_time ({source.record_max_buffered_time} ms)."
        )
        raise OptionError(message)
