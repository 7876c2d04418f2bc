"""Submitting to a real Flink with a job server of one's own: the command ends when the job runs there, or says why not."""

import contextlib
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from local.demo import evidence
from local.servers.aws_server import REGION
from local.servers.elasticsearch_server import free_port
from tests.tools.flink import CHECKPOINTS, FLINK, TIMEOUT_S, kill_workers, shipping
from tests.tools.pipeline import log_file, wait_until

TWO = str(Path(__file__).parents[2] / "tools" / "two_beats_job.py")

pytestmark = FLINK


@pytest.fixture
def submit(flink, aws, tmp_path):
    """Submits `beats-to-kinesis` and leaves it; returns the exit code and what was said."""
    stream = f"t{uuid.uuid4().hex[:12]}"
    aws.client("kinesis").create_stream(StreamName=stream, ShardCount=1)
    known = {job["jid"] for job in flink.rest.jobs()}

    def submitted(*options, program=()):
        beats = (
            "-m",
            "penstock",
            "beats-to-kinesis",
            "--beats_host",
            "127.0.0.1",
            "--beats_port",
            str(free_port()),
        )
        done = subprocess.run(
            [
                *(sys.executable, "-P", *(program or beats), "--stream_name", stream),
                *("--region", REGION, "--endpoint_url", aws.endpoint_url, "--access_key", "a", "--secret_key", "b"),
                *("--dead_letters", f"file://{tmp_path}/letters.jsonl", "--no_wait_until_finish"),
                *(*flink.flink_runner_options, *CHECKPOINTS, "--job_name", stream, *options),
            ],
            capture_output=True, text=True, timeout=2 * TIMEOUT_S, check=False, cwd=tmp_path,
        )  # fmt: skip
        return done.returncode, done.stderr

    submitted.stream = stream
    yield submitted
    for job in flink.rest.jobs():
        if job["jid"] not in known and job["end-time"] == -1:
            flink.rest.cancel(job["jid"])


def test_the_command_ends_when_the_job_runs_and_the_job_outlives_it(flink, submit):
    code, said = submit()
    assert code == 0, said
    job = re.search(r"Flink at \S+ runs it as (\w+)", said)[1]
    assert flink.rest.running(job)
    wait_until(lambda: flink.rest.checkpoints(job) > 0, "a checkpoint without its submitter", TIMEOUT_S)


def test_a_job_without_slots_is_a_failure_that_names_them(flink, submit):
    code, said = submit("--parallelism=9")
    assert code == 1
    # A slow cluster gives up and restarts before the minute is over; which tasks waited stands a line above then.
    assert re.search(r"beats-to-kinesis: .* tasks wait for a slot; Flink at .* free of 2", said), said
    # What Beam says of its job server's end may come last.
    assert any(line.startswith("penstock beats-to-kinesis: ") for line in said.splitlines()[-3:]), said
    assert not [job for job in flink.rest.jobs() if job["end-time"] == -1]


def test_two_inputs_in_one_job_lose_nothing_when_its_worker_is_killed(flink, submit, aws, tmp_path):
    ports = [free_port(), free_port()]
    code, said = submit(program=(TWO, *map(str, ports)))
    assert code == 0, said
    files = [log_file(tmp_path / f"{port}.log", 3000) for port in ports]
    with contextlib.ExitStack() as both:
        shippers = [
            both.enter_context(shipping(port, file, 500)) for port, file in zip(ports, files, strict=True)
        ]
        wait_until(
            lambda: all(each.counts.acknowledged > 300 for each in shippers), "both to be read", TIMEOUT_S
        )
        kill_workers(flink)
        wait_until(lambda: all(each.counts.done for each in shippers), "the last acknowledgements", TIMEOUT_S)
    events = map(json.loads, evidence.stream_events(aws.client("kinesis"), submit.stream))
    found = {(event["log"]["file"]["path"], event["log"]["offset"]) for event in events}
    assert len(found) == 6000
