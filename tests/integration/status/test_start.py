"""A job that can't begin says so: one line (what, where, what to do), an exit code, and no traceback."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request

import pytest

from local.servers.aws_server import CREDENTIALS
from local.servers.elasticsearch_server import free_port
from penstock.pipelines.__main__ import main
from tests.servers import FOLDER_VARIABLE

BEATS = ("beats-to-kinesis", "--stream_name", "s", "--beats_port")
KINESIS = ("kinesis-to-elasticsearch", "--application_name", "app", "--kinesis_stream_name")
TIMEOUT_S = 90


@pytest.fixture
def run(tmp_path, monkeypatch, capfd, log_as_it_was):
    """Exit code and stderr's lines of a job that is expected to end by itself; in this process, which saves seconds."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("AWS_", "PENSTOCK_"))]:
        if name != FOLDER_VARIABLE:
            monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), **CREDENTIALS}.items():
        monkeypatch.setenv(name, value)

    def once(*arguments, without=()):
        for name in without:
            monkeypatch.delenv(name)
        capfd.readouterr()
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code
        error = capfd.readouterr().err
        assert "Traceback" not in error
        return code, error.strip().splitlines()

    return once


def last_line(lines):
    """The one line that tells; log lines with a time may stand before it."""
    told = [line for line in lines if line.startswith("penstock ")]
    assert told == lines[-1:], lines
    return told[0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("beats-to-kinesis",), "--stream_name"),
        (("kinesis-to-elasticsearch",), "--kinesis_stream_name"),
        ((*BEATS, "99999"), "--beats_port"),
        ((*BEATS, "many"), "--beats_port"),
        ((*BEATS, 5044, "--max_pending_records", 0), "--max_pending_records"),
        ((*BEATS, 5044, "--access_key", "only"), "--secret_key"),
        ((*BEATS, 5044, "--dead_letters", "http://x"), "--dead_letters"),
        ((*KINESIS, "s", "--codec", "xml"), "--codec"),
        ((*KINESIS, "s", "--initial_position_in_stream", "SOMEWHERE"), "--initial_position_in_stream"),
        ((*KINESIS, "s", "--endpoint_url", "localhost:4566"), "--endpoint_url"),
        ((*KINESIS, "s", "--checkpoint_interval_seconds", -1), "--checkpoint_interval_seconds"),
        (("no-such-job",), "no-such-job"),
    ],
    ids=lambda value: " ".join(map(str, value[-2:])) if isinstance(value, tuple) else None,
)
def test_a_wrong_option_is_one_line_and_exit_code_2(run, arguments, named):
    code, lines = run(*arguments)
    assert code == 2
    assert len(lines) == 1, lines
    assert named in lines[0]


def test_a_process_ends_with_that_code_and_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "penstock", *BEATS, "many"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, capture_output=True, text=True,
        check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"penstock beats-to-kinesis: .*--beats_port.*\n", done.stderr)


@pytest.mark.servers
class TestPeers:
    def test_missing_stream(self, run, aws, unique_name):
        arguments = ("beats-to-kinesis", "--beats_port", free_port(), "--stream_name", unique_name)
        code, lines = run(*arguments, "--endpoint_url", aws.endpoint_url)
        assert code == 1
        assert unique_name in last_line(lines)
        assert "no such stream" in last_line(lines) or "does not exist" in last_line(lines)

    def test_missing_stream_to_read(self, run, aws, unique_name):
        code, lines = run(*KINESIS, unique_name, "--endpoint_url", aws.endpoint_url)
        assert code == 1
        assert unique_name in last_line(lines)
        assert "no such stream" in last_line(lines) or "does not exist" in last_line(lines)

    @pytest.mark.parametrize("job", ["beats-to-kinesis", "kinesis-to-elasticsearch"])
    def test_refused_credentials(self, run, aws_factory, job):
        aws = aws_factory()
        aws.create_stream("s", 1)
        # From here on, moto knows users and their rights, and ours is not among them.
        request = urllib.request.Request(f"{aws.endpoint_url}/moto-api/reset-auth", data=b"0", method="POST")
        request.add_header("Content-Type", "application/json")
        assert json.load(urllib.request.urlopen(request))["status"] == "ok"
        arguments = (*BEATS, free_port()) if job == "beats-to-kinesis" else (*KINESIS, "s")
        code, lines = run(*arguments, "--endpoint_url", aws.endpoint_url)
        assert code == 1
        assert "credentials" in last_line(lines) or "denied" in last_line(lines)
        assert "local" not in last_line(lines).replace("localhost", ""), "names a key"

    def test_no_credentials_at_all(self, run, aws):
        without = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
        code, lines = run(*KINESIS, "s", "--endpoint_url", aws.endpoint_url, without=without)
        assert code == 1
        assert "credentials" in last_line(lines)

    @pytest.mark.parametrize("job", ["beats-to-kinesis", "kinesis-to-elasticsearch"])
    def test_no_aws_there(self, run, job):
        nobody = f"http://127.0.0.1:{free_port()}"
        arguments = (*BEATS, free_port()) if job == "beats-to-kinesis" else (*KINESIS, "s")
        code, lines = run(*arguments, "--endpoint_url", nobody)
        assert code == 1
        assert nobody in last_line(lines)
        assert "--endpoint_url" in last_line(lines)

    def test_no_elasticsearch_there(self, run, aws, unique_name):
        aws.create_stream(unique_name, 1)
        nobody = f"http://127.0.0.1:{free_port()}"
        code, lines = run(
            *KINESIS, unique_name, "--endpoint_url", aws.endpoint_url, "--hosts", nobody
        )  # fmt: skip
        assert code == 1
        assert nobody.removeprefix("http://") in last_line(lines)
        assert "--hosts" in last_line(lines)

    def test_wrong_password(self, run, aws, unique_name, secured_elasticsearch):
        aws.create_stream(unique_name, 1)
        code, lines = run(
            *KINESIS, unique_name, "--endpoint_url", aws.endpoint_url,
            "--hosts", secured_elasticsearch.url, "--user", "elastic", "--password", "a-wrong-one",
        )  # fmt: skip
        assert code == 1
        assert "elastic" in last_line(lines)
        assert "a-wrong-one" not in "\n".join(lines)

    def test_port_taken(self, run, aws, unique_name):
        aws.create_stream(unique_name, 1)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, lines = run(
                "beats-to-kinesis", "--stream_name", unique_name, "--beats_port", port,
                "--endpoint_url", aws.endpoint_url,
            )  # fmt: skip
        assert code in (1, 2)
        assert str(port) in last_line(lines)
