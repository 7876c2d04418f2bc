"""`kinesis-to-elasticsearch` chains ReadFromKinesis, Decode, WriteToElasticsearch, WriteDeadLetters, Acknowledge."""

from penstock.io import dead_letters, elasticsearch, kinesis
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.dead_letters import preflight as letters
from penstock.io.errors import OptionError
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.logstash.hints import logstash_hint
from penstock.pipelines.run.chain import Step, live_chain
from penstock.pipelines.run.job import StreamingJob
from penstock.pipelines.run.requirements import Requirements
from penstock.transforms.codecs.options import DecodeOptions

__all__ = ["JOB"]

NAME = "kinesis-to-elasticsearch"


def _requirements(line: CommandLine) -> Requirements:
    """Gives what the job needs of its peers."""
    source, account = line.get(kinesis.KinesisReadOptions), AwsAccount(line.get(AwsOptions))
    sink, url = line.get(elasticsearch.ElasticsearchOptions), line.get(JobOptions).dead_letter_url(NAME)
    return Requirements(
        [
            *identity_trials(account),
            *kinesis.read_trials(source, account),
            *elasticsearch.trials(sink, account.arns),
            *letters.trials(url, account, sink),
        ],
        account,
        source.kinesis_stream_name,
        lambda arns, key: (
            *kinesis.read_statements(source, arns, key),
            *elasticsearch.iam_statements(sink, arns),
            *letters.keep_statements(url, arns),
        ),
        sink,
        lambda dialect: letters.roles_with(sink, url, dialect),
    )


def _build(line: CommandLine) -> list[Step]:
    from penstock.transforms.decode import decode_step  # with Beam, which no --help needs

    sink, aws = line.get(elasticsearch.ElasticsearchOptions), line.get(AwsOptions)
    url = line.get(JobOptions).dead_letter_url(NAME)
    decode = line.get(DecodeOptions)
    if decode.lacking_in_a_stream:
        raise OptionError(decode.lacking_in_a_stream)
    return live_chain(
        ("ReadFromKinesis", kinesis.ReadFromKinesis(line.get(kinesis.KinesisReadOptions), aws)),
        ("Decode", decode_step(decode, keep_documents=sink.needs_documents)),
        ("WriteToElasticsearch", elasticsearch.WriteToElasticsearch(sink)),
        dead_letters=dead_letters.WriteDeadLetters(url, elasticsearch=sink, aws=aws),
    )


def _prepare(line: CommandLine) -> None:
    kinesis.prepare_read(line.get(kinesis.KinesisReadOptions), line.get(AwsOptions))
    elasticsearch.prepare(line.get(elasticsearch.ElasticsearchOptions))


JOB = StreamingJob(
    name=NAME,
    description=(
        "Reads every shard of a Kinesis stream from its checkpoints, decodes the events and writes them to\n"
        "Elasticsearch in bulks. A checkpoint never passes an event that Elasticsearch has not accepted."
    ),
    epilog=kinesis.READ_HELP,
    first=(
        "kinesis_stream_name",
        "application_name",
        "region",
        "hosts",
        "index",
        "api_key",
        "ssl_certificate_authorities",
        "codec",
        "dead_letters",
        "status_port",
    ),
    option_classes=lambda argv: (
        kinesis.KinesisReadOptions,
        DecodeOptions,
        elasticsearch.ElasticsearchOptions,
        AwsOptions,
        JobOptions,
    ),
    requirements=_requirements,
    hint=logstash_hint(("input", "kinesis"), ("output", "elasticsearch")),
    build=_build,
    prepare=_prepare,
)
