"""Job `beats-to-kinesis`: ReadFromBeats -> WriteToKinesis -> WriteDeadLetters -> Acknowledge."""

import sys
from collections.abc import Sequence
from typing import Any

from penstock.io import beats, kinesis
from penstock.io.acknowledge import Acknowledge
from penstock.io.aws import AwsOptions
from penstock.io.dead_letters import WriteDeadLetters
from penstock.pipelines.command_line import parse
from penstock.pipelines.job import JobOptions, run_streaming

__all__ = ["main"]

NAME = "beats-to-kinesis"
DESCRIPTION = (
    "Reads Beats connections (Lumberjack v1 and v2) and writes their events to a Kinesis stream, aggregated as\n"
    "the Kinesis Producer Library does. A window is acknowledged once all of it is in the stream."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code (0 clean stop, 1 failure, 2 wrong options)."""
    classes = (beats.BeatsOptions, kinesis.KinesisWriteOptions, AwsOptions, JobOptions)
    line = parse(f"penstock {NAME}", DESCRIPTION, classes, argv, epilog=kinesis.WRITE_HELP)
    source, sink = line.get(beats.BeatsOptions), line.get(kinesis.KinesisWriteOptions)
    aws, job = line.get(AwsOptions), line.get(JobOptions)

    def build(pipeline: Any) -> None:
        _ = (
            pipeline
            | "ReadFromBeats" >> beats.ReadFromBeats(source)
            | "WriteToKinesis" >> kinesis.WriteToKinesis(sink, aws)
            | "WriteDeadLetters" >> WriteDeadLetters(job.dead_letter_url(NAME), aws=aws)
            | "Acknowledge" >> Acknowledge()
        )

    checks = (lambda: beats.check(source), lambda: kinesis.check_write(sink, aws))
    return run_streaming(NAME, job, line.beam, checks, build)


if __name__ == "__main__":
    sys.exit(main())
