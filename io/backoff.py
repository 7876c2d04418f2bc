"""`delays` tells how long to wait before the next try: exponential, capped, with full jitter.

Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter" needs the
fewest calls of the variants compared there).
"""

import random
from collections.abc import Iterator

__all__ = ["delays"]


def delays(initial_s: float, maximum_s: float, *, floor: float = 0.1) -> Iterator[float]:
    """Gives waits in seconds, without end: each is random between `floor` times a bound and the bound.

    The bound doubles after each wait, up to the maximum.
    """
    bound = initial_s
    while True:
        yield random.uniform(floor * bound, bound)
        bound = min(bound * 2, maximum_s)
