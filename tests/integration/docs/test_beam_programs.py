"""The programs of examples/beam on Prism and on Flink; on FnApiRunner they are unit tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.servers.aws_server import CREDENTIALS
from penstock.testing import InMemoryElasticsearch, InMemoryKinesis
from tests.tools.machine import beam_programs

PROGRAMS = Path(__file__).parents[3] / "examples" / "beam"
IDLE = ("--stop_when_idle", "2")
EVENTS = [{"user": name} for name in ("ann", "bob", "ann", "claire", "ann")]


@pytest.fixture(
    params=[
        pytest.param("prism", marks=pytest.mark.xdist_group("prism")),
        pytest.param("flink", marks=[pytest.mark.xdist_group("flink"), pytest.mark.full]),
    ]
)
def runner(request):
    if request.param == "prism":
        return ["--runner=PrismRunner", f"--prism_location={beam_programs.prism()}"]
    options = request.getfixturevalue("flink").flink_runner_options
    return [*options, "--checkpointing_interval=1000", "--max_read_time_seconds=1", "--parallelism=1"]


def test_programs_of_a_beam_developer(runner, tmp_path):
    (tmp_path / "lines.txt").write_text('{"n": 1}\nplain text\n{"n": 2}\n')

    def start(name, *arguments):
        command = [sys.executable, "-P", str(PROGRAMS / f"{name}.py"), *arguments, *runner]
        with (tmp_path / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=tmp_path, env={**os.environ, **CREDENTIALS}
            )

    with InMemoryKinesis() as kinesis, InMemoryElasticsearch() as elasticsearch:
        for stream in ("written", "read"):
            kinesis.create_stream(stream, shards=2)
        kinesis.put("read", *EVENTS)
        aws, hosts = ("--endpoint_url", kinesis.url), ("--hosts", elasticsearch.url)
        started = {
            name: start(name, *arguments)
            for name, arguments in {
                "dicts_to_kinesis": ("written", *aws),
                "print_kinesis": ("read", "print", *aws, *IDLE),
                "count_kinesis": ("read", "count", "counts", *hosts, *aws, *IDLE),
                "lines_to_elasticsearch": (str(tmp_path / "*.txt"), "lines", *hosts),
            }.items()
        }
        try:
            for name, process in started.items():
                assert process.wait(240) == 0, (tmp_path / f"{name}.log").read_text()[-4000:]
        finally:
            for process in started.values():
                process.kill()
                process.wait()
        written = [json.loads(event)["user"] for event in kinesis.events("written")]
        lines, counts = elasticsearch.documents("lines"), elasticsearch.documents("counts")
    assert sorted(written) == ["ann", "bob", "claire"]
    assert sorted(map(str, lines)) == ["{'message': 'plain text'}", "{'n': 1}", "{'n': 2}"]
    assert (
        sum(each["events"] for each in counts if each["user"] == "ann") == 3
    )  # a minute may have ended in between
    assert sum(each["events"] for each in counts) == len(EVENTS)
    if "prism" in runner[0].lower():  # Flink's workers print into their own log
        printed = (tmp_path / "print_kinesis.log").read_text()
        assert printed.count("{'user': ") == len(EVENTS), printed
