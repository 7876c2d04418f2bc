"""A simulator and writers on it, with a clock that moves only when somebody sleeps."""

import concurrent.futures
import threading
from typing import Any

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.positions import StreamIdentity
from penstock.io.kinesis.shard_map import LiveShardMap, list_shards
from penstock.io.kinesis.stream_facts import LiveFacts, StreamFacts, describe_stream
from penstock.io.kinesis.wire.client import connect
from penstock.io.kinesis.write._limiter import ShardLimiter
from penstock.io.kinesis.write.delivery import Refusal, deliver
from penstock.io.kinesis.write.metrics import Recorder
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.stream import TargetStream
from tests.simulator import KinesisSimulator
from tests.tools.models.kpl import UserRecord, user_records

__all__ = ["STREAM", "Bench", "Target", "Time"]

STREAM = "orders"


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class _Unlimited(ShardLimiter):
    def __init__(self) -> None:
        super().__init__(100)

    def wait_s(self, shard_id: str, size: int) -> float:
        return 0.0


class Target(TargetStream):
    """Delivers to itself, so that a test reads as one sentence."""

    def write(self, datas: list[bytes], keys: list[str] | None) -> list[Refusal]:
        return deliver(self, datas, keys)


class Bench:
    """A simulator and writers on it."""

    def __init__(self, kinesis: KinesisSimulator, plane: str) -> None:
        self.kinesis = kinesis
        self.plane = plane
        self.time = Time()
        self.stopping = threading.Event()
        self.recorder = Recorder()
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.aws = AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="key", secret_key="secret")

    def writer(self, **options: Any) -> Target:
        session = AwsSession(self.aws)
        writer = Target(
            STREAM,
            connect(session, max_connections=8, data_plane=self.plane),
            session,
            LiveShardMap(lambda: list_shards(session, STREAM, retries=False), STREAM),
            LiveFacts(
                lambda: describe_stream(session, STREAM),
                StreamFacts(StreamIdentity("arn", 0)),
                clock=self.time.clock,
            ),
            KinesisWriteOptions(STREAM, **options),
            pool=self.pool,
            recorder=self.recorder,
            stopping=self.stopping,
            clock=self.time.clock,
            sleep=self.time.sleep,
        )
        if "rate_limit" not in options:
            # The clock stands still while requests are sent: no bucket would ever fill again.
            writer.limiter = _Unlimited()
        return writer

    def readable(self) -> list[tuple[str, UserRecord]]:
        """What a KCL consumer sees, shard by shard: a record with a user record of another shard is dropped."""
        found = []
        ranges = {shard.shard_id: (shard.start, shard.end) for shard in self.kinesis.stream(STREAM).shards}
        for shard_id, key, data, explicit in self.kinesis.records(STREAM):
            users = user_records(data, key, None if explicit is None else str(explicit))
            low, high = ranges[shard_id]
            aggregated = data.startswith(b"\xf3\x89\x9a\xc2")
            if not aggregated or all(low <= user.hash_key <= high for user in users):
                found += [(shard_id, user) for user in users]
        return found

    def datas(self) -> list[bytes]:
        return [user[2] for _, user in self.readable()]
