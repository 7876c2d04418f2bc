"""`KinesisWriter` writes the batches of a process: it groups events by stream, and makes letters of refused ones.

Delivery guarantee: at least once. `write` returns only when each event is in its stream or refused for good; a request
whose reply was lost is sent again (see `delivery`).
"""

import concurrent.futures
import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from penstock.io.aws.cloudwatch import MetricsUploader
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import PenstockError
from penstock.io.kinesis.positions import StreamIdentity
from penstock.io.kinesis.shard_map import LiveShardMap, list_shards
from penstock.io.kinesis.stream_facts import LiveFacts, StreamFacts, describe_stream
from penstock.io.kinesis.wire.calls import stream_arn
from penstock.io.kinesis.wire.client import connect
from penstock.io.kinesis.write.delivery import Refusal, deliver
from penstock.io.kinesis.write.metrics import Recorder, series_of
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.routing import DEFAULT_KEY, PartitionKeys, StreamName
from penstock.io.kinesis.write.stream import TargetStream
from penstock.io.rarely import Rarely
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.document import payload_of

__all__ = ["KinesisWriter", "uploader_of"]

_LOGGER = logging.getLogger(__name__)

_FACTS_EVERY_S = 45.0
_REFUSED_EVERY_S = 3600.0
_MOST_TOLD = 20
_LOOK_FOR_STOP_S = 0.5
_TELLING = 1000
"""Events after which it is known whether a field for the partition key is there at all."""
_MAX_AT_ONCE = 64
"""The most streams that one batch is written to at the same time."""
_MAX_STREAMS = 1000
"""The most streams that one process keeps shard maps of, where events name their stream."""


