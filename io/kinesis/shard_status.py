"""How the shards stand that a process reads, for whoever looks (`penstock.io.status`)."""

from collections.abc import Mapping

from penstock.io.kinesis.coordinator import Held
from penstock.io.kinesis.shard_reader import ShardReader
from penstock.io.status import Peer, ShardStatus

__all__ = ["shards_of"]


def shards_of(held: Mapping[ShardReader, Held], now: float) -> list[Peer]:
    """One status for each reader with its lease, by shard id; `now` is the coordinator's clock."""
    return [
        ShardStatus(
            shard_id=reader.shard_id,
            behind_s=None if reader.millis_behind is None else reader.millis_behind / 1000,
            events=reader.user_records,
            bytes=reader.data_bytes,
            throttled=reader.throttled,
            checkpoint=lease.lease.position.text(),
            checkpoint_age_s=None if lease.checkpointed_at is None else max(0.0, now - lease.checkpointed_at),
            unwritten=lease.lease.position < lease.progress.checkpoint,
        )
        for reader, lease in sorted(held.items(), key=lambda each: each[0].shard_id)
    ]
