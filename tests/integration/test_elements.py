"""Elements of any pipeline into real servers: Elasticsearch, and Kinesis as moto has it."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest

from local.demo import evidence
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import WriteToElasticsearch
from penstock.io.kinesis import WriteToKinesis
from tests.tools.machine.waiting import wait_until

ELEMENTS_JOB = Path(__file__).parents[1] / "tools" / "jobs" / "elements_job.py"


def test_dicts_into_kinesis(aws, unique_name):
    aws.client("kinesis").create_stream(StreamName=unique_name, ShardCount=2)
    documents = [{"n": n} for n in range(500)]
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create(documents)
            | WriteToKinesis(stream_name=unique_name, endpoint_url=aws.endpoint_url, event_partition_keys="n")
        )
    stored = map(json.loads, evidence.stream_events(aws.client("kinesis"), unique_name))
    assert sorted(event["n"] for event in stored) == list(range(500))


def test_lines_into_elasticsearch_once_however_often(elasticsearch, unique_name, tmp_path: Path):
    lines = tmp_path / "lines.txt"
    lines.write_text('{"n": 1}\nplain text\n{"n": 2}\n')
    for _ in range(2):
        with beam.Pipeline() as pipeline:
            _ = (
                pipeline
                | beam.io.ReadFromText(str(lines))
                | WriteToElasticsearch(hosts=elasticsearch.url, index=unique_name, ids="content")
            )
    assert found(elasticsearch, unique_name) == [{"message": "plain text"}, {"n": 1}, {"n": 2}]


def test_without_ids_elasticsearch_makes_them_and_data_streams_get_a_time(elasticsearch, unique_name):
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create([beam.Row(n=1), beam.Row(n=1)])
            | WriteToElasticsearch(hosts=elasticsearch.url, data_stream_dataset=unique_name)
        )
    stored = found(elasticsearch, f"logs-{unique_name}-default")
    assert [document["n"] for document in stored] == [1, 1]
    assert all("@timestamp" in document for document in stored)


def test_refusals_are_an_output_an_error_or_letters(elasticsearch, unique_name, tmp_path: Path):
    elasticsearch.client().indices.create(index=unique_name, mappings={"properties": {"n": {"type": "long"}}})
    documents = [{"n": 1}, {"n": "no number"}, {"n": 3}]

    def sink() -> WriteToElasticsearch:
        return WriteToElasticsearch(
            hosts=elasticsearch.url, index=unique_name, id_fn=lambda each: str(each["n"])
        )

    said = r"1 element was refused, and kept nowhere.*no number"
    with pytest.raises(Exception, match=said), beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create(documents) | sink()

    with beam.Pipeline() as pipeline:
        _, refused = pipeline | beam.Create(documents) | sink().with_exception_handling()
        as_text = refused | beam.Map(
            lambda each: f"{each.stage} {each.error} {each.status} {each.element.decode()}"
        )
        _ = as_text | beam.io.WriteToText(str(tmp_path / "refused"), shard_name_template="")
    assert (tmp_path / "refused").read_text() == (
        'elasticsearch document_parsing_exception 400 {"n":"no number"}\n'
    )

    with beam.Pipeline() as pipeline:
        written = pipeline | beam.Create(documents) | sink()
        _ = written | WriteDeadLetters(f"file://{tmp_path}/letters")
    assert len((tmp_path / "letters").read_text().splitlines()) == 1
    assert found(elasticsearch, unique_name) == [{"n": 1}, {"n": 3}]


def found(elasticsearch, index: str) -> list[dict]:
    client = elasticsearch.client()
    client.indices.refresh(index=index)
    hits = client.search(index=index, size=100)["hits"]["hits"]
    return sorted((hit["_source"] for hit in hits), key=json.dumps)


def test_a_read_of_elements_loses_nothing_when_it_is_killed(aws, unique_name, tmp_path: Path):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName=unique_name, ShardCount=2)
    file = tmp_path / "elements"

    def put(numbers: range) -> None:
        records = [{"Data": b"%d" % n, "PartitionKey": str(n)} for n in numbers]
        kinesis.put_records(StreamName=unique_name, Records=records)

    def seen() -> set[int]:
        return {int(line) for line in file.read_bytes().split()} if file.exists() else set()

    def checkpoints() -> set[str]:
        items = aws.client("dynamodb").scan(TableName=unique_name)["Items"]
        return {item["checkpoint"]["S"] for item in items}

    @contextlib.contextmanager
    def job() -> Iterator[subprocess.Popen[bytes]]:
        command = [
            sys.executable,
            "-P",
            str(ELEMENTS_JOB),
            str(file),
            unique_name,
            unique_name,
            aws.endpoint_url,
        ]
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    put(range(300))
    with job():
        wait_until(lambda: seen() == set(range(300)), "the first elements")
        wait_until(lambda: "TRIM_HORIZON" not in checkpoints(), "a checkpoint of each shard")
        put(range(300, 400))
        wait_until(lambda: max(seen()) > 300, "some of the next elements")
    put(range(400, 500))
    with job():
        wait_until(lambda: seen() == set(range(500)), "all elements")
    lines = file.read_bytes().split()
    # What was committed before the kill is not read again: only the last bundle is.
    assert len([line for line in lines if int(line) < 300]) == 300
