"""`tame_malloc` tells the C library what to keep of the memory that windows were inflated into, and what to give back.

Problem. Left alone, glibc gives large blocks back to the kernel at once, until it has seen one of that size freed. Then it
keeps blocks up to 32 MiB, in each of 16 arenas. Without the first, each window of 700 KB faults its 180 pages in again (0.15
CPU-s per million events). With the second, a few hundred refused frames of 10 MB left 700 MB behind (#16).

Plan. Blocks below 2 MiB, a usual window, are kept. Larger ones go back to the kernel when they are freed. Few arenas are
enough: Python's lock lets one thread at a time work with most of what is allocated.
"""

import ctypes
import sys

__all__ = ["tame_malloc"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 2 << 20


def tame_malloc() -> None:
    """Sets the thresholds, once per process; does nothing where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 4)
