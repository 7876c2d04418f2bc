"""Our simulator held against botocore's model of the service: every reply has the shape that the API promises.

Other emulators don't know records of 10 MiB, streams whose keys the service manages, or listings that lag, so they can't
be asked (`test_kinesis_conformance` asks them the rest).
"""

import time
from typing import Any

import boto3
import botocore.session
import orjson
import pytest
from botocore.exceptions import ClientError
from botocore.model import Shape

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.shard_map import list_shards
from penstock.io.kinesis.stream_facts import describe_stream
from tests.simulator import KinesisSimulator

MODEL = botocore.session.Session().get_service_model("kinesis")
FIRST = "shardId-000000000000"
NEXT_STREAM = "auto"


def wrong(shape: Shape, value: Any, where: str) -> list[str]:
    """What in a reply isn't as the model has it."""
    if shape.type_name == "structure":
        members = shape.members
        found = [f"{where}.{name}: unknown" for name in value if name not in members]
        found += [f"{where}.{name}: missing" for name in shape.required_members if name not in value]
        for name, member in value.items():
            if name in members and member is not None:
                found += wrong(members[name], member, f"{where}.{name}")
        return found
    if shape.type_name == "list":
        return [each for item in value for each in wrong(shape.member, item, f"{where}[]")]
    if shape.type_name == "string":
        enum = getattr(shape, "enum", None)
        lowest = shape.metadata.get("min", 0)
        bad = not isinstance(value, str) or (enum and value not in enum) or len(value) < lowest
        return [f"{where}: {value!r}"] if bad else []
    if shape.type_name in ("integer", "long"):
        # The service itself answers FailedRecordCount 0, where its model has 1 or more.
        least, most = max(0, shape.metadata.get("min", 0) - 1), shape.metadata.get("max", 1 << 62)
        return [] if isinstance(value, int) and least <= value <= most else [f"{where}: {value!r}"]
    return []


@pytest.fixture
def kinesis():
    with KinesisSimulator() as made:
        yield made


@pytest.fixture
def client(kinesis):
    return boto3.client(
        "kinesis", endpoint_url=kinesis.endpoint_url, region_name="us-east-1", aws_access_key_id="a",
        aws_secret_access_key="b",
    )  # fmt: skip


def test_each_reply_is_as_the_service_model_has_it(kinesis, client, monkeypatch):
    replies: dict[str, list[dict[str, Any]]] = {}
    for name, operation in list(kinesis._operations.items()):
        assert name in MODEL.operation_names

        def watched(body, name=name, operation=operation):
            shape = MODEL.operation_model(name).input_shape
            request = orjson.loads(body)
            assert set(request) <= set(shape.members), name
            reply = operation(body)
            replies.setdefault(name, []).append(orjson.loads(orjson.dumps(reply)))
            return reply

        kinesis._operations[name] = watched
    client.create_stream(StreamName="s", ShardCount=2)
    client.create_stream(
        StreamName=NEXT_STREAM, StreamModeDetails={"StreamMode": "ON_DEMAND"}, RecordDistributionStrategy="AUTO",
        MaxRecordSizeInKiB=10240, WarmThroughputMiBps=100,
    )  # fmt: skip
    arn = client.describe_stream_summary(StreamName=NEXT_STREAM)["StreamDescriptionSummary"]["StreamARN"]
    client.update_stream_record_distribution_strategy(StreamARN=arn, RecordDistributionStrategy="AUTO")
    client.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    for stream in ("s", NEXT_STREAM):
        client.describe_stream_summary(StreamName=stream)
        client.put_record(StreamName=stream, Data=b"x", PartitionKey="k")
        client.put_records(StreamName=stream, Records=[{"Data": b"x", "PartitionKey": "k"}] * 3)
        client.split_shard(StreamName=stream, ShardToSplit=FIRST, NewStartingHashKey=str(1 << 120))
        client.merge_shards(
            StreamName=stream,
            ShardToMerge=kinesis.stream(stream).open_shards[0].shard_id,
            AdjacentShardToMerge=kinesis.stream(stream).open_shards[1].shard_id,
        )
        for shard in client.list_shards(StreamName=stream)["Shards"]:
            iterator = client.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            client.get_records(ShardIterator=iterator)
        client.delete_stream(StreamName=stream)
    assert set(replies) == set(kinesis._operations), "each operation was called"
    for name, found in replies.items():
        shape = MODEL.operation_model(name).output_shape
        for reply in found:
            assert (wrong(shape, reply, name) if shape is not None else []) == []
    assert any(reply.get("ChildShards") for reply in replies["GetRecords"])


def test_what_the_service_checks(kinesis, client):
    stream = kinesis.create_stream("s", 1)
    for shard_id, code in (
        ("no shard!", "ValidationException"),
        ("shardId-000000000009", "ResourceNotFoundException"),
    ):
        with pytest.raises(ClientError) as caught:
            client.get_shard_iterator(StreamName="s", ShardId=shard_id, ShardIteratorType="LATEST")
        assert caught.value.response["Error"]["Code"] == code
    for size, limit_kib, fits in ((2 << 20, 1024, False), (2 << 20, 10240, True), (11 << 20, 10240, False)):
        stream.max_record_kib = limit_kib
        request = {"StreamName": "s", "Records": [{"Data": b"x" * size, "PartitionKey": "k"}]}
        if fits:
            assert client.put_records(**request)["FailedRecordCount"] == 0
        else:
            with pytest.raises(ClientError):
                client.put_records(**request)


def test_keys_that_the_service_manages(kinesis, client):
    stream = kinesis.create_stream("s", 4)
    stream.mode, stream.strategy = "ON_DEMAND", "AUTO"
    kinesis.put("s", b"without", "")
    client.put_records(StreamName="s", Records=[{"Data": b"x", "PartitionKey": "one"}] * 8)
    shards = {shard_id for shard_id, _, _, _ in kinesis.records("s")}
    assert len(shards) == 4, "one key, all shards"
    iterator = client.get_shard_iterator(StreamName="s", ShardId=FIRST, ShardIteratorType="TRIM_HORIZON")
    records = client.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert [record.get("PartitionKey") for record in records] == [None, "one", "one"]


def test_a_listing_that_lags_and_a_stream_made_anew(kinesis):
    session = AwsSession(AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="a", secret_key="b"))
    stream = kinesis.create_stream("s", 1)
    stream.listing_lag_s = 3600.0
    kinesis.split("s", FIRST)
    assert [(shard.shard_id, shard.closed) for shard in list_shards(session, "s")] == [(FIRST, False)]
    stream.listing_lag_s = 0.0
    assert len(list_shards(session, "s")) == 3
    first = describe_stream(session, "s").identity
    kinesis.delete_stream("s")
    kinesis.create_stream("s", 1, created=time.time() + 5)
    second = describe_stream(session, "s").identity
    assert first.arn == second.arn
    assert first.created_ms < second.created_ms
