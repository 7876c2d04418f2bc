"""How the shards stand that a process reads, for whoever looks (`penstock.io.chain.source_status`)."""

from collections.abc import Mapping

from penstock.io.chain.source_status import Peer, ShardStatus
from penstock.io.kinesis.lease.checkpoints import ShardProgress
from penstock.io.kinesis.lease.coordinator import Held
from penstock.io.kinesis.read.shard_reader import ShardReader

__all__ = ["shards_of"]


def shards_of(held: Mapping[ShardReader, Held], now: float, wall: float) -> list[Peer]:
    """One status for each reader with its lease, by shard id.

    Args:
        held: what we read.
        now: by the clock of coordinator and readers.
        wall: seconds since 1970.
    """
    return [
        ShardStatus(
            shard_id=reader.shard_id,
            behind_s=_behind_s(reader, lease.progress, now, wall),
            events=reader.user_records,
            bytes=reader.data_bytes,
            throttled=reader.throttled,
            checkpoint=lease.lease.position.text(),
            checkpoint_age_s=None if lease.checkpointed_at is None else max(0.0, now - lease.checkpointed_at),
            unwritten=lease.lease.position < lease.progress.checkpoint,
        )
        for reader, lease in sorted(held.items(), key=lambda each: each[0].shard_id)
    ]


def _behind_s(reader: ShardReader, progress: ShardProgress, now: float, wall: float) -> float | None:
    """What the sink has not got yet counts too: with a dead one, reading may be at the tip for a long while."""
    oldest_ms = progress.oldest_ms
    ages = [reader.behind_s(now), None if oldest_ms is None else max(0.0, wall - oldest_ms / 1000)]
    return max((age for age in ages if age is not None), default=None)
