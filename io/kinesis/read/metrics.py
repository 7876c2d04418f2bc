"""KCL's metrics of a read, in CloudWatch, named and dimensioned as KCL's `ProcessTask` does.

Namespace: the application. Dimensions: `Operation` = `ProcessTask`, and `ShardId`. Each read of a shard is one
sample of `MillisBehindLatest`, `RecordsProcessed` (user records), `DataBytesProcessed`, `Success` and `Time`; the
samples of ten seconds go out as one statistic set, from a thread of their own. What can't be uploaded is
summed up for the next time, so it stays bounded; a refused permission ends the job.

Source: https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-kcl.html
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.session import AwsSession, explain
from penstock.io.errors import AccessDenied, PenstockError
from penstock.io.kinesis.write.metrics import Statistics

__all__ = ["ReadMetrics"]

_LOGGER = logging.getLogger(__name__)

_EVERY_S = 10.0  # KCL's metricsBufferTimeMillis
_PER_CALL = 500  # PutMetricData takes 1,000, and 1 MB
_LAST_UPLOAD_S = 5.0
_WARN_EVERY_S = 3600.0

_UNITS = {
    "MillisBehindLatest": "Milliseconds",
    "RecordsProcessed": "Count",
    "DataBytesProcessed": "Bytes",
    "Success": "Count",
    "Time": "Milliseconds",
}


class ReadMetrics:
    """Sums up the samples of all shards and uploads them until it is closed. Safe from any thread.

    Args:
        session: who we are.
        namespace: CloudWatch's; the application's name.
        failed: is told a refused permission.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        session: AwsSession,
        namespace: str,
        failed: Callable[[PenstockError], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._namespace = namespace
        self._failed = failed
        self._wall = wall
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], Statistics] = {}
        self._warned: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kinesis-metrics", daemon=True)

    def start(self) -> None:
        """Begins to upload every ten seconds."""
        self._thread.start()

    def sample(self, shard_id: str, values: dict[str, float]) -> None:
        """One read of a shard: KCL's metric names with their values."""
        with self._lock:
            for name, value in values.items():
                found = self._series.get((shard_id, name))
                if found is None:
                    self._series[shard_id, name] = Statistics(value)
                else:
                    found.add(value)

    def _run(self) -> None:
        while not self._end.wait(_EVERY_S):
            self.upload()
        self.upload()

    def upload(self) -> None:
        """Uploads what was summed up; never raises."""
        with self._lock:
            series, self._series = self._series, {}
        data = [
            _datum(shard_id, name, statistics, self._wall())
            for (shard_id, name), statistics in series.items()
        ]
        try:
            for start in range(0, len(data), _PER_CALL):
                self._session.call(
                    "cloudwatch",
                    "put_metric_data",
                    Namespace=self._namespace,
                    MetricData=data[start : start + _PER_CALL],
                )
        except (BotoCoreError, ClientError) as error:
            self._give_back(series)
            resource = f"namespace {self._namespace} (--application_name)"
            failure = explain(error, self._session, "PutMetricData", resource, "upload metrics to CloudWatch")
            if isinstance(failure, AccessDenied):
                self._failed(failure)
            else:
                self._warn(failure)

    def _give_back(self, series: dict[tuple[str, str], Statistics]) -> None:
        with self._lock:
            for key, statistics in series.items():
                self._series.setdefault(key, Statistics.none()).merge(statistics)

    def _warn(self, failure: PenstockError) -> None:
        now = self._wall()
        if self._warned is None or now - self._warned >= _WARN_EVERY_S:
            self._warned = now
            _LOGGER.warning("%s; the data is not touched (said once an hour)", failure)

    def close(self) -> None:
        """Uploads the rest, in a few seconds at most."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_UPLOAD_S)


def _datum(shard_id: str, name: str, statistics: Statistics, timestamp: float) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [
            {"Name": "Operation", "Value": "ProcessTask"},
            {"Name": "ShardId", "Value": shard_id},
        ],
        "Timestamp": timestamp,
        "Unit": _UNITS[name],
        "StatisticValues": {
            "SampleCount": float(statistics.count),
            "Sum": float(statistics.sum),
            "Minimum": float(statistics.least),
            "Maximum": float(statistics.greatest),
        },
    }
