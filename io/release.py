"""`release` finds out on a worker whether it has the penstock that the job was submitted with.

The graph is pickled by one and read by the other. Where they differ, a step may do something else than what was asked for,
or fail by a name that nobody knows. So the reading step of each job carries the version along.
"""

import penstock
from penstock.io.errors import WrongRelease

__all__ = ["require_release", "this_release"]


def this_release() -> str:
    """Gives the version of the package in this process."""
    return str(penstock.__version__)


def require_release(submitted: str) -> None:
    """Raises `WrongRelease` unless this process has the version that the job was submitted with."""
    ours = this_release()
    if ours != submitted:
        message = f"this worker has penstock {ours}, and the job was submitted with {submitted}."
        raise WrongRelease(message)
