"""The ways of docs/submitting.md to hand a job over, with Beam's real `boot` as the workers' entry point.

`boot` is what Beam's worker images start: it fetches what the submitter staged, installs it, and runs Python. It is built
from Beam's own source by Go, once, into the cache.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import (
    BeamFnExternalWorkerPoolServicer,
    kill_process_gracefully,
)
from apache_beam.utils import thread_pool_executor

from local.demo.beats_client import Shipper
from local.servers.elasticsearch_server import free_port
from tests.integration.build.test_packaging import environment, run
from tests.simulator import KinesisSimulator
from tests.tools.jobs.flink import FLINK
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine import go_programs
from tests.tools.machine.waiting import wait_until

pytestmark = FLINK

ROOT = Path(__file__).parents[3]
LINES = 3000


@pytest.fixture(scope="module")
def boot():
    """Beam's entry point of a Python worker, of the version of Beam that is installed."""
    return go_programs.boot()


@pytest.fixture
def bare_worker(tmp_path):
    """Python with Beam and all that penstock needs, but without penstock: as Beam's image is."""
    python = environment(tmp_path / "worker")
    run(python, "-m", "pip", "install", "-q", "wheel", "setuptools>=77")
    assert subprocess.run([python, "-c", "import penstock.io"], capture_output=True, check=False).returncode
    return python


@contextlib.contextmanager
def worker_pool(boot, python, folder):
    """Beam's pool as its image starts it, but on 127.0.0.1, and without a compiler; gives its address."""
    entry = folder / "boot"
    entry.write_text(
        f"#!/bin/sh\nexport PATH={python.parent}:$PATH RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 CC=false\n"
        f"cd {folder}\n"  # it leaves a file where it starts
        f'exec {boot} --semi_persist_dir={folder} "$@" > {folder}/boot.log 2>&1\n'
    )
    entry.chmod(0o755)
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    pool = BeamFnExternalWorkerPoolServicer(use_process=True, container_executable=str(entry))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0)
        for process in pool._worker_processes.values():
            kill_process_gracefully(process)


def submit_and_ship(flink, folder, *options, program=("-m", "penstock", "beats-to-kinesis"), **environment):
    """Hands a job over as a user does, ships lines to it, holds the stream against them, and gives what is in it."""
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("lines", shards=2)
        port = free_port()
        known = {job["jid"] for job in flink.rest.jobs()}
        command = [
            *(sys.executable, *program),
            *("--beats_host", "127.0.0.1", "--beats_port", str(port), "--stream_name", "lines"),
            *(
                "--region",
                "us-east-1",
                "--endpoint_url",
                kinesis.endpoint_url,
                *options,
                "--no_wait_until_finish",
                "--start_timeout_seconds=300",  # pip installs meanwhile
            ),
        ]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=480,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        job = wait_until(
            lambda: [each["jid"] for each in flink.rest.jobs() if each["jid"] not in known],
            "the job to be there",
            120,
        )[0]
        try:
            file = log_file(folder / "lines.log", LINES)
            shipper = Shipper("127.0.0.1", port, [file.path], backoff_s=(1, 1))
            wait_until(lambda: flink.rest.running(job), "the job to run", 300)
            counts = shipper.run()
            assert counts.acknowledged == LINES
            held = b"".join(data for _, _, data, _ in kinesis.records("lines"))
            assert held.count(b'"message"') >= LINES
            return held
        finally:
            flink.rest.cancel(job)


@pytest.mark.timeout(900)
def test_a_setup_file_brings_the_package_to_a_worker_without_it(flink, boot, bare_worker, tmp_path):
    with worker_pool(boot, bare_worker, tmp_path) as address:
        options = ["--environment_config", address, "--setup_file", str(ROOT / "setup.py")]
        submit_and_ship(flink, tmp_path, *flink.options, *options)
    assert "penstock" in run(bare_worker, "-m", "pip", "list")


@pytest.mark.timeout(900)
def test_a_job_is_handed_over_by_flinks_rest_api_alone(flink, tmp_path):
    submit_and_ship(flink, tmp_path, *flink.flink_runner_options, "--flink_submit_uber_jar")


@pytest.fixture
def worker_with_penstock(bare_worker):
    """Python as in an image that holds penstock, and no code of one's own."""
    run(bare_worker, "-m", "pip", "install", "-q", "--no-deps", ROOT, CC="false")
    return bare_worker


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", ["--extra_package", "--setup_file", "--requirements_file"])
def test_a_module_beside_the_pipeline_is_brought_to_the_workers(
    flink, boot, worker_with_penstock, tmp_path, monkeypatch, way
):
    example = tmp_path / "own_module"
    shutil.copytree(ROOT / "examples" / "own_module", example)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", example, example)
    (example / "requirements.txt").write_text("helpers==1.0\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # somebody else's package of that name
    brought = {
        "--extra_package": example / "helpers-1.0-py3-none-any.whl",
        "--setup_file": example / "setup.py",
        "--requirements_file": example / "requirements.txt",
    }
    options = [*flink.flink_runner_options, "--flink_submit_uber_jar", f"{way}={brought[way]}"]
    with worker_pool(boot, worker_with_penstock, tmp_path) as address:
        held = submit_and_ship(
            flink, tmp_path, *options, f"--environment_config={address}",
            program=(example / "job.py",), PIP_FIND_LINKS=str(example),
        )  # fmt: skip
    assert held.count(b'"labels":{"team":"none"}') >= LINES
