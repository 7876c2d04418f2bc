"""This pipeline counts the events of each user per minute, from a stream into Elasticsearch.

python examples/beam/count_kinesis.py STREAM APPLICATION INDEX [--hosts HOST:PORT] [--endpoint_url URL] [options of Beam]

A window is written as it closes, on PrismRunner and FlinkRunner. DirectRunner writes at the end: give `--stop_when_idle 5`.
"""

import argparse
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows

from penstock.io.elasticsearch import WriteToElasticsearch
from penstock.io.kinesis import ReadFromKinesis


def user_of(event: dict[str, Any]) -> str:
    return str(event.get("user", "nobody"))


def document(counted: tuple[str, int], window: Any = beam.DoFn.WindowParam) -> dict[str, Any]:
    user, count = counted
    return {"user": user, "minute": window.start, "events": count}


def document_id(counted: dict[str, Any]) -> str:
    return f"{counted['user']} {counted['minute'].to_rfc3339()}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stream")
    parser.add_argument("application")
    parser.add_argument("index")
    parser.add_argument("--hosts", default="localhost:9200")
    parser.add_argument("--endpoint_url", help="where AWS is; by default AWS itself")
    given, of_beam = parser.parse_known_args()
    with beam.Pipeline(options=PipelineOptions(of_beam)) as pipeline:
        _ = (
            pipeline
            | ReadFromKinesis(
                stream_name=given.stream,
                application_name=given.application,
                endpoint_url=given.endpoint_url,
                output="dict",
            )
            | beam.Map(user_of)
            | beam.WindowInto(FixedWindows(60))
            | beam.combiners.Count.PerElement()
            | beam.Map(document)
            | WriteToElasticsearch(hosts=given.hosts, index=given.index, action="index", id_fn=document_id)
        )


if __name__ == "__main__":
    main()
