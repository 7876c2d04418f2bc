"""Every step of the package shows Beam how it is set, and never a secret."""

import ast
import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.transforms.display import DisplayData

from penstock.io import archive, beats, elasticsearch, kinesis, s3
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.read_all import ReadFromAll
from penstock.io.chain.sinks import OneOutput, RaiseRefused
from penstock.io.chain.unbounded import Pacing, Plan, ReadSplits
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elements import FromElements, GiveElements, WithRefused
from penstock.io.files.line_source import FollowOptions
from penstock.io.files.sink import WriteNowhere, WriteToFiles, WriteToStdout
from penstock.io.files.source import ReadFromFiles, ReadFromStdin
from penstock.io.options import display_data_of, option
from penstock.pipelines.beam_yaml import _ErrorHandling
from penstock.transforms import AsElements, DecodeJson, DecodePlain, events, logstash, modify
from penstock.transforms.logstash.routes import FilterAndRoute
from tests.tools.samples.logstash_filters import FILTERS

ROOT = Path(__file__).parents[2]
SECRET = "do-not-show"
AWS = AwsOptions(
    region="eu-west-1", access_key="AKIAEXAMPLE", secret_key=SECRET, session_token=SECRET,
    endpoint_url="http://127.0.0.1:1",
)  # fmt: skip
READ = kinesis.KinesisReadOptions(kinesis_stream_name="orders", application_name="orders")
SINK = elasticsearch.ElasticsearchOptions(
    hosts=["a:9200", "b:9200"], user="me", password=SECRET, proxy=f"http://me:{SECRET}@proxy:1"
)


def upper(document):
    return document


STEPS = {
    "ReadFromBeats": (beats.ReadFromBeats(beats.BeatsOptions(port=5045)), ("beats_port", 5045)),
    "ReadFromAll": (
        ReadFromAll([beats.ReadFromBeats(beats.BeatsOptions()), kinesis.ReadFromKinesis(READ, AWS)]),
        ("reads", "ReadFromBeats, ReadFromKinesis"),
    ),
    "ReadFromKinesis": (kinesis.ReadFromKinesis(READ, AWS), ("kinesis_stream_name", "orders")),
    "ReadForArchive": (archive.ReadForArchive(READ, AWS), ("region", "eu-west-1")),
    "ReadFromS3": (
        s3.ReadFromS3([], s3.S3ReadOptions(input=["s3://bucket/a"]), AWS),
        ("input", "s3://bucket/a"),
    ),
    "WriteToKinesis": (
        kinesis.WriteToKinesis(kinesis.KinesisWriteOptions(stream_name="orders"), AWS),
        ("endpoint_url", "http://127.0.0.1:1"),
    ),
    "WriteToElasticsearch": (elasticsearch.WriteToElasticsearch(SINK), ("hosts", "a:9200, b:9200")),
    "WriteToArchive": (
        archive.WriteToArchive(archive.ArchiveOptions(archive="s3://bucket/logs"), AWS),
        ("archive", "s3://bucket/logs"),
    ),
    "WriteDeadLetters": (WriteDeadLetters("kinesis:refused", aws=AWS), ("dead_letters", "kinesis:refused")),
    "FinishUnits": (s3.FinishUnits("s3://bucket/manifest", AWS), ("manifest", "s3://bucket/manifest")),
    "AddObjectProperties": (s3.AddObjectProperties(), ("stage", "object_properties")),
    "DecodeJson": (DecodeJson(source="message", on_error="tag"), ("source", "message")),
    "DecodePlain": (DecodePlain(charset="latin-1"), ("charset", "iso8859-1")),
    "EventTransform": (events.EventTransform(upper, "mine"), ("stage", "mine")),
    "MapEvents": (events.MapEvents(upper), ("function", "upper")),
    "FilterEvents": (events.FilterEvents(upper), ("predicate", "upper")),
    "FlatMapEvents": (events.FlatMapEvents(upper), ("function", "upper")),
    "AddFields": (modify.AddFields({"a.b": 1}), ("values", "{'a.b': 1}")),
    "RenameFields": (modify.RenameFields({"a": "b"}), ("names", "{'a': 'b'}")),
    "MoveFields": (modify.MoveFields(["a", "b.c"], "labels"), ("paths", "a, b.c")),
    "RemoveFields": (modify.RemoveFields(["a"]), ("paths", "a")),
    "SetTimestamp": (modify.SetTimestamp("when"), ("field", "when")),
    "Fingerprint": (modify.Fingerprint(["a"]), ("target", "_id")),
    "ParseJson": (modify.ParseJson("message"), ("source", "message")),
    "DropEvents": (modify.DropEvents("level", values=["debug"]), ("values", "['debug']")),
}
STEPS["ReadSplits"] = (
    ReadSplits(Plan("kinesis:orders", upper, Pacing(1.0, 1.0), False), []),
    ("source", "kinesis:orders"),
)
STEPS |= {
    f"logstash.{name}": (
        getattr(logstash, name)(**options),
        next(
            ((key, str(value)) for key, value in options.items() if key != "allow_code"),
            ("stage", "syslog_pri" if name == "SyslogPri" else name.lower()),
        ),
    )
    for name, options in FILTERS.items()
    if name not in ("Filters", "When")
}
STEPS["logstash.LogstashFilters"] = (logstash.LogstashFilters("filter {\n}"), ("lines", "2"))
STEPS["logstash.When"] = (logstash.When("[a] > 1", [logstash.Drop()]), ("condition", "[a] > 1"))
STEPS["logstash.Fingerprint"] = (logstash.Fingerprint(source=["ip"], key=SECRET), ("source", "['ip']"))
STEPS["FromElements"] = (FromElements(ids="content", max_batch_events=5), ("max_batch_events", 5))
STEPS["GiveElements"] = (GiveElements("bytes"), ("output", "bytes"))
STEPS["WriteToFiles"] = (WriteToFiles("/logs/%{host}.log", codec="line"), ("path", "/logs/%{host}.log"))
STEPS["ReadFromFiles"] = (
    ReadFromFiles("logs", FollowOptions(path=("/logs/a.log",))),
    ("path", "/logs/a.log"),
)
STEPS["WriteToStdout"] = (WriteToStdout(codec="rubydebug"), ("codec", "rubydebug"))
STEPS["OneOutput"] = (OneOutput(AsElements(), 1, "archive"), ("output", "archive"))
STEPS["logstash.FilterAndRoute"] = (FilterAndRoute([]), ("conditions", 0))
STEPS["AddRecordProperties"] = (kinesis.AddRecordProperties(), ("stage", "record_properties"))
NOTHING_TO_SET = {
    "Acknowledge": Acknowledge(),
    "AsElements": AsElements(),
    "RaiseRefused": RaiseRefused(),
    "ReadFromStdin": ReadFromStdin("lines"),
    "WriteNowhere": WriteNowhere(),
    "WithRefused": WithRefused(AsElements(), "good", "bad"),
    "_ErrorHandling": _ErrorHandling(AsElements(), "bad"),
}


