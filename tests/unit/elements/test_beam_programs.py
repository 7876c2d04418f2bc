"""The programs of examples/beam, as a Beam developer writes them, on FnApiRunner and peers in memory."""

import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows

from penstock.io.beats import ReadFromBeats
from penstock.io.chain.whole_chain import _Graph, _warn_of_late_windows, require_whole_chains
from penstock.io.errors import OptionError, PipelineError
from penstock.io.kinesis import ReadFromKinesis
from penstock.testing import Collect, InMemoryElasticsearch, InMemoryKinesis

PROGRAMS = Path(__file__).parents[3] / "examples" / "beam"
IDLE = ("--stop_when_idle", "0.5")


@pytest.fixture
def kinesis():
    with InMemoryKinesis() as kinesis:
        kinesis.create_stream("users", shards=2)
        yield kinesis


@pytest.fixture
def search():
    with InMemoryElasticsearch() as elasticsearch:
        yield elasticsearch


@pytest.fixture
def run(monkeypatch):
    """Runs a program's `main` in this process."""

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(f"beam_program_{name}", PROGRAMS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)  # Beam pickles functions by their module's name
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [name, *arguments, "--runner", "FnApiRunner"])
        module.main()

    return run


def test_dicts_into_a_stream_and_printed(run, kinesis, capsys):
    run("dicts_to_kinesis", "users", "--endpoint_url", kinesis.url)
    written = [json.loads(event) for event in kinesis.events("users")]
    assert sorted(event["user"] for event in written) == ["ann", "bob", "claire"]
    for _ in range(2):  # the second run goes on where the first one ended
        run("print_kinesis", "users", "print", "--endpoint_url", kinesis.url, *IDLE)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{'user'")]
    assert len(printed) == 3


def test_counts_of_a_window(run, kinesis, search, caplog):
    kinesis.put("users", *[{"user": "ann"}] * 3, {"user": "bob"}, b"no JSON")
    to = ("--endpoint_url", kinesis.url, "--hosts", search.url)
    run("count_kinesis", "users", "count", "counts", *to, *IDLE)
    counts: dict[str, int] = {}
    for document in search.documents("counts"):  # a minute may have ended in between
        counts[document["user"]] = counts.get(document["user"], 0) + document["events"]
    assert counts == {"ann": 3, "bob": 1, "nobody": 1}
    assert "only when the pipeline ends" not in caplog.text


def test_lines_once_however_often(run, search, tmp_path):
    (tmp_path / "lines.txt").write_text('{"n": 1}\nplain text\n{"n": 2}\n')
    for _ in range(2):
        run("lines_to_elasticsearch", str(tmp_path / "*.txt"), "lines", "--hosts", search.url)
    assert search.documents("lines") == [{"n": 1}, {"message": "plain text"}, {"n": 2}]


class Visit(NamedTuple):
    user: str
    took: float


def as_tuple(element):
    return tuple(element) if isinstance(element, tuple) else tuple(element.as_dict().values())


@pytest.mark.parametrize("output", [Visit, {"user": str, "took": float}])
def test_fields_of_documents(kinesis, output):
    kinesis.put("users", {"user": "ann", "took": 3, "more": 1}, {"user": "bob"}, b"no JSON")
    collect = Collect()
    options = PipelineOptions(["--runner=FnApiRunner", *IDLE])
    read = ReadFromKinesis(stream_name="users", application_name="visits", output=output, **kinesis.keywords)
    with beam.Pipeline(options=options) as pipeline:
        _ = pipeline | read | beam.Map(as_tuple) | collect
    assert sorted(collect.elements, key=str) == [("ann", 3), ("bob", None), (None, None)]


@pytest.mark.parametrize("output", ["dicts", int, {"user": list}, {"user": "str"}])
def test_an_output_that_is_none(output):
    with pytest.raises(OptionError, match="output"):
        ReadFromKinesis(stream_name="s", application_name="app", output=output)


def test_a_read_of_batches_by_mistake_is_told_of_elements():
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | ReadFromKinesis(stream_name="s", application_name="app") | beam.Map(print)
    with pytest.raises(PipelineError, match=r"Or let it give elements, which need none: .*output=\"dict\""):
        require_whole_chains(pipeline)


def test_a_negative_time_is_refused():
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", "--stop_when_idle=-1"]))
    with pytest.raises(OptionError, match="--stop_when_idle must not be negative"):
        _ = pipeline | ReadFromKinesis(stream_name="s", application_name="app", output="dict")


def test_beats_give_no_elements():
    """A Beat forgets what is acknowledged, so a restored runner could not have it again."""
    with pytest.raises(OptionError, match="ReadFromBeats gives batches only: a Beat can't send again"):
        ReadFromBeats(output="dict")


def test_windows_that_would_never_come_are_told(caplog):
    """On DirectRunner, what is grouped behind an endless read comes at its end."""

    def read():
        return ReadFromKinesis(stream_name="s", application_name="app", output="dict")

    with caplog.at_level(logging.WARNING, "penstock"):
        grouped = beam.Pipeline(runner="FnApiRunner")
        minutes = grouped | read() | beam.Map(str) | beam.WindowInto(FixedWindows(60))
        _ = minutes | beam.combiners.Count.PerElement()
        _warn_of_late_windows(grouped, _Graph(grouped))
        assert "--stop_when_idle=5" in caplog.text
        assert "--runner=PrismRunner or FlinkRunner" in caplog.text
        caplog.clear()
        plain = beam.Pipeline(runner="FnApiRunner")
        _ = plain | read() | beam.Map(print)
        _warn_of_late_windows(plain, _Graph(plain))
    assert not caplog.text
