"""Options of configuration files and of the environment: what wins, what is refused, and how it is told."""

import json

import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.beats import BeatsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.kinesis import KinesisWriteOptions
from penstock.pipelines.console.logs import LogOptions
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.jobs import find_job
from penstock.transforms.logstash.settings import FilterOptions

BOTH = """\
x-names: &names
  - a
  - b
aws: {region: '${THE_REGION:eu-west-1}'}
log: {log-level: warning}
elasticsearch:
  index: shared
jobs:
  beats-to-kinesis:
    beats:
      beats-host: 0.0.0.0
      ssl_enabled: no
    kinesis:
      stream_name: 007
      event_partition_keys: *names
    log: {log_level: error}
  es:
    job: kinesis-to-elasticsearch
    kinesis:
      kinesis-stream-name: logs
      application_name: search
    elasticsearch:
      hosts: [https://a:9200, "https://b:9200"]
      api_key: ${ES_API_KEY}
      parameters: {a: 1, b: yes}
      dlq_custom_codes: [400, 409]
    beam: {runner: DirectRunner, no_such: }
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a file, and stands beside it, so that messages name it without its folder."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "penstock.yaml").write_text(text)
        return "penstock.yaml"

    return write


def refused(capsys, job, *arguments):
    with pytest.raises(SystemExit) as ended:
        find_job(job).parse(list(arguments))
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.count("\n") == 1
    return error


def test_each_job_gets_its_own_options_and_the_shared_ones_that_it_has(written, monkeypatch):
    monkeypatch.setenv("ES_API_KEY", "abracadabra")
    path = written(BOTH.replace(", no_such: ", ""))
    line = find_job("beats-to-kinesis").parse(["--config", path])
    assert line.get(BeatsOptions) == BeatsOptions(host="0.0.0.0")
    assert line.get(KinesisWriteOptions) == KinesisWriteOptions(
        stream_name="007", event_partition_keys=["a", "b"]
    )
    assert line.get(AwsOptions).region == "eu-west-1"
    assert line.get(JobOptions).log_level == "error", "its own wins over the shared one"
    line = find_job("kinesis-to-elasticsearch").parse([f"--config={path}#es"])
    got = line.get(ElasticsearchOptions)
    assert (got.index, got.api_key, got.hosts) == (
        "shared",
        "abracadabra",
        ["https://a:9200", "https://b:9200"],
    )
    assert (got.parameters, got.dlq_custom_codes) == ({"a": "1", "b": "yes"}, [400, 409])
    assert line.get(JobOptions).log_level == "warning"
    assert line.beam == ["--runner=DirectRunner"]


def test_command_line_then_environment_then_file(written, monkeypatch):
    path = written(
        "beats: {beats_port: 1, max_pending_records: 1, enrich: [codec_metadata]}\nkinesis: {stream_name: file}\n"
    )
    monkeypatch.setenv("PENSTOCK_CONFIG", path)
    monkeypatch.setenv("PENSTOCK_BEATS_PORT", "2")
    monkeypatch.setenv("PENSTOCK_MAX_PENDING_RECORDS", "2")
    monkeypatch.setenv("PENSTOCK_STREAM_NAME", "")  # as compose files give what is not set
    got = find_job("beats-to-kinesis").parse(["--beats-port=3", "--enrich=none"])
    assert (got.get(BeatsOptions).port, got.get(BeatsOptions).max_pending_records) == (3, 2)
    assert (got.get(BeatsOptions).enrich, got.get(KinesisWriteOptions).stream_name) == (["none"], "file")


def test_a_name_with_one_meaning_is_said_once_and_one_with_two_in_each_group(written, capsys):
    text = "beats: {max_connections: 1500, max_pending_records: 7}\nkinesis: {stream_name: s}\nrun: {stop_timeout: 5}\n"
    line = find_job("beats-to-kinesis").parse(["--config", written(text)])
    beats, kinesis = line.get(BeatsOptions), line.get(KinesisWriteOptions)
    assert (beats.max_connections, kinesis.max_connections) == (1500, 24)
    assert (kinesis.max_pending_records, kinesis.stop_timeout, line.get(JobOptions).stop_timeout) == (
        7,
        5.0,
        5.0,
    )
    text = "kinesis: {stream_name: s, max_pending_records: 1}\nbeats: {max_pending_records: 2}"
    assert ":2: beats.max_pending_records: given already" in refused(
        capsys, "beats-to-kinesis", "--config", written(text)
    )


def test_kubernetes_addresses_of_services_are_no_ports(monkeypatch):
    monkeypatch.setenv("PENSTOCK_BEATS_PORT", "tcp://10.0.0.1:5044")
    assert find_job("beats-to-kinesis").parse(["--stream_name=x"]).get(BeatsOptions).port == 5044


@pytest.mark.parametrize(
    ("text", "arguments", "environment"),
    [
        ("elasticsearch: {api_key_file: secret}", [], {}),
        ("elasticsearch: {api_key: '${OTHER}'}", [], {"OTHER": "abracadabra"}),
        ("", [], {"PENSTOCK_API_KEY": "abracadabra"}),
        ("", [], {"PENSTOCK_API_KEY_FILE": "secret"}),
        ("", ["--api_key_file=secret"], {"PENSTOCK_API_KEY": "another"}),
    ],
)
def test_the_ways_of_a_secret(written, tmp_path, monkeypatch, text, arguments, environment):
    (tmp_path / "secret").write_text("abracadabra\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    job = ["--kinesis_stream_name=s", "--application_name=logs", f"--config={written(text)}", *arguments]
    options = find_job("kinesis-to-elasticsearch").parse(job).get(ElasticsearchOptions)
    assert options.api_key == "abracadabra"
    assert "abracadabra" not in repr(options)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kinesis:\n  stream_nam: x", ":2: kinesis.stream_nam: no such option; did you mean stream_name?"),
        ("beats:\n  ssl: true", ":2: beats.ssl: no such option; it is of Logstash's input beats: old name of ssl_enabled"),
        ("kinessis:\n  stream_name: x", ":1: kinessis: no such group; did you mean kinesis?"),
        ("beats: {stream_name: x}", ":1: beats.stream_name: this option stands in the group kinesis."),
        ("stream-name: x", ":1: stream-name: this option stands in the group kinesis."),
        ("kinesis: {stream_name: x, rate_limit: lots}", ":1: kinesis.rate_limit: 'lots' is not a whole number"),
        ("kinesis: {stream_name: x, rate_limit: [1]}", ":1: kinesis.rate_limit: it takes one value, not a list"),
        ("kinesis: {stream_name: {a: b}}", ":1: kinesis.stream_name: it takes one value, not NAME: VALUE pairs"),
        ("kinesis:\n  stream_name: x\n\n  rate_limit: -1", ":4: kinesis.rate_limit: --rate_limit"),
        ("kinesis: {stream_name: x, data_plane: thick}", ":1: kinesis.data_plane: 'thick' is not one of thin, boto3"),
        ("kinesis: {stream_name: x}\nkinesis: {}", ":2: kinesis is there twice (first in line 1)."),
        ("kinesis: {stream_name: x, stream-name: y}", "kinesis.stream-name: given already (penstock.yaml:1: kinesis."),
        ("kinesis: {stream_name: '${NOWHERE}'}", ":1: kinesis.stream_name: ${NOWHERE}: the environment has no variable"),
        ("kinesis: [stream_name]", ":1: kinesis must be a mapping"),
        ("kinesis: {stream_name: !vault x}", ":1: kinesis.stream_name: tags (!vault) are not known"),
        ("kinesis:\n\tstream_name: x", ":2: no YAML: found character '\\t' that cannot start any token; indent by spaces"),
        ("kinesis: {stream_name: %{x}}", ":1: no YAML: found character '%' that cannot start any token; put quotes"),
        ("- a", ":1: the file must be a mapping"),
        ("kinesis: {stream_name: [[x]]}", ":1: kinesis.stream_name: a value is a text, a number"),
        ("aws:\n  secret_key: hunter2", ":2: aws.secret_key: a secret doesn't stand in the file: write secret_key_file"),
        ("aws:\n  secret_key: ${A:hunter2}", "set PENSTOCK_SECRET_KEY in the environment"),
        ("aws:\n  secret_key_file: nowhere", ":2: aws.secret_key_file: nowhere: No such file or directory."),
        ("config: {config: other.yaml}", ":1: config.config: a file can't name another one."),
        ("kinesis: {stream_name: x}\nbeam:\n  runer: x", ":3: beam.runer: unknown option --runer; did you mean --runner?"),
        ("kinesis: {stream_name: x}\nbeam:\n  parallelism: 2", ":3: beam.parallelism: --parallelism is an option of Flink."),
        ("beam: {stream_name: x}", ":1: beam.stream_name: this option is not Beam's; it stands in the group kinesis."),
        ("job: kinesis-to-s3", "penstock.yaml holds no beats-to-kinesis; it is for kinesis-to-s3."),
        ("job: kinesis-to-s4", ":1: no job is called 'kinesis-to-s4'; did you mean kinesis-to-s3?"),
        ("jobs: {mine: {}}", ":1: jobs.mine: no job is called 'mine'"),
        ("jobs:", ":1: `jobs` is empty."),
        ("jobs: {a: {job: &b beats-to-kinesis}, b: {job: *b}}", "write --config penstock.yaml#a or penstock.yaml#b."),
        ("aws: {regoin: x}\njobs: {beats-to-kinesis: {}}", ":1: aws.regoin: no such option; did you mean region?"),
        ("elastic: {}\njobs: {beats-to-kinesis: {}}", ":1: elastic: no such group; did you mean elasticsearch?"),
        ("\0", "no YAML: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_and_key(written, capsys, text, says):
    error = refused(capsys, "beats-to-kinesis", "--config", written(text))
    assert error.startswith("penstock beats-to-kinesis: ")
    assert says in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("nowhere.yaml", "--config nowhere.yaml: No such file or directory."),
        ("penstock.yaml#other", "there are beats-to-kinesis"),
    ],
)
def test_a_file_or_a_job_that_is_not_there(written, capsys, config, says):
    written("jobs: {beats-to-kinesis: {}}")
    assert says in refused(capsys, "beats-to-kinesis", "--config", config)


def test_what_is_required_and_not_in_the_file_is_named_as_it_would_stand_there(written, capsys):
    config = written("job: beats-to-kinesis")
    said = refused(capsys, "beats-to-kinesis", f"--config={config}")
    assert "penstock.yaml: kinesis.stream_name is required: Stream to write to" in said
    assert find_job("beats-to-kinesis").parse([f"--config={config}", "--stream_name=logs"])


def test_what_is_wrong_in_the_environment_names_the_variable(capsys, monkeypatch):
    monkeypatch.setenv("PENSTOCK_RATE_LIMIT", "-1")
    assert "PENSTOCK_RATE_LIMIT: --rate_limit" in refused(capsys, "beats-to-kinesis", "--stream_name=x")
    monkeypatch.setenv("PENSTOCK_RATE_LIMIT", "many")
    assert "PENSTOCK_RATE_LIMIT: 'many' is not a whole number" in refused(
        capsys, "beats-to-kinesis", "--stream_name=x"
    )


def test_an_option_on_which_others_depend_may_stand_in_the_file(written):
    line = find_job("replay-dead-letters").parse(
        ["--config", written("replay: {to: kinesis, dead_letters: 'file:///x'}\nkinesis: {stream_name: s}")]
    )
    assert line.get(KinesisWriteOptions).stream_name == "s"
    assert FilterOptions in line.options


def test_the_file_says_that_errors_are_json(written, capsys):
    path = written("log: {log_format: json}\nkinesis: {stream_name: x, rate_limit: -1}")
    found = json.loads(refused(capsys, "beats-to-kinesis", "--config", path))
    assert found["process.exit_code"] == 2
    assert issubclass(JobOptions, LogOptions)
