"""Two inputs in one job share evenly under load, and lose nothing when the job is killed and started again.

On Flink: `test_flink_submit.py`, where a worker is killed.
"""

import contextlib
import json
import sys
import uuid
from pathlib import Path

import pytest

from local.demo import evidence
from local.processes import Process
from local.servers.aws_server import CREDENTIALS, REGION
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.flink import shipping
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine import go_programs
from tests.tools.machine.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.kills, pytest.mark.xdist_group("prism")]

PROGRAM = Path(__file__).parents[2] / "tools" / "jobs" / "two_beats_job.py"
LINES = 5000


def runner(name):
    return ["--runner=PrismRunner", f"--prism_location={go_programs.prism()}"] if name == "Prism" else []


@pytest.mark.parametrize("name", ["FnApiRunner", pytest.param("Prism", marks=pytest.mark.full)])
def test_two_inputs_share_evenly_and_lose_nothing_by_a_kill(aws, tmp_path, name):
    stream, ports = f"t{uuid.uuid4().hex[:12]}", [free_port(), free_port()]
    aws.create_stream(stream, 1)
    command = [
        *(sys.executable, "-P", str(PROGRAM), *map(str, ports), "--stream_name", stream, "--region", REGION),
        *("--endpoint_url", aws.endpoint_url, "--dead_letters", f"file://{tmp_path}/letters.jsonl", *runner(name)),
    ]  # fmt: skip
    files = [log_file(tmp_path / f"{port}.log", LINES) for port in ports]

    def start():
        job = Process(
            "two inputs", command, tmp_path / f"{uuid.uuid4().hex[:6]}.log", environment=CREDENTIALS
        )
        ends.callback(job.kill)
        return job

    with contextlib.ExitStack() as ends:
        job = start()
        shippers = [
            ends.enter_context(shipping(port, file, None)) for port, file in zip(ports, files, strict=True)
        ]

        def until(condition, what):
            wait_until(lambda: job.check() or condition(), what)

        def acknowledged():
            return [each.counts.acknowledged for each in shippers]

        until(lambda: all(acknowledged()), "both to be read")
        before = acknowledged()  # one may have connected earlier
        until(lambda: sum(acknowledged()) - sum(before) >= LINES / 2, "half as many lines as one has")
        first, second = (now - then for now, then in zip(acknowledged(), before, strict=True))
        assert max(first, second) < 3 * min(first, second), (first, second)
        job.kill()
        assert not all(each.counts.done for each in shippers), "killed too late to prove anything"
        job = start()
        until(lambda: all(each.counts.done for each in shippers), "the last acknowledgements")
    events = map(json.loads, evidence.stream_events(aws.client("kinesis"), stream))
    assert len({(event["log"]["file"]["path"], event["log"]["offset"]) for event in events}) == 2 * LINES
