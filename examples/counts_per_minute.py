"""A stream into Elasticsearch, and beside it, in a second index, how many events of each level came per minute.

python examples/counts_per_minute.py --kinesis_stream_name kinesis_poc --application_name mine --hosts localhost:9200 \\
    --index logs --counts_index logs-per-minute --runner PrismRunner

PrismRunner and FlinkRunner write a minute's counts a few seconds after its end. DirectRunner writes them when the job ends,
so give it `--stop_when_idle 5`. Events are stored at least once, and acknowledged by the chain; a kill may leave some of
them out of the counts, or count them in two parts, of which the later one stays.
"""

import dataclasses
import sys
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows

from penstock.io.aws import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.kinesis import KinesisReadOptions, ReadFromKinesis
from penstock.io.options import option
from penstock.pipelines.command_line import parse
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms import AsElements, DecodeJson


@dataclasses.dataclass(frozen=True)
class CountOptions:
    """What is counted."""

    counts_index: str = option("counts-per-minute", help="Index of the counts.")
    window_seconds: int = option(60, help="Seconds that one count is about.")


def level_of(event: dict[str, Any]) -> str:
    return str(event.get("log", {}).get("level", "none"))


def document(counted: tuple[str, int], window: Any = beam.DoFn.WindowParam) -> dict[str, Any]:
    level, count = counted
    return {"@timestamp": window.start, "level": level, "events": count}


def document_id(counted: dict[str, Any]) -> str:
    return f"{counted['@timestamp'].to_rfc3339()} {counted['level']}"


def main() -> int:
    classes = (KinesisReadOptions, ElasticsearchOptions, CountOptions, AwsOptions, JobOptions)
    line = parse("counts_per_minute.py", "An example of windows beside a chain.", classes)
    sink, aws, job = line.get(ElasticsearchOptions), line.get(AwsOptions), line.get(JobOptions)
    counting = line.get(CountOptions)
    to_counts = dataclasses.replace(sink, index=counting.counts_index, action="index")

    def build(pipeline: Any) -> None:
        events = pipeline | ReadFromKinesis(line.get(KinesisReadOptions), aws) | DecodeJson()
        _ = (
            events
            | WriteToElasticsearch(sink)
            | WriteDeadLetters(job.dead_letter_url("counts-per-minute"), elasticsearch=sink, aws=aws)
            | Acknowledge()
        )
        _ = (
            events
            | AsElements()
            | beam.Map(level_of)
            | beam.WindowInto(FixedWindows(counting.window_seconds))
            | beam.combiners.Count.PerElement()
            | beam.Map(document)
            | "WriteCounts" >> WriteToElasticsearch(to_counts, id_fn=document_id)
        )

    return run_streaming("counts-per-minute", job, line.beam, (), build)


if __name__ == "__main__":
    sys.exit(main())
