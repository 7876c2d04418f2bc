"""`worker` is one Python worker of a task manager, started by `pool`: `worker.py ENDPOINT ID FOLDER`.

It ends when the task manager ends its control stream, or is gone, or on SIGTERM: its sources then write their last
checkpoints and let go of their leases and ports. What hangs in a sink is not waited for; it was not acknowledged.
Its log is FOLDER/worker-PID.log.
"""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

CLOSE_TIMEOUT_S = 6.0


def main(endpoint: str, worker_id: str, folder: Path) -> None:
    """Works until it is told to end."""
    log = os.open(folder / f"worker-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGTERM, _on_signal)
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    line = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=line, force=True)
    logging.getLogger("penstock").setLevel(logging.INFO)
    harness = SdkHarness(endpoint, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=0)
    thread = threading.Thread(target=harness.run, name="harness", daemon=True)
    thread.start()
    begun = False
    while thread.is_alive() and (harness._alive or not begun):
        begun = begun or harness._alive
        time.sleep(0.05)
    _end()


def _on_signal(number: int, frame: FrameType | None) -> None:
    _end()


def _end() -> None:
    """Closes what is open, for a few seconds at most, and ends the process."""
    timer = threading.Timer(CLOSE_TIMEOUT_S, os._exit, (1,))
    timer.daemon = True
    timer.start()
    live = sys.modules.get("penstock.io.chain.live_objects")
    if live is not None:
        live.LIVE.close()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
