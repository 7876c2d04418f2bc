"""The factories behind `penstock.NAME` in Beam YAML; tests/integration/test_docs_yaml.py runs whole pipelines."""

import apache_beam as beam
import pytest
import yaml
from apache_beam.transforms.display import DisplayData
from apache_beam.utils.python_callable import PythonCallableWithSource

from penstock.io.aws.session import AwsOptions
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.errors import OptionError
from penstock.pipelines.beam_yaml import TRANSFORMS, provider_file
from penstock.pipelines.jobs import run_yaml
from tests.tools.samples.logstash_filters import FILTERS

CONFIGS = {
    "ReadFromAll": {
        "reads": [
            {"type": "ReadFromBeats", "config": {"beats_port": 5045}},
            {
                "type": "penstock.ReadFromKinesis",
                "config": {"kinesis_stream_name": "s", "application_name": "app"},
            },
        ]
    },
    "ReadFromBeats": {"beats_port": 5045, "enrich": ["source_metadata"]},
    "ReadFromKinesis": {"stream_name": "s", "application_name": "app", "output": {"user": "string"}},
    "ReadFromS3": {"input": ["{folder}/*.jsonl"]},
    "DecodeJson": {"on_error": "tag"},
    "DecodePlain": {"charset": "latin-1"},
    "DecodeObjects": {"codec": "plain"},
    "MapEvents": {"function": "lambda event: event"},
    "FilterEvents": {"predicate": "builtins.bool"},
    "FlatMapEvents": {"function": "lambda event: [event, event]", "stage": "twice"},
    "AddFields": {"values": {"labels.team": "shop"}, "overwrite": False},
    "DropEvents": {"field": "level", "values": ["debug"]},
    "Fingerprint": {"paths": ["message"]},
    "MoveFields": {"paths": ["user"], "target": "labels"},
    "ParseJson": {"source": "message"},
    "RemoveFields": {"paths": ["secret"]},
    "RenameFields": {"names": {"a": "b"}},
    "SetTimestamp": {"field": "when", "formats": ["UNIX_MS"]},
    "AddObjectProperties": {},
    "AsElements": {},
    "FromElements": {"id_fn": "lambda row: row.user"},
    "WriteToKinesis": {
        "stream_name": "s",
        "endpoint_url": "http://127.0.0.1:1",
        "error_handling": {"output": "bad"},
    },
    "WriteToElasticsearch": {"hosts": "a:9200,b:9200", "index": "logs", "ids": "content"},
    "WriteDeadLetters": {"dead_letters": "elasticsearch:refused", "hosts": ["a:9200"]},
    "FinishUnits": {"manifest": "file:///tmp/manifest"},
    "Acknowledge": {},
    **{f"logstash.{name}": config for name, config in FILTERS.items()},
}


def make(name, **config):
    return TRANSFORMS[f"penstock.{name}"](**config)


def test_no_transform_is_without_an_example():
    assert {f"penstock.{name}" for name in CONFIGS} == set(TRANSFORMS)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_transform_is_made_from_plain_values(name, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    config = yaml.safe_load(yaml.safe_dump(CONFIGS[name]).replace("{folder}", str(tmp_path)))
    assert isinstance(make(name, **config), beam.PTransform)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_provider_file_names_what_beam_can_load(name):
    (provider,) = yaml.safe_load(provider_file())
    assert provider["type"] == "python"
    where = provider["transforms"][f"penstock.{name}"]
    assert PythonCallableWithSource.load_from_source(where) is TRANSFORMS[f"penstock.{name}"]


def test_a_function_of_the_file_is_called():
    step = make("MapEvents", function="lambda event: {**event, 'b': 2}")
    assert {item.key for item in DisplayData.create_from(step).items} >= {"stage", "function"}


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        (
            "ReadFromBeats",
            {"beats_prot": 1},
            "penstock.ReadFromBeats has no option 'beats_prot'; did you mean beats_port",
        ),
        ("ReadFromKinesis", {"application_name": "app"}, "--kinesis_stream_name is required"),
        (
            "WriteToElasticsearch",
            {"bulk_max_count": "many"},
            "--bulk_max_count: 'many' is not a whole number",
        ),
        ("WriteToElasticsearch", {"user": "u", "password": "hush"}, "password is a secret"),
        (
            "WriteToKinesis",
            {"stream_name": "s", "secret_key": "hush"},
            "PENSTOCK_SECRET_KEY in the environment",
        ),
        ("WriteDeadLetters", {"dead_letters": "ftp://x"}, "is none of file:///path"),
        ("WriteToElasticsearch", {"error_handling": {}}, "error_handling needs output, the name under which"),
        (
            "WriteToElasticsearch",
            {"error_handling": {"outputs": "bad"}},
            "error_handling has no key 'outputs'; did you mean output?",
        ),
        (
            "ReadFromKinesis",
            {"kinesis_stream_name": "s", "application_name": "app", "output": {"user": "str"}},
            "output has no type 'str'; did you mean string?",
        ),
    ],
)
def test_a_wrong_config_is_told_without_its_secrets(name, config, message):
    with pytest.raises(OptionError, match=message) as caught:
        make(name, **config)
    assert "hush" not in str(caught.value)


