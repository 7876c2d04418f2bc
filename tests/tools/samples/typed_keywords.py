"""Calls that mypy must tell apart. tests/typecheck.py reads this file; an ignore that is not needed is an error there."""

from typing import NamedTuple

from penstock.io.archive import ReadForArchive, WriteToArchive
from penstock.io.beats import ReadFromBeats
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.kinesis import ReadFromKinesis, WriteToKinesis
from penstock.io.s3 import ReadFromS3, S3ReadOptions
from penstock.testing import InMemoryKinesis


class User(NamedTuple):
    user: str


def right(kinesis: InMemoryKinesis) -> None:
    ReadFromKinesis(stream_name="s", application_name="a", output=User, initial_position_in_stream="LATEST")
    ReadFromKinesis(kinesis_stream_name="s", application_name="a", **kinesis.keywords)
    WriteToKinesis(stream_name="s", event_partition_keys="user", **kinesis.keywords)
    WriteToKinesis(stream_name="s", event_partition_keys=["user", "host"], region="eu-west-1")
    WriteToElasticsearch(hosts="localhost:9200", index="users", id_fn=str, ssl_enabled=None)
    WriteToElasticsearch(ElasticsearchOptions(index="users"), ids="content")
    ReadFromBeats(port=5044, beats_host="127.0.0.1", ssl_enabled=False)
    ReadFromS3(input="s3://bucket/logs/", format="parquet", region="eu-west-1")
    ReadFromS3((), S3ReadOptions(input=["s3://bucket/logs/"]), rate=5.0)
    ReadForArchive(stream_name="s", application_name="a", **kinesis.keywords)
    WriteToArchive(archive="s3://bucket/logs", archive_format="json")
    WriteDeadLetters("s3://bucket/refused", region="eu-west-1")
    WriteDeadLetters("elasticsearch:refused", hosts="localhost:9200", api_key="a:b")


def wrong() -> None:
    WriteToKinesis(stream="s")  # type: ignore[call-arg]
    WriteToKinesis(stream_name=5)  # type: ignore[arg-type]
    WriteToElasticsearch(hosts=5)  # type: ignore[arg-type]
    ReadFromKinesis(stream_name="s", initial_position_in_stream="NEWEST")  # type: ignore[arg-type]
    ReadFromBeats(port="5044")  # type: ignore[arg-type]
    ReadFromBeats(output="dict")  # type: ignore[call-arg]
    ReadFromS3(input=5)  # type: ignore[arg-type]
    WriteToArchive(archive_format="orc")  # type: ignore[arg-type]
    WriteDeadLetters("kinesis:refused", stream_name="s")  # type: ignore[call-arg]
