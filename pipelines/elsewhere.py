"""A job that runs in other processes than this one: it is waited for, and goes on when the waiting ends."""

import logging
import signal
from typing import Any

from apache_beam.runners.runner import PipelineState

__all__ = ["follow"]

_LOGGER = logging.getLogger("penstock")

_CANCELLED = "JobCancellationException"


def follow(name: str, result: Any, *, wait: bool = True) -> int:
    """Waits for a job in a cluster, and returns the exit code: 0 also when it was stopped there.

    SIGINT and SIGTERM end the waiting, not the job.

    Args:
        name: the job's name, for messages.
        result: what the runner gave.
        wait: False returns at once.

    Raises:
        RuntimeError: the job failed there, with the runner's words.
    """
    job = getattr(result, "_job_id", "") or name
    _LOGGER.info("%s: submitted as %s", name, job)
    if not wait:
        return 0

    def leave(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        _LOGGER.info(
            "%s: goes on in the cluster as %s; stop it there, with a savepoint (docs/flink.md)", name, job
        )
        return 0
    except RuntimeError as error:
        # Flink's job server calls a job failed that was cancelled by Flink's own means.
        if result.state != PipelineState.CANCELLED and _CANCELLED not in str(error):
            raise
        _LOGGER.info("%s: was cancelled in the cluster", name)
        return 0
    _LOGGER.info("%s: ended in the cluster: %s", name, result.state)
    return 0
