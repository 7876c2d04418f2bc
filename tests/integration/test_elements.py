"""Elements of any pipeline into real servers: Elasticsearch, and Kinesis as moto has it."""

import json
from pathlib import Path

import apache_beam as beam
import pytest

from local.demo import evidence
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import WriteToElasticsearch
from penstock.io.kinesis import WriteToKinesis


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

    said = r"1 elements were refused, and nothing keeps them.*no number"
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
