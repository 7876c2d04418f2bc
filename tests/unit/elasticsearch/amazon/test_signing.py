"""Requests to Amazon's search services: signed so that AWS accepts them, and refused in words that help."""

import datetime
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, explain
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import event
from tests.tools.search.gate import (
    Gate,
    TokenService,
    canonical_request,
    gate_before,
    signature,
    string_to_sign,
)

VECTORS = json.loads((Path(__file__).parent / "fixtures" / "aws4_testsuite.json").read_text())
KEYS = {"AKIDEXAMPLE": ("wJalrXUtnFEMI", None)}
AWS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI", region="eu-west-1")
ROOT = json.dumps({"version": {"number": "2.19.1", "distribution": "opensearch"}}).encode()
WRITTEN = b'{"errors":false,"items":[{"create":{"_id":"i","status":201}}]}'


def answer(request):
    return (200, WRITTEN) if "_bulk" in request.path else (200, ROOT)


def options(url, aws=AWS, service="es", **given):
    made = ElasticsearchOptions(
        hosts=[url], **{"aws_sigv4": service, "retry_initial_interval": 0.01, **given}
    )
    return made.signed_by(aws)


def one():
    made = event(b'{"a":1}')
    made.id = "i"
    return made


# -- accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VECTORS)
def test_the_gate_of_these_tests_signs_as_aws_own_vectors_do(name):
    vector = VECTORS[name]
    head = vector["request"].partition("\n\n")[0]
    line, *lines = head.split("\n")
    method, target = line.removesuffix(" HTTP/1.1").split(" ", 1)
    headers = {name.lower(): value for name, _, value in (each.partition(":") for each in lines)}
    claimed = vector["authorization"].partition("SignedHeaders=")[2]
    signed, _, found = claimed.partition(", Signature=")
    digest = vector["canonical"].rpartition("\n")[2]
    canonical = canonical_request(method, target, headers, signed.split(";"), digest)
    assert canonical == vector["canonical"]
    text = string_to_sign(canonical, "20150830T123600Z", "20150830/us-east-1/service/aws4_request")
    assert text == vector["to_sign"]
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert signature(secret, text, "20150830", "us-east-1", "service") == found


@pytest.mark.parametrize("service", ["es", "aoss"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"http_compression": True},
        {"path": "/behind/a b/it's"},
        {"parameters": {"routing": "a/b c+d", "empty": "", "timeout": "5s", "pretty": "ä*,"}},
        {"custom_headers": {"x-amz-aoss-collection-name": "logs  of   two", "host": "logs.example.org"}},
    ],
    ids=str,
)
def test_aws_accepts_every_request(service, given):
    gate = Gate(KEYS, service)
    with gate_before(gate, answer) as fake:
        client = Client(options(fake.url, service=service, **given))
        asked = [
            client.bulk(b'{"create":{}}\n{}\n'),
            client.bulk(b""),
            client.call("GET", "/logs-*,other/_settings/index.blocks.*?flat_settings=true&ignore_unavailable=true"),
            client.call("PUT", "/_index_template/a%20b", {"index_patterns": ["*"]}),
            client.call("HEAD", "/_alias/a"),
        ]  # fmt: skip
        client.close()
    assert [status for status, _ in asked] == [200] * 5
    assert gate.accepted == 5


def test_through_a_proxy_the_host_is_still_that_of_the_server():
    gate = Gate(KEYS)
    with gate_before(gate, answer) as fake:  # plain http: the proxy gets the whole request
        client = Client(options("http://search-a.eu-west-1.es.amazonaws.com:80", proxy=fake.url))

        def behind_it(request, refusal=gate.refusal):
            parts = urlsplit(request.path)
            request.path = parts.path + (f"?{parts.query}" if parts.query else "")
            return refusal(request)

        gate.refusal = behind_it
        assert client.root()[0] == 200
        assert fake.requests[0].headers["host"] == "search-a.eu-west-1.es.amazonaws.com"
        client.close()


def test_a_session_token_goes_along():
    with gate_before(Gate({"AKIDEXAMPLE": ("wJalrXUtnFEMI", "a/token+=")}), answer) as fake:
        signed_by = AwsOptions(
            access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI", session_token="a/token+="
        )
        client = Client(options(fake.url, aws=AwsOptions(**{**vars(signed_by), "region": "eu-west-1"})))
        assert client.root()[0] == 200
        client.close()


def test_a_retry_is_signed_anew(monkeypatch):
    """The first signature would be too old by then."""
    now = [datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)]
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *, remove_tzinfo=True: now[0])
    gate = Gate(KEYS)
    gate.clock = lambda: now[0]
    statuses = [200, 503, 200]

    def busy(request):
        now[0] += datetime.timedelta(minutes=6)
        status = statuses.pop(0)
        return (status, answer(request)[1])

    with gate_before(gate, busy) as fake:
        writer = BulkWriter(options(fake.url), threading.Event())
        report = writer.write([one()])
        writer.close()
    assert (report.written, dict(report.retries), gate.accepted) == (1, {"503": 1}, 3)


