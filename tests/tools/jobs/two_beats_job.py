"""Reads Beats at two ports and writes them to one stream, by one chain: run as a program by test_flink_submit.py.

usage: two_beats_job.py PORT PORT [options of KinesisWriteOptions, AwsOptions, JobOptions and of Beam]
"""

import sys

from penstock.io.aws.session import AwsOptions
from penstock.io.beats import BeatsOptions, ReadFromBeats
from penstock.io.chain.read_all import ReadFromAll
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.kinesis import KinesisWriteOptions, WriteToKinesis
from penstock.pipelines.command_line import parse
from penstock.pipelines.run.chain import connect, live_chain
from penstock.pipelines.run.streaming import JobOptions, run_streaming


def main():
    reads = [ReadFromBeats(BeatsOptions(port=int(port))) for port in sys.argv[1:3]]
    line = parse("two-beats", "Two ports.", [KinesisWriteOptions, AwsOptions, JobOptions], sys.argv[3:])
    aws, job = line.get(AwsOptions), line.get(JobOptions)
    steps = live_chain(
        ("ReadFromAll", ReadFromAll(reads)),
        ("WriteToKinesis", WriteToKinesis(line.get(KinesisWriteOptions), aws)),
        dead_letters=WriteDeadLetters(job.dead_letter_url("two-beats"), aws=aws),
    )
    return run_streaming("two-beats", job, line.beam, (), lambda pipeline: connect(pipeline, steps))


if __name__ == "__main__":
    sys.exit(main())
