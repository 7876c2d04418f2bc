"""The two files of `examples/logstash` are the chains of the two jobs: the same steps, so the same cost per event."""

import pickle
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.transforms.display import DisplayData

from penstock.pipelines.command_line import parse
from penstock.pipelines.jobs import beats_to_kinesis, find_job, kinesis_to_elasticsearch
from penstock.pipelines.logstash.graph import build
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.reading.loading import load
from penstock.pipelines.run.chain import connect

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


SECRETS = {
    "PASSPHRASE": "geheim-1",
    "KEY": "geheim-2",
    "PASSWORD": "geheim-3",
    "API": "geheim:4",
    "FINGERPRINT": "geheim-5",
}
EVERY = """
input {
  beats { port => 5044 ssl_enabled => true ssl_certificate => "%(file)s" ssl_key => "%(file)s"
          ssl_key_passphrase => "${PASSPHRASE}" }
  kinesis { kinesis_stream_name => "s" application_name => "app" access_key_id => "AK" secret_access_key => "${KEY}" }
  file { path => "/nowhere/*.log" type => "${PASSWORD}" }
}
filter { fingerprint { source => "message" key => "${FINGERPRINT}" method => "SHA256" } }
output {
  if [a] == "${API}" { elasticsearch { user => "u" password => "${PASSWORD}" } }
  elasticsearch { api_key => "${API}" ssl_enabled => true }
  kinesis { stream_name => "t" access_key => "AK" secret_key => "${KEY}" }
}
"""


def test_neither_a_savepoint_nor_a_runners_page_tells_a_secret(monkeypatch, tmp_path):
    """A savepoint holds the elements of the graph's beginning, and what reads made of them; a page shows display data."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "pem").touch()
    (tmp_path / "x.conf").write_text(EVERY % {"file": tmp_path / "pem"})
    (loaded,) = load(LogstashOptions(path_config=str(tmp_path / "x.conf")))
    pipeline = beam.Pipeline()
    connect(pipeline, build(loaded.plan, "file:///tmp/letters.jsonl"))
    kept, shown = [], []

    class Visit(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node):
            self.enter_composite_transform(node)

        def enter_composite_transform(self, node):
            if isinstance(node.transform, beam.Create):
                kept.append(pickle.dumps(node.transform.values))
            if node.transform is not None:
                shown.extend(repr(item.get_dict()) for item in DisplayData.create_from(node.transform).items)

    pipeline.visit(Visit())
    assert kept
    assert any("app" in text for text in shown)
    assert not [each for each in kept for value in SECRETS.values() if value.encode() in each]
    assert not [each for each in shown for value in SECRETS.values() if value in each]
