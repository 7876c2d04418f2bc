"""Secrets to plant, and the peers of jobs that are to fail: whatever they print must not hold one."""

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.fake_http import fake_http

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted/aws+secret/key",
    "AWS_SESSION_TOKEN": "planted-session-token==",
    "PENSTOCK_PASSWORD": "planted-password-%41&x",
    "PENSTOCK_API_KEY": "planted-id:planted-api-key",
    "PENSTOCK_CUSTOM_HEADERS": "Authorization=Bearer planted-bearer",
    "PENSTOCK_PROXY": "http://someone:planted-proxy-password@127.0.0.1:9",
    "PENSTOCK_SSL_KEY_PASSPHRASE": "planted-passphrase",
    "PENSTOCK_SSE_CUSTOMER_KEY": base64.b64encode(b"planted-customer-key-of-32-bytes").decode(),
    "PENSTOCK_SECRET_KEY": "planted/option+secret/key",
    "PENSTOCK_SESSION_TOKEN": "planted-option-token",
    "PENSTOCK_METRICS_SECRET_KEY": "planted-metrics-secret",
}
NEEDLES = {
    "planted",
    SECRETS["PENSTOCK_SSE_CUSTOMER_KEY"],
    base64.b64encode(b"someone:planted-proxy-password").decode(),
    base64.b64encode(f"elastic:{SECRETS['PENSTOCK_PASSWORD']}".encode()).decode(),
    base64.b64encode(SECRETS["PENSTOCK_API_KEY"].encode()).decode(),
}
TIMEOUT_S = 120

BEATS = ("beats-to-kinesis", "--stream_name", "orders")
KINESIS = (
    "kinesis-to-elasticsearch", "--kinesis_stream_name", "orders", "--application_name", "app", "--checkpoints", "none",
)  # fmt: skip
ARCHIVE = (
    "kinesis-to-s3", "--kinesis_stream_name", "nowhere", "--application_name", "app", "--archive", "s3://bucket/x",
)  # fmt: skip
BACKFILL = ("s3-to-elasticsearch", "--input")
REPLAY = ("replay-dead-letters", "--dead_letters")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Peers:
    """What the cases need: an AWS and an Elasticsearch that answer as told, a folder, a port."""

    def __init__(self, folder, kinesis, elasticsearch):
        self.folder = folder
        self.kinesis = kinesis
        self.hosts = elasticsearch.url
        self.nobody = f"http://127.0.0.1:{free_port()}"
        self.port = free_port()
        self.replies = {"GET /": (200, b'{"version":{"number":"9.1.2"}}')}
        self.aws = ("--endpoint_url", kinesis.endpoint_url)

    def answer(self, request):
        asked = f"{request.method} {request.path}"
        fits = [known for known in self.replies if asked.startswith(known)]
        return self.replies[max(fits, key=len)] if fits else (200, b'{"has_all_requested":true}')


@contextlib.contextmanager
def peers_of(folder) -> Iterator[Peers]:
    """An AWS with the stream `orders` and an Elasticsearch, both on loopback."""
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("orders")
        with fake_http(lambda request: made.answer(request)) as fake:
            made = Peers(folder, kinesis, fake)
            yield made


def environment(folder):
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "AKIAPLAINLYSEEN",
        "AWS_SECRET_ACCESS_KEY": SECRETS["AWS_SECRET_ACCESS_KEY"],
        "AWS_SESSION_TOKEN": SECRETS["AWS_SESSION_TOKEN"],
    }


def assert_no_secret(*texts):
    for text in texts:
        for needle in NEEDLES:
            at = text.find(needle)
            assert at < 0, text[max(0, at - 500) : at + 200]


def wait_while(process: "subprocess.Popen[str]", condition: Callable[[], bool]) -> None:
    """Waits for a condition while a process runs."""

    def met() -> bool:
        assert process.poll() is None, process.communicate()
        return condition()

    wait_until(met)


@contextlib.contextmanager
def commands_of(peers: Peers) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `penstock ARGUMENTS` as processes; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-P", "-m", "penstock", *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=peers.folder, env=environment(peers.folder), stdout=pipe, stderr=pipe, text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            # With it its workers: left alone they would look for it for two minutes.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
