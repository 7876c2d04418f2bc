"""A job on its way to a Flink: whoever submits hears from the cluster itself whether it runs, and if not, why."""

import contextlib
import os
import re
import signal
import threading
import time

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from penstock.io.errors import OptionError, PeerError, Unreachable
from penstock.pipelines.__main__ import main
from penstock.pipelines.run.remote import arriving, telling
from penstock.pipelines.run.remote._causes import is_hopeless, root_cause
from penstock.pipelines.run.remote.flink import FlinkCluster
from penstock.pipelines.run.remote.following import Submission
from tests.tools.peers.fake_flink import FakeFlink

SDK_ERROR = """java.lang.Exception: it failed
\tat org.apache.flink.x.y(Z.java:1)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 7: Traceback (most recent call last):
  File "/beam/sdk_worker.py", line 311, in _execute
    response = task()
ModuleNotFoundError: No module named 'helpers'

\tat org.apache.beam.z(Q.java:2)
\t... 3 more
"""
CAUSED = "a.B: x\nCaused by: {}\nCaused by: "
NO_SLOTS = """org.apache.flink.runtime.JobException: Recovery is suppressed
\tat a.b(C.java:1)
Caused by: org.apache.flink.scheduler.NoResourceAvailableException: Could not acquire the minimum required resources.
"""


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (SDK_ERROR, "ModuleNotFoundError: No module named 'helpers'"),
        (NO_SLOTS, NO_SLOTS.strip().rpartition("Caused by: ")[2]),
        (
            CAUSED.format("io.netty.AnnotatedConnectException: failed: Connection refused: /127.0.0.1:1")
            + "java.net.ConnectException: failed: Connection refused\n",
            "io.netty.AnnotatedConnectException: failed: Connection refused: /127.0.0.1:1",
        ),
        (
            CAUSED.format('java.io.IOException: Cannot run program "boot": error=2, No such file')
            + "java.io.IOException: error=2, No such file\n",
            'java.io.IOException: Cannot run program "boot": error=2, No such file',
        ),
        ("a.B: a.C: no\nCaused by: a.C: no\n", "a.C: no"),
        ("", ""),
    ],
)
def test_the_cause_is_one_line(trace, cause):
    assert root_cause(trace) == cause


class Result:
    """What Beam's runner gives; `wait_until_finish` lasts until `ended` is set."""

    _job_id = "beams-own"

    def __init__(self):
        self.state = PipelineState.RUNNING
        self.ended = threading.Event()

    def wait_until_finish(self):
        assert self.ended.wait(20)


class Pipeline:
    """Its run changes what the cluster shows, as a submitted job does."""

    def __init__(self, flink, *shown, result=None):
        self._flink, self._shown = flink, shown
        self.result = result or Result()

    def run(self):
        if self._shown:
            self._flink.jobs["new"] = self._shown
        return self.result


@pytest.fixture
def flink(monkeypatch):
    monkeypatch.setattr(arriving, "_TRANSLATED_S", 1.0)
    monkeypatch.setattr(arriving, "_STAYS_S", 0.5)
    monkeypatch.setattr(arriving, "_BATCH_STAYS_S", 0.5)
    monkeypatch.setattr(arriving, "LOOK_S", 0.05)
    monkeypatch.setattr(telling, "_LOOK_S", 0.05)
    with FakeFlink() as made:
        yield made


def submission(flink, *further):
    arguments = [
        "--runner=FlinkRunner",
        "--flink_version=1.19",
        f"--flink_master={flink.address}",
        "--job_name=toy",
        "--start_timeout_seconds=1",
    ]
    return Submission("toy", PipelineOptions([*arguments, *further]))


RUNS = ("toy", "RUNNING", {"running": 2})


def test_a_job_that_is_handed_over_runs_in_the_cluster_and_has_its_id_there(flink, caplog):
    caplog.set_level("INFO")
    assert submission(flink, "--no_wait_until_finish").run_streaming(Pipeline(flink, *RUNS)) == 0
    assert f"submitted; Flink at http://{flink.address} runs it as new" in caplog.text


