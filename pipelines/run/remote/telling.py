"""`telling` says how a job on Flink goes, as long as somebody listens: its state, why it starts again, rate and lag."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from penstock.io.errors import PeerError, Unreachable
from penstock.pipelines.run.remote.flink import ENDED, FlinkCluster
from penstock.pipelines.run.remote.flink_progress import Progress, look

__all__ = ["tell", "told"]

_LOGGER = logging.getLogger("penstock")

_LOOK_S = 2.0
_PROGRESS_S = 60.0
_JOIN_S = 2.0


@contextlib.contextmanager
def told(cluster: FlinkCluster | None, job_id: str, name: str) -> Iterator[None]:
    """Within the block a thread tells it; without a cluster nothing is told."""
    if cluster is None:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(
        target=tell, args=(cluster, job_id, name, ended.wait), name="penstock-follow", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_JOIN_S)


def tell(
    cluster: FlinkCluster,
    job_id: str,
    name: str,
    ended: Callable[[float], bool],
    *,
    progress_s: float = _PROGRESS_S,
) -> str:
    """Logs changes of the job's state, restarts with their cause, and now and then rate and lag, until it ends.

    Args:
        cluster: where the job runs.
        job_id: Flink's.
        name: what the lines begin with.
        ended: waits for so many seconds; true: nobody listens any more.
        progress_s: so often rate and lag are told.

    Returns:
        The job's last state.
    """
    state, told_ms, waited_s = "RUNNING", 0, 0.0
    before: Progress | None = None
    while state not in ENDED and not ended(_LOOK_S):
        waited_s += _LOOK_S
        try:
            found = cluster.job(job_id)
            for at_ms, cause in reversed(cluster.failures(job_id)):
                if at_ms > told_ms:
                    told_ms = at_ms
                    _LOGGER.warning("%s: Flink starts it again, or gives it up: %s", name, cause)
            now = "waits for slots" if found.state == "RUNNING" and found.waits_for_slots else found.state
            if waited_s >= progress_s and now == "RUNNING":
                waited_s = 0.0
                progress = look(cluster, job_id)
                _LOGGER.info("%s: %s", name, progress.describe(before))
                before = progress
        except (Unreachable, PeerError) as error:
            now = f"unknown: {error}"
        if now != state:
            state = now
            _LOGGER.info("%s: %s", name, now)
    return state
