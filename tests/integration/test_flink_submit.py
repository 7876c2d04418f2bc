"""Submitting to a real Flink with a job server of one's own: the command ends when the job runs there, or says why not."""

import re
import subprocess
import sys
import uuid

import pytest

from local.aws_server import REGION
from local.elasticsearch_server import free_port
from tests.tools.flink import CHECKPOINTS, FLINK, TIMEOUT_S
from tests.tools.pipeline import wait_until

pytestmark = FLINK


@pytest.fixture
def submit(flink, aws, tmp_path):
    """Submits `beats-to-kinesis` and leaves it; returns the exit code and what was said."""
    stream = f"t{uuid.uuid4().hex[:12]}"
    aws.client("kinesis").create_stream(StreamName=stream, ShardCount=1)
    known = {job["jid"] for job in flink.rest.jobs()}

    def submitted(*options):
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "penstock", "beats-to-kinesis", "--stream_name", stream),
                *("--beats_host", "127.0.0.1", "--beats_port", str(free_port())),
                *("--region", REGION, "--endpoint_url", aws.endpoint_url, "--access_key", "a", "--secret_key", "b"),
                *("--dead_letters", f"file://{tmp_path}/letters.jsonl", "--no_wait_until_finish"),
                *(*flink.flink_runner_options, *CHECKPOINTS, "--job_name", stream, *options),
            ],
            capture_output=True, text=True, timeout=2 * TIMEOUT_S, check=False, cwd=tmp_path,
        )  # fmt: skip
        return done.returncode, done.stderr

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
    assert re.search(r"penstock beats-to-kinesis: .* tasks wait for a slot; Flink at .* free of 2", said), (
        said
    )
    assert not [job for job in flink.rest.jobs() if job["end-time"] == -1]
