"""`loopback` waits for a job whose workers are in this process, and sees to it that the job ends with them.

Problem. Flink never ends our sources by itself. When this process is killed, a cluster starts the job again for ever, since
its workers are gone.

Plan. After a clean stop of the sources the job is cancelled. Against a kill a second process holds the end of a pipe: when
the pipe breaks before a word has come, it cancels what was submitted under the job's name meanwhile. It needs the standard
library only, and is alone in its session, so that a signal to the terminal's processes passes it by.
"""

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)

from penstock.io.chain.live_objects import LIVE
from penstock.pipelines.run.remote.flink import FlinkCluster, address_of

__all__ = ["ends_with_us", "stay"]

_LOGGER = logging.getLogger("penstock")
_LAST_BUNDLE_S = 3.0
_LOOKS = 30

_WATCH = """
import json, sys, time, urllib.request
url, name, known, looks = json.loads(sys.stdin.readline())
if sys.stdin.readline():
    sys.exit()
def call(path, method="GET"):
    request = urllib.request.Request(url + path, method=method)
    return json.loads(urllib.request.urlopen(request, timeout=10).read() or b"null")
for attempt in range(looks):
    try:
        for job in call("/jobs/overview")["jobs"]:
            if job["jid"] not in known and name in job["name"] and job["end-time"] == -1:
                call("/jobs/" + job["jid"], "PATCH")
    except OSError:
        pass
    time.sleep(1)
"""
"""Looks once per second, for half a minute: a job server may still be at it when this process is killed."""


@contextlib.contextmanager
def ends_with_us(options: PipelineOptions) -> Iterator[None]:
    """A job that is submitted in the block to a Flink of its own address ends there, also when this process is killed.

    Of a cluster behind a job server the address isn't known. Then a warning says what a kill leaves there.

    Raises:
        Unreachable: the cluster doesn't answer.
    """
    url = address_of(options.view_as(FlinkRunnerOptions).flink_master or "")
    name = options.view_as(GoogleCloudOptions).job_name
    if not url:
        if options.view_as(PortableOptions).job_endpoint:
            _LOGGER.warning(
                "%s: its workers are in this process, and the cluster behind --job_endpoint isn't known here: after a "
                "kill -9 of this process, cancel the job there, or Flink starts it again for ever. --runner=FlinkRunner "
                "--flink_master=HOST:PORT ends it by itself.",
                name,
            )
        yield
        return
    known = [job.id for job in FlinkCluster(url).jobs()]
    with subprocess.Popen(  # noqa: S603  this Python, and text of ours
        [sys.executable, "-S", "-c", _WATCH],
        stdin=subprocess.PIPE,
        # Who reads what we print must not wait for the watch when we are gone.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as watch:
        assert watch.stdin is not None  # noqa: S101  a pipe was asked for
        watch.stdin.write(json.dumps([url, name, known, _LOOKS]) + "\n")
        watch.stdin.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                watch.stdin.write("over\n")
                watch.stdin.close()


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
