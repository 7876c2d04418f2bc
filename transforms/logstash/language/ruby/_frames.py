"""`Frame` holds what a translator knows of an open group of an expression.

`best_of` picks the texts that a match must hold, which are looked for before the engine starts.
"""

__all__ = ["Frame", "best_of"]

_MAX_LITERALS = 4


class Frame:
    """An open group: what follows its end, and the texts that must stand in it."""

    __slots__ = ("alternated", "closing", "copies", "current", "flags", "kind", "runs", "start")

    def __init__(self, kind: str, start: int, flags: tuple[bool, bool, bool]) -> None:
        self.kind = kind
        self.start = start
        self.flags = flags
        self.closing = self.current = ""
        self.runs: list[str] = []
        self.alternated = False
        self.copies = 0  # of the things in it, as the compiler writes repetitions out


def best_of(runs: list[str]) -> tuple[str, ...]:
    """Gives the longest few of the texts, in their order; a single one must be longer than one character."""
    if not runs or max(map(len, runs)) < 2:
        return tuple(runs[:1])
    longest = sorted(range(len(runs)), key=lambda at: -len(runs[at]))[:_MAX_LITERALS]
    last = len(runs) - 1  # one character will do there: it tells a line that was cut off
    return tuple(runs[at] for at in sorted({*longest, last}) if len(runs[at]) > 1 or at == last)
