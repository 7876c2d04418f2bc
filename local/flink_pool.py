"""A pool of Python workers for Flink's task managers, on 127.0.0.1: a task manager asks it for one by gRPC.

Beam has such a program (`worker_pool_main`), but it listens on all interfaces, starts whatever `python` comes first on
the PATH, keeps nothing of what a worker logs, and stops reading nothing of what it prints, so that one that
prints 64 KB hangs. This one starts this interpreter, with a log file for each worker.

    python -P local/flink_pool.py PORT FOLDER

Each worker's process id is in the name of its log: `worker-PID.log`. SIGTERM ends the workers, then the pool.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

STOP_TIMEOUT_S = 8.0

# What the worker runs. SIGTERM ends it as the end of a program does: its sources write their last checkpoints and
# let go of their leases. Its parent is the pool; when that is killed, it must not stay.
_WORKER = """\
import ctypes, logging, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
log = os.path.join(sys.argv[3], f"worker-{os.getpid()}.log")
os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
os.dup2(1, 2)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
from apache_beam.runners.worker.sdk_worker import SdkHarness
line = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
logging.basicConfig(level=logging.WARNING, format=line, force=True)
logging.getLogger("penstock").setLevel(logging.INFO)
SdkHarness(sys.argv[1], worker_id=sys.argv[2], state_cache_size=0, data_buffer_time_limit_ms=0).run()
"""


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops worker processes.

    Args:
        folder: for their logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A worker of that id, connected to the task manager that asks."""
        command = [sys.executable, "-P", "-c", _WORKER, request.control_endpoint.url, request.worker_id]
        try:
            worker = subprocess.Popen([*command, str(self._folder)], stdin=subprocess.DEVNULL)
        except OSError:
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        with self._lock:
            self._workers[request.worker_id] = worker
        logging.info("worker %s is process %d", request.worker_id, worker.pid)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Ends it; returns when it is gone."""
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            _end(worker)
            logging.info("worker %s (process %d) ended", request.worker_id, worker.pid)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Ends all workers."""
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
        threads = [threading.Thread(target=_end, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()
    try:
        worker.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def main(port: int, folder: Path) -> None:
    """Serves until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout, force=True)
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread: they inherit it
    options = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=options)
    pool = Pool(folder)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    logging.info("serving at 127.0.0.1:%d", port)
    signal.sigwait(signals)
    server.stop(0)
    pool.close()
    logging.shutdown()
    os._exit(0)  # gRPC's threads have nothing to finish


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
