"""How Beam writes a batch down, where a runner does not fuse the steps."""

import pickle

from apache_beam import coders

from penstock.transforms.batch import EventBatch

__all__ = ["BatchCoder"]


class BatchCoder(coders.Coder):
    """Beam's coder of an `EventBatch`; in a fused stage nothing is encoded at all.

    Beam samples the encoded size of elements for its metrics, and would pickle thousands of events to learn it
    (a tenth of a job's CPU time, measured), so the size is an estimate.
    """

    def encode(self, batch: EventBatch) -> bytes:
        """The batch as bytes, for a runner that doesn't fuse."""
        return pickle.dumps(batch, protocol=5)

    def decode(self, encoded: bytes) -> EventBatch:
        """The batch again; only bytes of our own pipeline come here."""
        batch: EventBatch = pickle.loads(encoded)  # noqa: S301
        return batch

    def estimate_size(self, batch: EventBatch) -> int:
        """About the bytes that `encode` would give: the first event's size times their number."""
        return 100 + len(batch.events) * (100 + len(batch.events[0].data) if batch.events else 0)

    def is_deterministic(self) -> bool:
        """No: a batch is never a key."""
        return False

    def to_type_hint(self) -> type:
        """The element's type."""
        return EventBatch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


coders.registry.register_coder(EventBatch, BatchCoder)
