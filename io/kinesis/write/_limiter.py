"""`ShardLimiter` bounds how much one process sends to a shard: one token bucket per shard.

A shard of a provisioned stream takes 1,000 records and 1 MiB per second. Each bucket grows by `rate_limit` per cent of that
and holds one second of the plain limit, as KPL's does, because records above it would only come back throttled. A record
that is larger than a second's bytes goes when the bucket is full, and the bucket is charged afterwards.

The limit of an on-demand stream is not known: it grows with the load, and only replies tell what is too
much. There a bucket begins with almost no limit. A throttled record lowers it below what was sent lately, and every
second without one raises it again.

Source: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
"""

import time
from collections.abc import Callable

__all__ = ["ShardLimiter"]

_RECORDS = 1000.0
_BYTES = float(1 << 20)
_MAX_SHARDS = 20_000
_SHORTEST_WAIT_S = 0.05
"""A part of a second, so that the next request of a full shard holds more than the one record that just fits."""

# In multiples of a shard's plain limit.
_FREE = 1000.0
_LEAST = 0.25
_LOWERED_TO = 0.8
_LOWERED_EVERY_S = 0.5
_RAISED_PER_S = 1.1


class _Bucket:
    __slots__ = ("at", "before", "began", "growth", "lowered", "records", "room", "sent")

    def __init__(self, growth: float, now: float) -> None:
        self.growth = growth
        held = max(1.0, growth) if growth >= _FREE else 1.0
        self.records, self.room = _RECORDS * held, _BYTES * held
        self.at = self.began = self.lowered = now
        self.sent = self.before = 0.0
        """The amount sent since `began`, and per second before that, in multiples of the plain limit."""


class ShardLimiter:
    """Admits records by shard. For one thread at a time.

    Args:
        rate_limit: per cent of a shard's limit.
        clock: gives monotonic seconds.
    """

    def __init__(self, rate_limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._growth = rate_limit / 100
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._follows = False

    def follow(self, replies: bool) -> None:
        """Chooses the bound of the stream: the service's replies (on demand), or the limit of a shard (provisioned)."""
        if replies != self._follows:
            self._follows = replies
            self._buckets.clear()

    def wait_s(self, shard_id: str, size: int) -> float:
        """Gives 0.0 when the record may be sent now, and counts it; else the seconds until it may be tried again."""
        now = self._clock()
        bucket = self._buckets.get(shard_id)
        if bucket is None:
            if len(self._buckets) >= _MAX_SHARDS:
                self._buckets.clear()
            bucket = self._buckets[shard_id] = _Bucket(_FREE if self._follows else self._growth, now)
        passed = now - bucket.at
        bucket.at = now
        held = 1.0
        if self._follows:
            self._raise(bucket, now, passed)
            held = max(1.0, bucket.growth)
        records = min(_RECORDS * held, bucket.records + passed * _RECORDS * bucket.growth)
        room = min(_BYTES * held, bucket.room + passed * _BYTES * bucket.growth)
        wanted = min(float(size), _BYTES)
        if records >= 1 and room >= wanted:
            bucket.records, bucket.room = records - 1, room - size
            bucket.sent += max(1 / _RECORDS, size / _BYTES)
            return 0.0
        bucket.records, bucket.room = records, room
        short = max((1 - records) / _RECORDS, (wanted - room) / _BYTES)
        return max(short / bucket.growth, _SHORTEST_WAIT_S)

    @staticmethod
    def _raise(bucket: _Bucket, now: float, passed: float) -> None:
        if bucket.growth < _FREE:
            bucket.growth = min(_FREE, bucket.growth * _RAISED_PER_S ** min(passed, 60.0))
        if now - bucket.began > 1.0:
            bucket.before = bucket.sent / (now - bucket.began)
            bucket.began, bucket.sent = now, 0.0

    def throttled(self, shard_id: str) -> None:
        """Takes note that the service has throttled this shard. It matters only where replies are the bound."""
        bucket = self._buckets.get(shard_id)
        now = self._clock()
        if bucket is None or not self._follows or now - bucket.lowered < _LOWERED_EVERY_S:
            return
        bucket.lowered = now
        lately = max(bucket.before, bucket.sent / max(now - bucket.began, 1.0))
        bucket.growth = max(_LEAST, min(bucket.growth, max(lately, _LEAST)) * _LOWERED_TO)
        bucket.records, bucket.room = min(bucket.records, 0.0), min(bucket.room, 0.0)
