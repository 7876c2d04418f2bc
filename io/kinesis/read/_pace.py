"""`idle_pause_s` gives the pause between reads of a shard at its tip.

1,100 idle shards that are each read every 250 ms cost 4,400 calls per second, most of a core, to find nothing. So beyond
200 shards the pause grows with their number, up to a second: about 1,000 calls per second at most.
"""

__all__ = ["idle_pause_s"]

_MANY_SHARDS = 200
_SLOWEST_S = 1.0


def idle_pause_s(usual_s: float, shards: int) -> float:
    """The seconds between two reads at a shard's tip.

    >>> [idle_pause_s(0.25, shards) for shards in (1, 200, 400, 1100)]
    [0.25, 0.25, 0.5, 1.0]

    Args:
        usual_s: `idleTimeBetweenReadsInMillis` in seconds; a pause longer than a second stays as it is.
        shards: how many shards the process reads.
    """
    return max(usual_s, min(_SLOWEST_S, usual_s * shards / _MANY_SHARDS))
