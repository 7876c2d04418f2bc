"""`penstock check JOB`: what it prints, how it ends, and the policy and role that it tells."""

import json
import socket

import pytest

from penstock.pipelines import check as check_command
from penstock.pipelines.__main__ import main
from tests.simulator import KinesisSimulator
from tests.tools.peers.fake_http import fake_http


@pytest.fixture(autouse=True)
def _log_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(check_command, "set_up_logging", lambda options: None)


@pytest.fixture
def kinesis(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-key")
    with KinesisSimulator() as made:
        made.create_stream("orders", 2)
        yield made


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def beats(kinesis, port, *further):
    arguments = ("--stream_name", "orders", "--beats_port", str(port), "--endpoint_url", kinesis.endpoint_url)
    return main(["check", "beats-to-kinesis", *arguments, *further])


def test_one_line_each_and_exit_code_0(kinesis, port, capsys):
    assert beats(kinesis, port) == 0
    out, error = capsys.readouterr()
    assert error == ""
    lines = out.splitlines()
    assert lines[0] == "penstock check beats-to-kinesis"
    assert f"  ok    Beats port                     127.0.0.1:{port} is free; without TLS" in lines
    assert "  ok    kinesis:ListShards             2 shards open" in lines
    assert lines[-1].startswith("--")
    assert lines[-2] == "7 ok, 2 not tried"
    assert "\x1b" not in out
    assert "very-secret-key" not in out
    assert kinesis.records("orders") == []


def test_a_denial_is_exit_code_1_and_a_policy_to_paste(kinesis, port, capsys):
    kinesis.faults.refuse("ListShards", "AccessDeniedException", times=None)
    kinesis.faults.refuse("PutRecords", "AccessDeniedException", times=None)
    assert beats(kinesis, port) == 1
    out = capsys.readouterr().out
    assert "  FAIL  kinesis:ListShards " in out
    assert "6 ok, 2 failed, 1 not tried" in out
    before, _, document = out.partition("\n{")
    assert before.endswith("To the IAM policy of arn:aws:iam::000000000000:user/tester add:")
    stream = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
    assert json.loads("{" + document) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "FindShards", "Effect": "Allow", "Action": "kinesis:ListShards", "Resource": stream},
            {"Sid": "Write", "Effect": "Allow", "Action": "kinesis:PutRecords", "Resource": stream},
        ],
    }


def test_what_hides_behind_a_denial_is_in_the_policy(kinesis, port, capsys):
    assert beats(kinesis, port) == 0
    assert "--policy" not in capsys.readouterr().out
    kinesis.faults.refuse("DescribeStreamSummary", "AccessDeniedException", times=None)
    assert beats(kinesis, port) == 1
    out = capsys.readouterr().out
    assert "needs what failed above: kinesis:DescribeStreamSummary" in out
    assert "may be denied too; all that these options need is printed by --policy\n" in out


def test_the_status_page_must_be_servable(kinesis, port, capsys):
    assert beats(kinesis, port, "--status_port", "0") == 0
    assert "  ok    status page                    any free port of 127.0.0.1\n" in capsys.readouterr().out
    with socket.create_server(("127.0.0.1", 0)) as taken:
        page = taken.getsockname()[1]
        assert beats(kinesis, port, "--status_port", str(page)) == 1
        assert (
            f"status page                    cannot serve the status page on 127.0.0.1:{page}: "
            in capsys.readouterr().out
        )
    assert beats(kinesis, port, "--status_port", str(page)) == 0
    assert f"127.0.0.1:{page} is free" in capsys.readouterr().out


