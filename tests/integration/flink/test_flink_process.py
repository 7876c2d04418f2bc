"""A worker that a task manager starts itself (`--environment_type=PROCESS`) ends with it, also by kill -9."""

import json
import sys
import uuid
from pathlib import Path

import pytest

from local.processes import end_marked, marked
from tests.tools.jobs.flink import FLINK, TIMEOUT_S
from tests.tools.machine import go_programs
from tests.tools.machine.waiting import wait_until

SCRIPT = Path(__file__).parents[3] / "examples" / "process_worker.sh"
MARK = "PENSTOCK_TEST_WORKER"

pytestmark = [*FLINK, pytest.mark.kills, pytest.mark.full]


def test_nothing_is_left_of_a_worker_whose_task_manager_was_killed(flink, submit, tmp_path):
    mark = uuid.uuid4().hex
    entry = tmp_path / "entry"
    entry.write_text(
        f"#!/bin/sh\nexport {MARK}={mark} BOOT={go_programs.boot()} PATH={Path(sys.executable).parent}:$PATH\n"
        f"export RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1\ncd {tmp_path}\n"
        f'exec sh {SCRIPT} --semi_persist_dir={tmp_path} "$@" > {tmp_path}/boot.log 2>&1\n'
    )
    entry.chmod(0o755)
    known = {job["jid"] for job in flink.rest.jobs()}
    code, said = submit(
        "--environment_type=PROCESS", f"--environment_config={json.dumps({'command': str(entry)})}"
    )
    killed = False
    try:
        assert code == 0, said
        assert len(marked(MARK, mark)) >= 3, "the script, Beam's boot, and Python"
        killed = True
        for each in list(flink.task_managers):
            flink.kill_task_manager(each)
        wait_until(lambda: not marked(MARK, mark), "the end of what they started", TIMEOUT_S)
    finally:
        for job in flink.rest.jobs():
            if job["jid"] not in known and job["end-time"] == -1:
                flink.rest.cancel(job["jid"])
        if killed:
            flink.start_task_manager()
            flink.start_task_manager()
            flink.wait_ready()
        end_marked(MARK, mark)
