"""The two files of `examples/logstash` are the chains of the two jobs: the same steps, so the same cost per event."""

from pathlib import Path

import pytest

from penstock.pipelines.command_line import parse
from penstock.pipelines.jobs import beats_to_kinesis, find_job, kinesis_to_elasticsearch
from penstock.pipelines.logstash.graph import build
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.reading.loading import load

EXAMPLES = Path(__file__).parents[4] / "examples" / "logstash"


def shown(value):
    """What is set of a step: of Beam's own objects, and of ours without a text of their own, only the type."""
    return f"{type(value).__name__}" if " at 0x" in repr(value) else repr(value)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            beats_to_kinesis,
            ("--stream_name=kinesis_poc --randomized_partition_key --max_pending_records=10000 --beats_host=0.0.0.0 "
             "--region=us-east-1"),
        ),
        (
            kinesis_to_elasticsearch,
            ("--kinesis_stream_name=kinesis_poc --application_name=kinesis_poc --region=us-east-1 "
             "--checkpoint_interval_seconds=10 --data_stream=true --hosts=localhost:9200 --role_session_name=logstash"),
        ),
    ],
)  # fmt: skip
def test_the_same_steps(module, words):
    letters = "file:///tmp/letters.jsonl"
    (loaded,) = load(LogstashOptions(path_config=str(EXAMPLES / f"{module.NAME}.conf")))
    job = find_job(module.NAME)
    given = [*words.split(), f"--dead_letters={letters}"]
    theirs = module._build(parse("x", "", job.option_classes(given), given))
    ours = build(loaded.plan, letters)
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    for (_, one), (_, other) in zip(ours, theirs, strict=True):
        assert type(one) is type(other)
        assert {name: shown(value) for name, value in vars(one).items()} == {
            name: shown(value) for name, value in vars(other).items()
        }
