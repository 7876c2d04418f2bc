"""`TargetStream` holds what all deliveries to one stream share; `Patience` decides how long one of them goes on trying."""

import concurrent.futures
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from penstock.io.aws.session import AwsSession
from penstock.io.errors import PenstockError, StopTimeout
from penstock.io.kinesis.positions import StreamIdentity
from penstock.io.kinesis.shard_map import LiveShardMap, ShardMap
from penstock.io.kinesis.stream_facts import LiveFacts, StreamFacts
from penstock.io.kinesis.wire.calls import KinesisClient, stream_arn, stream_in_words
from penstock.io.kinesis.write._limiter import ShardLimiter
from penstock.io.kinesis.write._packing import Packer
from penstock.io.kinesis.write.metrics import Recorder
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.rarely import Rarely

__all__ = ["TargetStream"]

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_PAUSE_S = 5.0


class TargetStream:
    """One stream that is written to. Packer and limiter are used under `lock`; all else is safe from any thread.

    Args:
        name: the stream's name or ARN.
        client: makes the calls.
        session: says who we are, for messages about refused permissions.
        shards: the stream's shard map.
        facts: the stream's facts.
        options: the write's options.
        refused: given where events name the stream: then a refusal is theirs, and not the end of the job. It is called
            with why the stream takes nothing, and how many events that costs.
        pool: runs requests side by side.
        recorder: counts what happens.
        stopping: set when the job stops; `options.stop_timeout` runs from then on.
        clock: gives monotonic seconds.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        name: str,
        client: KinesisClient,
        session: AwsSession,
        shards: LiveShardMap,
        facts: LiveFacts,
        options: KinesisWriteOptions,
        *,
        refused: Callable[[PenstockError, int], None] | None = None,
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
        self._live_facts = facts
        self.options = options
        self.refused = refused
        self.reached = False
        """Whether the shards could be listed once."""
        self.trusts_numbers = True
        """Whether sequence numbers tell a shard's incarnation (see `landing`)."""
        self._pool = pool
        self.recorder = recorder
        self.stopping = stopping
        self.clock = clock
        self.sleep = sleep
        self.lock = threading.Lock()
        self.packer = Packer(
            max_count=options.aggregation_max_count,
            max_size=options.aggregation_max_size,
            randomized=options.randomized_partition_key,
            ordered=options.ordered,
        )
        self.limiter = ShardLimiter(options.rate_limit, clock)
        self.facts = StreamFacts(StreamIdentity(stream_arn(name, session.options.region), 0))
        # Streams share the connections, so none of them may take all.
        share = max(1, options.max_connections // 4)
        self._slots = None if refused is None else threading.BoundedSemaphore(share)
        self._wrote_at: float | None = None
        self._rarely = Rarely(clock=clock)
        self._rarely_read = Rarely(1.0, clock)

    @property
    def words(self) -> str:
        """The stream as messages name it."""
        return stream_in_words(self.name)

    @property
    def arn(self) -> str:
        """The stream as IAM policies name it."""
        return stream_arn(self.name, self.session.options.region)

    def map_to_begin_with(self) -> ShardMap:
        """Gives the map for a new batch.

        After a pause it reads the map again: the stream may have been made again meanwhile.

        The service needs longer than `_PAUSE_S` to delete and make a stream, and takes no records meanwhile.

        Raises:
            PenstockError: the first map could not be loaded.
        """
        found = self.shards.current()
        self.reached = True
        self.take_facts(self._live_facts.current())
        if self._wrote_at is not None and self.clock() - self._wrote_at > _PAUSE_S:
            try:
                return self.shards.refresh(found.version)
            except PenstockError as error:
                _LOGGER.warning("%s: the shard map stays as it is: %s", self.words, error)
        return found

    def take_facts(self, facts: StreamFacts) -> None:
        """Uses these facts from now on, and logs what they change for the user."""
        before, self.facts = self.facts, facts
        if facts == before:
            return
        if before.identity.created_ms not in (0, facts.identity.created_ms):
            self._wrote_at = -_PAUSE_S  # the stream was made again: the known shards are another stream's
        with self.lock:
            self.limiter.follow(facts.mode == "ON_DEMAND")
        if facts.keys_by_service and not before.keys_by_service:
            self._say_auto()
        if facts.max_record_kib != before.max_record_kib:
            _LOGGER.info("%s takes records of up to %d KiB", self.words, facts.max_record_kib)

    def ask_again(self) -> None:
        """Asks for the facts again, because replies don't fit the known ones; at most once per second."""
        self.take_facts(self._live_facts.refresh(1.0))

    def _say_auto(self) -> None:
        if self.aggregates:
            _LOGGER.warning(
                "%s chooses the shard of each record itself (RecordDistributionStrategy AUTO), and --aggregation_enabled is "
                "true: consumers of the Kinesis Client Library drop user records whose key belongs to another shard",
                self.words,
            )  # fmt: skip
        else:
            _LOGGER.info(
                "%s chooses the shard of each record itself (RecordDistributionStrategy AUTO): events are not aggregated, "
                "and no order is kept", self.words,
            )  # fmt: skip

    @property
    def aggregates(self) -> bool:
        """Whether events are packed together."""
        chosen = self.options.aggregation_enabled
        return not self.facts.keys_by_service if chosen is None else chosen

    def may_read_map(self) -> bool:
        """Whether the map may be read again where it is only less exact: once per second."""
        return self._rarely_read.due()

    def wrote(self) -> None:
        """Takes note that the stream has just taken records."""
        self._wrote_at = self.clock()

    def submit(self, send: Callable[[T], R], request: T) -> "concurrent.futures.Future[R]":
        """Runs `send(request)` in the pool, as soon as the stream has a connection left."""
        if self._slots is None:
            return self._pool.submit(send, request)
        self._slots.acquire()
        future = self._pool.submit(send, request)
        future.add_done_callback(lambda _: self._release())
        return future

    def run(self, send: Callable[[T], R], request: T) -> R:
        """Runs `send(request)` on this thread, as soon as the stream has a connection left."""
        if self._slots is None:
            return send(request)
        with self._slots:
            return send(request)

    def _release(self) -> None:
        if self._slots is not None:
            self._slots.release()

    def log_retries(self, errors: Counter[str], waiting: int, kinds: Iterable[str]) -> None:
        """Logs what is tried again: each kind of error at once, and then at most once per minute."""
        due = [kind for kind in kinds if self._rarely.due(kind)]
        if due:
            told = ", ".join(f"{code} x{count}" for code, count in errors.most_common(5))
            _LOGGER.warning(
                "%s: %s; %d records wait and are tried again (said once a minute)",
                self.words, told, waiting,
            )  # fmt: skip


class Patience:
    """How long one delivery goes on trying, and what it met meanwhile. For one thread.

    Args:
        stream: where the events go.
        events: how many there are.

    Attributes:
        started: when the delivery began, by the stream's clock.
    """

    def __init__(self, stream: TargetStream, events: int) -> None:
        self._stream = stream
        self._events = events
        self.started = stream.clock()
        self._stop_at: float | None = None
        self._errors: Counter[str] = Counter()
        self._new: set[str] = set()

    def count(self, error: str) -> None:
        """Counts one more error, named in a word or two."""
        self._errors[error] += 1
        self._new.add(error)

    def log_retries(self, waiting: int) -> None:
        """Logs, not too often, what is tried again."""
        self._stream.log_retries(self._errors, waiting, self._new)
        self._new = set()

    def is_past_ttl(self, now: float) -> bool:
        """Whether events that are not written yet have expired."""
        ttl = self._stream.options.record_ttl
        return bool(ttl) and (now - self.started) * 1000 >= ttl

    def expiry(self) -> str:
        """Gives the reason why events have expired, for their letters."""
        return f"not written within --record_ttl {self._stream.options.record_ttl} ms ({self._told()})"

    def check_stop(self) -> None:
        """Raises `StopTimeout` when the job has been stopping for too long."""
        stream = self._stream
        if not stream.stopping.is_set():
            return
        now = stream.clock()
        if self._stop_at is None:
            self._stop_at = now + stream.options.stop_timeout
        if now >= self._stop_at:
            message = (
                f"the stop came before all of {self._events} events could be written to {stream.words} "
                f"({self._told()}); they are not acknowledged and come again."
            )
            raise StopTimeout(message)

    def _told(self) -> str:
        return ", ".join(f"{code} x{count}" for code, count in self._errors.most_common(3)) or "rate limit"
