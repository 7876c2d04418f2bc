import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.errors import OptionError


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"hosts": []}, "--hosts"),
        ({"hosts": ["http://u:secret@h:9200"]}, "--user and --password"),
        ({"hosts": ["h:99999"]}, "--hosts"),
        ({"hosts": ["ftp://h"]}, "--hosts"),
        ({"index": "%{+QQ}"}, "--index"),
        ({"index": "%{a"}, "--index"),
        ({"action": "upsert"}, "--action"),
        ({"action": "update", "document_id": "none"}, "--document_id"),
        ({"action": "index", "data_stream": "true"}, "data stream"),
        ({"version": "1", "action": "create"}, "--action index"),
        ({"version_type": "external"}, "--version"),
        ({"version": "1", "action": "update", "version_type": "external"}, "--version"),
        ({"user": "u"}, "--password"),
        ({"user": "u", "password": "p", "api_key": "k"}, "--api_key"),
        ({"ssl_certificate": "/x"}, "--ssl_key"),
        ({"ssl_certificate_authorities": "/nothing/there"}, "--ssl_certificate_authorities"),
        ({"ca_trusted_fingerprint": "abc"}, "--ca_trusted_fingerprint"),
        ({"template": "/nothing/there"}, "--template"),
        ({"upsert": "[1]"}, "--upsert"),
        ({"proxy": "socks://x"}, "--proxy"),
        ({"custom_headers": {"a b": "c"}}, "--custom_headers"),
        ({"custom_headers": {"a": "c\r\nx: y"}}, "--custom_headers"),
        ({"timeout": 0}, "--timeout"),
        ({"bulk_max_count": 0}, "--bulk_max_count"),
        ({"retry_initial_interval": 0}, "--retry_initial_interval"),
        ({"retry_initial_interval": 65}, "--retry_max_interval"),
        ({"compression_level": 10}, "--compression_level"),
        ({"stop_timeout": -1}, "--stop_timeout"),
        ({"ilm_enabled": "true"}, "--ilm_policy"),
    ],
)
def test_wrong_options_name_the_flag_and_no_secret(options, flag):
    with pytest.raises(OptionError) as caught:
        ElasticsearchOptions(**options)
    assert flag in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "path", "tls", "url"),
    [
        ("h", None, None, "http://h:9200"),
        ("h:1", None, True, "https://h:1"),
        ("https://h/a/", None, None, "https://h:9200/a"),
        ("h", "/es/", None, "http://h:9200/es"),
        ("http://[::1]:9201", None, None, "http://[::1]:9201"),
        (
            "search-a.eu-west-1.es.amazonaws.com",
            None,
            None,
            "https://search-a.eu-west-1.es.amazonaws.com:443",
        ),
        ("https://a.eu-west-1.aoss.amazonaws.com/", None, None, "https://a.eu-west-1.aoss.amazonaws.com:443"),
        ("http://a.es.amazonaws.com", None, None, "http://a.es.amazonaws.com:9200"),
        ("a.es.amazonaws.com:9201", None, None, "https://a.es.amazonaws.com:9201"),
        (
            "https://proxy.example/a.es.amazonaws.com",
            None,
            None,
            "https://proxy.example:9200/a.es.amazonaws.com",
        ),
    ],
)
def test_hosts(host, path, tls, url):
    assert ElasticsearchOptions(hosts=[host], path=path, ssl_enabled=tls).urls == [url]


def test_data_streams_are_chosen_on_purpose():
    assert not ElasticsearchOptions().writes_data_stream
    chosen = ElasticsearchOptions(data_stream_dataset="nginx")
    assert chosen.writes_data_stream
    assert chosen.target == "logs-nginx-default"
    assert ElasticsearchOptions(index="x", data_stream_dataset="nginx").target == "x"
    assert ElasticsearchOptions(data_stream="true").target == "logs-generic-default"
    assert (
        ElasticsearchOptions(data_stream="false", data_stream_dataset="n").target == "logstash-%{+YYYY.MM.dd}"
    )


def test_documents_are_needed_only_for_fields():
    assert not ElasticsearchOptions().needs_documents
    assert ElasticsearchOptions(index="%{service}").needs_documents
    assert ElasticsearchOptions(routing="%{[a][b]}").needs_documents
    assert ElasticsearchOptions(action="update", script="x").needs_documents


def test_compression_is_off_towards_this_machine_only():
    assert not ElasticsearchOptions().compresses
    assert not ElasticsearchOptions(hosts=["127.0.0.1", "http://[::1]:9200"]).compresses
    assert ElasticsearchOptions(hosts=["localhost", "es1"]).compresses
    assert not ElasticsearchOptions(hosts=["es1"], http_compression=False).compresses


def test_secrets_stay_out_of_repr():
    text = repr(
        ElasticsearchOptions(user="u", password="hush", custom_headers={"x": "hush"}, proxy="http://u:hush@p")
    )
    assert "hush" not in text
    assert "hush" not in repr(ElasticsearchOptions(api_key="hush"))


@pytest.mark.parametrize(
    "host", ["exa mple", "http://exa mple:1", "https://xn--\u2603.invalid", "a\r\nX: y:9", "\0"]
)
def test_what_is_no_host_is_refused_as_an_option(host):
    """A client could not be made of it, at the first request."""
    for given in ({"hosts": [host]}, {"hosts": ["127.0.0.1"], "proxy": host}):
        with pytest.raises(OptionError, match=r"--(hosts|proxy)"):
            ElasticsearchOptions(**given)
    assert ElasticsearchOptions(
        hosts=["https://b\u00fccher.example:9200", "http://[::1]:9", "http://[fe80::1%25lo]:9"]
    )
