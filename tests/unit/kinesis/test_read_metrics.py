"""KCL's metrics arrive in CloudWatch; what can't be uploaded is kept; a denial ends the job."""

import moto
import pytest
from botocore.exceptions import ClientError

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import AccessDenied
from penstock.io.kinesis.read.metrics import ReadMetrics

KEYS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
SAMPLE = {
    "RecordsProcessed": 3.0,
    "DataBytesProcessed": 99.0,
    "Success": 1.0,
    "Time": 12.5,
    "MillisBehindLatest": 40.0,
}


@pytest.fixture
def session():
    with moto.mock_aws():
        yield AwsSession(KEYS)


def test_statistic_sets_by_shard_under_kcls_names(session):
    metrics = ReadMetrics(session, "app", lambda failure: None)
    metrics.sample("shardId-000000000000", SAMPLE)
    metrics.sample("shardId-000000000000", SAMPLE | {"RecordsProcessed": 5.0})
    metrics.sample("shardId-000000000001", SAMPLE)
    metrics.upload()
    metrics.upload()  # nothing new, nothing sent
    found = session.client("cloudwatch").list_metrics(Namespace="app")["Metrics"]
    assert {each["MetricName"] for each in found} == set(SAMPLE)
    dimensions = {tuple((d["Name"], d["Value"]) for d in each["Dimensions"]) for each in found}
    assert (("Operation", "ProcessTask"), ("ShardId", "shardId-000000000000")) in dimensions
    assert len(dimensions) == 2
    assert len(found) == 2 * len(SAMPLE)


class Refusing:
    """A CloudWatch that says no as often as told."""

    def __init__(self, *codes):
        self.codes = list(codes)
        self.calls = []

    def put_metric_data(self, **given):
        if self.codes:
            code = self.codes.pop(0)
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutMetricData")
        self.calls.append(given)


def with_cloudwatch(session, cloudwatch):
    session.client = {"cloudwatch": cloudwatch}.__getitem__
    failures = []
    metrics = ReadMetrics(session, "app", failures.append)
    metrics.sample("s", SAMPLE)
    metrics.upload()
    return metrics, failures


def test_what_could_not_be_uploaded_goes_with_the_next(session, caplog):
    cloudwatch = Refusing("InternalServiceFault", "InternalServiceFault")
    metrics, failures = with_cloudwatch(session, cloudwatch)
    metrics.sample("s", SAMPLE | {"RecordsProcessed": 5.0})
    metrics.upload()
    metrics.upload()
    (call,) = cloudwatch.calls
    records = next(each for each in call["MetricData"] if each["MetricName"] == "RecordsProcessed")
    assert records["StatisticValues"] == {"SampleCount": 2.0, "Sum": 8.0, "Minimum": 3.0, "Maximum": 5.0}
    assert records["Unit"] == "Count"
    assert failures == []
    assert caplog.text.count("said once an hour") == 1


def test_a_denial_ends_the_job_and_names_the_action(session, monkeypatch):
    monkeypatch.setattr(AwsSession, "principal", lambda self: "arn:aws:iam::111122223333:role/worker")
    _, failures = with_cloudwatch(session, Refusing("AccessDenied"))
    assert isinstance(failures[0], AccessDenied)
    for part in ("role/worker", "cloudwatch:PutMetricData", "namespace app"):
        assert part in str(failures[0])
