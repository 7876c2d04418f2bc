"""KPL's metrics: by level and granularity, uploaded beside the data and never in its way."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.write.cloudwatch import MetricsUploader, metric_data
from penstock.io.kinesis.write.metrics import Metric, Recorder
from penstock.io.kinesis.write.options import KinesisWriteOptions


def _recorded() -> Recorder:
    recorder = Recorder()
    recorder.add("UserRecordsReceived", "orders", 1, count=30)
    for shard, users in (("shard-a", 10), ("shard-b", 20)):
        recorder.add("UserRecordsPut", "orders", 1, shard_id=shard, count=users)
        recorder.extend("UserRecordsPerKinesisRecord", "orders", [users / 2, users / 2], shard_id=shard)
    recorder.add("ErrorsByCode", "orders", 1, shard_id="shard-a", error_code="InternalFailure")
    recorder.add("RequestTime", "orders", 12.5)
    recorder.pending("orders", 7)
    return recorder


def _values(data: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, float, float, float]]:
    found = {}
    for each in data:
        place = "/".join(dimension["Value"] for dimension in each["Dimensions"])
        statistics = each["StatisticValues"]
        found[each["MetricName"], place] = tuple(
            statistics[key] for key in ("SampleCount", "Sum", "Minimum", "Maximum")
        )
    return found  # type: ignore[return-value]


def test_shard_granularity_publishes_all_three() -> None:
    values = _values(metric_data(_recorded().take(), "detailed", "shard", 0.0))
    assert values["UserRecordsPut", "orders/shard-a"] == (10, 10, 1, 1)
    assert values["UserRecordsPut", "orders/shard-b"] == (20, 20, 1, 1)
    assert values["UserRecordsPut", "orders"] == values["UserRecordsPut", ""] == (30, 30, 1, 1)
    assert values["UserRecordsPerKinesisRecord", "orders"] == (4, 30, 5, 10)
    assert values["ErrorsByCode", "InternalFailure/orders/shard-a"] == (1, 1, 1, 1)
    assert values["ErrorsByCode", "InternalFailure"] == (1, 1, 1, 1)
    assert values["UserRecordsPending", "orders"] == (1, 7, 7, 7)
    assert values["RequestTime", "orders"] == (1, 12.5, 12.5, 12.5)
    assert ("RequestTime", "orders/") not in values


@pytest.mark.parametrize(
    ("granularity", "places"),
    [
        ("global", {""}),
        ("stream", {"", "orders"}),
        ("shard", {"", "orders", "orders/shard-a", "orders/shard-b"}),
    ],
)
def test_granularity(granularity: str, places: set[str]) -> None:
    values = _values(metric_data(_recorded().take(), "detailed", granularity, 0.0))
    assert {place for name, place in values if name == "UserRecordsPut"} == places


def test_summary_leaves_the_detailed_out() -> None:
    names = {name for name, _ in _values(metric_data(_recorded().take(), "summary", "shard", 0.0))}
    assert names == {"UserRecordsPut", "ErrorsByCode"}


def test_units() -> None:
    recorder = _recorded()
    recorder.extend("KinesisRecordsDataPut", "orders", [5, 6], shard_id="shard-a")
    units = {
        each["MetricName"]: each["Unit"] for each in metric_data(recorder.take(), "detailed", "global", 0.0)
    }
    assert units["RequestTime"] == "Milliseconds"
    assert units["KinesisRecordsDataPut"] == "Bytes"
    assert units["UserRecordsPut"] == "Count"


def test_take_starts_anew_and_give_back_adds() -> None:
    recorder = _recorded()
    taken = recorder.take()
    recorder.add("RequestTime", "orders", 1.5)
    recorder.give_back(taken)
    again = recorder.take()
    assert again[Metric("RequestTime", "orders")].sum == 14.0
    assert again[Metric("RequestTime", "orders")].least == 1.5
    assert again[Metric("UserRecordsPending", "orders")].sum == 7
    assert recorder.take().keys() == {Metric("UserRecordsPending", "orders")}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not happen")


def _uploader(endpoint_url: str, recorder: Recorder, **options: Any) -> MetricsUploader:
    aws = AwsOptions(endpoint_url=endpoint_url, access_key="key", secret_key="secret")
    return MetricsUploader(recorder, KinesisWriteOptions("orders", **options), aws)


def test_uploads_from_its_own_thread_and_on_close(moto: str) -> None:
    recorder = _recorded()
    uploader = _uploader(moto, recorder, metrics_upload_delay=50, metrics_namespace="Test")
    cloudwatch = boto3.client(
        "cloudwatch", endpoint_url=moto, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )  # fmt: skip
    _until(lambda: len(cloudwatch.list_metrics(Namespace="Test")["Metrics"]) > 0)
    recorder.add("KinesisRecordsPut", "orders", 1, shard_id="shard-a", count=3)
    uploader.close()
    names = {each["MetricName"] for each in cloudwatch.list_metrics(Namespace="Test")["Metrics"]}
    assert names >= {"UserRecordsPut", "KinesisRecordsPut", "ErrorsByCode"}


def test_an_unreachable_cloudwatch_keeps_the_numbers_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = _recorded()
    aws = AwsOptions(
        endpoint_url="http://127.0.0.1:9", access_key="key", secret_key="secret", connect_timeout=50
    )
    uploader = MetricsUploader(recorder, KinesisWriteOptions("orders"), aws)
    before = time.monotonic()
    uploader.upload()
    uploader.upload()
    uploader.close()
    assert time.monotonic() - before < 60
    assert caplog.text.count("cannot upload metrics to CloudWatch: no answer from http://127.0.0.1:9") == 1
    assert recorder.take()[Metric("UserRecordsPut", "orders", "shard-a")].sum == 10


def test_a_profile_that_is_not_there_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    recorder = _recorded()
    uploader = MetricsUploader(recorder, KinesisWriteOptions("orders"), AwsOptions(profile="nobody-here"))
    uploader.upload()
    uploader.close()
    assert "--profile nobody-here: no such profile" in caplog.text
    assert recorder.take()[Metric("UserRecordsReceived", "orders")].sum == 30
