"""Emulators that some tests check moto and the simulator against: DynamoDB Local (Maven), kinesis-local (npm).

Fetched once into the cache folder (`PENSTOCK_CACHE`) by their registries' own clients. Where Java, Maven, Node or
the network is missing the test is skipped, unless `CI` is set: there it fails.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from local.processes import Process
from local.servers.cache import cache_folder
from local.servers.elasticsearch_server import free_port
from local.servers.java import QUICK
from tests.tools.machine.waiting import wait_until

DYNAMODB_LOCAL = "2.6.1"
KINESIS_LOCAL = "0.6.2"

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>penstock</groupId><artifactId>emulators</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId>
<version>%s</version></dependency></dependencies></project>
"""


def unavailable(why: str) -> NoReturn:
    """Skips the test for what this machine lacks; on CI, which lacks nothing, it fails."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _fetched(name: str, tools: tuple[str, ...], command: list[str], prepare: dict[str, str]) -> Path:
    """The folder of that name in the cache, made by `command` in a folder that holds the files of `prepare`."""
    folder = cache_folder() / name
    for tool in tools:
        if shutil.which(tool) is None:
            unavailable(f"{name} needs {tool}")
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            scratch = Path(tempfile.mkdtemp(dir=cache_folder()))
            for file, text in prepare.items():
                (scratch / file).write_text(text)
            ran = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=600, check=False
            )
            if ran.returncode:
                shutil.rmtree(scratch)
                unavailable(f"{name} can't be fetched: {(ran.stderr or ran.stdout)[-500:]}")
            scratch.rename(folder)
    return folder


@contextlib.contextmanager
def _running(process: Process, port: int, timeout_s: float = 300.0) -> Iterator[str]:
    try:
        until = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            process.check()
            assert time.monotonic() < until, process.last_words()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


@contextlib.contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """A DynamoDB Local in memory; its address. It knows no way to listen on loopback alone."""
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    home = _fetched(
        f"dynamodb-local-{DYNAMODB_LOCAL}", ("java", "mvn"), command, {"pom.xml": _POM % DYNAMODB_LOCAL}
    )
    port = free_port()
    process = Process(
        "DynamoDB Local",
        [
            "java", "-Xmx256m", "-XX:+UseSerialGC", *QUICK, "-cp", f"{home}/lib/*",
            "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
            "-inMemory", "-disableTelemetry", "-port", str(port),
        ],
        folder / "dynamodb-local.log",
    )  # fmt: skip
    with _running(process, port) as url:
        yield url


@contextlib.contextmanager
def kinesis_local(folder: Path) -> Iterator[str]:
    """A kinesis-local, the emulator that splits and merges as the service does; its address."""
    command = ["npm", "install", "--no-audit", "--no-fund", f"kinesis-local@{KINESIS_LOCAL}"]
    home = _fetched(f"kinesis-local-{KINESIS_LOCAL}", ("node", "npm"), command, {})
    package = home / "node_modules" / "kinesis-local"
    # It listens on all interfaces and has no option for it: a copy that doesn't.
    program = folder / "main.js"
    program.write_text((package / "main.js").read_text().replace('"0.0.0.0"', '"127.0.0.1"'))
    port = free_port()
    environment = {
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        "KINESIS_MOCK_TLS_PORT": str(free_port()),
        "KINESIS_MOCK_CERT_PATH": str(package / "server.json"),
        "SHARD_LIMIT": "200",
        "LOG_LEVEL": "ERROR",
    }
    process = Process(
        "kinesis-local", ["node", str(program)], folder / "kinesis-local.log", environment=environment
    )
    with _running(process, port) as url:
        yield url


def settle(kinesis: Any, stream: str) -> None:
    """Waits until a stream takes its next split or merge."""

    def active() -> bool:
        told = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        return bool(told["StreamStatus"] == "ACTIVE")

    wait_until(active, f"stream {stream} to be active")
