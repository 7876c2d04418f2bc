"""A job of your own: a stream into Elasticsearch without its debug lines, each event with the team that owns its host.

python examples/own_pipeline.py --kinesis_stream_name kinesis_poc --application_name mine --hosts localhost:9200

It has every option of the connectors that it uses (--help), stops cleanly on Ctrl-C, and refuses what cannot work. Your
functions take and return one event as a dict; what they raise sends that event to the dead letters, and no other.
"""

import sys
from typing import Any

from penstock.io.aws import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.kinesis import KinesisReadOptions, ReadFromKinesis
from penstock.pipelines.command_line import parse
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms import DecodeJson, FilterEvents, MapEvents

TEAMS = {"web": "shop", "db": "storage"}


def is_no_debug_line(event: dict[str, Any]) -> bool:
    return bool(event.get("log", {}).get("level") != "debug")


def add_team(event: dict[str, Any]) -> dict[str, Any]:
    kind = event["host"]["name"].split("-")[0]  # an event without a host becomes a dead letter
    return {**event, "labels": {"team": TEAMS.get(kind, "none")}}


def main() -> int:
    classes = (KinesisReadOptions, ElasticsearchOptions, AwsOptions, JobOptions)
    line = parse("own_pipeline.py", "An example of a job.", classes)
    sink, aws, job = line.get(ElasticsearchOptions), line.get(AwsOptions), line.get(JobOptions)

    def build(pipeline: Any) -> None:
        _ = (
            pipeline
            | ReadFromKinesis(line.get(KinesisReadOptions), aws)
            | DecodeJson()
            | FilterEvents(is_no_debug_line)
            | MapEvents(add_team)
            | WriteToElasticsearch(sink)
            | WriteDeadLetters(job.dead_letter_url("own-pipeline"), elasticsearch=sink, aws=aws)
            | Acknowledge()
        )

    return run_streaming("own-pipeline", job, line.beam, (), build)


if __name__ == "__main__":
    sys.exit(main())
