"""`batch_worker` is one worker process of a batch job.

`python -m penstock.pipelines.commands.batch_worker JOB FOLDER NUMBER [options]` is not for people: `batch_parent` starts it.
It builds the job's graph while the job's own process lists the objects, and then takes units of work until there are none.
"""

import signal

# Stops come by standard input. A signal that a service manager sends to all processes must not end us halfway.
for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, signal.SIG_IGN)

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from pathlib import Path  # noqa: E402

from penstock.io.chain.live_objects import LIVE  # noqa: E402
from penstock.pipelines.jobs import find_job  # noqa: E402
from penstock.pipelines.run.batch import STOPPED, run_worker  # noqa: E402
from penstock.pipelines.run.job import BatchJob  # noqa: E402
from penstock.pipelines.run.lifecycle import explain_failure  # noqa: E402
from penstock.pipelines.workers.batch_parent import outcome_file  # noqa: E402
from penstock.pipelines.workers.lifeline import GO, STOP, listen  # noqa: E402

__all__ = ["main"]


def main(job: str, folder: Path, number: int, argv: list[str]) -> int:
    """Runs one worker. Returns its exit code, which is the job's if it fails."""
    go = threading.Event()

    def stop() -> None:
        LIVE.stop()
        go.set()

    # When the job's process is gone (killed, perhaps), nobody would note what we finish.
    listen({GO: go.set, STOP: stop}, lambda: os._exit(1))
    outcome: dict[str, object]
    try:
        declared = find_job(job)
        if not isinstance(declared, BatchJob):
            raise TypeError(job)
        line = declared.parse(argv)
        code, outcome = 0, {"counters": run_worker(declared.open_batch(line), line.beam, folder, go)}
    except BaseException as error:
        code, text = explain_failure(error, too_late=STOPPED)
        outcome = {"failure": text}
    outcome_file(folder, number).write_text(json.dumps(outcome))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