def test_json_for_scripts(kinesis, port, capsys):
    kinesis.faults.refuse("PutRecords", "AccessDeniedException", times=None)
    assert beats(kinesis, port, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["job"] == "beats-to-kinesis"
    assert document["ok"] is False
    assert {"name": "kinesis:ListShards", "mark": "ok", "text": "2 shards open"} in document["checks"]
    (statement,) = document["add"]["policy"]["Statement"]
    assert statement["Action"] == "kinesis:PutRecords"


def test_the_least_policy_for_the_options(kinesis, port, capsys):
    assert beats(kinesis, port, "--policy", "--metrics_level", "none") == 0
    out, error = capsys.readouterr()
    assert error == ""
    stream = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
    assert [(each["Sid"], each["Resource"]) for each in json.loads(out)["Statement"]] == [
        ("FindShards", stream),
        ("Write", stream),
    ]
    assert "ListShards" not in kinesis.faults.calls, "nothing is tried"


def test_the_least_policy_without_an_answer_from_aws(port, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = (
        "--kinesis_stream_name", "orders", "--application_name", "app", "--region", "cn-north-1",
        "--endpoint_url", f"http://127.0.0.1:{port}", "--connect_timeout", "200", "--access_key", "k", "--secret_key", "s",
    )  # fmt: skip
    assert main(["check", "kinesis-to-elasticsearch", *arguments, "--policy"]) == 0
    out, error = capsys.readouterr()
    resources = [each["Resource"] for each in json.loads(out)["Statement"]]
    assert resources == [
        "arn:aws-cn:kinesis:cn-north-1:ACCOUNT:stream/orders",
        "arn:aws-cn:dynamodb:cn-north-1:ACCOUNT:table/app",
    ]
    assert "put it in the place of ACCOUNT" in error
    assert "whether your own key encrypts the stream" in error


def test_a_roles_account_is_that_of_the_policy(port, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = (
        "--archive", "s3://bbb/x", "--kinesis_stream_name", "orders", "--application_name", "app",
        "--role_arn", "arn:aws:iam::111122223333:role/worker", "--access_key", "k", "--secret_key", "s",
        "--endpoint_url", f"http://127.0.0.1:{port}", "--connect_timeout", "200",
    )  # fmt: skip
    assert main(["check", "kinesis-to-s3", *arguments, "--policy"]) == 0
    out, error = capsys.readouterr()
    resources = [each["Resource"] for each in json.loads(out)["Statement"]]
    assert resources[0] == "arn:aws:kinesis:us-east-1:111122223333:stream/orders"
    assert resources[-1] == "arn:aws:s3:::bbb/x/*"
    assert "need sts:AssumeRole on arn:aws:iam::111122223333:role/worker" in error


def test_the_least_role(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = (
        "--kinesis_stream_name", "orders", "--application_name", "app", "--index", "logs-%{+YYYY.MM.dd}",
        "--dead_letters", "elasticsearch:refused",
    )  # fmt: skip
    assert main(["check", "kinesis-to-elasticsearch", *arguments, "--role"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "cluster": [],
        "indices": [
            {"names": ["logs-*"], "privileges": ["create_doc", "auto_configure"]},
            {"names": ["refused"], "privileges": ["create_doc", "auto_configure"]},
        ],
    }


OPENSEARCH_ROLE = {
    "cluster_permissions": ["cluster:monitor/main", "indices:data/write/bulk"],
    "index_permissions": [
        {
            "index_patterns": ["logs-*"],
            "allowed_actions": ["indices:data/write/bulk*", "indices:data/write/index", "create_index"],
        }
    ],
}


def _role(monkeypatch, tmp_path, *arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    job = ("--kinesis_stream_name", "orders", "--application_name", "app", "--index", "logs-%{+YYYY.MM.dd}")
    return main(["check", "kinesis-to-elasticsearch", *job, *arguments, "--role"])


@pytest.mark.parametrize("status", [200, 403])
def test_the_least_role_has_the_form_of_the_server_that_answers(status, tmp_path, monkeypatch, capsys):
    denial = "no permissions for [cluster:monitor/main] and User [name=shipper]"
    told = (
        {"version": {"number": "2.19.6", "distribution": "opensearch"}}
        if status == 200
        else {"error": denial}
    )
    with fake_http(lambda request: (status, json.dumps(told).encode())) as fake:
        assert _role(monkeypatch, tmp_path, "--hosts", fake.url) == 0
    out, error = capsys.readouterr()
    assert json.loads(out) == OPENSEARCH_ROLE
    assert "PUT _plugins/_security/api/roles/NAME takes it" in error


def test_an_older_elasticsearch_gets_privileges_that_it_knows(tmp_path, monkeypatch, capsys):
    with fake_http(lambda request: (200, b'{"version": {"number": "7.4.2"}}')) as fake:
        assert _role(monkeypatch, tmp_path, "--hosts", fake.url) == 0
    (index,) = json.loads(capsys.readouterr().out)["indices"]
    assert index["privileges"] == ["create", "create_index"]


def test_a_domain_has_opensearchs_roles_also_before_it_answers(port, tmp_path, monkeypatch, capsys):
    silent = ("--hosts", f"http://127.0.0.1:{port}")
    assert _role(monkeypatch, tmp_path, *silent, "--aws_sigv4", "es") == 0
    assert json.loads(capsys.readouterr().out) == OPENSEARCH_ROLE
    assert _role(monkeypatch, tmp_path, *silent) == 0
    out, error = capsys.readouterr()
    assert "cluster" in json.loads(out)
    assert "the server did not say what it is" in error


def test_a_collection_has_a_data_access_policy(port, tmp_path, monkeypatch, capsys):
    role = "arn:aws:iam::111122223333:role/shipping"
    given = ("--aws_sigv4", "aoss", "--elasticsearch_role_arn", role, "--manage_template")
    code = _role(
        monkeypatch,
        tmp_path,
        "--hosts",
        f"http://127.0.0.1:{port}",
        *given,
        "--dead_letters",
        "elasticsearch:refused",
    )
    assert code == 0
    out, error = capsys.readouterr()
    (policy,) = json.loads(out)
    assert policy["Principal"] == [role]
    assert policy["Rules"][0]["Resource"] == ["index/COLLECTION/logs-*", "index/COLLECTION/refused"]
    assert policy["Rules"][1]["ResourceType"] == "collection"
    assert "a collection has no roles" in error


def test_a_job_without_elasticsearch_has_no_role(kinesis, port, capsys):
    assert beats(kinesis, port, "--role") == 2
    assert "writes nothing to Elasticsearch" in capsys.readouterr().err


def test_local_files_need_no_policy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "s3-to-elasticsearch", "--input", str(tmp_path), "--policy"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["Statement"] == []
    assert "nothing of AWS is used" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: penstock check JOB"),
        (["nonsense"], "no job is called 'nonsense'"),
        (["run-yaml"], "run-yaml can't be checked as a whole"),
    ],
)
def test_no_such_job(arguments, words, capsys):
    assert main(["check", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_wrong_options_are_those_of_the_job(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", "beats-to-kinesis", "--stream_nam", "x"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "penstock check beats-to-kinesis: unknown option --stream_nam; did you mean --stream_name?"
    )
    with pytest.raises(SystemExit) as ended:
        main(["check", "beats-to-kinesis", "--help"])
    assert ended.value.code == 0
    assert "--policy" in capsys.readouterr().out
    assert main(["check", "--help"]) == 0
    assert "penstock check JOB" in capsys.readouterr().out


def test_a_peers_words_move_no_cursor(kinesis, port, capsys):
    kinesis.identity = "arn:aws:iam::000000000000:user/&#x85;&#10;&#x202e;evil"
    assert beats(kinesis, port) == 0
    lines = capsys.readouterr().out.split("\n")
    (line,) = [each for each in lines if "evil" in each]
    assert line.startswith("  ok    AWS identity")
    assert line.isprintable()


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_for_terminals_that_want_them(kinesis, port, capsys, monkeypatch, environment):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert beats(kinesis, port) == 0
    out = capsys.readouterr().out
    assert ("\x1b[32mok  \x1b[0m" in out) is (not environment)
    assert "2 shards open" in out
