"""`tame_malloc` and `Trimmer` tell the C library what to keep of freed memory, and what to give back to the system.

Problem. Left alone, glibc gives large blocks back to the kernel at once, until it has seen one of that size freed. Then it
keeps blocks up to 32 MiB, in each of 16 arenas. Without the first, each window of 700 KB faults its 180 pages in again (0.15
CPU-s per million events). With the second, a few hundred refused frames of 10 MB left 700 MB behind (#16).

Plan. Blocks below 2 MiB, a usual window, are kept. Larger ones go back to the kernel when they are freed. Few arenas are
enough: Python's lock lets one thread at a time work with most of what is allocated. After a peak (many clients have gone,
or many large frames) what lies free between other blocks is given back too: it was 50 MB after 1,500 clients.
"""

import ctypes
import sys
from collections.abc import Callable

__all__ = ["Trimmer", "tame_malloc"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 2 << 20
_FALL_BYTES = 16 << 20


def _libc(name: str) -> "Callable[..., int] | None":
    """Gives a function of glibc; None where there is another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def tame_malloc() -> None:
    """Sets the thresholds, once per process. Does nothing where there is no glibc."""
    mallopt = _libc("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 4)


class Trimmer:
    """Gives memory back to the system after a peak. For one thread."""

    def __init__(self) -> None:
        self._trim = _libc("malloc_trim")
        self._peak = self._last = 0
        self._falling = False

    def saw(self, amount: int) -> None:
        """Takes note of the bytes held now. After a fall by half, and by 16 MiB, it gives free memory back.

        It does so again until once after the amount has stopped falling: what is freed meanwhile would stay.
        """
        self._peak = max(self._peak, amount)
        fell, self._last = amount < self._last, amount
        if self._peak - amount >= max(_FALL_BYTES, self._peak // 2):
            self._peak = amount
            self._falling = True
        elif self._falling:
            self._falling = fell
        else:
            return
        if self._trim is not None:
            self._trim(0)
