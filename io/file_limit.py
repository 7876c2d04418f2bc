"""`file_limit` raises how many files and connections this process may have open at once.

Shells and containers begin a process with a soft limit of 1,024, and a hard one far above. A job with many clients would
fail at the soft one for no reason.
"""

import contextlib
import resource

__all__ = ["MOST", "raise_file_limit"]

MOST = 1 << 20
"""As many are enough, and what a program in Python can hold; some systems' hard limit is a thousand times that."""


def raise_file_limit() -> int:
    """Raises the soft limit to the hard one, `MOST` at most; returns what holds now. It may be called again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return MOST if soft == resource.RLIM_INFINITY else soft
