"""Whatever a user does wrong, in whatever job: a clear line, the right exit code, no traceback, and no secret anywhere.

Every run has secrets planted in its options and in its environment, and each case runs twice: as a user would, for
the line; and with --log_level debug, whose tracebacks and values must not hold a secret either. What ends before a
pipeline runs is run in this process, which saves minutes; test_secrets_running.py does the rest.
"""

import json
import os
import socket

import pytest

from penstock.pipelines.__main__ import main
from tests.tools.jobs.planted import (
    ARCHIVE,
    BACKFILL,
    BEATS,
    KINESIS,
    REPLAY,
    SECRETS,
    assert_no_secret,
    environment,
    peers_of,
)
from tests.tools.samples.certificates import Authority

pytestmark = pytest.mark.servers  # no servers, but minutes on a busy machine


@pytest.fixture
def peers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("AWS_", "PENSTOCK_"))]:
        monkeypatch.delenv(name)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with peers_of(tmp_path) as made:
        yield made


@pytest.fixture
def run(monkeypatch, capfd, peers, log_as_it_was):
    """Runs a command that ends by itself, plainly and with debug; gives its exit code and lines."""

    def once(arguments):
        capfd.readouterr()
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code
        out, error = capfd.readouterr()
        assert_no_secret(out, error)
        return code, (out + error).strip().splitlines()

    def both(arguments, *names):
        for name in names:
            monkeypatch.setenv(name, SECRETS[name])
        code, lines = once(arguments)
        debug_code, debug_lines = once([*arguments, "--log_level", "debug"])
        assert debug_code == code, debug_lines
        assert "Traceback" not in "\n".join(lines), lines
        return code, lines

    return both


# -- what a user may do wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names", "words"),
    [
        ((*BEATS, "--beats_port", "many"), (), "--beats_port"),
        ((*BEATS, "--pasword", "planted-typo"), (), "unknown option --pasword"),
        ((*KINESIS, "--pasword", "planted-typo"), (), "did you mean --password?"),
        ((*KINESIS, "--password", "planted", "--user"), (), "--user: expected one argument"),
        ((*KINESIS, "--password", "planted"), (), "--user and --password go together"),
        ((*KINESIS, "--user", "elastic", "--api_key", "x:y"), ("PENSTOCK_PASSWORD",), "exclude each other"),
        (
            (*KINESIS, "--hosts", "http://elastic:planted@localhost:9200"),
            (),
            "credentials in a URL end up in logs",
        ),
        ((*KINESIS, "--hosts", "elastic:planted@:x"), (), "--hosts"),
        ((*KINESIS, "--proxy", "socks5://u:planted@h"), (), "--proxy must be a URL"),
        ((*KINESIS, "--proxy", "http://u:planted@h:port"), (), "--proxy"),
        ((*KINESIS, "--custom_headers", "Authorization: Bearer planted"), (), "--custom_headers"),
        ((*KINESIS, "--custom_headers", '{"Authorization": "planted'), (), "--custom_headers"),
        ((*KINESIS, "--custom_headers", "bad header=planted"), (), "--custom_headers"),
        ((*KINESIS, "--index", "%{"), ("PENSTOCK_PROXY", "PENSTOCK_CUSTOM_HEADERS"), "--index"),
        ((*KINESIS, "--hosts", "ftp://x"), ("PENSTOCK_API_KEY",), "--hosts"),
        ((*KINESIS, "--hosts", "http://[::1"), ("PENSTOCK_API_KEY",), "--hosts"),
        ((*KINESIS, "--endpoint_url", "http://u:planted@h"), (), "--endpoint_url"),
        ((*KINESIS, "--endpoint_url", "localhost:1"), (), "--endpoint_url"),
        ((*KINESIS, "--region", "not a region"), (), "--region"),
        ((*KINESIS, "--secret_key", "planted"), (), "--access_key and --secret_key go together"),
        ((*KINESIS, "--ssl_certificate_authorities", "/nowhere.pem"), ("PENSTOCK_API_KEY",), "/nowhere.pem"),
        ((*KINESIS, "--dead_letters", "ftp://x"), (), "--dead_letters"),
        ((*KINESIS, "--runner", "Nonsense"), ("PENSTOCK_API_KEY",), "--runner Nonsense"),
        ((*KINESIS, "--direct_num_workers", "many"), (), "--direct_num_workers"),
        ((*KINESIS, "--runner=FlinkRunner", "--checkpointing_interval=soon"), (), "--checkpointing_interval"),
        (
            (*BEATS, "--ssl_enabled", "--ssl_certificate", "/nowhere", "--ssl_key", "/nowhere"),
            ("PENSTOCK_SSL_KEY_PASSPHRASE",),
            "/nowhere",
        ),
        ((*BEATS, "--metrics_secret_key", "planted"), (), "--metrics_access_key and --metrics_secret_key"),
        ((*ARCHIVE, "--archive_format", "xml"), (), "--archive_format"),
        ((*BACKFILL, "s3://b"), (), "--input"),
        ((*BACKFILL, "x", "--sse_customer_key", "planted"), (), "--sse_customer_key"),
        ((*REPLAY, "nonsense"), (), "--dead_letters"),
        ((*REPLAY, "file:///x", "--to", "mars"), (), "--to"),
        (("no-such-job",), (), "no-such-job"),
        (
            ("check", *KINESIS, "--password", "planted"),
            (),
            "--user and --password",
        ),
    ],
    ids=lambda value: " ".join(map(str, value[-2:])) if value and isinstance(value, tuple) else None,
)
def test_a_wrong_option_is_one_line_and_exit_code_2(run, arguments, names, words):
    code, lines = run(arguments, *names)
    assert code == 2, lines
    assert len(lines) == 1, lines
    assert words in lines[0]


