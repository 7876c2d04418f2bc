"""Job `beats-to-kinesis`: ReadFromBeats -> WriteToKinesis -> WriteDeadLetters -> Acknowledge."""

import sys
from collections.abc import Sequence
from typing import Any

from penstock.io import beats, kinesis
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.dead_letters import preflight as letters
from penstock.io.preflight.trials import require_quick
from penstock.pipelines.command_line import CommandLine, parse
from penstock.pipelines.run.job_preflight import Needs
from penstock.pipelines.run.runners import runs_elsewhere
from penstock.pipelines.run.streaming import JobOptions, run_streaming

__all__ = ["main", "needs", "option_classes"]

NAME = "beats-to-kinesis"
DESCRIPTION = (
    "Reads Beats connections (Lumberjack v1 and v2) and writes their events to a Kinesis stream, aggregated as\n"
    "the Kinesis Producer Library does. A window is acknowledged once all of it is in the stream."
)


def option_classes(argv: Sequence[str] | None = None) -> tuple[type, ...]:
    """The options of the job, by component."""
    return (beats.BeatsOptions, kinesis.KinesisWriteOptions, AwsOptions, JobOptions)


def needs(line: CommandLine) -> Needs:
    """What the job needs of its peers."""
    sink, account = line.get(kinesis.KinesisWriteOptions), AwsAccount(line.get(AwsOptions))
    url = line.get(JobOptions).dead_letter_url(NAME)
    return Needs(
        [
            # Elsewhere the port and the files are those of other machines.
            *([] if runs_elsewhere(line.beam) else beats.trials(line.get(beats.BeatsOptions))),
            *identity_trials(account),
            *kinesis.write_trials(sink, account),
            *letters.trials(url, account, None),
        ],
        account,
        sink.stream_name if "%{" not in sink.stream_name else None,
        lambda arns, key: (*kinesis.write_statements(sink, arns, key), *letters.keep_statements(url, arns)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code (0 clean stop, 1 failure, 2 wrong options)."""
    line = parse(f"penstock {NAME}", DESCRIPTION, option_classes(), argv, epilog=kinesis.WRITE_HELP)
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

    return run_streaming(NAME, job, line.beam, (lambda: require_quick(needs(line).trials),), build)


if __name__ == "__main__":
    sys.exit(main())
