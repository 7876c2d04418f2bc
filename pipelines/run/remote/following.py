"""`remote` waits for a job whose runner is another process than this one: Flink's, or Prism.

Where its workers are other processes too, it is waited for, and goes on when the waiting ends (`follow`). Where they are
in this process, it stops with it (`stay`): Flink itself would wait for ever, since it never ends its own sources.
"""

import logging
import signal
import threading
import time
from typing import Any

from apache_beam.runners.runner import PipelineState

from penstock.io.chain.live_objects import LIVE

__all__ = ["follow", "stay"]

_LOGGER = logging.getLogger("penstock")

_CANCELLED = "JobCancellationException"
_LAST_BUNDLE_S = 3.0


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


def stay(result: Any) -> None:
    """Waits for a job whose workers are in this process, and ends it after a clean stop of the sources.

    Args:
        result: what the runner gave.

    Raises:
        RuntimeError: the job failed, with the runner's words.
    """
    ended = threading.Event()
    cancelled = threading.Event()

    def cancel() -> None:
        LIVE.stopping.wait()
        while not all(source.drained and source.settled for source in LIVE.sources):
            time.sleep(0.1)
        # Prism ends by itself, now that there is nothing more to read.
        if not ended.wait(_LAST_BUNDLE_S):
            cancelled.set()
            result.cancel()

    threading.Thread(target=cancel, name="penstock-cancel", daemon=True).start()
    try:
        result.wait_until_finish()
    except RuntimeError:
        if not cancelled.is_set():
            raise
    finally:
        ended.set()
