"""An address of Amazon decides which options go with it, and what `penstock check` tries and prints."""

import json

import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.elasticsearch import ElasticsearchOptions, iam_statements
from penstock.io.elasticsearch._amazon import data_access_policy, place_of, role_of
from penstock.io.elasticsearch.cluster.collection import collection_trial
from penstock.io.elasticsearch.cluster.preflight import trials
from penstock.io.errors import OptionError
from penstock.io.preflight.iam import Arns
from penstock.io.preflight.trials import Mark, try_all
from tests.tools.peers.fake_http import fake_http

DOMAIN = "search-app-logs-abcdefghijklmnopqrstuvwxyz.eu-west-1.es.amazonaws.com"
COLLECTION = "07tjusf2h91cunochc.eu-west-1.aoss.amazonaws.com"
ROLE = "arn:aws:iam::111122223333:role/search"
KEYS = {"access_key": "AKIDEXAMPLE", "secret_key": "s"}


@pytest.mark.parametrize(
    ("host", "place"),
    [
        (DOMAIN, ("es", "eu-west-1", "app-logs")),
        ("vpc-a-abcdefghijklmnopqrstuvwxyz.us-gov-west-1.es.amazonaws.com", ("es", "us-gov-west-1", "a")),
        ("search-a-abcdefghijklmnopqrstuvwxyz.cn-north-1.es.amazonaws.com.cn", ("es", "cn-north-1", "a")),
        ("search-a-abcdefghijklmnopqrstuvwxyz.aos.us-east-1.on.aws", ("es", "us-east-1", "a")),
        (COLLECTION, ("aoss", "eu-west-1", "07tjusf2h91cunochc")),
        ("1tg2xudton46knx2a95g.aoss.us-east-1.on.aws", ("aoss", "us-east-1", "1tg2xudton46knx2a95g")),
        ("logs.example.org", None),
        ("kinesis.eu-west-1.amazonaws.com", None),
        ("a.eu-west-1.es.amazonaws.com.example.org", None),
    ],
)
def test_an_address_of_amazon_says_service_region_and_name(host, place):
    assert place_of(host) == place


@pytest.mark.parametrize(
    ("given", "signs_for", "region"),
    [
        ({"hosts": [DOMAIN]}, "es", "eu-west-1"),
        ({"hosts": [COLLECTION]}, "aoss", "eu-west-1"),
        ({"hosts": [DOMAIN], "user": "u", "password": "p"}, "", "eu-west-1"),
        ({"hosts": [DOMAIN], "custom_headers": {"Authorization": "Basic x"}}, "", "eu-west-1"),
        ({"hosts": [DOMAIN], "aws_sigv4": "none"}, "", "eu-west-1"),
        ({"hosts": ["logs.example.org"], "aws_sigv4": "es"}, "es", "us-west-2"),
        ({"hosts": ["logs.example.org"]}, "", "us-west-2"),
    ],
)
def test_who_signs_for_what(given, signs_for, region):
    options = ElasticsearchOptions(**given).signed_by(AwsOptions(region="us-west-2", **KEYS))
    assert options.signs_for == signs_for
    if signs_for:
        assert (options.signing.region, options.signing.access_key) == (region, "AKIDEXAMPLE")
    assert "secret_key" not in repr(options)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"hosts": [DOMAIN], "aws_sigv4": "es", "user": "u", "password": "p"}, "--aws_sigv4 es"),
        ({"hosts": ["h:9200"], "elasticsearch_role_arn": ROLE}, "--aws_sigv4"),
        ({"hosts": [DOMAIN], "elasticsearch_role_arn": "search"}, "--elasticsearch_role_arn 'search'"),
        ({"hosts": [DOMAIN], "sniffing": True}, "--sniffing"),
    ],
)
def test_what_does_not_go_with_signatures_is_refused(given, flag):
    with pytest.raises(OptionError, match=flag):
        ElasticsearchOptions(**given)


