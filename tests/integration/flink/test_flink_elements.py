"""A read of elements on a real Flink: bundle finalization acknowledges, and a killed worker loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.flink import CHECKPOINTS, FLINK, TIMEOUT_S, kill_workers
from tests.tools.pipeline import wait_until

ELEMENTS_JOB = Path(__file__).parents[2] / "tools" / "elements_job.py"

pytestmark = [*FLINK, pytest.mark.full]


def test_elements_survive_killed_workers(flink, aws, unique_name, tmp_path: Path):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName=unique_name, ShardCount=2)
    file = tmp_path / "elements"
    known = {job["jid"] for job in flink.rest.jobs()}

    def put(first: int) -> None:
        records = [{"Data": b"%d" % n, "PartitionKey": str(n)} for n in range(first, first + 100)]
        kinesis.put_records(StreamName=unique_name, Records=records)

    def lines() -> list[int]:
        return [int(line) for line in file.read_bytes().split()] if file.exists() else []

    command = [sys.executable, "-P", str(ELEMENTS_JOB), str(file), unique_name, unique_name, aws.endpoint_url]
    with (tmp_path / "log").open("wb") as log:
        job = subprocess.Popen(
            [*command, *flink.flink_runner_options, *CHECKPOINTS], stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        put(0)
        wait_until(lambda: len(set(lines())) == 100, "the first elements", TIMEOUT_S)
        for kill in range(1, 3):
            for part in range(5):
                put(kill * 500 + part * 100)
                wait_until(lambda: max(lines()) >= kill * 500, "elements to flow", TIMEOUT_S)  # noqa: B023
            kill_workers(flink)
        expected = set(range(100)) | set(range(500, 1500))
        wait_until(lambda: set(lines()) == expected, "all elements", TIMEOUT_S)
        repeated = len(lines()) - len(expected)
        print(f"two kills repeated {repeated} of {len(expected)} elements")
        assert repeated <= len(expected)
    except AssertionError as failure:
        raise AssertionError((tmp_path / "log").read_text()[-5000:]) from failure
    finally:
        job.kill()
        job.wait()
        for each in flink.rest.jobs():
            if each["jid"] not in known and each["end-time"] == -1:
                flink.rest.cancel(each["jid"])
