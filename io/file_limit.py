"""`raise_file_limit` lets this process open as many files and sockets as the system allows it.

Many systems set a soft limit of 1,024 for the sake of old programs, and a hard one far above it.
"""

import contextlib
import resource

__all__ = ["MOST", "raise_file_limit"]

MOST = 1 << 20
"""More is never asked for: where the hard limit is infinite, some kernels refuse an infinite soft one."""


def raise_file_limit() -> int:
    """Raises the soft limit to the hard one; gives how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS allows less than its hard limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)
