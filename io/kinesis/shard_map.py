"""`ShardMap` tells which shard takes a hash key; `LiveShardMap` notices when that has changed.

Problem. All events of one aggregated record must go to one shard, so the writer predicts shards. But shards
are split and merged while we write.

Plan. ListShards (paged) gives an immutable `ShardMap`. It is replaced at once when a reply's ShardId isn't
the predicted one, and every few minutes anyway, with jitter, in a thread beside the data. A shard's range
never changes. So a record that landed in the predicted shard is right, whatever has happened since.

Source: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html (1000 calls per second).
"""

import bisect
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from penstock.io.aws.sense import NONSENSE
from penstock.io.aws.session import AwsSession
from penstock.io.errors import PeerError, PenstockError
from penstock.io.kinesis.wire.calls import (
    not_promised,
    stream_argument,
    stream_arn,
    stream_in_words,
)

__all__ = ["LiveShardMap", "Shard", "ShardMap", "list_shards"]

_LOGGER = logging.getLogger(__name__)

_REFRESH_S = 300.0
_MAX_PAGES = 1000
"""A page holds 1,000 shards; more pages than this are a broken peer, not a stream."""


class Shard(NamedTuple):
    """One shard: `start` and `end` are its first and last hash key, both inclusive."""

    shard_id: str
    parents: tuple[str, ...]
    start: int
    end: int
    starting_sequence_number: str
    ending_sequence_number: str | None

    @property
    def closed(self) -> bool:
        """Whether the shard takes no more records."""
        return self.ending_sequence_number is not None

    def holds(self, sequence_number: int) -> bool:
        """Whether a record of that number can be in the shard."""
        if sequence_number < int(self.starting_sequence_number):
            return False
        return self.ending_sequence_number is None or sequence_number <= int(self.ending_sequence_number)


def list_shards(session: AwsSession, stream: str, *, retries: bool = True) -> list[Shard]:
    """Lists all shards of a stream that still hold records, closed ones too.

    Args:
        session: who we are.
        stream: its name or ARN.
        retries: whether a call that failed is tried again here; False where the caller does.

    Raises:
        PenstockError: the call failed for good or too often; one line for the user.
    """
    request: dict[str, Any] = stream_argument(stream)
    resource = stream_arn(stream, session.options.region)
    doing = f"list the shards of {stream_in_words(stream)}"
    shards: list[Shard] = []
    for _ in range(_MAX_PAGES):
        try:
            reply = session.call_explained(
                "kinesis", "list_shards", "ListShards", resource, doing, retries=retries, **request
            )
            shards += [_shard(each) for each in reply["Shards"]]
        except NONSENSE as error:
            raise not_promised(doing) from error
        if not reply.get("NextToken"):
            return shards
        request = {"NextToken": reply["NextToken"]}
        if stream.startswith("arn:"):
            request["StreamARN"] = stream
    message = f"cannot list the shards of {stream}: the list does not end after {_MAX_PAGES} pages."
    raise PeerError(message)


def _shard(told: dict[str, Any]) -> Shard:
    numbers = told["SequenceNumberRange"]
    parents = (told.get("ParentShardId"), told.get("AdjacentParentShardId"))
    return Shard(
        told["ShardId"],
        tuple(parent for parent in parents if parent),
        int(told["HashKeyRange"]["StartingHashKey"]),
        int(told["HashKeyRange"]["EndingHashKey"]),
        numbers["StartingSequenceNumber"],
        numbers.get("EndingSequenceNumber"),
    )


class ShardMap:
    """The open shards by hash key. Immutable; safe from any thread.

    Args:
        shards: the shards of one stream, open and closed.
        version: rises with each map that is loaded.
    """

    def __init__(self, shards: Iterable[Shard], version: int = 1) -> None:
        self.version = version
        self._by_id = {shard.shard_id: shard for shard in shards}
        self.open = sorted((s for s in self._by_id.values() if not s.closed), key=lambda s: s.start)
        self._starts = [shard.start for shard in self.open]

    def find(self, hash_key: int) -> Shard | None:
        """Gives the open shard that takes this hash key; None where the map has a gap (the stream is being made)."""
        index = bisect.bisect_right(self._starts, hash_key) - 1
        if index < 0 or self.open[index].end < hash_key:
            return None
        return self.open[index]

    def get(self, shard_id: str) -> Shard | None:
        """Gives the shard of that id, open or closed."""
        return self._by_id.get(shard_id)


class LiveShardMap:
    """Keeps the current map of one stream; it is loaded again on request and from time to time.

    Args:
        load: gives the stream's shards; `list_shards` bound to a session and stream.
        stream: for log lines.
        refresh_s: seconds between refreshes while the map is used; each time with 20 % jitter.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        load: Callable[[], Iterable[Shard]],
        stream: str,
        *,
        refresh_s: float = _REFRESH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._stream = stream
        self._refresh_s = refresh_s
        self._clock = clock
        self._lock = threading.Lock()
        self._refreshing = False
        self._map: ShardMap | None = None
        self._due = 0.0

    def current(self) -> ShardMap:
        """Gives the map. Loads it the first time, and starts a refresh beside the data when one is due.

        Raises:
            PenstockError: the first map could not be loaded.
        """
        found = self._map
        if found is None:
            return self.refresh(0)
        if self._clock() >= self._due and not self._refreshing:
            self._refreshing = True
            threading.Thread(target=self._refresh_beside, name="penstock-shards", daemon=True).start()
        return found

    def refresh(self, seen: int) -> ShardMap:
        """Gives a map newer than version `seen`. Of several threads that ask, one loads it.

        Raises:
            PenstockError: the shards can't be listed.
        """
        with self._lock:
            if self._map is None or self._map.version <= seen:
                version = 1 if self._map is None else self._map.version + 1
                self._map = ShardMap(self._load(), version)
                self._due = self._clock() + self._refresh_s * random.uniform(0.8, 1.2)
            return self._map

    def _refresh_beside(self) -> None:
        try:
            self.refresh(0 if self._map is None else self._map.version)
        except PenstockError as error:
            _LOGGER.warning("stream %s: the shard map stays as it is: %s", self._stream, error)
            self._due = self._clock() + self._refresh_s * random.uniform(0.8, 1.2)
        finally:
            self._refreshing = False
