"""The writer of one stream, which the deliveries of all batches share.

Delivery guarantee: at least once. `write` returns only when each event is in the stream or refused for good;
a request whose reply was lost is sent again (see `delivery`).
"""

import concurrent.futures
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from penstock.io.aws.session import AwsSession
from penstock.io.kinesis.shard_map import LiveShardMap
from penstock.io.kinesis.wire.calls import KinesisClient, stream_in_words
from penstock.io.kinesis.write._limiter import ShardLimiter
from penstock.io.kinesis.write._packing import Packer
from penstock.io.kinesis.write.delivery import Delivery, Refusal
from penstock.io.kinesis.write.metrics import Recorder
from penstock.io.kinesis.write.options import KinesisWriteOptions

__all__ = ["Refusal", "StreamWriter"]

_LOGGER = logging.getLogger(__name__)

_LOG_EVERY_S = 60.0


class StreamWriter:
    """Writes to one stream; safe from any thread.

    Args:
        stream: its name or ARN.
        client: makes the calls.
        session: for messages about refused permissions.
        shards: the stream's shard map.
        options: the write's options.
        pool: runs requests side by side.
        recorder: counts what happens.
        stopping: set when the job stops: from then on `options.stop_timeout` runs.
        clock: monotonic seconds.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        stream: str,
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
        self.stream = stream
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
        self._logged: float | None = None

    def write(
        self, datas: Sequence[bytes], keys: Sequence[str] | None, waited_ms: float = 0.0
    ) -> list[Refusal]:
        """Puts events into the stream; returns when all are there, with those that were refused for good.

        Args:
            datas: the events' bytes.
            keys: a partition key each; None when all take `-`, or random ones.
            waited_ms: how long they have waited for this call, for the metric BufferingTime.

        Raises:
            PenstockError: what no retry cures (a permission, a stream that is gone), or a stop that took too long.
        """
        if not datas:
            return []
        self.recorder.add("UserRecordsReceived", self.stream, 1, count=len(datas))
        self.recorder.pending(self.stream, len(datas))
        try:
            return Delivery(self, datas, keys, waited_ms).run()
        finally:
            self.recorder.pending(self.stream, -len(datas))

    def where(self) -> str:
        """The stream, for messages."""
        return stream_in_words(self.stream)

    def log_retries(self, errors: Counter[str], waiting: int) -> None:
        """Says, once a minute at most, what is being tried again."""
        now = self.clock()
        if self._logged is None or now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            told = ", ".join(f"{code} x{count}" for code, count in errors.most_common(5))
            _LOGGER.warning(
                "%s: %s; %d records wait and are tried again (said once a minute)",
                self.where(), told, waiting,
            )  # fmt: skip