def cases():
    """Name, what to set up (on the peers, returns arguments), secrets to plant, exit code, words in the last line."""

    def case(name, arguments, *names, code=1, words=(), prepare=lambda peers: None):
        return pytest.param(arguments, names, code, words, prepare, id=name)

    def denied(operation, code="AccessDeniedException"):
        return lambda peers: peers.kinesis.faults.refuse(
            operation, code, times=None, message="User is not authorized"
        )

    def says(path, status, body=b"{}"):
        def prepare(peers):
            peers.replies[path] = (status, body)

        return prepare

    def file(name, text=""):
        return lambda peers: (peers.folder / name).write_text(text)

    elastic = ("PENSTOCK_PASSWORD",)
    beats = lambda peers: (*BEATS, "--beats_port", peers.port, *peers.aws)  # noqa: E731
    kinesis = lambda peers: (*KINESIS, *peers.aws, "--hosts", peers.hosts)  # noqa: E731
    secured = lambda peers: (*kinesis(peers), "--user", "elastic")  # noqa: E731
    return [
        case(
            "stream missing",
            lambda p: ("beats-to-kinesis", "--stream_name", "nowhere", "--beats_port", p.port, *p.aws),
            words=("no such stream", "--stream_name"),
        ),
        case(
            "stream to read missing",
            lambda p: (*KINESIS, *p.aws, "--kinesis_stream_name", "nowhere"),
            words=("no such stream", "--kinesis_stream_name"),
        ),
        case("denied", beats, prepare=denied("ListShards"), words=("needs kinesis:ListShards on",)),
        case(
            "denied to read",
            kinesis,
            prepare=denied("DescribeStreamSummary"),
            words=("needs kinesis:DescribeStreamSummary",),
        ),
        case(
            "expired",
            kinesis,
            prepare=denied("DescribeStreamSummary", "ExpiredTokenException"),
            words=("have expired",),
        ),
        case(
            "bad keys",
            kinesis,
            prepare=denied("DescribeStreamSummary", "UnrecognizedClientException"),
            words=("refuses the credentials",),
        ),
        case(
            "keys as options",
            lambda p: (*kinesis(p), "--access_key", "AKIAOPTION"),
            "PENSTOCK_SECRET_KEY",
            "PENSTOCK_SESSION_TOKEN",
            prepare=denied("ListShards"),
            words=("needs kinesis:ListShards",),
        ),
        case(
            "role refused",
            lambda p: (*kinesis(p), "--role_arn", "arn:aws:iam::111122223333:role/x"),
            prepare=denied("AssumeRole", "AccessDenied"),
            words=("needs sts:AssumeRole on arn:aws:iam::111122223333:role/x",),
        ),
        case(
            "profile missing",
            lambda p: (*kinesis(p), "--profile", "nobody"),
            code=2,
            words=("--profile nobody",),
        ),
        case("region unknown", lambda p: (*KINESIS, "--region", "not a region"), code=2, words=("--region",)),
        case(
            "no AWS there",
            lambda p: (*KINESIS, "--endpoint_url", p.nobody),
            words=("no answer from", "--endpoint_url"),
        ),
        case(
            "AWS is something else",
            lambda p: (*KINESIS, "--endpoint_url", p.hosts),
            words=("is not Kinesis. Check --endpoint_url",),
        ),
        case(
            "no Elasticsearch there",
            lambda p: (*KINESIS, *p.aws, "--hosts", p.nobody, "--user", "elastic"),
            *elastic,
            words=("no answer from Elasticsearch", "--hosts"),
        ),
        case(
            "wrong password",
            secured,
            *elastic,
            prepare=says("GET /", 401),
            words=("refuses the credentials (401)", "--password"),
        ),
        case("wrong key", kinesis, "PENSTOCK_API_KEY", prepare=says("GET /", 401), words=("--api_key",)),
        case(
            "wrong bearer",
            kinesis,
            "PENSTOCK_CUSTOM_HEADERS",
            prepare=says("GET /", 401),
            words=("refuses the credentials",),
        ),
        case(
            "Elasticsearch echoes the request",
            secured,
            *elastic,
            prepare=says("GET /", 500, b'{"error":"' + b"x" * 5000 + b'\\n\\u001b[2J"}'),
            words=("answers 500",),
        ),
        case(
            "no privilege",
            secured,
            *elastic,
            words=("lacks the index privileges create_doc, auto_configure",),
            prepare=says("POST /_security", 200, b'{"has_all_requested":false}'),
        ),
        case("no proxy there", secured, *elastic, "PENSTOCK_PROXY", words=("no answer from Elasticsearch",)),
        case("cloud id", lambda p: (*kinesis(p), "--cloud_id", "planted"), code=2, words=("--cloud_id",)),
        case(
            "template denied",
            lambda p: (*secured(p), "--manage_template"),
            *elastic,
            prepare=says("GET /_index_template", 403),
            words=("install the index template",),
        ),
        case(
            "dead letters unwritable",
            lambda p: (*beats(p), "--dead_letters", f"file://{p.folder}/file/x.jsonl"),
            code=2,
            prepare=file("file"),
            words=("--dead_letters: cannot write", "is no folder"),
        ),
        case(
            "dead letters are a folder",
            lambda p: (*kinesis(p), "--dead_letters", f"file://{p.folder}"),
            code=2,
            words=("it is a folder",),
        ),
        case(
            "TLS files missing",
            lambda p: (
                *beats(p),
                "--ssl_enabled",
                "--ssl_certificate",
                "/nowhere.crt",
                "--ssl_key",
                "/nowhere.key",
            ),
            "PENSTOCK_SSL_KEY_PASSPHRASE",
            code=2,
            words=("--ssl_certificate /nowhere.crt: can't be read",),
        ),
        case(
            "no certificate",
            lambda p: (
                *beats(p),
                "--ssl_enabled",
                "--ssl_certificate",
                p.folder / "x",
                "--ssl_key",
                p.folder / "x",
            ),
            "PENSTOCK_SSL_KEY_PASSPHRASE",
            code=2,
            prepare=file("x", "planted"),
            words=("holds no certificate",),
        ),
        case("no stream to archive", lambda p: (*ARCHIVE, *p.aws), words=("no such stream",)),
        case(
            "no objects",
            lambda p: (*BACKFILL, p.folder / "none", "--hosts", p.hosts),
            words=("there is nothing of that name",),
        ),
        case(
            "backfill to nowhere",
            lambda p: (*BACKFILL, p.folder / "a.log", "--hosts", p.nobody, "--user", "elastic"),
            *elastic,
            prepare=file("a.log", "{}\n"),
            words=("no answer from Elasticsearch",),
        ),
        case(
            "backfill with a customer's key",
            lambda p: (*BACKFILL, "s3://bucket/x", *p.aws, "--hosts", p.hosts),
            "PENSTOCK_SSE_CUSTOMER_KEY",
            words=("s3://bucket/x",),
        ),
        case(
            "nothing to replay",
            lambda p: (*REPLAY, f"file://{p.folder}/none.jsonl", "--hosts", p.hosts),
            words=("there is no file",),
        ),
        case(
            "replay to a stream that is not there",
            lambda p: (
                *REPLAY,
                f"file://{p.folder}/x.jsonl",
                "--to",
                "kinesis",
                "--stream_name",
                "nowhere",
                *p.aws,
            ),
            prepare=file("x.jsonl"),
            words=("no such stream",),
        ),
        case(
            "metrics' own keys",
            lambda p: ("check", *beats(p), "--metrics_access_key", "AKIAMETRICS"),
            "PENSTOCK_METRICS_SECRET_KEY",
            prepare=denied("PutMetricData"),
            words=(),
        ),
        case("check", lambda p: ("check", *secured(p)), *elastic, prepare=says("GET /", 401), words=()),
    ]