@pytest.mark.parametrize(
    ("shown", "trace", "words"),
    [
        ((), "", "does not know the job 1 s after it was submitted. It was cancelled."),
        (
            ("toy", "RUNNING", {"initializing": 2}),
            "",
            "no worker has connected after 1 s. .* install what was staged",
        ),
        (("toy", "RUNNING", {"scheduled": 2}), "", "2 tasks wait for a slot; Flink at .* has 2 free of 2"),
        (
            ("toy", "RESTARTING", {"canceled": 2}),
            NO_SLOTS,
            "all tasks wait for a slot; Flink at .* has 2 free of 2",
        ),
        (
            ("toy", "RESTARTING", {"canceled": 2}),
            "java.io.IOException: gone",
            "RESTARTING after 1 s .*: .*gone",
        ),
        (
            ("toy", "RUNNING", {"running": 2}),
            SDK_ERROR,
            r"can't run .* No module named 'helpers'. Bring what the job's code imports by --setup_file",
        ),
        (("toy", "FAILED", {"failed": 1}), "java.io.IOException: gone", "toy failed in the cluster .*gone"),
    ],
)
def test_a_job_that_does_not_run_is_a_failure_with_the_reason(flink, shown, trace, words):
    flink.trace = trace
    with pytest.raises(PeerError, match=words):
        submission(flink, "--no_wait_until_finish").run_streaming(Pipeline(flink, *shown))
    assert "cancel old" not in flink.asked
    assert not shown or flink.asked == ["cancel new"]


@pytest.mark.parametrize(
    ("shown", "trace"),
    [
        (("toy", "RUNNING", {"scheduled": 2}), ""),
        (("toy", "RESTARTING", {"canceled": 2}), NO_SLOTS),
        (
            ("toy", "RESTARTING", {"canceled": 2}),
            "java.net.ConnectException: Connection refused: /127.0.0.1:1",
        ),
        (RUNS, ""),
        (("toy", "RUNNING", {"running": 1, "initializing": 1}), ""),
    ],
)
def test_a_known_mistake_is_told_before_the_time_to_start_is_over(flink, monkeypatch, shown, trace):
    monkeypatch.setattr(arriving, "_KNOWN_TROUBLE", (1 / 1000, 1 / 1000))
    monkeypatch.setattr(arriving, "_SILENCE", (1 / 1000, 1 / 1000))
    flink.trace, flink.checkpointed_ms, flink.handed_on = trace, 0, 0
    began = time.monotonic()
    with pytest.raises(PeerError, match="does not run in the cluster"):
        submission(flink, "--start_timeout_seconds=500").run_streaming(Pipeline(flink, *shown))
    assert time.monotonic() - began < 250


def test_tasks_that_run_must_stay_so_or_show_a_checkpoint(flink):
    flink.checkpointed_ms = 0
    began = time.monotonic()
    assert submission(flink, "--no_wait_until_finish").run_streaming(Pipeline(flink, *RUNS)) == 0
    assert time.monotonic() - began >= 0.5


def test_a_job_whose_workers_are_silent_does_not_run_unless_it_was_resumed(flink):
    flink.checkpointed_ms = flink.handed_on = 0
    with pytest.raises(
        PeerError, match=r"no worker has done its first step .* must have penstock .* Python 3\.\d+:"
    ):
        submission(flink, "--no_wait_until_finish").run_streaming(Pipeline(flink, *RUNS))
    del flink.jobs["new"]
    resumed = submission(flink, "--no_wait_until_finish", "--savepoint_path=s3://b/savepoint-1")
    assert resumed.run_streaming(Pipeline(flink, *RUNS)) == 0


def test_what_may_mend_is_waited_for_and_what_cannot_is_not():
    gone, denied = "java.io.IOException: gone", "penstock.io.errors.AccessDenied: no"
    assert not is_hopeless([])
    assert not is_hopeless([gone] * 5)
    assert not is_hopeless([denied] * 2)
    assert is_hopeless([denied] * 3)
    assert is_hopeless(["penstock.io.errors.WrongRelease: this worker has penstock 1", gone])


def test_restarts_are_told_with_their_cause_until_the_waiting_ends(flink, caplog):
    caplog.set_level("INFO")
    pipeline = Pipeline(flink, *RUNS)

    def later():
        flink.trace = SDK_ERROR
        flink.jobs["new"] = ("toy", "RESTARTING", {"canceled": 2})
        deadline = threading.Event()
        while "RESTARTING" not in caplog.text and not deadline.wait(0.05):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Timer(0.3, later)
    thread.start()
    assert submission(flink).run_streaming(pipeline) == 0
    thread.join()
    assert (
        "Flink starts it again, or gives it up: ModuleNotFoundError: No module named 'helpers'" in caplog.text
    )
    assert "goes on in the cluster as new" in caplog.text
    assert flink.asked == []


