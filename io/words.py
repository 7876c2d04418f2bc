"""`in_short` writes a list so that a log line stays one line."""

from collections.abc import Sequence

__all__ = ["in_short"]


def in_short(items: Sequence[str], most: int = 5) -> str:
    """Gives the first few items, and how many more there are.

    >>> in_short(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