@pytest.mark.parametrize(("arguments", "names", "code", "words", "prepare"), cases())
def test_a_job_that_cannot_begin_says_why_in_its_last_line(
    run, peers, arguments, names, code, words, prepare
):
    prepare(peers)
    got, lines = run(arguments(peers), *names)
    assert got == code, lines
    told = [line for line in lines if line.startswith("penstock ")]
    assert len(told) == 1, lines
    for word in words:
        assert word in told[0]
    if "penstock check" not in told[0]:
        assert told == lines[-1:]
    assert max(map(len, lines)) < 1500
    assert all(line.isprintable() for line in lines)


def test_a_key_that_a_passphrase_does_not_open(run, peers):
    certificate, key = Authority(peers.folder).issue("server", passphrase="another one")
    files = ("--ssl_enabled", "--ssl_certificate", certificate, "--ssl_key", key)
    code, lines = run((*BEATS, "--beats_port", peers.port, *peers.aws, *files), "PENSTOCK_SSL_KEY_PASSPHRASE")
    assert code == 2
    assert lines == [
        f"penstock beats-to-kinesis: --ssl_key {key}: can't be opened with --ssl_key_passphrase."
    ]


def test_a_port_in_use(run, peers):
    with socket.create_server(("127.0.0.1", peers.port)):
        code, lines = run((*BEATS, "--beats_port", peers.port, *peers.aws))
    assert code == 2
    assert f"--beats_port {peers.port}: port {peers.port} of 127.0.0.1 is taken" in lines[-1]


@pytest.mark.parametrize("json_before", [True, False])
def test_with_json_every_line_is_an_object(run, peers, json_before):
    arguments = (*KINESIS, *peers.aws, "--hosts", peers.nobody, "--log_format", "json")
    code, lines = run(arguments if json_before else (*arguments, "--no_such_option"))
    documents = [json.loads(line) for line in lines]
    assert documents[-1]["process.exit_code"] == code
    assert documents[-1]["log.level"] == "error"
    assert ("--hosts" if json_before else "--no_such_option") in documents[-1]["message"]
