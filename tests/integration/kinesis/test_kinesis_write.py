"""The Kinesis write against moto: IAM enforced, signatures verified, aggregated records read back."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.servers.aws_server import AwsServer
from penstock.io.aws.session import AwsOptions
from penstock.io.errors import AccessDenied
from penstock.io.kinesis import KinesisWriteOptions
from penstock.io.kinesis.write.policy import write_policy
from penstock.io.kinesis.write.preflight import require_writable
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.pipelines.jobs import beats_to_kinesis
from penstock.transforms.batch import Event
from tests.servers import SharedAws
from tests.tools.models.kpl import user_records
from tests.tools.peers.emulators import kinesis_local, settle
from tests.tools.peers.moto_iam import MotoIam
from tests.tools.samples.events import ToyOrigin

STREAM = "orders"
README = Path(__file__).resolve().parents[3] / "README.md"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "iam.md"


def _events(count: int) -> list[Event]:
    return [
        Event(b'{"n":%d,"k":"key-%d"}' % (number, number % 7), ToyOrigin(None), number)
        for number in range(count)
    ]


class Iam(MotoIam):
    def records(self) -> list[bytes]:
        self.enforce(False)
        return _read(self.server)


def _read(server: Any, stream: str = STREAM) -> list[bytes]:
    kinesis = server.client("kinesis")
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in kinesis.get_records(ShardIterator=iterator)["Records"]:
            found += [user[2] for user in user_records(record["Data"], record["PartitionKey"])]
    return sorted(found)


@pytest.fixture
def iam(aws_factory: Callable[[], AwsServer]) -> Iterator[Iam]:
    server = aws_factory()
    server.client("kinesis").create_stream(StreamName=STREAM, ShardCount=2)
    yield Iam(server)
    server.stop()


def _without(action: str) -> dict[str, Any]:
    policy = write_policy("arn:aws:kinesis:us-east-1:123456789012:stream/orders")
    statements = []
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        kept = [each for each in actions if each != action]
        if kept:
            statements.append({**statement, "Action": kept})
    return {**policy, "Statement": statements}


def _run(iam: Iam, plane: str, count: int = 50) -> None:
    options = KinesisWriteOptions(STREAM, data_plane=plane)
    require_writable(options, iam.aws)
    writer = KinesisWriter(options, iam.aws)
    try:
        letters, _ = writer.write(_events(count), PartitionKeys())
        assert not letters
    finally:
        writer.close()


@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_the_policy_is_enough_and_nothing_in_it_is_idle(
    iam: Iam, plane: str, caplog: pytest.LogCaptureFixture
) -> None:
    iam.allow(_without("nothing"))
    _run(iam, plane)
    assert "metrics" not in caplog.text
    assert len(iam.records()) == 50
    cloudwatch = iam.server.client("cloudwatch")
    names = {each["MetricName"] for each in cloudwatch.list_metrics()["Metrics"]}
    assert "UserRecordsPut" in names
    for action in ("kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecords"):
        iam.allow(_without(action))
        with pytest.raises(AccessDenied) as raised:
            _run(iam, plane)
        told = str(raised.value)
        assert re.search(
            rf"access denied\. arn:aws:iam::\d+:user/writer needs {action} on arn:aws:kinesis:us-east-1:\*:stream/orders\.",
            told,
        ), told
        assert "\n" not in told
    iam.allow(_without("cloudwatch:PutMetricData"))
    _run(iam, plane)
    assert "needs cloudwatch:PutMetricData on namespace KinesisProducerLibrary" in caplog.text
    assert len(iam.records()) == 100, "metrics that are refused must not touch the data"


def test_every_action_of_the_policy_is_tested_above() -> None:
    actions: set[str] = set()
    for statement in write_policy()["Statement"]:
        given = statement["Action"]
        actions.update([given] if isinstance(given, str) else given)
    assert actions == {
        "kinesis:DescribeStreamSummary",
        "kinesis:ListShards",
        "kinesis:PutRecords",
        "cloudwatch:PutMetricData",
    }


def test_wrong_keys_are_named(iam: Iam) -> None:
    iam.allow(_without("nothing"))
    wrong = dataclasses.replace(iam.aws, secret_key="not-the-secret")
    with pytest.raises(AccessDenied, match=r"AWS refuses the credentials \(SignatureDoesNotMatch\)"):
        require_writable(KinesisWriteOptions(STREAM), wrong)


def test_help_and_docs_show_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.dumps(write_policy(), indent=2)
    with pytest.raises(SystemExit) as ended:
        beats_to_kinesis.JOB.main(["--help", "all"])
    assert ended.value.code == 0
    assert shown in capsys.readouterr().out
    assert shown in DOCS.read_text()
    blocks = re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)
    assert write_policy() in [json.loads(block) for block in blocks]


@pytest.mark.parametrize("plane", ["thin", "boto3"])
@pytest.mark.parametrize("mode", ["random", "fields", "constant"])
def test_what_was_written_is_read_back(aws: SharedAws, unique_name: str, plane: str, mode: str) -> None:
    aws.create_stream(unique_name, 3)
    options = KinesisWriteOptions(
        unique_name,
        data_plane=plane,
        metrics_level="none",
        randomized_partition_key=mode == "random",
        event_partition_keys=["k"] if mode == "fields" else [],
    )
    writer = KinesisWriter(options, AwsOptions(endpoint_url=aws.endpoint_url, access_key="a", secret_key="b"))
    events = _events(1000)
    keys = PartitionKeys(options.event_partition_keys, randomized=options.randomized_partition_key)
    letters, _ = writer.write(events, keys)
    assert not letters
    writer.close()
    assert _read(aws, unique_name) == sorted(event.data for event in events)


@pytest.mark.servers
@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_a_split_and_a_merge_while_writing(plane: str, tmp_path: Path) -> None:
    with kinesis_local(tmp_path) as url:
        client = boto3.client(
            "kinesis",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        client.create_stream(StreamName=STREAM, ShardCount=2)
        settle(client, STREAM)
        aws = AwsOptions(endpoint_url=url, access_key="a", secret_key="b")
        options = KinesisWriteOptions(
            STREAM, data_plane=plane, metrics_level="none", aggregation_max_size=400
        )
        writer = KinesisWriter(options, aws)
        keys = PartitionKeys(["n"])
        events = _events(400)

        def write(start: int, stop: int) -> None:
            letters, _ = writer.write(events[start:stop], keys)
            assert not letters

        write(0, 100)
        client.split_shard(
            StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 126)
        )
        write(100, 200)
        settle(client, STREAM)
        write(200, 300)
        client.merge_shards(
            StreamName=STREAM,
            ShardToMerge="shardId-000000000003",
            AdjacentShardToMerge="shardId-000000000001",
        )
        settle(client, STREAM)
        write(300, 400)
        writer.close()
        assert _as_kcl_reads(client) == sorted(event.data for event in events)


def _as_kcl_reads(kinesis: Any) -> list[bytes]:
    """Every user record, without the aggregated records that a KCL consumer throws away."""
    found = set()
    for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
        low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        iterator = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            reply = kinesis.get_records(ShardIterator=iterator)
            for record in reply["Records"]:
                users = user_records(record["Data"], record["PartitionKey"])
                aggregated = record["Data"].startswith(b"\xf3\x89\x9a\xc2")
                if not aggregated or all(low <= user.hash_key <= high for user in users):
                    found |= {user[2] for user in users}
            iterator = reply.get("NextShardIterator") if reply["Records"] else None
    return sorted(found)
