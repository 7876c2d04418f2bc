"""`BatchCoder` turns a batch into bytes and back, where a runner does not fuse the steps."""

import io
import pickle
from typing import Any

from apache_beam import coders

from penstock.io.chain.live_objects import LiveReceipt
from penstock.transforms.batch import EventBatch

__all__ = ["BatchCoder"]


class _Unpickler(pickle.Unpickler):
    """Reads batches of 0.1.0 too."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        return _batch_of if found is EventBatch else found


def _batch_of(first: Any, *others: Any) -> EventBatch:
    """Makes the batch again from what was pickled.

    In 0.1.0 the source's key and its tokens stood where the receipt is now.
    """
    if isinstance(first, str):
        tokens, *others = others  # type: ignore[assignment]
        first = LiveReceipt(first, tokens)
    return EventBatch(first, *others)


class BatchCoder(coders.Coder):
    """Beam's coder of an `EventBatch`; in a fused stage nothing is encoded at all.

    Beam samples the encoded size of elements for its metrics, and would pickle thousands of events to learn it
    (a tenth of a job's CPU time, measured), so the size is an estimate.
    """

    def encode(self, batch: EventBatch) -> bytes:
        """Gives the batch as bytes, for a runner that doesn't fuse."""
        return pickle.dumps(batch, protocol=5)

    def decode(self, encoded: bytes) -> EventBatch:
        """Gives the batch again. Only bytes of our own pipeline come here."""
        batch: EventBatch = _Unpickler(io.BytesIO(encoded)).load()
        return batch

    def estimate_size(self, batch: EventBatch) -> int:
        """Estimates the number of bytes of `encode`: the first event's size times the number of events."""
        return 100 + len(batch.events) * (100 + len(batch.events[0].data) if batch.events else 0)

    def is_deterministic(self) -> bool:
        """Says no, because a batch is never a key."""
        return False

    def to_type_hint(self) -> type:
        """Gives the type of the elements."""
        return EventBatch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


coders.registry.register_coder(EventBatch, BatchCoder)
