"""`describe_stream` asks the service what a stream is: who it is, how it is made, and how large its records may be.

A name is no identity: a stream can be deleted and made again under its name. ARN and time of creation are one.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from penstock.io.aws.sense import NONSENSE
from penstock.io.aws.session import AwsSession
from penstock.io.errors import AccessDenied, PenstockError
from penstock.io.kinesis.positions import StreamIdentity
from penstock.io.kinesis.wire.calls import (
    failure_behind,
    not_promised,
    stream_argument,
    stream_arn,
    stream_in_words,
)

__all__ = ["LiveFacts", "StreamFacts", "describe_stream", "facts_of"]

_LOGGER = logging.getLogger(__name__)

_REFRESH_S = 45.0
_AGAIN_S = 10.0
_UNKNOWN_RETENTION_H = 24
_UNKNOWN_RECORD_KIB = 1024


class StreamFacts(NamedTuple):
    """The facts that DescribeStreamSummary tells of a stream.

    Attributes:
        identity: which stream it is.
        status: ACTIVE, UPDATING, CREATING or DELETING.
        mode: PROVISIONED or ON_DEMAND.
        open_shards: how many shards take records.
        retention_h: hours for which records are kept.
        key_id: the KMS key that encrypts it; None without.
        consumers: consumers with enhanced fan-out.
        max_record_kib: how large a record may be; 1,024 where the service doesn't say.
        keys_by_service: whether the service puts records into any shard, and may leave partition keys out.
        warm_mibps: the throughput that an on-demand stream takes at once; None where the service doesn't say.
    """

    identity: StreamIdentity
    status: str = "ACTIVE"
    mode: str = "PROVISIONED"
    open_shards: int = 0
    retention_h: int = _UNKNOWN_RETENTION_H
    key_id: str | None = None
    consumers: int = 0
    max_record_kib: int = _UNKNOWN_RECORD_KIB
    keys_by_service: bool = False
    warm_mibps: int | None = None

    def in_words(self) -> str:
        """Gives all facts in one line, as `penstock check` prints them."""
        mode = "on demand" if self.mode == "ON_DEMAND" else "provisioned"
        if self.warm_mibps is not None:
            mode += f" (warm throughput {self.warm_mibps} MiB/s)"
        keys = ", partition keys managed by the service" if self.keys_by_service else ""
        encrypted = f"encrypted with {self.key_id}" if self.key_id else "not encrypted by KMS"
        consumers = f"{self.consumers} consumers with enhanced fan-out"
        return (
            f"{self.status}, {mode}{keys}, {self.open_shards} open shards, keeps records {self.retention_h} h, "
            f"{encrypted}, {consumers}, records up to {self.max_record_kib} KiB"
        )


def facts_of(summary: dict[str, Any], stream: str, region: str) -> StreamFacts:
    """Reads the facts from a StreamDescriptionSummary as boto3 gives it.

    Args:
        summary: the reply's StreamDescriptionSummary.
        stream: the stream's name or ARN, for what an emulator leaves out.
        region: the stream's region, for the same reason.

    Raises:
        One of `NONSENSE`: the summary is not what the API promises.
    """
    created = summary.get("StreamCreationTimestamp")
    warm = summary.get("WarmThroughput") or {}
    return StreamFacts(
        StreamIdentity(
            str(summary.get("StreamARN") or stream_arn(stream, region)),
            0 if created is None else round(created.timestamp() * 1000),
        ),
        str(summary["StreamStatus"]),
        str((summary.get("StreamModeDetails") or {}).get("StreamMode", "PROVISIONED")),
        int(summary.get("OpenShardCount") or 0),
        int(summary.get("RetentionPeriodHours") or _UNKNOWN_RETENTION_H),
        str(summary["KeyId"]) if summary.get("EncryptionType") == "KMS" else None,
        int(summary.get("ConsumerCount") or 0),
        int(summary.get("MaxRecordSizeInKiB") or _UNKNOWN_RECORD_KIB),
        summary.get("RecordDistributionStrategy") == "AUTO",
        None if warm.get("CurrentMiBps") is None else int(warm["CurrentMiBps"]),
    )


def describe_stream(session: AwsSession, stream: str) -> StreamFacts:
    """Asks for the facts of a stream, given its name or ARN.

    Raises:
        PenstockError: the call failed, or its reply is not what the API promises; one line for the user.
    """
    doing = f"describe {stream_in_words(stream)}"
    resource = stream_arn(stream, session.options.region)
    try:
        reply = session.call_explained(
            "kinesis",
            "describe_stream_summary",
            "DescribeStreamSummary",
            resource,
            doing,
            **stream_argument(stream),
        )
        return facts_of(reply["StreamDescriptionSummary"], stream, session.options.region)
    except NONSENSE as error:
        raise not_promised(doing) from error


class LiveFacts:
    """Keeps the current facts of one stream. While they are used, a thread asks for them again every 45 seconds.

    Nothing stops when the service doesn't answer. Then the last facts hold, or `unknown` where there are none yet.

    Args:
        load: gives the stream's facts; `describe_stream` bound to a session and a stream.
        unknown: the facts that hold until the service has answered.
        every_s: gives the seconds until it is time to ask again.
        clock: gives monotonic seconds.
    """

    def __init__(
        self,
        load: Callable[[], StreamFacts],
        unknown: StreamFacts,
        *,
        every_s: Callable[[], float] = lambda: _REFRESH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._facts = unknown
        self._loaded_at: float | None = None
        self._due = 0.0
        self._loading = False
        self._warned = False

    def current(self) -> StreamFacts:
        """Gives the facts. Asks for them the first time, and starts to ask beside the data when it is time."""
        if self._loaded_at is None:
            self.refresh(0.0)
        elif self._clock() >= self._due and not self._loading:
            self._loading = True
            threading.Thread(target=self._refresh_beside, name="penstock-facts", daemon=True).start()
        return self._facts

    def refresh(self, at_most_every_s: float) -> StreamFacts:
        """Asks for the facts again, unless that was done less than so many seconds ago."""
        with self._lock:
            now = self._clock()
            if self._loaded_at is not None and now - self._loaded_at < at_most_every_s:
                return self._facts
            wait_s = self._every_s()
            try:
                self._facts = self._load()
                self._warned = False
            except PenstockError as error:
                failure = failure_behind(error, "DescribeStreamSummary")
                if failure is None or not failure.throttled:
                    self._warn(error)
                if not isinstance(error, AccessDenied):
                    wait_s = min(wait_s, _AGAIN_S)
            self._loaded_at = self._clock()
            self._due = self._loaded_at + wait_s * random.uniform(0.8, 1.2)
            return self._facts

    def _warn(self, error: PenstockError) -> None:
        if not self._warned:
            _LOGGER.warning("%s What is known of the stream stays as it is.", error)
        self._warned = True

    def _refresh_beside(self) -> None:
        try:
            self.refresh(0.0)
        finally:
            self._loading = False
