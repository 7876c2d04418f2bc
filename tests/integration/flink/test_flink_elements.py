"""A read of elements on a real Flink, by a pipeline that knows nothing of ours but the read: a kill loses nothing.

What came since the last complete checkpoint is read again, and no more.
"""

import collections
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.jobs.flink import CHECKPOINTS, FLINK, TIMEOUT_S, kill_workers
from tests.tools.machine.waiting import wait_until

JOB = Path(__file__).parents[2] / "tools" / "jobs" / "elements_job.py"

pytestmark = [*FLINK, pytest.mark.kills, pytest.mark.full]


def test_a_killed_worker_repeats_what_came_since_the_last_checkpoint(flink, aws, unique_name, tmp_path):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName=unique_name, ShardCount=2)
    file = tmp_path / "elements"
    known = {job["jid"] for job in flink.rest.jobs()}

    def put(first):
        records = [{"Data": b"%d" % n, "PartitionKey": str(n)} for n in range(first, first + 100)]
        kinesis.put_records(StreamName=unique_name, Records=records)

    def until_seen(numbers):
        wait_until(lambda: set(numbers) <= set(lines()), f"the elements {numbers}", TIMEOUT_S)

    def lines():
        return [int(line) for line in file.read_bytes().split()] if file.exists() else []

    def ours():
        return [job["jid"] for job in flink.rest.jobs() if job["jid"] not in known]

    def checkpoints(further):
        wanted = flink.rest.checkpoints(ours()[0]) + further
        wait_until(lambda: flink.rest.checkpoints(ours()[0]) >= wanted, "checkpoints", TIMEOUT_S)

    command = [sys.executable, "-P", str(JOB), str(file), unique_name, unique_name, aws.endpoint_url]
    with (tmp_path / "log").open("wb") as log:
        job = subprocess.Popen(
            [*command, *flink.flink_runner_options, *CHECKPOINTS], stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        put(0)
        until_seen(range(100))
        # From its first checkpoint, taken before the read's first bundle has ended.
        kill_workers(flink)
        put(100)
        until_seen(range(200))
        checkpoints(2)  # the first of them may have begun before the last element
        before = collections.Counter(lines())
        put(200)
        until_seen(range(200, 300))
        kill_workers(flink)
        put(300)
        until_seen(range(400))
        after = collections.Counter(lines())
        assert {n: after[n] for n in range(200)} == {n: before[n] for n in range(200)}
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(tmp_path / 'log').read_text()}\n{flink.worker_log()}") from None
    finally:
        job.kill()
        job.wait()
        for each in ours():
            flink.rest.cancel(each)