@pytest.mark.parametrize(
    ("given", "actions", "resource"),
    [
        ({"hosts": [DOMAIN]}, ["es:ESHttpGet", "es:ESHttpPost"], "es:eu-west-1:1:domain/app-logs/*"),
        (
            {"hosts": [DOMAIN], "manage_template": True},
            ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpHead", "es:ESHttpPut"],
            "es:eu-west-1:1:domain/app-logs/*",
        ),
        (
            {"hosts": [COLLECTION]},
            ["aoss:APIAccessAll", "aoss:BatchGetCollection"],
            "aoss:eu-west-1:1:collection/07tjusf2h91cunochc",
        ),
        ({"hosts": ["h"], "aws_sigv4": "es"}, ["es:ESHttpGet", "es:ESHttpPost"], "es:us-west-2:1:domain/DOMAIN/*"),
    ],
)  # fmt: skip
def test_the_policy_names_what_signed_requests_need(given, actions, resource):
    options = ElasticsearchOptions(**given).signed_by(AwsOptions(region="us-west-2"))
    (found,) = iam_statements(options, Arns("us-west-2", "1"))
    assert (found["Action"], found["Resource"]) == (actions, f"arn:aws:{resource}")


def test_another_role_is_to_be_assumed_and_who_does_not_sign_needs_nothing():
    options = ElasticsearchOptions(hosts=[DOMAIN], elasticsearch_role_arn=ROLE)
    assert [(each["Action"], each["Resource"]) for each in iam_statements(options, Arns())] == [
        ("sts:AssumeRole", ROLE)
    ]
    assert iam_statements(ElasticsearchOptions(), Arns()) == ()


def test_the_data_access_policy_names_the_role_behind_a_session():
    session = "arn:aws:sts::111122223333:assumed-role/worker/penstock"
    assert role_of(session) == "arn:aws:iam::111122223333:role/worker"
    assert role_of("arn:aws:iam::111122223333:user/ann") == "arn:aws:iam::111122223333:user/ann"
    (policy,) = json.loads(data_access_policy("logs", ["app-*"], session, templates=True))
    assert policy["Principal"] == ["arn:aws:iam::111122223333:role/worker"]
    assert [rule["Resource"] for rule in policy["Rules"]] == [["index/logs/app-*"], ["collection/logs"]]


@pytest.mark.parametrize(
    ("reply", "document_id", "mark", "told"),
    [
        ({"type": "SEARCH"}, "auto", Mark.OK, "a replay stores nothing twice"),
        ({"type": "SEARCH"}, "none", Mark.WARNING, "a second time"),
        ({"type": "TIMESERIES"}, "auto", Mark.FAILED, "give --document_id none"),
        ({"type": "VECTORSEARCH"}, "%{id}", Mark.FAILED, "give --document_id none"),
        ({"type": "TIMESERIES"}, "none", Mark.WARNING, "takes no ids"),
        (None, "auto", Mark.NOT_TRIED, "none of this account's collections"),
        (403, "auto", Mark.NOT_TRIED, "aoss:BatchGetCollection"),
    ],
)
def test_a_collection_s_type_decides_whether_it_takes_ids(reply, document_id, mark, told):
    def answer(request):
        assert request.headers["x-amz-target"] == "OpenSearchServerless.BatchGetCollection"
        assert json.loads(request.body) == {"ids": ["07tjusf2h91cunochc"]}
        if reply == 403:
            return 403, b'{"__type":"AccessDeniedException","message":"no"}'
        details = [{"id": "07tjusf2h91cunochc", "name": "logs", **reply}] if reply else []
        return 200, json.dumps({"collectionDetails": details, "collectionErrorDetails": []}).encode()

    with fake_http(answer) as aws:
        options = ElasticsearchOptions(hosts=[COLLECTION], document_id=document_id)
        trial = collection_trial(options.signed_by(AwsOptions(endpoint_url=aws.url, **KEYS)))
        ((_, finding),) = try_all([trial])
    assert (finding.mark, told in finding.text) == (mark, True), finding.text
    assert trial.quick


def test_a_collection_has_no_page_that_tells_its_version_and_is_not_asked_for_one():
    options = ElasticsearchOptions(hosts=[COLLECTION])
    names = [trial.name for trial in trials(options)]
    assert names == ["Elasticsearch", "Elasticsearch privileges", "OpenSearch Serverless collection"]
