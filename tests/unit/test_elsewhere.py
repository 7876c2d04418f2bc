"""Waiting for a job that runs in a cluster: how it may end, and what the one who waits says."""

import os
import signal
import threading
import time

import pytest
from apache_beam.runners.runner import PipelineState

from penstock.pipelines.elsewhere import follow


class Result:
    """What a portable runner gives."""

    _job_id = "orders_1234"

    def __init__(self, state, error=None, blocks=False):
        self.state, self._error, self._blocks = state, error, blocks

    def wait_until_finish(self):
        if self._blocks:
            time.sleep(30)
        if self._error is not None:
            raise self._error


@pytest.fixture(autouse=True)
def signals_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "result",
    [
        Result(PipelineState.DONE),
        Result(PipelineState.CANCELLED, RuntimeError("Pipeline orders_1234 failed in state CANCELLED")),
        Result(
            PipelineState.FAILED,
            RuntimeError(
                "failed in state FAILED: org.apache.flink.runtime.client.JobCancellationException: Job was cancelled."
            ),
        ),
    ],
)
def test_a_job_that_was_stopped_in_the_cluster_has_not_failed(result):
    assert follow("a-job", result) == 0


def test_a_job_that_failed_there_raises():
    with pytest.raises(RuntimeError, match="no more slots"):
        follow("a-job", Result(PipelineState.FAILED, RuntimeError("no more slots")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting_alone_and_says_so(number, caplog):
    caplog.set_level("INFO")
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
    began = time.monotonic()
    assert follow("a-job", Result(PipelineState.RUNNING, blocks=True)) == 0
    assert time.monotonic() - began < 10
    assert "goes on in the cluster as orders_1234; stop it there" in caplog.text
