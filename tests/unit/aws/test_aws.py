"""Keys, profiles, roles and expiry decide who we are for AWS; a refusal tells the user what to do."""

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOTokenLoadError,
)

from penstock.io.aws.error_codes import ACTIONS
from penstock.io.aws.session import AwsOptions, AwsSession, explain, explain_code
from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError, Unreachable
from tests.simulator import KinesisSimulator

ARN = "arn:aws:kinesis:us-east-1:111122223333:stream/orders"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def simulator() -> Iterator[KinesisSimulator]:
    with KinesisSimulator() as made:
        yield made


def _options(**given: Any) -> AwsOptions:
    return AwsOptions(**{"access_key": "AKIATEST", "secret_key": "very-secret", **given})


def _in_a_role(simulator: KinesisSimulator) -> AwsSession:
    return AwsSession(
        _options(endpoint_url=simulator.endpoint_url, role_arn="arn:aws:iam::111122223333:role/w")
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"access_key": "a"}, "--access_key and --secret_key go together"),
        ({"secret_key": "a"}, "--access_key and --secret_key go together"),
        ({"session_token": "a"}, "--session_token needs"),
        ({"access_key": "a", "secret_key": "b", "profile": "p"}, "--access_key and --profile exclude"),
        ({"endpoint_url": "localhost:4566"}, "must start with http:// or https://"),
        ({"role_arn": "worker"}, "--role_arn 'worker' is no role's ARN"),
        ({"connect_timeout": 0}, "--connect_timeout must be at least 1"),
        ({"request_timeout": -1}, "--request_timeout must be at least 1"),
    ],
)
def test_wrong_combinations_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        AwsOptions(**given)


def test_secrets_stay_out_of_repr() -> None:
    options = _options(session_token="hidden-token")
    assert "very-secret" not in repr(options)
    assert "hidden-token" not in repr(options)
    assert pickle.loads(pickle.dumps(options)) == options


def test_keys_given_win() -> None:
    frozen = AwsSession(_options(session_token="token")).credentials().get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("AKIATEST", "very-secret", "token")


def test_the_standard_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert AwsSession(AwsOptions()).credentials().access_key == "AKIAENV"


def test_no_credentials_is_one_line() -> None:
    with pytest.raises(AccessDenied, match=r"^no AWS credentials found\. Set AWS_ACCESS_KEY_ID"):
        AwsSession(AwsOptions()).credentials()
    with pytest.raises(AccessDenied, match="no AWS credentials found"):
        AwsSession(AwsOptions(role_arn="arn:aws:iam::111122223333:role/writer"))


def test_a_profile(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n")
    assert AwsSession(AwsOptions(profile="work")).credentials().access_key == "AKIAWORK"


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"^--profile nobody: no such profile"):
        AwsSession(AwsOptions(profile="nobody"))
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(OptionError, match=r"^AWS_PROFILE gone: no such profile"):
        AwsSession(AwsOptions())


def test_a_broken_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("no section\n")
    with pytest.raises(OptionError, match="the AWS configuration files can't be read"):
        AwsSession(_options())


