"""`source_status` holds the status of a live source: what it has taken in, what waits, and each shard or client."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ClientStatus", "Peer", "ShardStatus", "SourceStatus"]


class ShardStatus(NamedTuple):
    """A shard that this process reads.

    Attributes:
        shard_id: its id.
        behind_s: how far the shard is behind, in seconds: the age of its oldest record that is not durable yet, or how far
            reading is behind its tip, whichever is more. Both grow with the clock while the shard is stuck. None before
            the first read.
        events: events read (user records).
        bytes: bytes read.
        throttled: reads that Kinesis put off.
        checkpoint: the position in the lease table.
        checkpoint_age_s: seconds since this process wrote the checkpoint; None when it has written none yet.
        unwritten: whether events are acknowledged that lie behind the checkpoint.
        retention_s: seconds for which the stream keeps records; None where that isn't known.
    """

    shard_id: str
    behind_s: float | None
    events: int
    bytes: int
    throttled: int
    checkpoint: str
    checkpoint_age_s: float | None
    unwritten: bool
    retention_s: float | None = None


class ClientStatus(NamedTuple):
    """A Beats client that is connected.

    Attributes:
        address: its address and port.
        connected_s: for how many seconds it has been connected.
        pending_events: taken in, and not acknowledged yet.
        acknowledged_events: written and acknowledged.
        bytes: received, as they came over the wire.
        tls: the version of its TLS; empty without.
        waiting: whether reading from it pauses, because the bound on pending events is reached.
    """

    address: str
    connected_s: float
    pending_events: int
    acknowledged_events: int
    bytes: int
    tls: str
    waiting: bool


Peer = ShardStatus | ClientStatus


class SourceStatus(NamedTuple):
    """A live source.

    Attributes:
        key: its name in the registry.
        text: what it does, in words.
        connected: whether events can arrive.
        stopping: whether it lets nothing more in.
        failure: why it can't go on; empty if it can.
        events: taken in.
        bytes: their payload.
        acknowledged_events: acknowledged.
        returned_chunks: handed out a second time, because a bundle failed.
        pending_events: taken in and not acknowledged; `pending_bytes` likewise.
        max_pending_events: the bound on that; `max_pending_bytes` likewise.
        lag_s: age of the oldest event that is not acknowledged, or how far the slowest shard is behind, whichever is more.
        patience_s: how much of that lag is intended (an archive that fills large files).
        peers: its shards or clients.
        unread: one line for each thing that should be read and is not (a shard without a living owner).
    """

    key: str
    text: str
    connected: bool
    stopping: bool
    failure: str
    events: int
    bytes: int
    acknowledged_events: int
    returned_chunks: int
    pending_events: int
    pending_bytes: int
    max_pending_events: int
    max_pending_bytes: int
    lag_s: float
    patience_s: float
    peers: list[Peer]
    unread: Sequence[str] = ()