# -- roles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasts_s", [3600, 60])  # 60: botocore renews what ends within ten minutes
def test_a_role_is_assumed_and_renewed_in_flight(lasts_s):
    gate = Gate({})
    tokens = TokenService(gate, datetime.timedelta(seconds=lasts_s))
    with fake_http(tokens.answer) as sts, gate_before(gate, answer) as fake:
        aws = AwsOptions(
            access_key=f"AKIA{lasts_s}", secret_key="s", region="eu-west-1", endpoint_url=sts.url
        )
        role = "arn:aws:iam::111122223333:role/worker"
        writer = BulkWriter(options(fake.url, aws=aws, elasticsearch_role_arn=role), threading.Event())
        assert writer.write([one()]).written == 1
        assert len(set(tokens.given)) == (1 if lasts_s == 3600 else 2)
        gate.expired.update(tokens.given)  # AWS ends the session before its time
        assert writer.write([one()]).written == 1
        tokens.status = 503
        gate.expired.update(tokens.given)
        client = writer._client
        if lasts_s == 60:
            with pytest.raises(NoAnswer, match="no AWS credentials at the moment"):
                client.bulk(b"")
        tokens.status = 200
        assert writer.write([one()]).written == 1
        writer.close()


# -- refused -------------------------------------------------------------------------------------------------

DOMAIN = "arn:aws:es:eu-west-1:ACCOUNT:domain/DOMAIN"


def _spoilt(gate, kind):
    hours = datetime.timedelta(hours=1)
    if kind == "early":
        gate.clock = lambda: datetime.datetime.now(datetime.UTC) - hours
    elif kind == "late":
        gate.clock = lambda: datetime.datetime.now(datetime.UTC) + hours
    elif kind == "secret":
        gate.secrets = {"AKIDEXAMPLE": ("another", None)}
    elif kind == "unknown":
        gate.secrets = {}
    elif kind == "expired":
        gate.expired.add("AKIDEXAMPLE")
    elif kind == "region":
        gate.region = "eu-central-1"
    else:
        gate.allowed = False


@pytest.mark.parametrize(
    ("kind", "service", "told"),
    [
        ("early", "es", ["not yet current", "clock is off by more than 5 minutes"]),
        ("late", "es", ["Signature expired", "clock is off by more than 5 minutes"]),
        ("secret", "es", ["another signature", "check the secret key", "changes Host"]),
        ("unknown", "aoss", ["does not know these keys", "session token"]),
        ("expired", "es", ["have expired", "aws sso login"]),
        ("region", "es", ["--region", "--aws_sigv4 (es: a domain"]),
        (
            "denied",
            "es",
            ["es:ESHttpGet", DOMAIN, "arn:aws:iam::111122223333:role/worker", "access policy", "--policy"],
        ),
        (
            "denied",
            "aoss",
            [
                *("aoss:APIAccessAll", "collection/COLLECTION", '"aoss:WriteDocument"', "index/COLLECTION/logs-*"),
                '"Principal": ["arn:aws:iam::111122223333:role/worker"]',
            ],
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_and_what_to_do(kind, service, told):
    gate = Gate(KEYS, service)
    _spoilt(gate, kind)
    with fake_http(TokenService(Gate({})).answer) as sts, gate_before(gate, answer) as fake:
        aws = AwsOptions(**{**vars(AWS), "endpoint_url": sts.url})
        given = options(fake.url, aws=aws, service=service, index="logs-%{+YYYY.MM.dd}")
        writer = BulkWriter(given, threading.Event())
        with pytest.raises(AccessDenied) as caught:
            writer.write([one()])
        writer.close()
    for each in told:
        assert each in str(caught.value)
    assert "wJalrXUtnFEMI" not in str(caught.value)
    assert gate.accepted == 0


def test_who_does_not_sign_hears_of_it():
    with gate_before(Gate(KEYS), answer) as fake:
        writer = BulkWriter(ElasticsearchOptions(hosts=[fake.url]), threading.Event())
        with pytest.raises(AccessDenied, match="--aws_sigv4 es"):
            writer.write([one()])
        writer.close()


def test_the_role_mapping_to_paste_names_the_iam_role():
    """Fine-grained access: AWS lets the request in, and the domain's security plugin denies it."""
    reason = (
        "no permissions for [indices:data/write/bulk] and User [name=arn:aws:iam::1:role/w, "
        "backend_roles=[arn:aws:iam::1:role/w], requestedTenant=null]"
    )
    reply = {"error": {"type": "security_exception", "reason": reason}}
    with fake_http(TokenService(Gate({})).answer) as sts:
        aws = AwsOptions(**{**vars(AWS), "endpoint_url": sts.url})
        told = str(explain(403, reply, options("http://h:1", aws=aws), "http://h:1", "write"))
    assert '{"backend_roles": ["arn:aws:iam::111122223333:role/worker"]}' in told
