"""`aws_server` runs moto on 127.0.0.1: Kinesis, DynamoDB, S3, CloudWatch and STS in one process, at one address.

Everything is in its memory and ends with it. Unlike the service it throttles nobody and never ends a closed
shard, so resharding is tested against other emulators.
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from local.processes import LocalError, Process

__all__ = ["CREDENTIALS", "REGION", "AwsServer", "create_stream"]

REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Environment for whoever talks to the server: it takes any key, but botocore wants one."""

START_TIMEOUT_S = 60.0


def create_stream(kinesis: Any, name: str, shards: int) -> None:
    """A Kinesis stream by a boto3 client, active on return."""
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


class AwsServer:
    """The server as a child process.

    Args:
        folder: for its log.
        port: where it listens; None is any free one.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        command = [sys.executable, "-P", str(Path(__file__).with_name("moto_program.py")), str(port or 0)]
        self.process = Process("moto", command, folder / "moto.log", environment=CREDENTIALS)
        self.endpoint_url = ""

    def wait_ready(self, waiting: Callable[[], None] = lambda: None) -> "AwsServer":
        """Returns when it listens; raises `LocalError` with its last words when it does not."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            found = re.search(r"serving at (http://\S+)", "\n".join(self.process.tail()))
            if found:
                self.endpoint_url = found[1]
                return self
            self.process.check()
            if time.monotonic() > deadline:
                message = f"moto does not listen within {START_TIMEOUT_S:g} s."
                raise LocalError(message + self.process.last_words())
            waiting()
            time.sleep(0.05)

    def client(self, service: str) -> Any:
        """A boto3 client of a service, for it."""
        make: Any = boto3.client  # its stubs know each service by name
        return make(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def create_stream(self, name: str, shards: int) -> None:
        """A Kinesis stream, active on return."""
        create_stream(self.client("kinesis"), name, shards)

    def stop(self) -> None:
        """Ends it, and everything it holds."""
        self.process.kill()
