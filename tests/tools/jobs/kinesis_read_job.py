"""Reads a stream and records what it was given, run as a program by test_kinesis_read_kills.py.

usage: kinesis_read_job.py FILE [options of KinesisReadOptions, AwsOptions, JobOptions and of Beam]

Each event becomes a line `shard sequence-number index payload` of FILE, written before the batch is acknowledged.
"""

import functools
import os
import sys

import apache_beam as beam

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.kinesis import KinesisReadOptions, ReadFromKinesis
from penstock.io.kinesis.read.preflight import require_readable
from penstock.pipelines.command_line import parse
from penstock.pipelines.run.streaming import JobOptions, run_streaming


class Record(beam.DoFn):
    def __init__(self, path):
        self._path = path

    def setup(self):
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def process(self, batch):
        lines = [
            b"%s %s %d %s\n"
            % (each.origin.shard_id.encode(), each.origin.sequence_number.encode(), each.index, each.data)
            for each in batch.events
        ]
        os.write(self._file, b"".join(lines))
        yield batch


def main():
    path = sys.argv[1]
    line = parse("record", "Records a stream.", [KinesisReadOptions, AwsOptions, JobOptions], sys.argv[2:])
    options, aws = line.get(KinesisReadOptions), line.get(AwsOptions)

    def build(pipeline):
        return pipeline | ReadFromKinesis(options, aws) | beam.ParDo(Record(path)) | Acknowledge()

    return run_streaming(
        "record", line.get(JobOptions), line.beam, [functools.partial(require_readable, options, aws)], build
    )


if __name__ == "__main__":
    # Beam pickles by name: the classes must not be known as those of __main__.
    sys.path.insert(0, __file__.rpartition("/")[0])
    import kinesis_read_job

    sys.exit(kinesis_read_job.main())
