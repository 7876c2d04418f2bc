"""These fixtures serve the tests on the run's Flink."""

import os
import subprocess
import sys
import uuid

import pytest

from local.servers.aws_server import CREDENTIALS, REGION
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.flink import CHECKPOINTS, TIMEOUT_S


@pytest.fixture
def submit(flink, aws, tmp_path):
    """Submits `beats-to-kinesis` and leaves it; returns the exit code and what was said."""
    stream = f"t{uuid.uuid4().hex[:12]}"
    aws.client("kinesis").create_stream(StreamName=stream, ShardCount=1)
    known = {job["jid"] for job in flink.rest.jobs()}

    def submitted(*options, program=(), **environment):
        beats = (
            "-m",
            "penstock",
            "beats-to-kinesis",
            "--beats_host=127.0.0.1",
            f"--beats_port={free_port()}",
        )
        done = subprocess.run(
            [
                *(sys.executable, "-P", *(program or beats), "--stream_name", stream),
                *("--region", REGION, "--endpoint_url", aws.endpoint_url),
                *("--dead_letters", f"file://{tmp_path}/letters.jsonl", "--no_wait_until_finish"),
                *(*flink.flink_runner_options, *CHECKPOINTS, "--start_timeout_seconds=180",
                "--job_name", f"{stream}-{uuid.uuid4().hex[:6]}", *options),
            ],
            capture_output=True, text=True, timeout=2 * TIMEOUT_S, check=False, cwd=tmp_path,
            env={**os.environ, **CREDENTIALS, **environment},
        )  # fmt: skip
        return done.returncode, done.stderr

    submitted.stream = stream
    yield submitted
    for job in flink.rest.jobs():
        if job["jid"] not in known and job["end-time"] == -1:
            flink.rest.cancel(job["jid"])
