"""Publishes the write's metrics to CloudWatch, named, levelled and dimensioned as KPL does.

A thread of its own takes what the recorder has summed up and uploads it every `metrics_upload_delay`. It can
neither slow nor stop the data: what it can't upload is kept for the next time (summed up, so bounded), and a
refusal is one warning an hour.

Source: https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-kpl.html;
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html (1,000 metrics, 1 MB).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from penstock.io.aws.session import AwsOptions, AwsSession, explain
from penstock.io.errors import PenstockError
from penstock.io.kinesis.write.metrics import Metric, Recorder, Statistics
from penstock.io.kinesis.write.options import KinesisWriteOptions

__all__ = ["MetricsUploader", "metric_data"]

_LOGGER = logging.getLogger(__name__)

_PER_CALL = 500
"""Half of what PutMetricData takes, to stay below its 1 MB whatever the names' lengths."""
_WARN_EVERY_S = 3600.0
_LAST_UPLOAD_S = 5.0

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


def _unit(name: str) -> str:
    if name.endswith("Time"):
        return "Milliseconds"
    return "Bytes" if name.endswith("DataPut") else "Count"


def metric_data(
    series: Mapping[Metric, Statistics], level: str, granularity: str, timestamp: float
) -> list[dict[str, Any]]:
    """The series as PutMetricData's `MetricData`: each metric once for every dimension it has.

    Args:
        series: what was recorded.
        level: `summary` leaves the detailed metrics out; `detailed` and `cloudwatch` take all.
        granularity: the finest dimension: `global`, `stream` or `shard`.
        timestamp: seconds since 1970.
    """
    summed: dict[tuple[str, tuple[tuple[str, str], ...]], Statistics] = {}
    for metric, statistics in series.items():
        if statistics.count == 0 or (level == "summary" and metric.name not in _SUMMARY):
            continue
        code = (("ErrorCode", metric.error_code[:255]),) if metric.error_code else ()
        places: list[tuple[tuple[str, str], ...]] = [code]
        stream = (("StreamName", metric.stream.rpartition("/")[2]),)
        if granularity != "global":
            places.append(code + stream)
        if granularity == "shard" and metric.shard_id:
            places.append(code + stream + (("ShardId", metric.shard_id),))
        for place in places:
            summed.setdefault((metric.name, place), Statistics.none()).merge(statistics)
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in place],
            "Timestamp": timestamp,
            "Unit": _unit(name),
            "StatisticValues": {
                "SampleCount": float(statistics.count),
                "Sum": float(statistics.sum),
                "Minimum": float(statistics.least),
                "Maximum": float(statistics.greatest),
            },
        }
        for (name, place), statistics in summed.items()
    ]


class MetricsUploader:
    """Uploads a recorder's metrics from time to time, until it is closed.

    Args:
        recorder: what to upload.
        options: level, granularity, namespace and delay.
        aws: who we are for CloudWatch.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        recorder: Recorder,
        options: KinesisWriteOptions,
        aws: AwsOptions,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._recorder = recorder
        self._options = options
        self._aws = aws
        self._clock = clock
        self._session: AwsSession | None = None
        self._warned: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-metrics", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(self._options.metrics_upload_delay / 1000):
            self.upload()
        self.upload()

    def upload(self) -> None:
        """Uploads now; never raises."""
        series = self._recorder.take()
        try:
            # Made here: a role or profile that doesn't work must not stop the data.
            if self._session is None:
                self._session = AwsSession(self._aws)
            options = self._options
            data = metric_data(series, options.metrics_level, options.metrics_granularity, self._clock())
            for start in range(0, len(data), _PER_CALL):
                self._session.call(
                    "cloudwatch",
                    "put_metric_data",
                    Namespace=options.metrics_namespace,
                    MetricData=data[start : start + _PER_CALL],
                )
        except (BotoCoreError, ClientError, ResponseParserError, PenstockError) as error:
            self._recorder.give_back(series)
            self._warn(error)
        except Exception:
            # A bug here must not become a job without metrics for ever, nor one that ends.
            _LOGGER.exception("uploading metrics failed")

    def _warn(self, error: Exception) -> None:
        now = self._clock()
        if self._warned is not None and now - self._warned < _WARN_EVERY_S:
            return
        self._warned = now
        reason: Exception = error
        if self._session is not None:
            namespace = f"namespace {self._options.metrics_namespace}"
            reason = explain(error, self._session, "PutMetricData", namespace, "upload metrics to CloudWatch")
        _LOGGER.warning(
            "%s The data is not touched; --metrics_level none switches metrics off (said once an hour)",
            reason,
        )

    def close(self) -> None:
        """Uploads the rest, in a few seconds at most."""
        self._end.set()
        self._thread.join(_LAST_UPLOAD_S)
