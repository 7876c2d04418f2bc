"""`MetricsUploader` sends what a connector has summed up to CloudWatch, from a thread of its own.

Problem. Metrics must neither slow nor stop the data, and a round that could not be sent must not be lost.

Plan. A connector sums its samples up as statistic sets, by series. Every few seconds the thread takes them, adds what
could not be sent before, and sends all of it. What is sent is forgotten; what is not sent waits for the next round, in
at most `_MAX_KEPT` series. A failure is a warning once per hour and kind, or, where the connector asks for it, a denied
permission ends the job.

Invariants.
- Nothing that a round meets ends the thread: not a denied role, not a reply that can't be read, not a bug of ours.
- No sample is counted twice: a call that worked is not repeated when the next one fails.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html (1,000 metrics, 1 MB).
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.session import AwsSession, explain
from penstock.io.errors import AccessDenied, PenstockError
from penstock.io.rarely import Rarely

__all__ = ["MetricsUploader", "Series", "Statistics"]

_LOGGER = logging.getLogger(__name__)

_PER_CALL = 500
"""Half of what PutMetricData takes, to stay below its 1 MB whatever the names' lengths."""
_MAX_KEPT = 50_000
"""Series that wait for the next round, at most."""
_WARN_EVERY_S = 3600.0
_LAST_UPLOAD_S = 5.0


class Series(NamedTuple):
    """One metric of CloudWatch: its name, its unit, and its dimensions as pairs of name and value."""

    name: str
    unit: str
    dimensions: tuple[tuple[str, str], ...] = ()


class Statistics:
    """A statistic set: how many samples there were, their sum, the least and the greatest."""

    __slots__ = ("count", "greatest", "least", "sum")

    def __init__(self, value: float, count: int = 1) -> None:
        self.count = count
        self.sum = value * count
        self.least = self.greatest = value

    @classmethod
    def none(cls) -> "Statistics":
        """Makes a set without samples."""
        made = cls(0.0, 0)
        made.least, made.greatest = math.inf, -math.inf
        return made

    def add(self, value: float, count: int = 1) -> None:
        """Adds `count` samples of one value."""
        self.count += count
        self.sum += value * count
        self.least = min(self.least, value)
        self.greatest = max(self.greatest, value)

    def extend(self, values: Sequence[float]) -> None:
        """Adds several samples, at least one."""
        self.count += len(values)
        self.sum += sum(values)
        self.least = min(self.least, min(values))
        self.greatest = max(self.greatest, max(values))

    def merge(self, other: "Statistics") -> None:
        """Adds all samples of another set."""
        self.count += other.count
        self.sum += other.sum
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)


class MetricsUploader:
    """Sends metrics from time to time, until it is closed.

    Args:
        take: gives what was summed up since the last time, and forgets it. The sets belong to the uploader then.
        session: makes the session for CloudWatch. It is asked in the thread, so a role or a profile that doesn't work
            does not stop the data.
        namespace: CloudWatch's namespace.
        every_s: seconds between two rounds.
        option: the option to look at, for messages (`--metrics_namespace`).
        advice: the end of a warning, which says how to switch the metrics off.
        denied: called with a denied permission. Without it, a denial is a warning like any other failure.
        wall: gives seconds since 1970.
    """

    def __init__(
        self,
        take: Callable[[], Mapping[Series, Statistics]],
        session: Callable[[], AwsSession],
        namespace: str,
        *,
        every_s: float,
        option: str,
        advice: str,
        denied: Callable[[PenstockError], None] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._take = take
        self._make_session = session
        self._namespace = namespace
        self._every_s = every_s
        self._resource = f"namespace {namespace} ({option})"
        self._advice = advice
        self._denied = denied
        self._wall = wall
        self._session: AwsSession | None = None
        self._kept: dict[Series, Statistics] = {}
        self._rarely = Rarely(_WARN_EVERY_S)
        self._uploading = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-metrics", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, which sends the rest first, in a few seconds at most."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_UPLOAD_S)

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            self.upload()
        self.upload()

    def upload(self) -> None:
        """Sends what is there, and keeps what can't be sent. Never raises."""
        with self._uploading:
            try:
                self._merge(self._take())
                self._send()
            except (BotoCoreError, ClientError, PenstockError) as error:
                self._failed(error)
            except Exception:
                # A bug here must not become a job without metrics for ever, nor one that ends.
                if self._rarely.due("bug"):
                    _LOGGER.exception("uploading metrics to CloudWatch failed (said once an hour)")
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem()

    def _merge(self, taken: Mapping[Series, Statistics]) -> None:
        for series, statistics in taken.items():
            found = self._kept.get(series)
            if found is None:
                self._kept[series] = statistics
            else:
                found.merge(statistics)

    def _send(self) -> None:
        if self._session is None:
            self._session = self._make_session()
        now = self._wall()
        names = list(self._kept)
        for start in range(0, len(names), _PER_CALL):
            part = names[start : start + _PER_CALL]
            self._session.call(
                "cloudwatch", "put_metric_data", Namespace=self._namespace, MetricData=self._data(part, now)
            )
            for series in part:
                del self._kept[series]

    def _data(self, names: Iterable[Series], now: float) -> list[dict[str, Any]]:
        return [
            {
                "MetricName": series.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
                "Timestamp": now,
                "Unit": series.unit,
                "StatisticValues": {
                    "SampleCount": float(statistics.count),
                    "Sum": float(statistics.sum),
                    "Minimum": float(statistics.least),
                    "Maximum": float(statistics.greatest),
                },
            }
            for series in names
            for statistics in [self._kept[series]]
        ]

    def _failed(self, error: Exception) -> None:
        failure = error
        if self._session is not None:
            doing = "upload metrics to CloudWatch"
            failure = explain(error, self._session, "PutMetricData", self._resource, doing)
        if self._denied is not None and isinstance(failure, AccessDenied):
            self._denied(failure)
        elif self._rarely.due(type(failure).__name__):
            _LOGGER.warning("%s The data is not touched; %s (said once an hour)", failure, self._advice)
