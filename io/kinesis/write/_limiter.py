"""`_limiter` bounds how much one process sends to a shard: KPL's rate limit, one token bucket per shard.

A shard takes 1,000 records and 1 MiB a second. Each bucket grows by `rate_limit` per cent of that and holds
one second of the plain limit, as KPL's does: what is sent above it would only come back throttled.

Source: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
"""

import time
from collections.abc import Callable

__all__ = ["ShardLimiter"]

_RECORDS = 1000.0
_BYTES = float(1 << 20)
_MAX_SHARDS = 20_000
_SHORTEST_WAIT_S = 0.05
"""So that a full shard's next request holds a slice of a second, not the one record that just fits."""


class ShardLimiter:
    """Admits records by shard. For one thread at a time.

    Args:
        rate_limit: per cent of a shard's limit.
        clock: monotonic seconds.
    """

    def __init__(self, rate_limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._growth = rate_limit / 100
        self._clock = clock
        self._buckets: dict[str, list[float]] = {}

    def wait_s(self, shard_id: str, size: int) -> float:
        """0.0: send it now, it is accounted for. Else the seconds until it may be tried again."""
        now = self._clock()
        bucket = self._buckets.get(shard_id)
        if bucket is None:
            if len(self._buckets) >= _MAX_SHARDS:
                self._buckets.clear()
            bucket = self._buckets[shard_id] = [_RECORDS, _BYTES, now]
        passed = now - bucket[2]
        records = min(_RECORDS, bucket[0] + passed * _RECORDS * self._growth)
        room = min(_BYTES, bucket[1] + passed * _BYTES * self._growth)
        bucket[2] = now
        wanted = min(float(size), _BYTES)
        if records >= 1 and room >= wanted:
            bucket[0], bucket[1] = records - 1, room - wanted
            return 0.0
        bucket[0], bucket[1] = records, room
        short = max((1 - records) / _RECORDS, (wanted - room) / _BYTES)
        return max(short / self._growth, _SHORTEST_WAIT_S)