def transforms():
    """The package's PTransforms, by name, found in its source."""
    found = {}
    for folder in ("io", "transforms", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            if not re.search(r"(P|Event|Filter)Transform\)", path.read_text()):
                continue
            name = ".".join(("penstock", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
                ".__init__"
            )
            module = importlib.import_module(name)
            for node in ast.parse(path.read_text()).body:
                each = getattr(module, node.name) if isinstance(node, ast.ClassDef) else None
                if inspect.isclass(each) and issubclass(each, beam.PTransform):
                    found[
                        f"logstash.{each.__name__}"
                        if each.__module__.startswith(logstash.__name__)
                        else each.__name__
                    ] = each
    return found


def test_no_transform_is_forgotten():
    assert set(transforms()) - {"logstash.FilterTransform"} == {*STEPS, *NOTHING_TO_SET}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_shows_how_it_is_set(name):
    step, (key, value) = STEPS[name]
    items = {item.key: item.value for item in DisplayData.create_from(step).items}
    assert items[key] == value
    assert SECRET not in repr(items)
    DisplayData.create_from(step).to_proto()  # what a portable runner is sent


@pytest.mark.parametrize("name", NOTHING_TO_SET)
def test_a_step_without_settings_says_nothing(name):
    assert DisplayData.create_from(NOTHING_TO_SET[name]).items == []


@dataclasses.dataclass(frozen=True)
class Options:
    name: str = option("usual", help="A name.")
    count: int = option(1, help="A number.", flag="thing_count")
    parts: list[str] = option(["a"], help="A list.")
    pairs: dict[str, str] = option({}, help="Pairs.")
    key: str | None = option(None, help="A key.", secret=True)


def test_only_what_differs_from_the_default_is_shown_and_no_secret():
    assert display_data_of(Options()) == {}
    set_anew = Options(
        name=f"http://me:{SECRET}@host/", count=2, parts=["b", "c"], pairs={"x": "y"}, key=SECRET
    )
    assert display_data_of(set_anew, Options()) == {
        "name": "http://host/", "thing_count": 2, "parts": "b, c", "pairs": "x=y",
    }  # fmt: skip
