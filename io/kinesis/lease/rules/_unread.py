"""`find_unread` names every shard of the stream that nobody reads, and why.

It goes by the stream, not by the table: a shard without a usable row is unread too. A child that waits for its
parents is not named while those are read, because its turn comes.
"""

from collections.abc import Callable, Mapping

from penstock.io.kinesis.lease.rules._graph import ShardNode
from penstock.io.kinesis.lease.rules._ownership import Trouble
from penstock.io.kinesis.lease.rules._rows import Lease
from penstock.io.kinesis.positions import SHARD_END

__all__ = ["find_unread"]


def find_unread(
    shards: Mapping[str, ShardNode],
    leases: Mapping[str, Lease],
    troubles: Mapping[str, Trouble],
    is_served: Callable[[Lease], bool],
    is_readable: Callable[[str], bool],
) -> dict[str, str]:
    """Gives the reason for each shard that nobody reads.

    Args:
        shards: the shards that the stream lists, by id.
        leases: the rows that can be used, by shard id.
        troubles: what is wrong with other rows, by key.
        is_served: whether we hold a lease, or a worker seen alive does.
        is_readable: whether a shard's parents are read to their end.
    """
    unread: dict[str, str] = {}
    for shard_id, shard in shards.items():
        trouble, lease = troubles.get(shard_id), leases.get(shard_id)
        if trouble is not None:
            unread[shard_id] = trouble.text
        elif lease is None:
            if not shard.closed:
                unread[shard_id] = f"shard {shard_id} is open and has no lease yet"
        elif lease.position != SHARD_END and is_readable(shard_id) and not is_served(lease):
            owner = (
                "has no owner"
                if lease.owner is None
                else f"is owned by {lease.owner}, which was not seen at work"
            )
            unread[shard_id] = f"shard {shard_id} is read by nobody: its lease {owner}"
    for shard_id, lease in leases.items():
        # It is not listed any more, and not finished: it has passed its retention, and its reader will log that.
        if shard_id not in shards and lease.position != SHARD_END and not is_served(lease):
            unread[shard_id] = f"shard {shard_id} is not listed any more, and its lease is not finished"
    return unread
