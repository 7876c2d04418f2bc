"""A process without memory left closes the connection that asks for too much, and serves the others."""

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.peers import lumberjack

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "tests" / "tools" / "peers" / "beats_server.py"
ROOM = 160 << 20


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_memory_that_runs_out_costs_the_connection() -> None:
    limits = ["max_pending_bytes=4000000000", "max_frame_bytes=2000000000", "max_inflated_bytes=2000000000"]
    with subprocess.Popen(
        [sys.executable, "-P", str(PROGRAM), "0", *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        address = ("127.0.0.1", int(server.stdout.readline()))
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ROOM
        resource.prlimit(server.pid, resource.RLIMIT_AS, (most, most))
        greedy = lumberjack.Client(address, 60)
        with contextlib.suppress(OSError):
            greedy.socket.sendall(lumberjack.window(1) + lumberjack.event(1, b"x" * 3 * ROOM))
        with contextlib.suppress(OSError):
            assert greedy.socket.recv(100) == b""
        greedy.socket.close()
        honest = lumberjack.Client(address, 60)
        honest.socket.sendall(lumberjack.whole_window([b'{"n": 1}'] * 3))
        while (answer := honest.socket.recv(6)) == lumberjack.ack(0):
            pass
        assert answer == lumberjack.ack(3)
        honest.socket.close()
        said = server.communicate(timeout=60)
        assert said[0].split()[0] == "3"
        assert "no memory is left" in said[1], said[1]
        assert "defect" not in said[1]
