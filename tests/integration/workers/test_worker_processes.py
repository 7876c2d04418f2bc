"""`--workers`: what becomes of a backfill whose processes are stopped, killed, or left alone."""

import json
import os
import signal

import pytest

from local.processes import started_at
from tests.tools.jobs.planted import TIMEOUT_S, wait_while
from tests.tools.machine.listening import listening, process_tree
from tests.tools.machine.waiting import wait_until

pytestmark = pytest.mark.servers

OBJECTS, LINES = 40, 2000


@pytest.fixture
def begin(start_planted, planted):
    """Starts a backfill by two processes that takes most of a minute, and waits until objects are finished."""
    (planted.folder / "in").mkdir()
    for number in range(OBJECTS):
        (planted.folder / "in" / f"{number:02}.jsonl").write_text('{"a":1}\n' * LINES)
    otherwise = planted.answer

    def answer(request):
        if "_bulk" not in request.path:
            return otherwise(request)
        items = [{"create": {"status": 201}}] * (request.body.count(b"\n") // 2)
        return 200, json.dumps({"errors": False, "items": items}).encode()

    planted.answer = answer

    def begin():
        process = start_planted(
            "s3-to-elasticsearch", "--input", planted.folder / "in", "--hosts", planted.hosts, "--workers", 2,
            "--max_events_per_second", 2000, "--max_batch_events", 500, "--progress", "none",
            "--manifest", f"file://{planted.folder}/manifest",
        )  # fmt: skip
        wait_while(process, lambda: len(noted(planted)) >= 2)
        return process

    return begin


def noted(planted):
    file = planted.folder / "manifest"
    return file.read_text().splitlines() if file.exists() else []


def workers_of(process):
    return sorted(process_tree(process.pid) - {process.pid})


def test_they_listen_nowhere(begin):
    process = begin()
    assert len(workers_of(process)) == 2
    assert listening(process.pid) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_them_cleanly(begin, planted, number):
    process = begin()
    workers = workers_of(process)
    # As a service manager does it: to every process of the job.
    for pid in (*workers, process.pid):
        os.kill(pid, number)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 3, said
    assert "stopped before the end" in said
    assert "Traceback" not in said
    assert 0 < len(noted(planted)) < OBJECTS
    assert not any(map(started_at, workers))


def test_one_that_is_killed_is_named_and_the_other_ends_cleanly(begin):
    process = begin()
    workers = workers_of(process)
    os.kill(workers[1], signal.SIGKILL)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "was killed, by the system if memory ran out" in said
    assert "delivered" in said
    assert "Traceback" not in said
    assert not started_at(workers[0])


def test_they_end_with_the_job_s_own_process(begin):
    process = begin()
    workers = workers_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(map(started_at, workers)), "the workers' end")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--runner", "PrismRunner"), "--workers is for DirectRunner: PrismRunner has an option of its own"),
        (("--direct_num_workers", 2), "--direct_num_workers=2: with it Beam"),
    ],
)
def test_what_does_not_go_together_is_refused(start_planted, planted, options, text):
    process = start_planted(
        "s3-to-elasticsearch", "--input", planted.folder, "--workers", 2, "--hosts", planted.hosts, *options
    )
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert text in said
