"""`TargetStream` holds what all deliveries to one stream share: its shard map, packer, rate limit and counters."""

import concurrent.futures
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from penstock.io.aws.session import AwsSession
from penstock.io.kinesis.shard_map import LiveShardMap
from penstock.io.kinesis.wire.calls import KinesisClient, stream_arn, stream_in_words
from penstock.io.kinesis.write._limiter import ShardLimiter
from penstock.io.kinesis.write._packing import Packer
from penstock.io.kinesis.write.metrics import Recorder
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.rarely import Rarely

__all__ = ["TargetStream"]

_LOGGER = logging.getLogger(__name__)


class TargetStream:
    """One stream that is written to. Packer and limiter are used under `lock`; all else is safe from any thread.

    Args:
        name: the stream's name or ARN.
        client: makes the calls.
        session: says who we are, for messages about refused permissions.
        shards: the stream's shard map.
        options: the write's options.
        pool: runs requests side by side.
        recorder: counts what happens.
        stopping: is set when the job stops: from then on `options.stop_timeout` runs.
        clock: gives monotonic seconds.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        name: str,
        client: KinesisClient,
        session: AwsSession,
        shards: LiveShardMap,
        options: KinesisWriteOptions,
        *,
        pool: concurrent.futures.Executor,
        recorder: Recorder,
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.client = client
        self.session = session
        self.shards = shards
        self.options = options
        self.pool = pool
        self.recorder = recorder
        self.stopping = stopping
        self.clock = clock
        self.sleep = sleep
        self.lock = threading.Lock()
        self.packer = Packer(
            aggregate=options.aggregation_enabled,
            max_count=options.aggregation_max_count,
            max_size=options.aggregation_max_size,
            randomized=options.randomized_partition_key,
            ordered=options.ordered,
        )
        self.limiter = ShardLimiter(options.rate_limit, clock)
        self._rarely = Rarely(clock=clock)

    @property
    def words(self) -> str:
        """The stream as messages name it."""
        return stream_in_words(self.name)

    @property
    def arn(self) -> str:
        """The stream as IAM policies name it."""
        return stream_arn(self.name, self.session.options.region)

    def log_retries(self, errors: Counter[str], waiting: int) -> None:
        """Says, at most once per minute, what is being tried again."""
        if self._rarely.due():
            told = ", ".join(f"{code} x{count}" for code, count in errors.most_common(5))
            _LOGGER.warning(
                "%s: %s; %d records wait and are tried again (said once a minute)",
                self.words, told, waiting,
            )  # fmt: skip
