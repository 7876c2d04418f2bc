"""A pipeline as a Beam developer writes it, run as a program by test_elements.py.

usage: elements_job.py FILE STREAM APPLICATION ENDPOINT [options of Beam]

Each element becomes a line of FILE. Nothing of ours but `ReadFromKinesis` is in it.
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.io.kinesis import ReadFromKinesis


def main():
    path, stream, application, endpoint, *beam_options = sys.argv[1:]

    def append(element):  # in here, so that it is pickled by value: workers don't have this file
        with open(path, "ab", buffering=0) as file:
            file.write(element + b"\n")

    with beam.Pipeline(options=PipelineOptions(beam_options)) as pipeline:
        payloads = pipeline | ReadFromKinesis(
            stream_name=stream,
            application_name=application,
            endpoint_url=endpoint,
            output="bytes",
            checkpoint_interval_seconds=1,
            additional_settings=["failoverTimeMillis=2000"],
        )
        _ = payloads | beam.Map(append)


if __name__ == "__main__":
    main()
