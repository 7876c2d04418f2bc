"""kinesis-local, the npm package, as a process of its own: the emulator that splits and merges right.

Only where `PENSTOCK_KINESIS_LOCAL` names its folder (`npm install kinesis-local@0.6.2`, then node_modules/kinesis-local):
it needs node and listens on all interfaces.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = os.environ.get("PENSTOCK_KINESIS_LOCAL", "")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def kinesis_local() -> Iterator[str]:
    """Its address, until the block ends."""
    port, tls_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        "KINESIS_MOCK_TLS_PORT": str(tls_port),
        "KINESIS_MOCK_CERT_PATH": str(Path(FOLDER) / "server.json"),
        "SHARD_LIMIT": "100",
        "LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen(
        ["node", "main.js"], cwd=FOLDER, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, "kinesis-local ended"
            assert time.monotonic() < deadline, "kinesis-local does not listen"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)
