"""`penstock config`: the file that it prints is taken as it is, and its schema knows what the file may hold."""

import json
import re

import jsonschema
import pytest
import yaml

from penstock.pipelines.__main__ import main
from penstock.pipelines.configuration.declared import declared_in
from penstock.pipelines.jobs import JOBS, find_job

REQUIRED = {
    "beats-to-kinesis": ["--stream_name=s"],
    "kinesis-to-elasticsearch": ["--kinesis_stream_name=s", "--application_name=logs"],
    "kinesis-to-s3": ["--kinesis_stream_name=s", "--application_name=logs", "--archive=s3://bucket/p"],
    "logstash": ["--path_config=x.conf"],
    "replay-dead-letters": ["--dead_letters=file:///x"],
    "run-yaml": ["--provider_file"],
    "s3-to-elasticsearch": ["--input=file:///x"],
}


def printed(capsys, *arguments):
    assert main(["config", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("job", JOBS)
def test_the_file_with_all_defaults_gives_the_same_options_as_no_file(job, tmp_path, capsys):
    """Without its comment signs too: then each default stands there."""
    text = printed(capsys, job, *REQUIRED[job])
    declared = declared_in(find_job(job).option_classes([]))
    assert {*re.findall(r"^  #?(\w+):", text, re.M)} >= {
        f"{each.name}_file" if each.secret else each.name for each in declared.values()
    }
    bare = re.sub(r"^(  )?#(?=\w+:)", r"\1", text, flags=re.M)
    schema = json.loads(printed(capsys, job, "--schema"))
    jsonschema.Draft7Validator.check_schema(schema)
    expected = find_job(job).parse(REQUIRED[job])
    for number, each in enumerate((text, bare)):
        (tmp_path / f"{number}.yaml").write_text(each)
        jsonschema.validate(yaml.safe_load(each), schema)
        found = find_job(job).parse(["--config", str(tmp_path / f"{number}.yaml")])
        for cls, options in expected.options.items():
            if cls.__name__ != "ConfigOptions":
                assert found.options[cls] == options, number


def test_the_schema_of_any_file_knows_one_job_and_several(capsys):
    schema = json.loads(printed(capsys, "--schema"))
    jsonschema.Draft7Validator.check_schema(schema)
    check = jsonschema.Draft7Validator(schema)
    good = (
        {"job": "kinesis-to-s3", "kinesis": {"kinesis-stream-name": "s"}, "x-mine": [1]},
        {
            "job": "kinesis-to-elasticsearch",
            "elasticsearch": {"api_key": "${KEY}", "hosts": "a,b", "timeout": "${T:5}"},
        },
        {
            "aws": {"region": "eu-west-1"},
            "jobs": {
                "kinesis-to-s3": None,
                "mine": {"job": "beats-to-kinesis", "beats": {"beats_port": 1, "enrich": ["a"]}},
            },
        },
    )
    bad = (
        {"job": "kinesis-to-s4"},
        {"job": "kinesis-to-s3", "kinesis": {"stream": "s"}},
        {"job": "kinesis-to-elasticsearch", "elasticsearch": {"api_key": "hunter2"}},
        {"job": "beats-to-kinesis", "beats": {"beats_port": "all"}},
        {"jobs": {"mine": {"beats": {}}}},
        {"jobs": {"mine": {"job": "kinesis-to-s3", "beats": {}}}},
        {"beats": {"beats_port": 1}, "jobs": {}},
    )
    assert not [each for each in good if not check.is_valid(each)]
    assert not [each for each in bad if check.is_valid(each)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage: penstock config JOB"),
        (["kinesis-to-s4"], "no job is called 'kinesis-to-s4'; did you mean kinesis-to-s3?"),
        (["kinesis-to-s3", "--archiv=x"], "unknown option --archiv=x; did you mean --archive?"),
        (["kinesis-to-s3", "--secret_key=hunter2"], "--secret_key is a secret"),
    ],
)
def test_what_is_refused(capsys, arguments, says):
    try:
        code = main(["config", *arguments])
    except SystemExit as ended:
        code = ended.code
    error = capsys.readouterr().err
    assert code == 2
    assert says in error
    assert "hunter2" not in error


def test_help_behind_a_job_is_help(capsys):
    assert printed(capsys, "beats-to-kinesis", "--help").startswith("usage: penstock config JOB")
