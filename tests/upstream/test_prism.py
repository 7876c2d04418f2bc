"""Beam's Prism: where it listens."""

import subprocess

import pytest

from local.servers.elasticsearch_server import free_port
from tests.tools.machine import go_programs
from tests.tools.machine.listening import listening
from tests.tools.machine.waiting import wait_until
from tests.upstream.faults import fault

# It needs no server, but its program may have to be built: by the worker that runs the other tests on Prism.
pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("prism"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def prism():
    return go_programs.prism()


@fault("docs need not warn of it, and pipelines/run/runners.py neither: Prism listens on loopback.")
def test_prism_listens_on_loopback_only(prism):
    port = free_port()
    command = [prism, f"--job_port={port}", "--serve_http=false"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            places = wait_until(lambda: listening(process.pid), "Prism to listen", 20)
        finally:
            process.kill()
    assert {host for host, _ in places} <= {"127.0.0.1", "::1"}
