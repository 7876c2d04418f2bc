"""Job `kinesis-to-elasticsearch`: ReadFromKinesis -> Decode -> WriteToElasticsearch -> WriteDeadLetters -> Acknowledge."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from penstock.io import elasticsearch, kinesis
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.dead_letters import preflight as letters
from penstock.io.options import option
from penstock.io.preflight.trials import require_quick
from penstock.pipelines.command_line import CommandLine, parse
from penstock.pipelines.run.job_preflight import Needs
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms import DecodeJson, DecodePlain

__all__ = ["DecodeOptions", "main", "needs", "option_classes"]

NAME = "kinesis-to-elasticsearch"
DESCRIPTION = (
    "Reads every shard of a Kinesis stream from its checkpoints, decodes the events and writes them to\n"
    "Elasticsearch in bulks. A checkpoint never passes an event that Elasticsearch has not accepted."
)


@dataclasses.dataclass(frozen=True)
class DecodeOptions:
    """How a record becomes events."""

    codec: str = option(
        "json",
        help="json: a record holds JSON; plain: all of the record lands in the field `message`.",
        choices=("json", "plain"),
    )


def option_classes(argv: Sequence[str] | None = None) -> tuple[type, ...]:
    """The options of the job, by component."""
    return (
        kinesis.KinesisReadOptions,
        DecodeOptions,
        elasticsearch.ElasticsearchOptions,
        AwsOptions,
        JobOptions,
    )


def needs(line: CommandLine) -> Needs:
    """What the job needs of its peers."""
    source, account = line.get(kinesis.KinesisReadOptions), AwsAccount(line.get(AwsOptions))
    sink, url = line.get(elasticsearch.ElasticsearchOptions), line.get(JobOptions).dead_letter_url(NAME)
    return Needs(
        [
            *identity_trials(account),
            *kinesis.read_trials(source, account),
            *elasticsearch.trials(sink),
            *letters.trials(url, account, sink),
        ],
        account,
        source.kinesis_stream_name,
        lambda arns, key: (*kinesis.read_statements(source, arns, key), *letters.keep_statements(url, arns)),
        letters.roles_with(sink, url),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code (0 clean stop, 1 failure, 2 wrong options)."""
    line = parse(f"penstock {NAME}", DESCRIPTION, option_classes(), argv, epilog=kinesis.READ_HELP)
    source, sink = line.get(kinesis.KinesisReadOptions), line.get(elasticsearch.ElasticsearchOptions)
    aws, job = line.get(AwsOptions), line.get(JobOptions)
    decode = (
        DecodePlain()
        if line.get(DecodeOptions).codec == "plain"
        else DecodeJson(keep_documents=sink.needs_documents)
    )

    def build(pipeline: Any) -> None:
        _ = (
            pipeline
            | "ReadFromKinesis" >> kinesis.ReadFromKinesis(source, aws)
            | "Decode" >> decode
            | "WriteToElasticsearch" >> elasticsearch.WriteToElasticsearch(sink)
            | "WriteDeadLetters" >> WriteDeadLetters(job.dead_letter_url(NAME), elasticsearch=sink, aws=aws)
            | "Acknowledge" >> Acknowledge()
        )

    checks = (
        lambda: require_quick(needs(line).trials),
        lambda: kinesis.prepare_read(source, aws),
        lambda: elasticsearch.prepare(sink),
    )
    return run_streaming(NAME, job, line.beam, checks, build)


if __name__ == "__main__":
    sys.exit(main())
