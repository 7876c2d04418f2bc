"""`pool` gives Flink's task managers Python workers on 127.0.0.1; they ask for one by gRPC.

Beam has such a program (`worker_pool_main`), but it listens on all interfaces, starts whatever `python` comes first on
the PATH, keeps nothing of what a worker logs, and never reads what it prints, so that one that prints 64 KB hangs; and
one pool can't serve two jobs (see `StopWorker`). This one starts this interpreter, with a log file for each worker.

    python -P local/flink/pool.py PORT FOLDER

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
WORKER = Path(__file__).with_name("worker.py")


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts worker processes, and ends them with the pool.

    Args:
        folder: for their logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A worker of that id, connected to the task manager that asks."""
        command = [sys.executable, "-P", str(WORKER), request.control_endpoint.url, request.worker_id]
        try:
            worker = subprocess.Popen([*command, str(self._folder)], stdin=subprocess.DEVNULL)
        except OSError:
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        with self._lock:
            self._workers = [each for each in self._workers if each.poll() is None] + [worker]
        logging.info("worker %s is process %d", request.worker_id, worker.pid)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing: the id says not which. Each job and task manager counts its workers from 1-1.

        Whoever asks also ends the worker's control stream, and that ends the worker. (Beam's pool ends the last one
        started of that id: stopping one of two jobs killed the other's worker.)
        """
        logging.info("somebody's worker %s is to end", request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Ends all workers."""
        with self._lock:
            threads = [threading.Thread(target=_end, args=(worker,)) for worker in self._workers]
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