def test_a_profile_may_assume_a_role_itself(
    tmp_path: Path, simulator: KinesisSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text("[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text(
        "[profile app]\nrole_arn = arn:aws:iam::111122223333:role/app\nsource_profile = base\n"
    )
    # botocore itself makes this STS client: it knows the address only from the environment.
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", simulator.endpoint_url)
    session = AwsSession(AwsOptions(profile="app", endpoint_url=simulator.endpoint_url))
    assert session.credentials().access_key == "ASIA0000000000000001"


def test_a_role_is_assumed_at_the_endpoint_given_once(simulator: KinesisSimulator) -> None:
    simulator.create_stream("orders")
    session = _in_a_role(simulator)
    assert simulator.assumed == 0, "nothing is sent before it is needed"
    for _ in range(3):
        session.client("kinesis").list_shards(StreamName="orders")
        assert session.credentials().get_frozen_credentials().token == "token1"
    assert simulator.assumed == 1


def test_renew_looks_anew_once(simulator: KinesisSimulator) -> None:
    session = _in_a_role(simulator)
    stale = session.credentials()
    assert stale.get_frozen_credentials().access_key.endswith("1")
    client = session.client("kinesis")
    threads = [threading.Thread(target=session.renew, args=(stale,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.credentials() is not stale
    assert session.credentials().get_frozen_credentials().access_key.endswith("2")
    assert session.client("kinesis") is not client
    assert simulator.assumed == 2


def test_a_call_with_expired_credentials_is_made_again_with_new_ones(simulator: KinesisSimulator) -> None:
    simulator.create_stream("orders")
    session = _in_a_role(simulator)
    assert session.call("kinesis", "list_shards", StreamName="orders")["Shards"]
    simulator.expired_keys.add("ASIA0000000000000001")
    assert session.call("kinesis", "list_shards", StreamName="orders")["Shards"]
    assert simulator.assumed == 2
    simulator.expired_keys |= {"ASIA0000000000000002", "ASIA0000000000000003"}
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        session.call("kinesis", "list_shards", StreamName="orders")
    assert simulator.assumed == 3, "once, not for ever"


@pytest.mark.parametrize("service", ["kinesis", "dynamodb", "cloudwatch", "s3", "sts"])
def test_endpoint_url_serves_all_services(service: str) -> None:
    session = AwsSession(_options(endpoint_url="http://127.0.0.1:4566", region="eu-west-1"))
    client = session.client(service)
    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
    assert client.meta.region_name == "eu-west-1"
    assert session.client(service) is client


def test_without_endpoint_url_botocore_finds_it() -> None:
    client = AwsSession(_options(region="eu-west-1")).client("kinesis")
    assert client.meta.endpoint_url == "https://kinesis.eu-west-1.amazonaws.com"


def test_the_limits_reach_the_client() -> None:
    client = AwsSession(_options(connect_timeout=1500, request_timeout=2500)).client(
        "kinesis", max_connections=7
    )
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (1.5, 2.5, 7)


@pytest.mark.parametrize(
    ("environment", "given", "region"),
    [
        ({}, {}, "us-east-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, {}, "eu-west-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-1"}, {}, "eu-central-1"),
        ({"AWS_REGION": "eu-central-1"}, {"region": "us-east-1"}, "us-east-1"),
    ],
)
def test_the_region_comes_from_the_environment_unless_given(
    environment: dict[str, str], given: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert AwsOptions(**given).region == region


def test_a_region_that_is_none_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="Check --region"):
        AwsSession(_options(region="not a region")).client("kinesis")


def test_where_certificates_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"endpoint_url": "http://127.0.0.1:9"}  # where no certificate is looked at, nor the file
    assert AwsSession(_options()).ca_bundle is True
    assert AwsSession(_options(verify_certificate=False)).ca_bundle is False
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert AwsSession(_options(**plain)).ca_bundle == "/requests.pem"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/aws.pem")
    assert AwsSession(_options(**plain)).ca_bundle == "/aws.pem"


def test_principal(simulator: KinesisSimulator) -> None:
    session = AwsSession(_options(endpoint_url=simulator.endpoint_url))
    assert session.principal() == simulator.identity
    simulator.faults.refuse("GetCallerIdentity", "InternalFailure", status=500, times=None)
    assert session.principal() == "the job's principal"


# -- what a refusal says -----------------------------------------------------------------------------------


def _told(code: str, text: str = "", operation: str = "PutRecords") -> Any:
    session = AwsSession(_options(endpoint_url="http://127.0.0.1:9", connect_timeout=50))
    return explain_code(code, text, session, operation, ARN, "write to stream orders")


@pytest.mark.parametrize("operation", sorted(ACTIONS))
def test_a_denial_names_the_action_of_the_call(operation: str) -> None:
    told = _told("AccessDeniedException", operation=operation)
    assert isinstance(told, AccessDenied)
    assert str(told) == (
        f"cannot write to stream orders: access denied. the job's principal needs {ACTIONS[operation]} on {ARN}. "
        "See docs/iam.md."
    )


def test_a_denial_in_iams_words_without_the_resource_takes_ours() -> None:
    text = "User: arn:aws:sts::1:assumed-role/w/penstock is not authorized to perform: kinesis:PutRecords"
    assert "arn:aws:sts::1:assumed-role/w/penstock needs kinesis:PutRecords on " + ARN in str(
        _told("AccessDenied", text)
    )


@pytest.mark.parametrize(
    ("code", "text", "operation", "kind", "words"),
    [
        ("ExpiredTokenException", "what", "PutRecords", AccessDenied, "credentials have expired. Renew them"),
        ("ExpiredToken", "what", "PutRecords", AccessDenied, "the AWS credentials have expired"),
        ("InvalidClientTokenId", "what", "PutRecords", AccessDenied, "refuses the credentials (InvalidClientTokenId)"),
        ("KMSAccessDeniedException", "what", "PutRecords", AccessDenied, "kms:GenerateDataKey on the key that encrypts"),
        ("KMSAccessDeniedException", "what", "GetRecords", AccessDenied, "kms:Decrypt on the key that encrypts"),
        ("KMSDisabledException", "what", "PutRecords", PeerError, "is not usable (KMSDisabledException"),
        ("KMSNotFoundException", "what", "PutRecords", PeerError, "is not usable (KMSNotFoundException"),
        ("ResourceNotFoundException", "what", "PutRecords", NotFound, "not exist in us-east-1. Check the name and --region"),
        ("NoSuchBucket", "what", "PutObject", NotFound, "does not exist in us-east-1"),
        ("Strange", "what", "PutRecords", PeerError, "Strange: what"),
        # A status without a code.
        ("403", "Forbidden", "PutRecords", AccessDenied, "access denied. the job's principal needs kinesis:PutRecords"),
        ("403", "<Error><Code>InvalidClientTokenId</Code></Error>", "PutRecords", AccessDenied, "refuses the credentials"),
        ("401", "", "PutRecords", PeerError, "what answers at http://127.0.0.1:9 does not speak as AWS does (401). Check"),
        ("HTTP401", "", "PutRecords", PeerError, "does not speak as AWS does (401). Check --endpoint_url"),
        ("502", "<h1>Bad\nGateway</h1>", "PutRecords", PeerError, "does not speak as AWS does (502: Bad Gateway). Check"),
    ],
)  # fmt: skip
def test_codes_as_errors(code: str, text: str, operation: str, kind: type[Exception], words: str) -> None:
    told = _told(code, text, operation)
    assert type(told) is kind
    assert words in str(told)
    assert "\n" not in str(told)


def test_a_clock_that_is_off_is_named() -> None:
    told = _told("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than ...")
    assert "The clock of this machine is off." in str(told)
    assert "clock" not in str(_told("InvalidSignatureException", "does not match"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), AccessDenied),
        (PartialCredentialsError(provider="env", cred_var="x"), AccessDenied),
        (SSOTokenLoadError(error_msg="x"), AccessDenied),
        (EndpointConnectionError(endpoint_url="http://x"), Unreachable),
        (ConnectTimeoutError(endpoint_url="http://x"), Unreachable),
        (ReadTimeoutError(endpoint_url="http://x"), Unreachable),
        (OptionError("as it is"), OptionError),
        (ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "ListShards"), NotFound),
    ],
)
def test_botocores_errors_as_ours(error: Exception, kind: type[Exception]) -> None:
    session = AwsSession(_options(endpoint_url="http://127.0.0.1:9", connect_timeout=50))
    assert type(explain(error, session, "ListShards", ARN, "list shards")) is kind


def test_each_service_may_have_an_endpoint_of_its_own(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:2")
    keys = {"access_key": "a", "secret_key": "b"}
    apart, one = (
        AwsSession(AwsOptions(**keys)),
        AwsSession(AwsOptions(endpoint_url="http://127.0.0.1:3", **keys)),
    )
    assert apart.client("kinesis").meta.endpoint_url == "http://127.0.0.1:1"
    assert apart.client("dynamodb").meta.endpoint_url == "http://127.0.0.1:2"
    assert one.client("kinesis").meta.endpoint_url == "http://127.0.0.1:3", "--endpoint_url wins"