class KinesisWriter:
    """Writes batches for all DoFn instances of a process: one client with its connections, one pool of threads.

    Args:
        options: the write's options.
        aws: who we are, and where AWS is.
        recorder: counts what happens.
        stopping: set when the job stops.
    """

    def __init__(
        self,
        options: KinesisWriteOptions,
        aws: AwsOptions,
        *,
        recorder: Recorder | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self.options = options
        self._session = AwsSession(aws)
        self._client = connect(
            self._session, max_connections=options.max_connections, data_plane=options.data_plane
        )
        self._name = StreamName(options.stream_name)
        self.recorder = recorder or Recorder()
        self._stopping = stopping or LIVE.stopping
        self._pool = concurrent.futures.ThreadPoolExecutor(
            options.max_connections, thread_name_prefix="penstock-put"
        )
        self._metrics = None
        if options.metrics_level != "none":
            self._metrics = uploader_of(self.recorder, options, aws)
            self._metrics.start()
        self._refused = Rarely(_REFUSED_EVERY_S)
        self._told_since = self._told = 0.0
        self._keys_seen = False
        self._without_keys = 0
        self._lock = threading.Lock()
        self._streams: dict[str, TargetStream] = {}
        self._room = threading.Condition()
        self._pending = 0

    @contextlib.contextmanager
    def room(self, events: int) -> Iterator[None]:
        """Counts `events` as pending while the block runs, and first waits until `max_pending_records` lets them in.

        One batch is always let in, however large it is. A stop lets all in, so that no batch waits twice for a sick stream.
        """
        with self._room:
            while (
                self._pending
                and self._pending + events > self.options.max_pending_records
                and not self._stopping.is_set()
            ):
                self._room.wait(_LOOK_FOR_STOP_S)
            self._pending += events
        try:
            yield
        finally:
            with self._room:
                self._pending -= events
                self._room.notify_all()

    def write(
        self, events: Sequence[Event], keys: PartitionKeys, waited_ms: float = 0.0
    ) -> tuple[list[DeadLetter], int]:
        """Writes events. Gives the dead letters of refused ones, and the bytes of all.

        Raises:
            PenstockError: no retry helps. Then nothing counts as written.
        """
        events, datas, letters = _payloads(events)
        if letters and not events:
            return letters, 0
        chosen = keys.of(events)
        if chosen is not None and not self._keys_seen:
            self._look_for_keys(chosen, keys)
        size = sum(map(len, datas))
        if self._name.literal is not None:
            refusals = deliver(self._target(self._name.literal), datas, chosen, waited_ms)
            return letters + [_letter(events[refusal.at], refusal) for refusal in refusals], size
        groups: dict[str | None, list[int]] = {}
        for index, stream in enumerate(self._name.of(events)):
            groups.setdefault(stream, []).append(index)
        nowhere = groups.pop(None, [])
        reason = f"the event's fields give no stream name for --stream_name {self.options.stream_name}"
        letters += [_letter(events[index], Refusal(index, "NoStream", reason, 0)) for index in nowhere]

        def send(stream: str, indices: list[int]) -> list[DeadLetter]:
            target = self._target(stream)
            refusals = deliver(
                target,
                [datas[index] for index in indices],
                None if chosen is None else [chosen[index] for index in indices],
                waited_ms,
            )
            if not target.reached:
                with self._lock:  # a name without a stream takes no other stream's place
                    self._streams.pop(stream, None)
            return [_letter(events[indices[refusal.at]], refusal) for refusal in refusals]

        for found in _side_by_side(send, groups):
            letters += found
        return letters, size

    def _look_for_keys(self, chosen: list[str], keys: PartitionKeys) -> None:
        """Logs once that no event has had a field for its partition key, so that all of them go to one shard."""
        self._without_keys += len(chosen)
        if any(key != DEFAULT_KEY for key in chosen):
            self._keys_seen = True
        elif self._without_keys >= _TELLING:
            self._keys_seen = True
            _LOGGER.warning(
                "none of the first %d events has a field of --event_partition_keys (%s): their partition key is %r, "
                "so that all of them go to one shard",
                self._without_keys, ", ".join(keys.fields), DEFAULT_KEY,
            )  # fmt: skip

    def _say_refused(self, stream: str, error: PenstockError, count: int) -> None:
        """Logs that events of a stream become dead letters, once per hour for each stream and kind of refusal.

        At most `_MOST_TOLD` such lines per minute: events may name any number of streams.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._told_since >= 60.0:
                self._told_since, self._told = now, 0
            if self._told >= _MOST_TOLD or not self._refused.due((stream, type(error).__name__)):
                return
            self._told += 1
        _LOGGER.warning(
            "%s Events that name this stream (%d now) become dead letters; the others are written (said once an hour)",
            error, count,
        )  # fmt: skip

    def _target(self, stream: str) -> TargetStream:
        with self._lock:
            target = self._streams.get(stream)
            if target is None:
                while len(self._streams) >= _MAX_STREAMS:
                    self._streams.pop(next(iter(self._streams)))
                session = self._session
                target = self._streams[stream] = TargetStream(
                    stream,
                    self._client,
                    session,
                    LiveShardMap(lambda: list_shards(session, stream, retries=False), stream),
                    LiveFacts(
                        lambda: describe_stream(session, stream),
                        StreamFacts(StreamIdentity(stream_arn(stream, session.options.region), 0)),
                        # The service answers 20 such calls per second for the whole account.
                        every_s=lambda: _FACTS_EVERY_S * max(1.0, len(self._streams) / 200),
                    ),
                    self.options,
                    refused=None if self._name.literal else functools.partial(self._say_refused, stream),
                    pool=self._pool,
                    recorder=self.recorder,
                    stopping=self._stopping,
                )
            return target

    def close(self) -> None:
        """Ends the threads and closes the connections."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()
        if self._metrics is not None:
            self._metrics.close()


def _side_by_side(
    send: Callable[[str, list[int]], list[DeadLetter]], groups: Mapping[str | None, list[int]]
) -> list[list[DeadLetter]]:
    """Sends each stream's events at the same time, so that a slow stream doesn't delay the others of the batch.

    The threads belong to this batch. So a stream that takes nothing holds up only batches with events for it.
    """
    named = [(stream, indices) for stream, indices in groups.items() if stream is not None]
    if len(named) < 2:
        return [send(*each) for each in named]
    with concurrent.futures.ThreadPoolExecutor(
        min(len(named), _MAX_AT_ONCE), thread_name_prefix="penstock-stream"
    ) as pool:
        futures = [pool.submit(send, *each) for each in named]
    # All have ended, so the first failure can be raised.
    return [future.result() for future in futures]


def uploader_of(recorder: Recorder, options: KinesisWriteOptions, aws: AwsOptions) -> MetricsUploader:
    """Makes the uploader of `recorder`'s sums, by the options' level, granularity, namespace and delay."""
    return MetricsUploader(
        lambda: series_of(recorder.take(), options.metrics_level, options.metrics_granularity),
        lambda: AwsSession(options.metrics_aws(aws)),
        options.metrics_namespace,
        every_s=options.metrics_upload_delay / 1000,
        option="--metrics_namespace",
        advice="--metrics_level none switches metrics off",
    )


def _payloads(events: Sequence[Event]) -> tuple[Sequence[Event], list[bytes], list[DeadLetter]]:
    """Gives the events that can be written, their bytes, and letters for events with values that JSON can't hold.

    What orjson wrote is copied: it keeps a buffer of 1 KiB, and a batch of those costs 3 us per event.
    """
    try:
        return events, [b"%b" % payload_of(event) if event.changed else event.data for event in events], []
    except TypeError:  # an integer beyond 64 bits, a lone surrogate
        pass
    kept: list[Event] = []
    datas: list[bytes] = []
    letters: list[DeadLetter] = []
    for index, event in enumerate(events):
        try:
            datas.append(payload_of(event) if event.changed else event.data)
            kept.append(event)
        except TypeError as error:
            reason = f"the event cannot be written as JSON: {error}"[:300]
            letters.append(_letter(event, Refusal(index, "UnwritableEvent", reason, 0)))
    return kept, datas, letters


def _letter(event: Event, refusal: Refusal) -> DeadLetter:
    return DeadLetter(event, refusal.error, refusal.reason, "kinesis", attempts=max(refusal.attempts, 1))
