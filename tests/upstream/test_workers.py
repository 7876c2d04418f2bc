"""Beam's worker pool runs our code on a cluster, with the package that `--setup_file` builds."""

import os
import signal
import sys
import textwrap
import time
from importlib import metadata
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.stager import Stager
from apache_beam.runners.worker import worker_pool_main

from tests.upstream.faults import fault

_SETUPTOOLS = next((found.version for found in metadata.distributions(name="setuptools")), "")


@pytest.fixture
def pool(monkeypatch):
    """(port, server) of a worker pool that starts processes."""
    # Beam's own: `restrain_servers` may have been called in this process, by another test.
    monkeypatch.setattr(worker_pool_main, "grpc", grpc)
    address, server = worker_pool_main.BeamFnExternalWorkerPoolServicer.start(use_process=True)
    yield int(address.rpartition(":")[2]), server
    server.stop(0)


@fault("the worker pool of local/ that binds 127.0.0.1 can go; Beam's can be told where to listen.")
def test_the_worker_pool_listens_on_loopback_only(pool):
    port = f":{pool[0]:04X}"
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as file:
            listening |= {line.split()[1].removesuffix(port) for line in file if f"{port} 0" in line}
    assert listening
    everywhere = {"0" * 8, "0" * 32}
    assert not listening & everywhere


@fault("the environment's bin need not be first on the PATH: the pool starts the Python that runs it.")
def test_the_worker_pool_starts_its_own_python(monkeypatch):
    commands = []
    monkeypatch.setattr(worker_pool_main.subprocess, "Popen", lambda command, **_: commands.append(command))
    servicer = worker_pool_main.BeamFnExternalWorkerPoolServicer(use_process=True)
    reply = servicer.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="1"), None)
    assert not reply.error
    assert commands[0][0] == sys.executable


@fault("the worker pool of local/ that gives each worker a log can go; Beam's reads what its workers print.")
def test_a_worker_may_print_what_it_likes(tmp_path):
    done = tmp_path / "done"
    servicer = _start(tmp_path, "1", f"head -c 200000 /dev/zero; touch {done}")
    try:
        assert _comes_true(done.exists, 2)
    finally:
        servicer.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1"), None)


@fault("two jobs may share a task manager's worker pool, and its Flink: a worker is ended with its own job.")
def test_each_worker_of_a_pool_is_ended(tmp_path):
    # Job after job counts its workers from 1-1.
    servicer = _start(tmp_path, "1-1", "echo $$ >> pids; exec sleep 30")
    _start(tmp_path, "1-1", "echo $$ >> pids; exec sleep 30", servicer)
    pids = tmp_path / "pids"
    assert _comes_true(lambda: pids.exists() and len(pids.read_text().split()) == 2, 10)
    for _ in range(2):
        servicer.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"), None)
    left = [int(pid) for pid in pids.read_text().split() if Path(f"/proc/{pid}/cmdline").exists()]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def _start(folder, worker_id, script, servicer=None):
    """Starts a worker that is a shell script; gives the pool."""
    if servicer is None:
        program = folder / "worker"
        program.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
        program.chmod(0o755)
        servicer = worker_pool_main.BeamFnExternalWorkerPoolServicer(
            use_process=True, container_executable=str(program)
        )
    reply = servicer.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id=worker_id), None)
    assert not reply.error, reply.error
    return servicer


def _comes_true(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not _SETUPTOOLS.startswith("65."), reason="needs the setuptools that Python 3.11 brings")
@fault("pyproject.toml may say license = 'Apache-2.0' and need a newer setuptools.", raises=RuntimeError)
def test_a_setup_file_is_built_with_what_its_pyproject_asks_for(tmp_path, monkeypatch):
    (tmp_path / "setup.py").write_text("import setuptools; setuptools.setup()")
    (tmp_path / "pyproject.toml").write_text(
        textwrap.dedent("""
            [build-system]
            requires = ["setuptools>=77"]
            build-backend = "setuptools.build_meta"
            [project]
            name = "licensed"
            version = "1"
            license = "Apache-2.0"
        """)
    )
    (tmp_path / "target").mkdir()
    Stager._build_setup_package(str(tmp_path / "setup.py"), str(tmp_path / "target"))
