"""`beats-to-kinesis` chains ReadFromBeats, WriteToKinesis, WriteDeadLetters, Acknowledge."""

from penstock.io import beats, dead_letters, kinesis
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.dead_letters import preflight as letters
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.logstash.hints import logstash_hint
from penstock.pipelines.run.chain import Step, live_chain, require_time_to_send
from penstock.pipelines.run.job import StreamingJob
from penstock.pipelines.run.requirements import Requirements

__all__ = ["JOB"]

NAME = "beats-to-kinesis"


def _requirements(line: CommandLine) -> Requirements:
    """Gives what the job needs of its peers."""
    from penstock.pipelines.run.runners import runs_elsewhere  # with Beam, which no --help needs

    sink, account = line.get(kinesis.KinesisWriteOptions), AwsAccount(line.get(AwsOptions))
    url = line.get(JobOptions).dead_letter_url(NAME)
    return Requirements(
        [
            # On a cluster the port and the files are those of other machines.
            *([] if runs_elsewhere(line.beam) else beats.trials(line.get(beats.BeatsOptions))),
            *identity_trials(account),
            *kinesis.write_trials(sink, account),
            *letters.trials(url, account, None),
        ],
        account,
        sink.stream_name if "%{" not in sink.stream_name else None,
        lambda arns, key: (*kinesis.write_statements(sink, arns, key), *letters.keep_statements(url, arns)),
    )


def _build(line: CommandLine) -> list[Step]:
    aws = line.get(AwsOptions)
    source, sink = line.get(beats.BeatsOptions), line.get(kinesis.KinesisWriteOptions)
    require_time_to_send(source, sink)
    return live_chain(
        ("ReadFromBeats", beats.ReadFromBeats(source)),
        ("WriteToKinesis", kinesis.WriteToKinesis(sink, aws)),
        dead_letters=dead_letters.WriteDeadLetters(line.get(JobOptions).dead_letter_url(NAME), aws=aws),
    )


JOB = StreamingJob(
    name=NAME,
    description=(
        "Reads Beats connections (Lumberjack v1 and v2) and writes their events to a Kinesis stream, aggregated as\n"
        "the Kinesis Producer Library does. A window is acknowledged once all of it is in the stream."
    ),
    epilog=kinesis.WRITE_HELP,
    first=(
        "stream_name",
        "region",
        "beats_host",
        "beats_port",
        "ssl_certificate",
        "ssl_key",
        "ssl_certificate_authorities",
        "event_partition_keys",
        "dead_letters",
        "status_port",
    ),
    option_classes=lambda argv: (beats.BeatsOptions, kinesis.KinesisWriteOptions, AwsOptions, JobOptions),
    requirements=_requirements,
    hint=logstash_hint(("input", "beats"), ("output", "kinesis")),
    build=_build,
)
