"""`trouble_with` tells whether a row of the lease table is this stream's, and fits what the stream says of itself.

Problem. A lease row is named by its shard alone, and every stream has a `shardId-000000000000`. Two streams with one
table, or a stream that was deleted and made again, would use each other's checkpoints, and events would be lost
in silence.

Rules.
- Our rows carry the stream's ARN and its time of creation. A row with another ARN is another stream's. A row with
  another time is of an earlier stream of the same name.
- KCL's rows, and those of our earlier versions, carry neither. Such a row is adopted when it can be this stream's: the
  shard is listed, or so old that it isn't any more, or a child of a listed one; hash keys agree; the checkpoint lies
  among the shard's sequence numbers.
- An open shard whose row says SHARD_END would never be read. The row may be right while ListShards lags. Then our own
  row names children, and none of them is listed with other parents.

Each trouble is one line: which row, why, and what to do.
"""

import enum
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from penstock.io.kinesis.lease.rules._rows import BrokenRow, Lease, Rows
from penstock.io.kinesis.positions import SHARD_END, StreamIdentity, stream_name_of
from penstock.io.kinesis.shard_map import Shard

__all__ = ["Kind", "Trouble", "may_reset", "newest_number", "passed_retention", "sort_rows", "trouble_with"]

_SHARD_ID = re.compile(r"shardId-(\d{12})")
_MULTI_STREAM = re.compile(r"(\d{12}):([A-Za-z0-9_.-]{1,128}):\d+:.+")
_OF_A_TABLE = re.compile(r"shardId-\d{20}-[0-9a-f]+")
_CLOCKS_DIFFER_MS = 1000
_ANOTHER_NAME = "give this job a name of its own with --application_name"
_RESET = "start once with --reset_checkpoints (it reads from the initial position), or with another --application_name"


class Kind(enum.Enum):
    """The kinds of fault that a row can have."""

    FOREIGN = "of another stream"
    EARLIER = "of an earlier stream of this name"
    MISFIT = "does not fit the stream"
    BROKEN = "can't be read"
    ENDED_BUT_OPEN = "ended, but the shard is open"


class Trouble(NamedTuple):
    """One row that can't be used, and the line that says so."""

    row: str
    kind: Kind
    text: str


def _number(shard_id: str) -> int | None:
    found = _SHARD_ID.fullmatch(shard_id)
    return None if found is None else int(found[1])


def newest_number(listed: Iterable[str]) -> int:
    """Gives the highest number in the ids of shards; -1 where none has a number."""
    return max((number for number in map(_number, listed) if number is not None), default=-1)


def passed_retention(shard_id: str, newest: int) -> bool:
    """Whether a shard that is not listed was listed once, because its number is below the newest listed one."""
    number = _number(shard_id)
    return number is not None and number < newest


def trouble_with(
    lease: Lease,
    shards: Mapping[str, Shard],
    ours: StreamIdentity,
    table: str,
    newest: Callable[[], int],
) -> Trouble | None:
    """Gives the reason why a row can't be used for this stream; None when there is none.

    Args:
        lease: the row.
        shards: what the stream lists now, by id.
        ours: the stream.
        table: the lease table's name, for the message.
        newest: gives the `newest_number` of these shards.
    """
    row, name = f"row {lease.shard_id} of lease table {table}", stream_name_of(ours.arn)
    if lease.stream is not None:
        if lease.stream.arn != ours.arn:
            text = f"{row} belongs to {lease.stream.arn}, this job reads {ours.arn}: {_ANOTHER_NAME}."
            return Trouble(lease.shard_id, Kind.FOREIGN, text)
        if abs(lease.stream.created_ms - ours.created_ms) > _CLOCKS_DIFFER_MS:
            text = f"{row} is of an earlier stream {name}, which was deleted and made again since: {_RESET}."
            return Trouble(lease.shard_id, Kind.EARLIER, text)
    foreign = _foreign_key(lease.shard_id)
    if foreign is not None:
        return Trouble(lease.shard_id, Kind.FOREIGN, f"{row} {foreign}: {_ANOTHER_NAME}.")
    if not shards:
        return None
    why = None if lease.stream is not None else _misfit(lease, shards, newest)
    if why is not None:
        text = (
            f"{row} doesn't fit stream {name}: {why}. It is another stream's, or an earlier one's: {_RESET}."
        )
        return Trouble(lease.shard_id, Kind.MISFIT, text)
    shard = shards.get(lease.shard_id)
    if (
        lease.position == SHARD_END
        and shard is not None
        and not shard.closed
        and not _listing_lags(lease, shards)
    ):
        text = f"{row} says SHARD_END, but the shard is open in stream {name}, so nobody would read it: {_RESET}."
        return Trouble(lease.shard_id, Kind.ENDED_BUT_OPEN, text)
    return None


