"""Our simulator held against others: the same calls give the same answers, where both are right.

Known differences, left out here. moto 5.2: puts after a split still reach the closed parent, the iterator of a
closed shard never ends, an explicit hash key on a shard's boundary is an internal error, a page of shards can't
be asked for by its token alone. kinesis-local 0.6: a stream's middle is off by one. Neither throttles.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.servers.aws_server import AwsServer
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.emulators import kinesis_local, settle

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("conformance")]  # each emulator starts once

STREAM = "conformance"
HALF = 1 << 127


@pytest.fixture(scope="module")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = AwsServer(tmp_path_factory.mktemp("moto")).wait_ready()
    yield server.endpoint_url
    server.stop()


@pytest.fixture(scope="module")
def local_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kinesis_local(tmp_path_factory.mktemp("kinesis-local")) as url:
        yield url


@pytest.fixture(params=["simulator", "moto", "local"])
def kinesis(request: pytest.FixtureRequest) -> Iterator[Any]:
    def client(url: str) -> Any:
        return boto3.client(
            "kinesis",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )

    if request.param == "simulator":
        with KinesisSimulator() as simulator:
            yield client(simulator.endpoint_url)
        return
    found = client(request.getfixturevalue(f"{request.param}_url"))
    yield found
    if STREAM in found.list_streams()["StreamNames"]:
        found.delete_stream(StreamName=STREAM)
        wait_until(lambda: STREAM not in found.list_streams()["StreamNames"], "the stream's end")


@pytest.fixture
def stream(kinesis: Any) -> Any:
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    settle(kinesis, STREAM)
    return kinesis


def _code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return str(raised.value.response["Error"]["Code"])


def _put(kinesis: Any, *records: tuple[bytes, str, int | None]) -> list[dict[str, str]]:
    entries = []
    for data, key, explicit in records:
        entries.append({"Data": data, "PartitionKey": key})
        if explicit is not None:
            entries[-1]["ExplicitHashKey"] = str(explicit)
    reply = kinesis.put_records(StreamName=STREAM, Records=entries)
    assert reply["FailedRecordCount"] == 0
    found: list[dict[str, str]] = reply["Records"]
    return found


def _shards(kinesis: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kinesis.list_shards(StreamName=STREAM)["Shards"]
    return found


def _iterator(kinesis: Any, shard: str, kind: str, **given: Any) -> str:
    return str(
        kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard, ShardIteratorType=kind, **given)[
            "ShardIterator"
        ]
    )


def test_the_summary(stream: Any) -> None:
    told = stream.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]
    assert (told["StreamName"], told["OpenShardCount"], told["RetentionPeriodHours"]) == (STREAM, 2, 24)
    assert told["StreamARN"].endswith(f":stream/{STREAM}")
    assert _code(lambda: stream.describe_stream_summary(StreamName="nowhere")) == "ResourceNotFoundException"


def test_shards_cover_all_hash_keys(stream: Any) -> None:
    ranges = [
        (int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"]))
        for shard in _shards(stream)
    ]
    assert ranges[0][0] == 0
    assert ranges[-1][1] >= (1 << 128) - 2  # moto ends one early
    assert ranges[0][1] + 1 == ranges[1][0]
    assert [shard["ShardId"] for shard in _shards(stream)] == ["shardId-000000000000", "shardId-000000000001"]
    assert "EndingSequenceNumber" not in _shards(stream)[0]["SequenceNumberRange"]


def test_where_records_go(stream: Any) -> None:
    keys = [f"key-{number}" for number in range(30)]
    results = _put(stream, *((b"x", key, None) for key in keys))
    for key, result in zip(keys, results, strict=True):
        upper = int(hashlib.md5(key.encode()).hexdigest(), 16) >= HALF
        assert result["ShardId"] == f"shardId-{int(upper):012d}"
    explicit = _put(stream, (b"x", "a", 5), (b"x", "a", HALF + 5))
    assert [result["ShardId"][-1] for result in explicit] == ["0", "1"]


def test_sequence_numbers_rise_within_a_shard(stream: Any) -> None:
    numbers = [int(_put(stream, (b"x", "a", 5))[0]["SequenceNumber"]) for _ in range(5)]
    assert numbers == sorted(set(numbers))


def test_reading_from_each_kind_of_position(stream: Any) -> None:
    shard = "shardId-000000000000"
    latest = _iterator(stream, shard, "LATEST")
    results = _put(stream, *((b"%d" % number, "a", 5) for number in range(5)))
    third = results[2]["SequenceNumber"]

    def read(iterator: str) -> list[bytes]:
        return [record["Data"] for record in stream.get_records(ShardIterator=iterator)["Records"]]

    assert read(_iterator(stream, shard, "TRIM_HORIZON")) == [b"0", b"1", b"2", b"3", b"4"]
    assert read(latest) == [b"0", b"1", b"2", b"3", b"4"]
    assert read(_iterator(stream, shard, "LATEST")) == []
    assert read(_iterator(stream, shard, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=third)) == [
        b"2",
        b"3",
        b"4",
    ]
    assert read(_iterator(stream, shard, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third)) == [
        b"3",
        b"4",
    ]
    assert read(_iterator(stream, shard, "AT_TIMESTAMP", Timestamp=time.time() - 3600)) == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]


def test_limit_and_reading_on(stream: Any) -> None:
    _put(stream, *((b"%d" % number, "a", 5) for number in range(5)))
    reply = stream.get_records(
        ShardIterator=_iterator(stream, "shardId-000000000000", "TRIM_HORIZON"), Limit=2
    )
    assert [record["Data"] for record in reply["Records"]] == [b"0", b"1"]
    assert reply["Records"][0]["PartitionKey"] == "a"
    assert abs(reply["Records"][0]["ApproximateArrivalTimestamp"].timestamp() - time.time()) < 60
    reply = stream.get_records(ShardIterator=reply["NextShardIterator"])
    assert [record["Data"] for record in reply["Records"]] == [b"2", b"3", b"4"]
    assert reply["MillisBehindLatest"] == 0
    reply = stream.get_records(ShardIterator=reply["NextShardIterator"])
    assert reply["Records"] == []
    assert reply["NextShardIterator"]


def test_what_is_refused(stream: Any, request: pytest.FixtureRequest) -> None:
    if "local" not in request.node.name:
        # kinesis-local bounds a request neither in bytes nor in records.
        assert _code(lambda: _put(stream, *([(b"x", "a", None)] * 501))) == "ValidationException"
        assert (
            _code(lambda: _put(stream, *([(b"x" * 1_000_000, "a", None)] * 11))) == "InvalidArgumentException"
        )
    missing = {"StreamName": "nowhere", "Records": [{"Data": b"x", "PartitionKey": "a"}]}
    assert _code(lambda: stream.put_records(**missing)) == "ResourceNotFoundException"
    assert _code(lambda: _iterator(stream, "shardId-000000000009", "LATEST")) == "ResourceNotFoundException"


def test_a_closed_shard_takes_nothing_and_ends(stream: Any, request: pytest.FixtureRequest) -> None:
    if "moto" in request.node.name:
        pytest.skip("moto goes on writing to the closed parent")
    _put(stream, (b"before", "a", 5))
    stream.split_shard(
        StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(HALF // 2)
    )
    settle(stream, STREAM)
    results = _put(stream, (b"after", "a", 5), (b"after", "a", HALF // 2 + 5))
    assert [result["ShardId"][-1] for result in results] == ["2", "3"]
    reply = stream.get_records(ShardIterator=_iterator(stream, "shardId-000000000000", "TRIM_HORIZON"))
    assert [record["Data"] for record in reply["Records"]] == [b"before"]
    if reply.get("NextShardIterator"):
        reply = stream.get_records(ShardIterator=reply["NextShardIterator"])
    assert not reply.get("NextShardIterator")
    assert sorted(child["ShardId"][-1] for child in reply["ChildShards"]) == ["2", "3"]


def test_a_split(stream: Any) -> None:
    stream.split_shard(
        StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(HALF // 2)
    )
    settle(stream, STREAM)
    shards = {shard["ShardId"][-1]: shard for shard in _shards(stream)}
    assert sorted(shards) == ["0", "1", "2", "3"]
    assert "EndingSequenceNumber" in shards["0"]["SequenceNumberRange"]
    assert shards["2"]["ParentShardId"] == shards["3"]["ParentShardId"] == "shardId-000000000000"
    assert int(shards["3"]["HashKeyRange"]["StartingHashKey"]) == HALF // 2
    assert int(shards["2"]["HashKeyRange"]["EndingHashKey"]) == HALF // 2 - 1


def test_a_merge(stream: Any) -> None:
    stream.merge_shards(
        StreamName=STREAM, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
    )
    settle(stream, STREAM)
    shards = _shards(stream)
    child = next(shard for shard in shards if shard["ShardId"] == "shardId-000000000002")
    assert {child["ParentShardId"], child["AdjacentParentShardId"]} == {
        "shardId-000000000000",
        "shardId-000000000001",
    }
    assert int(child["HashKeyRange"]["StartingHashKey"]) == 0
    assert all(
        "EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in shards if shard is not child
    )


def test_pages_of_shards(kinesis: Any, request: pytest.FixtureRequest) -> None:
    if "moto" in request.node.name:
        pytest.skip("moto wants the stream's name beside the token, which the service refuses")
    kinesis.create_stream(StreamName=STREAM, ShardCount=5)
    time.sleep(1.0)
    first = kinesis.list_shards(StreamName=STREAM, MaxResults=2)
    second = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=2)
    third = kinesis.list_shards(NextToken=second["NextToken"], MaxResults=2)
    ids = [shard["ShardId"][-1] for page in (first, second, third) for shard in page["Shards"]]
    assert ids == list("01234")
    assert "NextToken" not in third
