"""Each event of a stream, printed as it comes.

python examples/beam/print_kinesis.py STREAM APPLICATION [--endpoint_url URL] [options of Beam]

APPLICATION names the lease table in DynamoDB, which holds how far the stream was read. `--stop_when_idle 5` ends the read
once nothing has come for five seconds.
"""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.io.kinesis import ReadFromKinesis


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stream")
    parser.add_argument("application")
    parser.add_argument("--endpoint_url", help="where AWS is; by default AWS itself")
    given, of_beam = parser.parse_known_args()
    with beam.Pipeline(options=PipelineOptions(of_beam)) as pipeline:
        events = pipeline | ReadFromKinesis(
            stream_name=given.stream,
            application_name=given.application,
            endpoint_url=given.endpoint_url,
            output="dict",
        )
        _ = events | beam.Map(print)


if __name__ == "__main__":
    main()