def test_rate_and_lag_are_told_while_somebody_listens(flink, caplog, monkeypatch):
    caplog.set_level("INFO")
    moment = time.time() - 5
    flink.metrics = {
        "[5]{a.b}.acknowledge_events": (1000, 600),
        "[5]{a.b}.kinesis_durable_until_ms_shardId-0": (1e15, moment * 1000),
        "[5]{a.b}.kinesis_durable_until_ms_shardId-1": (1e15, (moment + 2) * 1000),
        "numRecordsIn": (7, 7),
    }
    listened = iter([False] * 3 + [True])
    assert (
        telling.tell(
            FlinkCluster(f"http://{flink.address}"), "old", "toy", lambda s: next(listened), progress_s=0
        )
        == "RUNNING"
    )
    lines = [record.message for record in caplog.records]
    assert len(lines) == 3
    assert re.fullmatch(
        r"toy: 1,000 events, 0/s in the last \S+ s, (5|6)\.\d s behind, last checkpoint .* s ago", lines[2]
    )


def test_a_ctrl_c_cancels_a_batch_job_in_the_cluster(flink):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    _, stopped = submission(flink).run_batch(Pipeline(flink, *RUNS))
    assert stopped
    assert flink.asked == ["cancel new"]


def test_a_batch_job_is_handed_over_and_left_when_asked(flink):
    _, stopped = submission(flink, "--no_wait_until_finish").run_batch(Pipeline(flink, *RUNS))
    assert not stopped
    assert flink.asked == []


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (["--flink_version=1.20"], "the cluster at .* is Flink 1.19.3. Give --flink_version=1.19"),
        (["--no_wait_until_finish", "--setup_file=./setup.py"], "--no_wait_until_finish with --setup_file"),
        (
            ["--no_wait_until_finish", "--extra_package=x.tar.gz"],
            "--no_wait_until_finish with --extra_package",
        ),
    ],
)
def test_what_would_not_work_there_is_refused_before(flink, further, words):
    with pytest.raises(OptionError, match=words):
        submission(flink, *further)


@pytest.mark.parametrize("further", ["--artifacts_dir=/shared", "--flink_submit_uber_jar"])
def test_what_is_staged_for_good_may_be_left(flink, further):
    submission(flink, "--no_wait_until_finish", "--setup_file=./setup.py", further)


def test_too_few_slots_are_told_and_a_cluster_that_is_not_there_is_an_error(flink, caplog):
    submission(flink, "--parallelism=3")
    assert "--parallelism=3 needs as many slots, and Flink at" in caplog.text
    with contextlib.closing(flink.server.socket):
        flink.server.shutdown()
    with pytest.raises(Unreachable, match=r"no answer from Flink's REST API .* Check --flink_master"):
        submission(flink)


# -- penstock status -------------------------------------------------------------------------------------


NOTHING = "  0 events, 0/s in the last N s, last checkpoint N s ago"


def test_the_status_of_a_cluster_is_a_line_per_job_with_the_last_cause(flink, capsys):
    flink.jobs = {"a1": ("toy", "RUNNING", {"running": 2}), "b2": ("gone", "FAILED", {"failed": 1})}
    assert main(["status", "--flink", flink.address]) == 0
    said = re.sub(r"[\d,]{6,}", "N", capsys.readouterr().out)
    assert said.splitlines() == [
        f"Flink 1.19.3 at http://{flink.address}: 2 of 2 slots free",
        "a1  RUNNING     toy  (2 running)",
        NOTHING,
    ]
    flink.jobs["a1"], flink.trace = ("toy", "RESTARTING", {"canceled": 2}), SDK_ERROR
    assert main(["status", "--flink", flink.address, "toy"]) == 1
    assert (
        "1970-01-01 00:00:00 UTC: ModuleNotFoundError: No module named 'helpers'" in capsys.readouterr().out
    )


def test_a_job_is_stopped_with_a_savepoint_and_how_to_resume_it_is_said(flink, capsys):
    assert main(["status", "--flink", flink.address, "toy", "--stop"]) == 0
    assert flink.asked == ["stop old"]
    assert (
        capsys.readouterr().out
        == "toy (old) is stopped. Resume it with --savepoint_path=s3://b/savepoint-1\n"
    )
    assert main(["status", "--flink", flink.address, "nobody"]) == 1
    assert "knows no job nobody" in capsys.readouterr().err
    assert main(["status", "--flink", "127.0.0.1:1"]) == 1
    assert "no answer from Flink's REST API at http://127.0.0.1:1" in capsys.readouterr().err
