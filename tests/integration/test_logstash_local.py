"""`./run_local.sh logstash`: the two files of the examples, unchanged, on local servers; or a clear line.

They name the ports 5044 and 9200, so only here tests use ports that others may want.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from local.processes import end_marked, marked
from local.servers.elasticsearch_server import free_port
from tests.tools.machine.waiting import wait_until

ROOT = Path(__file__).parents[2]
MARK = "LOGSTASH_FILES"
LINES = 2000

pytestmark = pytest.mark.xdist_group("ports of Logstash")


def command(folder, *arguments):
    """The command, in a session of its own; what it starts has a mark."""
    return subprocess.Popen(
        [sys.executable, "-P", str(ROOT / "local" / "__main__.py"), "logstash", *arguments],
        cwd=ROOT,
        env={**os.environ, MARK: str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stored():
    """How many documents there are, once they can be found."""
    try:
        with urllib.request.urlopen(
            "http://127.0.0.1:9200/logs-generic-default/_search?size=0", timeout=60
        ) as reply:
            return json.load(reply)["hits"]["total"]["value"]
    except (urllib.error.URLError, ConnectionError):
        return 0


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "a.conf").write_text(f"input {{ beats {{ port => {port} }} }} output {{ null {{ }} }}")
        told = command(tmp_path, str(tmp_path / "a.conf"))
        _, err = told.communicate(timeout=300)
    assert told.returncode == 1
    assert err.endswith(
        f"run_local.sh: port {port} of 127.0.0.1 is taken, and the input beats needs it: end what listens there.\n"
    )
    assert not marked(MARK, str(tmp_path))


@pytest.mark.servers
@pytest.mark.long
@pytest.mark.skipif(
    any(free_port(port) != port for port in (5044, 9200)), reason="somebody else listens on port 5044 or 9200"
)
def test_the_two_files_run_unchanged(tmp_path):
    (tmp_path / "a.log").write_text("".join(f"line {n}\n" for n in range(LINES)))
    running = command(tmp_path)
    try:
        shipper = [
            sys.executable,
            "-P",
            str(ROOT / "local" / "demo" / "beats_client.py"),
            "--host",
            "127.0.0.1",
        ]
        wait_until(lambda: free_port(5044) != 5044 or running.poll() is not None, "the input beats", 600)
        assert running.poll() is None, running.communicate()[1]
        subprocess.run([*shipper, "--port", "5044", str(tmp_path / "a.log")], check=True, timeout=300)
        wait_until(lambda: stored() >= LINES, "all documents", 300)
        assert stored() == LINES
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=300)
        assert running.returncode == 130, err
        assert "Point Filebeat at 127.0.0.1:5044" in out
        assert err.endswith("run_local.sh: interrupted; everything it started is ended\n")
        assert not marked(MARK, str(tmp_path))
    finally:
        end_marked(MARK, str(tmp_path))
