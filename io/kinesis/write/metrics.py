"""`Recorder` sums up what the Kinesis write does, as KPL's metrics, until somebody takes them.

A metric's value is a statistic set, kept by the metric's name and, where it has one, its shard or error code. Adding
costs a microsecond, and waits only for another adder. `series_of` turns what was taken into the series of CloudWatch, with
KPL's names, levels and dimensions.

Source: https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-kpl.html
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from penstock.io.aws.cloudwatch import Series, Statistics
from penstock.io.meters import METERS

__all__ = ["COUNTS", "Landed", "Metric", "Recorder", "series_of"]

COUNTS = (
    "AllErrors",
    "KinesisRecordsDataPut",
    "KinesisRecordsPut",
    "PutRecords",
    "RetriesPerRecord",
    "UserRecordsPut",
)
"""The names that `Recorder.take_counts` may give."""

_SUMMARY = frozenset(
    {
        "UserRecordsPut",
        "KinesisRecordsPut",
        "ErrorsByCode",
        "AllErrors",
        "BufferingTime",
        "UserRecordExpired",
    }
)
"""KPL's metrics of level summary; all others are detailed."""

_REQUEST = "kinesis_put_records"
_MAX_SERIES = 50_000
"""The most series (names times streams and shards). Further ones are summed under no stream and no shard."""
_MAX_PENDING = 1000
"""The most streams whose user records on their way are counted."""


class Metric(NamedTuple):
    """Names a series: KPL's name, the stream, and the shard or error code where the metric has one."""

    name: str
    stream: str
    shard_id: str | None = None
    error_code: str | None = None


class Landed(NamedTuple):
    """Kinesis records that one shard has taken, each at the same attempt.

    Attributes:
        stream: the stream's name or ARN.
        shard_id: which shard.
        users: the user records in each.
        sizes: the bytes of each.
        retries: how often they had been refused before.
        buffered_ms: milliseconds from the oldest event's arrival until they were sent.
    """

    stream: str
    shard_id: str
    users: list[int]
    sizes: list[int]
    retries: int
    buffered_ms: float


class Recorder:
    """Sums samples up; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[Metric, Statistics] = {}
        self._pending: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    def add(
        self,
        name: str,
        stream: str,
        value: float,
        *,
        shard_id: str | None = None,
        error_code: str | None = None,
        count: int = 1,
    ) -> None:
        """Adds `count` samples of `value` to a series."""
        metric = Metric(name, stream, shard_id, error_code)
        with self._lock:
            found = self._series.get(metric)
            if found is not None:
                found.add(value, count)
                return
            self._bounded(metric).add(value, count)

    def extend(self, name: str, stream: str, values: Sequence[float], *, shard_id: str) -> None:
        """Adds several samples to a series."""
        metric = Metric(name, stream, shard_id)
        with self._lock:
            found = self._series.get(metric)
            if found is None:
                found = self._bounded(metric)
            found.extend(values)

    def _bounded(self, metric: Metric) -> Statistics:
        """Gives a new series; where there are too many, the one that all further ones of that name share."""
        if len(self._series) >= _MAX_SERIES:
            metric = Metric(metric.name, "")
        return self._series.setdefault(metric, Statistics.none())

    def landed(self, landed: Landed) -> None:
        """Counts Kinesis records that one shard has taken."""
        stream, shard_id = landed.stream, landed.shard_id
        total, records = sum(landed.users), len(landed.users)
        self.add("UserRecordsPut", stream, 1, shard_id=shard_id, count=total)
        self.add("RetriesPerRecord", stream, landed.retries, shard_id=shard_id, count=total)
        self.add("BufferingTime", stream, landed.buffered_ms, shard_id=shard_id, count=total)
        self.add("AllErrors", stream, 0, shard_id=shard_id, count=records)
        self.add("KinesisRecordsPut", stream, 1, shard_id=shard_id, count=records)
        self.extend("UserRecordsPerKinesisRecord", stream, landed.users, shard_id=shard_id)
        self.extend("KinesisRecordsDataPut", stream, landed.sizes, shard_id=shard_id)
        self.count(
            UserRecordsPut=total,
            KinesisRecordsPut=records,
            KinesisRecordsDataPut=sum(landed.sizes),
            RetriesPerRecord=landed.retries * total,
        )

    def requested(self, stream: str, seconds: float, users: Sequence[int], sizes: Sequence[int]) -> None:
        """Counts a request that has ended: how long it took, and each record's user records and bytes."""
        METERS.requested(_REQUEST, seconds, sum(sizes))
        self.add("RequestTime", stream, seconds * 1000)
        self.add("KinesisRecordsPerPutRecordsRequest", stream, len(users))
        self.add("UserRecordsPerPutRecordsRequest", stream, sum(users))
        self.count(PutRecords=1)

    def failed(self, stream: str, shard_id: str | None, code: str, users: int, words: str = "") -> None:
        """Counts a Kinesis record that was not taken, with its user records; `words` as in `Meters.retried`."""
        METERS.retried(_REQUEST, code, users, words)
        self.add("ErrorsByCode", stream, 1, shard_id=shard_id, error_code=code)
        self.add("AllErrors", stream, 1, shard_id=shard_id)
        self.count(AllErrors=1)

    def count(self, **counts: int) -> None:
        """Adds to the plain counts that become Beam metrics, by KPL's names."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count

    def take_counts(self) -> dict[str, int]:
        """Gives the plain counts since the last time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return {name: count for name, count in counts.items() if count}

    def pending(self, stream: str, change: int) -> None:
        """Counts user records that are on their way: so many more, or fewer."""
        with self._lock:
            count = self._pending.get(stream, 0) + change
            if count or len(self._pending) < _MAX_PENDING:
                self._pending[stream] = count
            else:
                # Events may name any number of streams, so streams that nothing is on its way to are forgotten.
                self._pending = {
                    name: left for name, left in self._pending.items() if left and name != stream
                }

    def take(self) -> dict[Metric, Statistics]:
        """Gives everything since the last time, and the user records that are pending now. Then it starts from zero."""
        with self._lock:
            series, self._series = self._series, {}
            for stream, count in self._pending.items():
                series[Metric("UserRecordsPending", stream)] = Statistics(count)
        return series


def _unit(name: str) -> str:
    if name.endswith("Time"):
        return "Milliseconds"
    return "Bytes" if name.endswith("DataPut") else "Count"


def series_of(taken: Mapping[Metric, Statistics], level: str, granularity: str) -> dict[Series, Statistics]:
    """Gives what was taken as series of CloudWatch: each metric once per dimension that it has.

    Args:
        taken: the result of `Recorder.take`.
        level: `summary` leaves the detailed metrics out; `detailed` and `cloudwatch` keep all.
        granularity: the finest dimension: `global`, `stream` or `shard`.
    """
    summed: dict[Series, Statistics] = {}
    for metric, statistics in taken.items():
        if statistics.count == 0 or (level == "summary" and metric.name not in _SUMMARY):
            continue
        code = (("ErrorCode", metric.error_code[:255]),) if metric.error_code else ()
        places: list[tuple[tuple[str, str], ...]] = [code]
        stream = (("StreamName", metric.stream.rpartition("/")[2]),)
        if granularity != "global" and metric.stream:
            places.append(code + stream)
        if granularity == "shard" and metric.shard_id:
            places.append(code + stream + (("ShardId", metric.shard_id),))
        for place in places:
            series = Series(metric.name, _unit(metric.name), place)
            summed.setdefault(series, Statistics.none()).merge(statistics)
    return summed
