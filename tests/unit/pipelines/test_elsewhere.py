"""Waiting for a job that runs in a cluster: how it may end, and what the one who waits says."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from penstock.io.chain.live_objects import LIVE, Chunk, LiveSource
from penstock.pipelines.run.remote.following import Submission
from penstock.pipelines.run.remote.loopback import ends_with_us, stay
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.fake_flink import FakeFlink


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


class Handed:
    """A pipeline whose run gives a result."""

    def __init__(self, result):
        self._result = result

    def run(self):
        return self._result


PORTABLE = PipelineOptions(["--runner=PortableRunner", "--job_endpoint=127.0.0.1:1"])


def follow(name, result):
    return Submission(name, PORTABLE).run_streaming(Handed(result))


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
    assert time.monotonic() - began < 60
    assert "goes on in the cluster as orders_1234; stop it there" in caplog.text


# -- workers in this process ---------------------------------------------------------------------------


class Endless(Result):
    """A job that ends only when it is cancelled, as Flink's do."""

    def __init__(self, fails=False):
        super().__init__(PipelineState.RUNNING)
        self.cancelled = threading.Event()
        self._fails = fails

    def wait_until_finish(self):
        if not self._fails:
            assert self.cancelled.wait(20)
        raise RuntimeError("no more slots" if self._fails else "failed in state CANCELLED")

    def cancel(self):
        self.cancelled.set()


@pytest.fixture
def fake_flink():
    with FakeFlink() as made:
        yield made


@pytest.fixture
def source():
    LIVE.close()
    made = LiveSource("a", max_pending_events=10, max_pending_bytes=1000)
    LIVE.get("a", lambda: made)
    yield made
    LIVE.close()


def test_a_clean_stop_cancels_the_job_once_all_is_acknowledged(source, monkeypatch):
    monkeypatch.setattr("penstock.pipelines.run.remote.loopback._LAST_BUNDLE_S", 0.01)
    source.offer(Chunk([], 0, None))
    batch = source.take(0)
    result = Endless()
    settled = []
    monkeypatch.setattr(result, "cancel", lambda: (settled.append(source.settled), result.cancelled.set()))
    threading.Timer(0.05, LIVE.stop).start()
    threading.Timer(0.5, source.acknowledge, (batch.receipt.tokens,)).start()
    stay(result)
    assert settled == [True], "it was cancelled with something still under way"


def test_a_job_that_fails_here_raises(source):
    with pytest.raises(RuntimeError, match="no more slots"):
        stay(Endless(fails=True))
    LIVE.stop()  # lets the thread that waits for a stop go


SUBMITTER = """
import os, signal, subprocess, sys
from apache_beam.options.pipeline_options import PipelineOptions
from penstock.pipelines.run.remote import loopback
class Watch(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        print(self.pid, flush=True)
loopback._LOOKS, loopback.subprocess.Popen = 600, Watch
options = PipelineOptions(["--runner=FlinkRunner", f"--flink_master={sys.argv[1]}", "--job_name=toy"])
with loopback.ends_with_us(options):
    sys.stdin.readline()
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("end", "asked"), [("killed", ["cancel new"]), ("well", [])])
def test_a_job_with_workers_in_a_killed_process_ends_in_the_cluster(fake_flink, end, asked):
    command = [sys.executable, "-P", "-c", SUBMITTER, fake_flink.address, end]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as submitter:
        watch = int(submitter.stdout.readline())
        fake_flink.jobs["new"] = ("toy", "RUNNING", {"running": 2})
        fake_flink.jobs["other"] = ("else", "RUNNING", {"running": 2})
        submitter.communicate("go\n")
    if asked:
        wait_until(lambda: fake_flink.asked, "the job's end")
        os.kill(
            watch, signal.SIGKILL
        )  # it is there: whoever reads what the killed process printed did not wait for it
    assert fake_flink.asked == asked


def test_what_a_kill_leaves_behind_a_job_server_is_said(caplog):
    with ends_with_us(PipelineOptions(["--job_endpoint=127.0.0.1:1", "--job_name=toy"])):
        pass
    assert "toy: its workers are in this process, and the cluster behind --job_endpoint" in caplog.text
