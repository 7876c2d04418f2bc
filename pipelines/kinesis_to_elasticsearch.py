"""Job `kinesis-to-elasticsearch`: ReadFromKinesis -> Decode -> WriteToElasticsearch -> WriteDeadLetters -> Acknowledge."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from penstock.io import elasticsearch, kinesis
from penstock.io.acknowledge import Acknowledge
from penstock.io.aws import AwsOptions
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.options import option
from penstock.pipelines.command_line import parse
from penstock.pipelines.job import JobOptions, run_streaming
from penstock.transforms import DecodeJson, DecodePlain

__all__ = ["main"]

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code (0 clean stop, 1 failure, 2 wrong options)."""
    classes = (
        kinesis.KinesisReadOptions,
        DecodeOptions,
        elasticsearch.ElasticsearchOptions,
        AwsOptions,
        JobOptions,
    )
    line = parse(f"penstock {NAME}", DESCRIPTION, classes, argv, epilog=kinesis.READ_HELP)
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

    checks = (lambda: kinesis.check_read(source, aws), lambda: elasticsearch.check(sink))
    return run_streaming(NAME, job, line.beam, checks, build)


if __name__ == "__main__":
    sys.exit(main())
