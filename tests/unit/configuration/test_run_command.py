"""`penstock run FILE.yaml` and `penstock check FILE.yaml`: which jobs they start with which options, what they refuse."""

import pytest

from penstock.pipelines import check
from penstock.pipelines.__main__ import main
from penstock.pipelines.commands import run_command
from penstock.pipelines.run.job import Job

BOTH = """
log: {log_format: json}
kinesis: {stop_timeout: 7}
jobs:
  beats-to-kinesis: {kinesis: {stream_name: logs}, status: {status_port: 8001}}
  backfill:
    job: s3-to-elasticsearch
    s3: {input: 'file:///nowhere'}
    elasticsearch: {stop_timeout: 45}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "both.yaml").write_text(text)
        return "both.yaml"

    return write


def test_each_job_is_started_with_its_part_of_the_file(written, monkeypatch):
    asked = []
    monkeypatch.setattr(run_command, "run_together", lambda *given, **more: asked.append((given, more)) or 7)
    assert main(["run", written(BOTH)]) == 7
    ((name, members), more) = asked[0]
    assert (name, more) == ("run", {"json": True, "stop_timeout": 45.0})
    assert [(each.status.status_port, each.status.status_max_lag) for each in members] == [
        (8001, 60.0),
        (None, 60.0),
    ]
    assert [tuple(each)[:3] for each in members] == [
        ("beats-to-kinesis", ["beats-to-kinesis", "--config=both.yaml#beats-to-kinesis"], False),
        ("backfill", ["s3-to-elasticsearch", "--config=both.yaml#backfill"], True),
    ]


def test_a_file_of_one_job_runs_in_this_process(written, monkeypatch):
    asked = []
    monkeypatch.setattr(Job, "main", lambda self, argv: asked.append((self.name, argv)) or 3)
    assert main(["run", written("job: beats-to-kinesis\nkinesis: {stream_name: logs}")]) == 3
    assert asked == [("beats-to-kinesis", ["--config=both.yaml"])]


def test_check_tries_each_job_of_a_file(written, monkeypatch):
    asked = []
    monkeypatch.setattr(check, "main", lambda job, argv: asked.append((job.name, argv)) or len(asked) - 1)
    assert main(["check", written(BOTH), "--json"]) == 1
    assert [name for name, _ in asked] == ["beats-to-kinesis", "s3-to-elasticsearch"]
    assert asked[1][1] == ["--config=both.yaml#backfill", "--json"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kinesis: {stream_name: x}", "both.yaml: which job is it? Write `job: "),
        (f"{BOTH}    run: {{workers: none}}", ":10: run.workers: "),
        ("jobs: {beats-to-kinesis: {kinesis: {}}, kinesis-to-s3: {}}", "both.yaml: kinesis.stream_name is required"),
    ],
)  # fmt: skip
def test_nothing_starts_where_something_is_wrong(written, monkeypatch, capsys, text, says):
    monkeypatch.setattr(run_command, "run_together", lambda *given, **more: pytest.fail("it was started"))
    try:
        code = main(["run", written(text)])
    except SystemExit as ended:
        code = ended.code
    error = capsys.readouterr().err
    assert code == 2
    assert says in error


def test_usage(capsys):
    assert main(["run"]) == 2
    assert main(["run", "a.yaml", "b.yaml"]) == 2
    assert "usage: penstock run FILE.yaml" in capsys.readouterr().err
    assert main(["run", "--help"]) == 0
    assert "exit code" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_file_that_is_not_there_is_named_as_it_was_given(written, capsys, command):
    assert main([command, "./nowhere.yaml"]) == 2
    assert capsys.readouterr().err == f"penstock {command}: ./nowhere.yaml: No such file or directory.\n"


@pytest.mark.parametrize("given", [["both.yaml", "--workers", "2"], ["--workers", "2", "both.yaml"]])
def test_options_beside_the_file_are_told_where_they_belong(written, capsys, given):
    written(BOTH)
    assert main(["run", *given]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "penstock run: unexpected '--workers': it takes one file, and all options stand there"
    )
    assert told.count("\n") == 1
