"""Dicts into a stream, with Beam's own `Create` as the source.

python examples/beam/dicts_to_kinesis.py STREAM [--endpoint_url URL] [options of Beam]
"""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.io.kinesis import WriteToKinesis


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stream")
    parser.add_argument("--endpoint_url", help="where AWS is; by default AWS itself")
    given, of_beam = parser.parse_known_args()
    users = [{"user": name, "visits": len(name)} for name in ("ann", "bob", "claire")]
    with beam.Pipeline(options=PipelineOptions(of_beam)) as pipeline:
        _ = (
            pipeline
            | beam.Create(users)
            | WriteToKinesis(
                stream_name=given.stream, endpoint_url=given.endpoint_url, event_partition_keys="user"
            )
        )


if __name__ == "__main__":
    main()
