"""Plans of a `logstash.conf`, written by hand: what the tests of its chain share."""

from penstock.io.aws.session import AwsOptions
from penstock.io.beats import BeatsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.kinesis import KinesisReadOptions, KinesisWriteOptions
from penstock.pipelines.logstash.plan import (
    FileInput,
    FileOutput,
    Input,
    NullOutput,
    Output,
    Place,
    Plan,
    StdoutOutput,
    TextCodec,
)
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.logstash.language._parser import parse_condition
from penstock.transforms.logstash.language._tree import Places

AT = Place("x.conf", 1, 1)
AWS = AwsOptions(region="us-east-1", access_key="a", secret_key="b")
LETTERS = "file:///nowhere/letters.jsonl"


def beats(**more):
    return Input(plugin="beats", name="beats:1", options=BeatsOptions(), place=AT, **more)


def from_kinesis(**more):
    options = KinesisReadOptions(kinesis_stream_name="logs", application_name="app")
    more.setdefault("decode", DecodeOptions())
    return Input(plugin="kinesis", name="kinesis:2", options=options, aws=AWS, place=AT, **more)


def from_file(path, **more):
    options = FileInput((str(path),), start_position="beginning", positions=f"{path}.positions")
    more.setdefault("decode", DecodeOptions(codec="plain"))
    return Input(plugin="file", name="file:3", options=options, place=AT, **more)


def output(plugin, condition=None, **more):
    options = {
        "kinesis": lambda: KinesisWriteOptions(stream_name="logs"),
        "elasticsearch": lambda: ElasticsearchOptions(hosts=["localhost:9200"]),
        "file": lambda: FileOutput("/x/f", TextCodec("json_lines")),
        "stdout": lambda: StdoutOutput(TextCodec("rubydebug")),
        "null": NullOutput,
    }[plugin]()
    tree = parse_condition(condition) if condition else None
    given = {
        "name": f"{plugin}:9",
        "options": options,
        "place": AT,
        "aws": AWS if plugin == "kinesis" else None,
    }
    return Output(plugin=plugin, condition=tree, places=Places(condition or ""), **given | more)


def plan(inputs, outputs, filters=()):
    return Plan(name="main", inputs=tuple(inputs), filters=tuple(filters), outputs=tuple(outputs))
