"""The write's and the read's metrics: named as KPL and KCL name them, uploaded by one uploader that nothing ends."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from moto.server import ThreadedMotoServer

from penstock.io.aws.cloudwatch import MetricsUploader
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import AccessDenied, PenstockError
from penstock.io.kinesis.read.metrics import ReadMetrics
from penstock.io.kinesis.write.metrics import Metric, Recorder, series_of
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.writer import uploader_of
from tests.tools.machine.waiting import wait_until

KEYS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")


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


def _values(level: str, granularity: str) -> dict[tuple[str, str], tuple[float, ...]]:
    return {
        (series.name, "/".join(value for _, value in series.dimensions)): (
            found.count, found.sum, found.least, found.greatest,
        )
        for series, found in series_of(_recorded().take(), level, granularity).items()
    }  # fmt: skip


def test_shard_granularity_publishes_all_three() -> None:
    values = _values("detailed", "shard")
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
    assert {place for name, place in _values("detailed", granularity) if name == "UserRecordsPut"} == places


def test_summary_leaves_the_detailed_out() -> None:
    assert {name for name, _ in _values("summary", "shard")} == {"UserRecordsPut", "ErrorsByCode"}


def test_units() -> None:
    recorder = _recorded()
    recorder.extend("KinesisRecordsDataPut", "orders", [5, 6], shard_id="shard-a")
    units = {series.name: series.unit for series in series_of(recorder.take(), "detailed", "global")}
    assert units["RequestTime"] == "Milliseconds"
    assert units["KinesisRecordsDataPut"] == "Bytes"
    assert units["UserRecordsPut"] == "Count"


def test_take_starts_anew() -> None:
    recorder = _recorded()
    assert recorder.take()[Metric("UserRecordsPending", "orders")].sum == 7
    assert recorder.take().keys() == {Metric("UserRecordsPending", "orders")}


def test_any_number_of_stream_names_is_counted_in_bounded_memory() -> None:
    recorder = Recorder()
    for number in range(60_000):
        recorder.pending(f"s{number}", 3)
        recorder.add("UserRecordsReceived", f"s{number}", 1, count=3)
        recorder.pending(f"s{number}", -3)
    assert len(recorder._pending) <= 1000
    taken = recorder.take()
    assert len(taken) < 52_000
    assert sum(each.sum for metric, each in taken.items() if metric.name == "UserRecordsReceived") == 180_000
    places = {series.dimensions for series in series_of(taken, "detailed", "stream")}
    assert (("StreamName", ""),) not in places


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_uploads_from_its_own_thread_and_on_close(moto: str) -> None:
    recorder = _recorded()
    options = KinesisWriteOptions("orders", metrics_upload_delay=50, metrics_namespace="Test")
    aws = AwsOptions(endpoint_url=moto, access_key="key", secret_key="secret")
    uploader = uploader_of(recorder, options, aws)
    uploader.start()
    cloudwatch = boto3.client(
        "cloudwatch", endpoint_url=moto, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )  # fmt: skip
    wait_until(lambda: len(cloudwatch.list_metrics(Namespace="Test")["Metrics"]) > 0)
    recorder.add("KinesisRecordsPut", "orders", 1, shard_id="shard-a", count=3)
    uploader.close()
    found = cloudwatch.list_metrics(Namespace="Test")["Metrics"]
    assert {each["MetricName"] for each in found} >= {"UserRecordsPut", "KinesisRecordsPut", "ErrorsByCode"}
    places = [[(each["Name"], each["Value"]) for each in metric["Dimensions"]] for metric in found]
    assert [("StreamName", "orders"), ("ShardId", "shard-a")] in places


def test_kcls_names_and_dimensions_arrive(moto: str) -> None:
    aws = AwsOptions(endpoint_url=moto, access_key="key", secret_key="secret")
    session = AwsSession(aws)
    metrics = ReadMetrics(session, "app", pytest.fail)
    names = {"RecordsProcessed", "DataBytesProcessed", "Success", "Time", "MillisBehindLatest"}
    for shard_id in ("shard-0", "shard-0", "shard-1"):
        metrics.sample(shard_id, dict.fromkeys(names, 3.0))
    metrics.upload()
    metrics.upload()  # nothing new, nothing sent
    found = session.client("cloudwatch").list_metrics(Namespace="app")["Metrics"]
    assert len(found) == 2 * len(names)
    assert {each["MetricName"] for each in found} == names
    dimensions = {tuple((d["Name"], d["Value"]) for d in each["Dimensions"]) for each in found}
    assert dimensions == {(("Operation", "ProcessTask"), ("ShardId", f"shard-{n}")) for n in range(2)}


def _code(code: str) -> Exception:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutMetricData")


def _role_denied() -> Exception:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")


class CloudWatch:
    """Says no as often as it was told to."""

    def __init__(self, *refusals: Exception | None) -> None:
        self.refusals = list(refusals)
        self.taken: list[dict[str, Any]] = []

    def put_metric_data(self, **given: Any) -> None:
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        self.taken += given["MetricData"]


def _session(cloudwatch: Any) -> AwsSession:
    session = AwsSession(KEYS)
    session.client = {"cloudwatch": cloudwatch}.__getitem__  # type: ignore[assignment,method-assign]
    return session


def _read(cloudwatch: Any, failures: list[PenstockError]) -> tuple[Callable[[float], None], Any]:
    metrics = ReadMetrics(_session(cloudwatch), "app", failures.append)
    return lambda value: metrics.sample("s", {"Time": value}), metrics


def _write(cloudwatch: Any, failures: list[PenstockError]) -> tuple[Callable[[float], None], Any]:
    recorder = Recorder()
    uploader = MetricsUploader(
        lambda: series_of(recorder.take(), "detailed", "global"), lambda: _session(cloudwatch), "app",
        every_s=60, option="--metrics_namespace", advice="none",
    )  # fmt: skip
    return lambda value: recorder.add("RequestTime", "orders", value), uploader


@pytest.mark.parametrize("side", [_read, _write])
@pytest.mark.parametrize(
    "refusal",
    [
        _code("InternalServiceFault"),
        _role_denied(),
        ResponseParserError("invalid XML received"),
        AccessDenied("no AWS credentials found"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_failure_raises_or_loses_a_round(
    side: Any, refusal: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AwsSession, "principal", lambda self: "arn:aws:iam::111122223333:role/worker")
    cloudwatch, failures = CloudWatch(refusal, refusal), list[PenstockError]()
    sample, metrics = side(cloudwatch, failures)
    sample(3.0)
    metrics.upload()
    sample(5.0)
    metrics.upload()
    assert cloudwatch.taken == []
    metrics.upload()
    assert [each["StatisticValues"] for each in cloudwatch.taken] == [
        {"SampleCount": 2.0, "Sum": 8.0, "Minimum": 3.0, "Maximum": 5.0}
    ]
    if failures:
        assert "said once an hour" not in caplog.text
    else:
        assert caplog.text.count("said once an hour") == 1


def test_a_part_that_was_sent_is_not_sent_again() -> None:
    cloudwatch = CloudWatch(None, _code("Throttling"))
    metrics = ReadMetrics(_session(cloudwatch), "app", pytest.fail)
    for number in range(600):
        metrics.sample(f"shard-{number}", {"Time": 1.0})
    metrics.upload()
    assert len(cloudwatch.taken) == 500
    metrics.upload()
    shards = [each["Dimensions"][1]["Value"] for each in cloudwatch.taken]
    assert len(shards) == len(set(shards)) == 600


def test_a_denial_ends_a_read_and_names_the_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AwsSession, "principal", lambda self: "arn:aws:iam::111122223333:role/worker")
    failures: list[PenstockError] = []
    sample, metrics = _read(CloudWatch(_code("AccessDenied")), failures)
    sample(1.0)
    metrics.upload()
    assert isinstance(failures[0], AccessDenied)
    for part in ("role/worker", "cloudwatch:PutMetricData", "namespace app"):
        assert part in str(failures[0])


def test_an_unreachable_cloudwatch_is_said_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    aws = AwsOptions(
        endpoint_url="http://127.0.0.1:9", access_key="key", secret_key="secret", connect_timeout=50
    )
    uploader = uploader_of(_recorded(), KinesisWriteOptions("orders"), aws)
    uploader.start()
    before = time.monotonic()
    uploader.upload()
    uploader.upload()
    uploader.close()
    assert time.monotonic() - before < 60
    assert caplog.text.count("cannot upload metrics to CloudWatch: no answer from http://127.0.0.1:9") == 1


def test_a_profile_that_is_not_there_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    uploader = uploader_of(_recorded(), KinesisWriteOptions("orders"), AwsOptions(profile="nobody-here"))
    uploader.upload()
    assert "--profile nobody-here: no such profile" in caplog.text
    assert "--metrics_level none switches metrics off" in caplog.text
