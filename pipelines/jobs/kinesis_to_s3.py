"""`kinesis-to-s3` chains ReadForArchive and WriteToArchive, which acknowledges after the upload."""

import dataclasses

from penstock.io import archive, kinesis
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.errors import OptionError
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.logstash.hints import logstash_hint
from penstock.pipelines.run.chain import Step
from penstock.pipelines.run.job import StreamingJob
from penstock.pipelines.run.requirements import Requirements
from penstock.transforms.batch import EVENT_BYTES

__all__ = ["JOB"]

NAME = "kinesis-to-s3"


def _requirements(line: CommandLine) -> Requirements:
    """Gives what the job needs of its peers."""
    source, account = line.get(kinesis.KinesisReadOptions), AwsAccount(line.get(AwsOptions))
    options = line.get(archive.ArchiveOptions)
    return Requirements(
        [
            *identity_trials(account),
            *kinesis.read_trials(source, account),
            *archive.archive_trials(options, account),
        ],
        account,
        source.kinesis_stream_name,
        lambda arns, key: (
            *kinesis.read_statements(source, arns, key),
            *archive.archive_statements(options, arns),
        ),
    )


def _build(line: CommandLine) -> list[Step]:
    options, aws = line.get(archive.ArchiveOptions), line.get(AwsOptions)
    source = _roomy(line.get(kinesis.KinesisReadOptions), options)
    _refuse_dead_letters(line.get(JobOptions))
    archive.require_archive_read(source)
    return [
        ("ReadForArchive", archive.ReadForArchive(source, aws)),
        ("WriteToArchive", archive.WriteToArchive(options, aws)),
    ]


def _prepare(line: CommandLine) -> None:
    source = _roomy(line.get(kinesis.KinesisReadOptions), line.get(archive.ArchiveOptions))
    kinesis.prepare_read(source, line.get(AwsOptions))


def _refuse_dead_letters(job: JobOptions) -> None:
    if job.dead_letters:
        message = (
            f"{NAME} archives every record's bytes as they are and refuses none: leave --dead_letters out."
        )
        raise OptionError(message)


def _roomy(source: kinesis.KinesisReadOptions, options: archive.ArchiveOptions) -> kinesis.KinesisReadOptions:
    """Makes room for three files in memory, because the records of a file are not acknowledged. Their number is free."""
    room = 3 * options.roll_bytes
    return dataclasses.replace(
        source,
        max_pending_bytes=max(source.max_pending_bytes, room),
        max_pending_events=max(source.max_pending_events, room // EVENT_BYTES),
    )


JOB = StreamingJob(
    name=NAME,
    description=(
        "Archives a Kinesis stream in S3: every record's original bytes, partition key and position, as Parquet, Avro or\n"
        "JSON lines under dt=YYYY-MM-DD/hour=HH/. A checkpoint never passes a record that is not uploaded. "
        "s3-to-elasticsearch\nbackfills it with the document ids of the live path. Give it an --application_name of its own."
    ),
    first=(
        "kinesis_stream_name",
        "application_name",
        "archive",
        "region",
        "initial_position_in_stream",
        "archive_format",
        "roll_bytes",
        "roll_seconds",
        "dead_letters",
        "status_port",
    ),
    option_classes=lambda argv: (kinesis.KinesisReadOptions, archive.ArchiveOptions, AwsOptions, JobOptions),
    requirements=_requirements,
    hint=logstash_hint(("input", "kinesis")),
    build=_build,
    prepare=_prepare,
)
