"""botocore's files read by orjson say what botocore's own loader reads, once for all sessions."""

import json

import botocore.session
import pytest

from penstock.io.aws.bounded import fast_session
from penstock.io.aws.session import AwsOptions, AwsSession


@pytest.fixture
def loaders():
    slow, fast = botocore.session.Session(), fast_session()
    return slow.get_component("data_loader"), fast.get_component("data_loader")


@pytest.mark.parametrize("service", ["kinesis", "dynamodb", "s3", "sts", "cloudwatch", "kms", "iam"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1"])
def test_descriptions_are_the_same(loaders, service, kind):
    slow, fast = (each.load_service_model(service, kind) for each in loaders)
    assert json.dumps(slow) == json.dumps(fast)


def test_what_is_no_service_is_refused_alike(loaders):
    for each in loaders:
        with pytest.raises(Exception, match="Unknown service: 'nothing'"):
            each.load_service_model("nothing", "service-2")
    slow, fast = loaders
    assert slow.list_available_services("service-2") == fast.list_available_services("service-2")
    assert slow.load_data("endpoints") == fast.load_data("endpoints")


def test_several_sessions_read_them_once():
    first, second = (AwsSession(AwsOptions(access_key="a", secret_key="b"))._session for _ in range(2))
    assert first.get_component("data_loader") is second.get_component("data_loader")


def test_descriptions_of_ones_own_are_found(tmp_path, monkeypatch):
    folder = tmp_path / "toy" / "2020-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text('{"metadata": {"serviceId": "toy"}}')
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    loader = fast_session().get_component("data_loader")
    assert loader.load_service_model("toy", "service-2")["metadata"] == {"serviceId": "toy"}
