"""The chain of a plan: the two files make the steps of the two jobs, and every other plan is one line of steps."""

import apache_beam as beam
import pytest

from penstock.io.elasticsearch import ELASTICSEARCH, ElasticsearchOptions
from penstock.io.errors import OptionError
from penstock.io.kinesis import KinesisWriteOptions
from penstock.io.s3 import S3ReadOptions
from penstock.pipelines.job_options import BatchJobOptions
from penstock.pipelines.jobs import find_job
from penstock.pipelines.logstash.graph import build
from penstock.pipelines.logstash.graph_objects import ObjectsOnce
from penstock.pipelines.logstash.needs import requirements_of
from penstock.pipelines.logstash.plan import FileOutput, Input, TextCodec
from penstock.pipelines.run.batch import run_batch
from penstock.pipelines.run.chain import connect
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.logstash.compile import Step
from tests.tools.samples.plans import AT, AWS, LETTERS, beats, from_file, from_kinesis, output, plan


def leaves(steps):
    """The DoFns and sources of a chain, in order, with the labels in front."""
    pipeline = beam.Pipeline()
    connect(pipeline, steps)
    found = []

    class Visit(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node):
            found.append((node.full_label, type(getattr(node.transform, "fn", node.transform)).__name__))

    pipeline.visit(Visit())
    return found


TWO = {
    "beats-to-kinesis": (plan([beats()], [output("kinesis")]), ["--stream_name", "logs", "--region", "us-east-1"]),
    "kinesis-to-elasticsearch": (
        plan([from_kinesis()], [output("elasticsearch")]),
        ["--kinesis_stream_name", "logs", "--application_name", "app", "--region", "us-east-1", "--hosts", "localhost:9200"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO)
def test_the_two_files_make_the_very_steps_of_the_two_jobs(name):
    given, argv = TWO[name]
    job = find_job(name)
    line = job.parse([*argv, "--dead_letters", LETTERS])
    assert leaves(build(given, LETTERS)) == leaves(job.build(line))


@pytest.mark.parametrize(
    ("inputs", "outputs", "filters", "labels"),
    [
        ([beats()], [output("kinesis"), output("null")], 0, "ReadFromBeats, WriteToKinesis kinesis:9, WriteNowhere null:9"),
        ([from_file("/x/y"), from_kinesis()], [output("null")], 0, "ReadFromAll, Decode, WriteNowhere"),
        ([beats()], [output("elasticsearch")], 0, "ReadFromBeats, Decode, WriteToElasticsearch"),
        ([beats()], [output("kinesis")], 1, "ReadFromBeats, Filters, WriteToKinesis"),
        ([beats()], [output("kinesis", "[a]")], 0, "ReadFromBeats, Filters, WriteToKinesis kinesis:9"),
        ([beats(), from_kinesis()], [output("elasticsearch")], 1, "ReadFromAll, Decode, Filters, WriteToElasticsearch"),
        ([from_kinesis()], [output("file"), output("stdout", name="a/b")], 0,
         "ReadFromKinesis, Decode, WriteToFiles file:9, WriteToStdout a_b"),
    ],
)  # fmt: skip
def test_a_plan_is_one_line_of_the_steps_that_it_needs(inputs, outputs, filters, labels):
    step = Step("filter", "mutate", options={"add_tag": ["a"]})
    steps = build(plan(inputs, outputs, [step] * filters), LETTERS)
    assert [label for label, _ in steps] == [*labels.split(", "), "WriteDeadLetters", "Acknowledge"]
    assert leaves(steps)  # it is whole: the labels differ, and the reads accept what follows


def test_events_that_would_expire_while_a_batch_is_gathered_are_refused():
    sink = output("kinesis", options=KinesisWriteOptions(stream_name="logs", record_ttl=5))
    with pytest.raises(OptionError, match="record_ttl"):
        build(plan([beats()], [sink]), LETTERS)


def test_a_plan_says_what_it_needs_of_each_of_its_peers():
    """Each cluster its role, and the store of letters only the cluster that it is in."""
    clusters = [output("elasticsearch", name=name, options=ElasticsearchOptions(hosts=["localhost:9200"], index=name))
                for name in ("one", "two")]  # fmt: skip
    given = plan([beats()], [*clusters, output("kinesis"), output("null")])
    for store, names in ((LETTERS, {"one", "two"}), ("elasticsearch:kept", {"one", "two", "kept"})):
        needed = requirements_of(given, store)
        assert {
            name
            for role in needed.roles(ELASTICSEARCH)
            for index in role["indices"]
            for name in index["names"]
        } == names
        assert len({trial.name for trial in needed.trials}) == len(needed.trials)


def test_objects_are_read_once_through_filters_into_each_output(tmp_path):
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    (folder / "b.jsonl").write_text('no JSON\n{"n": 3}\n')
    options = S3ReadOptions(input=[str(folder)], manifest=f"file://{tmp_path}/manifest")
    source = Input(plugin="s3", name="s3:1", options=options, aws=AWS, place=AT, decode=DecodeOptions())
    outputs = [
        output(
            "file", condition, name=name, options=FileOutput(f"{tmp_path}/{name}", TextCodec("line", "%{n}"))
        )
        for name, condition in (("all", None), ("large", "[n] > 1"))
    ]
    letters = tmp_path / "letters.jsonl"
    made, run_options = plan([source], outputs), BatchJobOptions(progress="none")
    for code in (1, 0):
        once = ObjectsOnce(made, run_options, f"file://{letters}", lambda: made)
        assert run_batch("objects", once, [], [], stop_timeout=30.0) == code, "a letter, then nothing to read"
        assert sorted((tmp_path / "all").read_text().split()) == ["1", "2", "3"], "and never again"
        assert sorted((tmp_path / "large").read_text().split()) == ["2", "3"]
        assert len(letters.read_text().splitlines()) == 1
    with pytest.raises(OptionError, match="a file of its own"):
        build(plan([beats(), source], outputs), LETTERS)
