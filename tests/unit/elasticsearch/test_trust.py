"""Only the cluster is believed, on every way to a node: nobody else reads a credential.

The matrix: {direct, through a proxy} x what a server presents x what is trusted. Each server, and the proxy as the man
in the middle that it is, keeps all that it could read.
"""

import contextlib

import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.errors import OptionError, Unreachable
from tests.tools.peers.tls_http import ConnectProxy, TlsServer, closing
from tests.tools.samples.chains import chains

ROOT = b'{"version":{"number":"9.4.3"},"has_all_requested":true}'
SECRET = "aGVyZTpzZWNyZXQ="


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return chains(tmp_path_factory.mktemp("trust"))


BELIEVED, REFUSED = True, False
CASES = [
    # what the server presents (its own certificate first), what is trusted, and whether it is believed, or why not
    (("leaf", "good"), {"pin": "good"}, BELIEVED),
    (("leaf",), {"pin": "leaf"}, BELIEVED),
    (("alone",), {"pin": "alone"}, BELIEVED),
    (("deep", "inter", "good"), {"pin": "good"}, BELIEVED),
    (("deep", "inter", "good"), {"pin": "inter"}, BELIEVED),
    (("leaf", "good"), {"pin": "evil"}, "no certificate of the server's chain has that fingerprint"),
    (("leaf",), {"pin": "good"}, "no certificate of the server's chain has that fingerprint"),
    (("forged", "good"), {"pin": "good"}, "certificate verify failed"),
    (("forged", "evil", "good"), {"pin": "good"}, "certificate verify failed"),
    (("forged_name", "good"), {"pin": "good"}, "certificate verify failed"),
    (("forged_name", "twin", "good"), {"pin": "good"}, "certificate verify failed"),
    (("forged", "leaf"), {"pin": "leaf"}, "certificate verify failed"),
    (("elsewhere", "good"), {"pin": "good"}, "not valid for '127.0.0.1'"),
    (("elsewhere", "good"), {"pin": "elsewhere"}, "not valid for '127.0.0.1'"),
    (("elsewhere", "good"), {"pin": "good", "ssl_verification_mode": "certificate"}, BELIEVED),
    (
        ("forged", "good"),
        {"pin": "good", "ssl_verification_mode": "certificate"},
        "certificate verify failed",
    ),
    (("expired", "good"), {"pin": "good"}, "certificate has expired"),
    (("expired", "good"), {"pin": "expired"}, "certificate has expired"),
    (("leaf",), {"authorities": "good"}, BELIEVED),
    (("leaf",), {"authorities": "evil"}, "certificate verify failed"),
    (("leaf",), {}, "certificate verify failed"),
    (("forged", "good"), {"authorities": "good"}, "certificate verify failed"),
    (("elsewhere",), {"authorities": "good"}, "not valid for '127.0.0.1'"),
    (("expired",), {"authorities": "good"}, "certificate has expired"),
]


def _options(certificates, port, trusted, **more):
    trusted = dict(trusted)
    if pin := trusted.pop("pin", None):
        trusted["ca_trusted_fingerprint"] = certificates.fingerprint(pin)
    if authorities := trusted.pop("authorities", None):
        trusted["ssl_certificate_authorities"] = str(certificates.pem(authorities))
    return ElasticsearchOptions(hosts=[f"https://127.0.0.1:{port}"], api_key=SECRET, **trusted, **more)


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize(("chain", "trusted", "outcome"), CASES, ids=lambda each: str(each)[:40])
def test_only_who_is_trusted_is_told_the_key(certificates, chain, trusted, outcome, way):
    server = TlsServer(certificates.pem(*chain), certificates.key(chain[0]), ROOT)
    proxy = ConnectProxy(server.port)
    with closing(server, proxy):
        options = _options(certificates, server.port, trusted, proxy=proxy.url if way == "proxy" else None)
        client = Client(options)
        if outcome is BELIEVED:
            assert client.bulk(b"{}\n") == (200, ROOT)
            assert client.bulk(b"{}\n") == (200, ROOT)
            assert require_cluster(options) == "9.4.3"
            assert all(SECRET in heard for heard in server.heard)
        else:
            for ask in (lambda: client.bulk(b"{}\n"), lambda: client.bulk(b"{}\n")):
                with pytest.raises(NoAnswer, match="TLS: ") as caught:
                    ask()
                assert outcome in str(caught.value)
            with pytest.raises(Unreachable, match="TLS: "):
                require_cluster(options)
            assert server.heard == []
        client.close()
    assert (way == "proxy") is bool(proxy.read)
    assert SECRET.encode() not in proxy.read


@pytest.mark.parametrize("chain", [("forged", "good"), ("forged",), ("elsewhere", "good")])
def test_a_node_that_is_found_is_believed_no_more_than_the_others(certificates, chain):
    good = TlsServer(certificates.pem("leaf", "good"), certificates.key("leaf"), ROOT)
    other = TlsServer(certificates.pem(*chain), certificates.key(chain[0]), ROOT)
    with closing(good, other):
        good.replies["/_nodes/_all/http"] = (
            b'{"nodes":{"x":{"http":{"publish_address":"127.0.0.1:%d"}}}}' % other.port
        )
        client = Client(_options(certificates, good.port, {"pin": "good"}, sniffing=True))
        refused = []
        for _ in range(6):
            with contextlib.suppress(NoAnswer):
                refused.append(client.bulk(b"{}\n"))
        client.close()
    assert 0 < len(refused) < 6
    assert other.heard == []


def test_an_https_proxy_is_believed_by_authorities_and_the_cluster_by_its_pin(certificates):
    for trusted, outcome in [({"pin": "inter"}, BELIEVED), ({"pin": "evil"}, "chain has that fingerprint")]:
        server = TlsServer(certificates.pem("deep", "inter"), certificates.key("deep"), ROOT)
        proxy = ConnectProxy(server.port, (certificates.pem("leaf"), certificates.key("leaf")))
        with closing(server, proxy):
            client = Client(
                _options(certificates, server.port, {**trusted, "authorities": "good"}, proxy=proxy.url)
            )
            if outcome is BELIEVED:
                assert client.bulk(b"{}\n") == (200, ROOT)
            else:
                with pytest.raises(NoAnswer, match=outcome):
                    client.bulk(b"{}\n")
                assert server.heard == []
            client.close()
        assert proxy.read
        assert SECRET.encode() not in proxy.read


def test_a_certificate_of_our_own_is_shown_only_to_who_is_believed(certificates):
    """The look at the chain comes without it, the request with it."""
    server = TlsServer(certificates.pem("leaf", "good"), certificates.key("leaf"), ROOT)
    with closing(server):
        ours = {"ssl_certificate": str(certificates.pem("alone")), "ssl_key": str(certificates.key("alone"))}
        client = Client(_options(certificates, server.port, {"pin": "good", **ours}))
        assert client.bulk(b"{}\n") == (200, ROOT)
        client.close()


def test_what_would_not_be_verified_is_refused_as_an_option(certificates):
    for contradiction in ({"ssl_verification_mode": "none"}, {"authorities": "good"}):
        with pytest.raises(OptionError, match="--ca_trusted_fingerprint"):
            _options(certificates, 9200, {"pin": "good", **contradiction})