def _foreign_key(key: str) -> str | None:
    multi = _MULTI_STREAM.fullmatch(key)
    if multi is not None:
        return f"is of KCL's multi-stream mode (stream {multi[2]} of account {multi[1]})"
    if _OF_A_TABLE.fullmatch(key):
        return "is of a consumer of DynamoDB Streams"
    return None


def _misfit(lease: Lease, shards: Mapping[str, Shard], newest: Callable[[], int]) -> str | None:
    shard = shards.get(lease.shard_id)
    if shard is None:
        young = any(parent in shards for parent in lease.parents)
        if young or passed_retention(lease.shard_id, newest()):
            return None
        return "the stream has no such shard and never had"
    if lease.starting_hash_key is not None and lease.ending_hash_key is not None:
        theirs = (lease.starting_hash_key, lease.ending_hash_key)
        if theirs != (str(shard.start), str(shard.end)):
            return "the shard has other hash keys"
    if lease.position.is_record and not shard.holds(lease.position.sequence_number):
        return f"checkpoint {lease.position.text()} is not among the shard's sequence numbers"
    return None


def _listing_lags(lease: Lease, shards: Mapping[str, Shard]) -> bool:
    """Whether the row may be newer than the listing: it is ours, and no listed shard contradicts its children."""
    if lease.stream is None or not lease.children:
        return False
    listed = [shards[child] for child in lease.children if child in shards]
    return all(lease.shard_id in child.parents for child in listed)


def sort_rows(
    rows: Rows, shards: Mapping[str, Shard], ours: StreamIdentity, table: str
) -> tuple[list[Lease], dict[str, Trouble]]:
    """Gives the leases of this stream that can be used, and what is wrong with each other row, by key."""
    good: list[Lease] = []
    troubles: dict[str, Trouble] = {}
    # A table may hold many rows of shards that are not listed any more: the listing is looked through once for all.
    newest = functools.cache(lambda: newest_number(shards))
    for lease in rows.leases:
        trouble = trouble_with(lease, shards, ours, table, newest)
        if trouble is None:
            good.append(lease)
        else:
            troubles[lease.shard_id] = trouble
    for broken in rows.broken:
        troubles[broken.key] = _broken(broken, ours, table)
    return good, troubles


def _broken(broken: BrokenRow, ours: StreamIdentity, table: str) -> Trouble:
    row = f"row {broken.key} of lease table {table}"
    foreign = _foreign_key(broken.key)
    if foreign is None and broken.stream is not None and broken.stream != ours.arn:
        foreign = f"belongs to {broken.stream}, this job reads {ours.arn}"
    if foreign is not None:
        return Trouble(broken.key, Kind.FOREIGN, f"{row} {foreign}: {_ANOTHER_NAME}.")
    text = f"{row} can't be read: {broken.why}. Repair or delete that row, or {_RESET}."
    return Trouble(broken.key, Kind.BROKEN, text)


def may_reset(key: str, arn: str | None, ours: StreamIdentity) -> bool:
    """Whether `--reset_checkpoints` deletes a row: it deletes all but those that say they are another stream's."""
    return _foreign_key(key) is None and (arn is None or arn == ours.arn)
