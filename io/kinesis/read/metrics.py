"""`ReadMetrics` sums up KCL's metrics of a read, and has them uploaded to CloudWatch.

Names and dimensions are those of KCL's `ProcessTask`. The namespace is the application. The dimensions are `Operation`
= `ProcessTask`, and `ShardId`. Each read of a shard is one sample of `MillisBehindLatest`, `RecordsProcessed` (user
records), `DataBytesProcessed`, `Success` and `Time`. The samples of ten seconds go out as one statistic set. A denied
permission ends the job.

Source: https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-kcl.html
"""

import threading
import time
from collections.abc import Callable, Mapping

from penstock.io.aws.cloudwatch import MetricsUploader, Series, Statistics
from penstock.io.aws.session import AwsSession
from penstock.io.errors import PenstockError

__all__ = ["ReadMetrics"]

_EVERY_S = 10.0  # KCL's metricsBufferTimeMillis
_UNITS = {
    "MillisBehindLatest": "Milliseconds",
    "RecordsProcessed": "Count",
    "DataBytesProcessed": "Bytes",
    "Success": "Count",
    "Time": "Milliseconds",
}


class ReadMetrics:
    """Sums up the samples of all shards, and uploads them until it is closed. Safe from any thread.

    Args:
        session: says who we are.
        namespace: CloudWatch's namespace, which is the application's name.
        failed: called with a denied permission.
        wall: gives seconds since 1970.
    """

    def __init__(
        self,
        session: AwsSession,
        namespace: str,
        failed: Callable[[PenstockError], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._lock = threading.Lock()
        self._samples: dict[tuple[str, str], Statistics] = {}
        self._uploader = MetricsUploader(
            self._take,
            lambda: session,
            namespace,
            every_s=_EVERY_S,
            option="--application_name",
            advice="--metrics nil switches metrics off",
            denied=failed,
            wall=wall,
        )

    def start(self) -> None:
        """Begins to upload every ten seconds."""
        self._uploader.start()

    def sample(self, shard_id: str, values: dict[str, float]) -> None:
        """Adds one read of a shard: KCL's metric names with their values."""
        with self._lock:
            for name, value in values.items():
                found = self._samples.get((shard_id, name))
                if found is None:
                    self._samples[shard_id, name] = Statistics(value)
                else:
                    found.add(value)

    def _take(self) -> Mapping[Series, Statistics]:
        with self._lock:
            samples, self._samples = self._samples, {}
        return {
            Series(name, _UNITS[name], (("Operation", "ProcessTask"), ("ShardId", shard_id))): statistics
            for (shard_id, name), statistics in samples.items()
        }

    def upload(self) -> None:
        """Uploads what was summed up. Never raises."""
        self._uploader.upload()

    def close(self) -> None:
        """Uploads the rest, in a few seconds at most."""
        self._uploader.close()
