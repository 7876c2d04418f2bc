"""botocore's files read by orjson say what botocore's own loader reads."""

import botocore.loaders
import botocore.session
import pytest

from penstock.io.aws import bounded
from penstock.io.aws.bounded import fast_session


@pytest.fixture(autouse=True)
def _own_loaders(monkeypatch):
    """As users have them: tests/conftest.py lets all tests share one."""
    for module in (botocore.session, bounded):
        monkeypatch.setattr(module, "create_loader", botocore.loaders.create_loader)


@pytest.fixture
def loaders():
    slow, fast = botocore.session.Session(), fast_session()
    return slow.get_component("data_loader"), fast.get_component("data_loader")


def difference(one, other, place=""):
    """Where two descriptions first differ, order included."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return f"{place}: keys {str(list(one))[:500]} and {str(list(other))[:500]}"
        pairs = ((f"{place}.{key}", one[key], other[key]) for key in one)
    elif type(one) is list and type(other) is list and len(one) == len(other):
        pairs = ((f"{place}[{n}]", each, other[n]) for n, each in enumerate(one))
    else:
        same = type(one) is type(other) and one == other
        return "" if same else f"{place}: {str(one)[:500]} and {str(other)[:500]}"
    return next(filter(None, (difference(a, b, at) for at, a, b in pairs)), "")


@pytest.mark.parametrize("service", ["kinesis", "dynamodb", "s3", "sts", "cloudwatch", "kms", "iam"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1"])
def test_descriptions_are_the_same(loaders, service, kind):
    slow, fast = (each.load_service_model(service, kind) for each in loaders)
    assert not difference(slow, fast)  # a short text: pytest's own of two megabytes takes minutes


def test_what_is_no_service_is_refused_alike(loaders):
    for each in loaders:
        with pytest.raises(Exception, match="Unknown service: 'nothing'"):
            each.load_service_model("nothing", "service-2")
    slow, fast = loaders
    assert slow.list_available_services("service-2") == fast.list_available_services("service-2")
    assert not difference(slow.load_data("endpoints"), fast.load_data("endpoints"))


def test_sessions_share_no_description():
    """botocore writes into them (`authPath` of S3's operations), from whichever thread makes a client."""
    loaders = [fast_session().get_component("data_loader") for _ in range(2)]
    one, other = (each.load_service_model("s3", "service-2") for each in loaders)
    assert one is not other


def test_descriptions_of_ones_own_are_found(tmp_path, monkeypatch):
    folder = tmp_path / "toy" / "2020-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text('{"metadata": {"serviceId": "toy"}}')
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    loader = fast_session().get_component("data_loader")
    assert loader.load_service_model("toy", "service-2")["metadata"] == {"serviceId": "toy"}
