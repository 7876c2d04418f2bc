"""Submitting to a real Flink with a job server of one's own: the command ends when the job runs there, or says why not."""

import contextlib
import json
import re
from pathlib import Path

from local.demo import evidence
from local.servers.elasticsearch_server import free_port
from penstock.pipelines.__main__ import main
from tests.tools.jobs.flink import FLINK, TIMEOUT_S, kill_workers, shipping
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine.waiting import wait_until

TWO = str(Path(__file__).parents[2] / "tools" / "jobs" / "two_beats_job.py")
LINES = 10_000

pytestmark = FLINK


def test_a_job_is_left_watched_stopped_and_resumed_with_more_parallelism(flink, submit, tmp_path, capsys):
    port = free_port()
    code, said = submit(f"--beats_port={port}")
    assert code == 0, said
    job = re.search(r"Flink at \S+ runs it as (\w+)", said)[1]
    assert flink.rest.running(job)
    checkpoints = flink.rest.checkpoints(job)
    wait_until(
        lambda: flink.rest.checkpoints(job) > checkpoints, "a checkpoint without its submitter", TIMEOUT_S
    )

    def status(*arguments):
        assert main(["status", "--flink", flink.url, *arguments]) == 0
        return capsys.readouterr().out

    with shipping(port, log_file(tmp_path / "a.log", 1000), 0) as shipper:
        wait_until(lambda: shipper.counts.done, "the acknowledgements", TIMEOUT_S)
    wait_until(lambda: "1,000 events" in status(job), "the events in its status", TIMEOUT_S)
    assert re.search(r"/s in the last \d+ s, 0 pending, last checkpoint \d+ s ago", status(job))

    place = re.search(r"--savepoint_path=(\S+)", status(job, "--stop"))[1]
    code, said = submit(f"--beats_port={port}", f"--savepoint_path={place}", "--parallelism=2")
    assert code == 0, said
    resumed = re.search(r"Flink at \S+ runs it as (\w+)", said)[1]
    assert max(task["parallelism"] for task in flink.rest.tasks(resumed)) == 2


def test_two_inputs_in_one_job_share_evenly_and_lose_nothing_when_its_worker_is_killed(
    flink, submit, aws, tmp_path
):
    ports = [free_port(), free_port()]
    code, said = submit(program=(TWO, *map(str, ports)))
    assert code == 0, said
    files = [log_file(tmp_path / f"{port}.log", LINES) for port in ports]
    with contextlib.ExitStack() as both:
        shippers = [
            both.enter_context(shipping(port, file, None)) for port, file in zip(ports, files, strict=True)
        ]

        def acknowledged():
            return [each.counts.acknowledged for each in shippers]

        wait_until(lambda: all(acknowledged()), "both to be read", TIMEOUT_S)
        before = acknowledged()  # one may have connected earlier
        wait_until(lambda: sum(acknowledged()) - sum(before) >= LINES / 2, "half of one's lines", TIMEOUT_S)
        first, second = (now - then for now, then in zip(acknowledged(), before, strict=True))
        assert max(first, second) < 3 * min(first, second), (first, second)
        kill_workers(flink)
        assert not all(each.counts.done for each in shippers), "killed too late to prove anything"
        wait_until(lambda: all(each.counts.done for each in shippers), "the last acknowledgements", TIMEOUT_S)
    events = map(json.loads, evidence.stream_events(aws.client("kinesis"), submit.stream))
    found = {(event["log"]["file"]["path"], event["log"]["offset"]) for event in events}
    assert len(found) == 2 * LINES