def test_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PENSTOCK_PASSWORD", "hush")
    step = make("WriteToElasticsearch", user="u")
    assert step._options.password == "hush"


def test_a_secret_is_only_for_the_step_that_it_belongs_to(monkeypatch):
    """The steps share the environment; the key of one is none of another that has no access key."""
    monkeypatch.setenv("PENSTOCK_SECRET_KEY", "hush")
    monkeypatch.setenv("PENSTOCK_PASSWORD", "hush")
    read = make("ReadFromKinesis", kinesis_stream_name="s", application_name="app", access_key="AK")
    assert read._aws.secret_key == "hush"
    make("WriteToElasticsearch", hosts="h")
    make("WriteDeadLetters", dead_letters="file:///tmp/a.jsonl")


def test_letters_in_a_domain_are_signed_as_the_options_say():
    role = "arn:aws:iam::111122223333:role/letters"
    letters = "elasticsearch:refused"
    step = make(
        "WriteDeadLetters",
        dead_letters=letters,
        hosts="a:9200",
        aws_sigv4="es",
        region="eu-west-1",
        role_arn=role,
    )
    assert _signs_as(step) == ("eu-west-1", role)
    step = make(
        "WriteDeadLetters", dead_letters=letters, hosts="a:9200", aws_sigv4="es", elasticsearch_role_arn=role
    )
    assert _signs_as(step)[1] == role


def test_letters_are_signed_by_whom_the_keywords_name_and_else_by_whom_the_clusters_options_name():
    url, role = "elasticsearch:refused", "arn:aws:iam::111122223333:role/letters"
    given = {"hosts": "a:9200", "aws_sigv4": "es"}
    assert _signs_as(WriteDeadLetters(url, **given, role_arn=role)) == ("us-east-1", role)
    assert _signs_as(WriteDeadLetters(url, **given, aws=AwsOptions(role_arn=role))) == ("us-east-1", role)
    cluster = ElasticsearchOptions(hosts=["a:9200"], aws_sigv4="es").signed_by(AwsOptions(role_arn=role))
    step = WriteDeadLetters(url, elasticsearch=cluster, aws=AwsOptions(role_arn="arn:aws:iam::1:role/other"))
    assert _signs_as(step)[1] == role


def _signs_as(step):
    signing = step._settings.elasticsearch.signing
    return signing.region, signing.role_arn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--yaml_pipeline_file is required"),
        (("--yaml_pipeline_file", "/nowhere.yaml"), "there is no such file"),
        (("--yaml_pipeline_file", "x" * 5000), "there is no such file"),
        (("--yaml_pipeline_file", "a\0b"), "there is no such file"),
        (("--yaml_pipeline_file", "/dev/null"), "there is no such file"),
        (
            ("--yaml_pipeline_file", __file__, "--dead_letters=kinesis:x"),
            "put penstock.WriteDeadLetters into",
        ),
    ],
)
def test_a_wrong_call_is_one_line(capsys, arguments, message):
    try:
        code = run_yaml.JOB.main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_options_of_the_file_become_arguments():
    spec = {
        "options": {
            "streaming": True,
            "experiments": ["a", "b"],
            "job_name": "x",
            "off": False,
            "__line__": 3,
        }
    }
    assert run_yaml._arguments(spec) == ["--streaming", "--experiments=a", "--experiments=b", "--job_name=x"]
