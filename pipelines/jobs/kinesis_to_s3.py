"""Job `kinesis-to-s3`: ReadForArchive -> WriteToArchive, which acknowledges after the upload."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from penstock.io import kinesis, s3
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.errors import OptionError
from penstock.io.preflight.trials import require_quick
from penstock.pipelines.command_line import CommandLine, parse
from penstock.pipelines.run.job_preflight import Needs
from penstock.pipelines.run.streaming import JobOptions, run_streaming

__all__ = ["main", "needs", "option_classes"]

NAME = "kinesis-to-s3"
DESCRIPTION = (
    "Archives a Kinesis stream in S3: every record's original bytes, partition key and position, as Parquet, Avro or\n"
    "JSON lines under dt=YYYY-MM-DD/hour=HH/. A checkpoint never passes a record that is not uploaded. s3-to-elasticsearch\n"
    "backfills it with the document ids of the live path. Give it an --application_name of its own."
)
_EVENT_BYTES = 64


def option_classes(argv: Sequence[str] | None = None) -> tuple[type, ...]:
    """The options of the job, by component."""
    return (kinesis.KinesisReadOptions, s3.ArchiveOptions, AwsOptions, JobOptions)


def needs(line: CommandLine) -> Needs:
    """What the job needs of its peers."""
    source, account = line.get(kinesis.KinesisReadOptions), AwsAccount(line.get(AwsOptions))
    archive = line.get(s3.ArchiveOptions)
    return Needs(
        [
            *identity_trials(account),
            *kinesis.read_trials(source, account),
            *s3.archive_trials(archive, account),
        ],
        account,
        source.kinesis_stream_name,
        lambda arns, key: (
            *kinesis.read_statements(source, arns, key),
            *s3.archive_statements(archive, arns),
        ),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code (0 clean stop, 1 failure, 2 wrong options)."""
    line = parse(f"penstock {NAME}", DESCRIPTION, option_classes(), argv)
    archive, aws, job = line.get(s3.ArchiveOptions), line.get(AwsOptions), line.get(JobOptions)
    source = _roomy(line.get(kinesis.KinesisReadOptions), archive)

    def build(pipeline: Any) -> None:
        _ = (
            pipeline
            | "ReadForArchive" >> s3.ReadForArchive(source, aws)
            | "WriteToArchive" >> s3.WriteToArchive(archive, aws)
        )

    checks = (
        lambda: _refuse_dead_letters(job),
        lambda: s3.check_archive_read(source),
        lambda: require_quick(needs(line).trials),
        lambda: kinesis.prepare_read(source, aws),
    )
    return run_streaming(NAME, job, line.beam, checks, build)


def _refuse_dead_letters(job: JobOptions) -> None:
    if job.dead_letters:
        message = (
            f"{NAME} archives every record's bytes as they are and refuses none: leave --dead_letters out."
        )
        raise OptionError(message)


def _roomy(source: kinesis.KinesisReadOptions, archive: s3.ArchiveOptions) -> kinesis.KinesisReadOptions:
    """What a file holds is not acknowledged: the bounds on that must have room for three."""
    room = 3 * archive.roll_bytes
    return dataclasses.replace(
        source,
        max_pending_bytes=max(source.max_pending_bytes, room),
        max_pending_events=max(source.max_pending_events, room // _EVENT_BYTES),
    )


if __name__ == "__main__":
    sys.exit(main())
