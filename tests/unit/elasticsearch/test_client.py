import base64
import concurrent.futures
import gzip
import logging
import socket
import threading

import orjson
import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, compress
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.errors import AccessDenied, OptionError, PeerError, Unreachable
from tests.tools.peers.fake_http import fake_http

ROOT = b'{"version":{"number":"9.4.3"},"tagline":"You Know, for Search"}'


def _options(url: str, **options) -> ElasticsearchOptions:
    return ElasticsearchOptions(hosts=[url], **options)


def test_a_bulk_goes_out_as_it_is_and_its_reply_comes_back_as_it_is():
    with fake_http(lambda request: (200, b'{"errors":false}')) as fake:
        client = Client(_options(fake.url, parameters={"refresh": "true"}))
        assert client.bulk(b'{"create":{}}\n{}\n') == (200, b'{"errors":false}')
        client.close()
    (request,) = fake.requests
    assert request.method == "POST"
    path, _, query = request.path.partition("?")
    assert path == "/_bulk"
    assert "refresh=true" in query
    assert "filter_path=errors,items.*.status" in query
    assert request.body == b'{"create":{}}\n{}\n'
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.headers["accept"] == "application/json"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"user": "u", "password": "p:ü"}, "Basic " + base64.b64encode("u:p:ü".encode()).decode()),
        ({"api_key": "id:key"}, "ApiKey " + base64.b64encode(b"id:key").decode()),
        ({"api_key": "aWQ6a2V5"}, "ApiKey aWQ6a2V5"),
        ({"custom_headers": {"Authorization": "Bearer x"}}, "Bearer x"),
    ],
)
def test_credentials(options, header):
    with fake_http(lambda request: (200, b"{}")) as fake:
        client = Client(_options(fake.url, **options))
        client.bulk(b"")
        client.close()
    assert fake.requests[0].headers["authorization"] == header


@pytest.mark.parametrize("level", [1, 3, 6])
def test_compression(level):
    body = b'{"a":"b"}\n' * 1000
    with fake_http(lambda request: (200, b"{}")) as fake:
        client = Client(_options(fake.url, http_compression=True, compression_level=level))
        client.bulk(body)
        client.close()
    assert fake.requests[0].headers["content-encoding"] == "gzip"
    assert len(fake.requests[0].body) < 200
    assert gzip.decompress(fake.requests[0].body) == body == gzip.decompress(compress(body, level))


def test_a_path_before_every_request():
    with fake_http(lambda request: (200, b"{}")) as fake:
        client = Client(_options(fake.url, path="/es/"))
        client.call("GET", "/_cluster/health")
        client.close()
    assert fake.requests[0].path == "/es/_cluster/health"


def test_through_a_proxy():
    with fake_http(lambda request: (200, ROOT)) as proxy:
        client = Client(_options("http://es.invalid:9200", proxy=proxy.url.replace("http://", "http://u:p@")))
        status, reply = client.call("GET", "/")
        client.close()
    assert status == 200
    assert reply["version"]["number"] == "9.4.3"
    assert proxy.requests[0].path == "http://es.invalid:9200/"
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


def test_no_answer_is_an_exception_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = Client(_options(f"127.0.0.1:{port}", timeout=1))
        with pytest.raises(NoAnswer, match="timed out"):
            client.bulk(b"")
    with pytest.raises(NoAnswer, match="refused"):
        client.bulk(b"")
    client.close()


@pytest.mark.parametrize(
    "answer", [(429, b"{}"), (502, b""), (503, b"{}"), (504, b""), (500, b""), (401, b"{}")]
)
def test_a_bulk_is_one_request_whatever_the_server_answers(answer, caplog):
    """Retries are the writer's alone: the library must not add any of its own, nor log lines of its own."""
    with fake_http(lambda request: answer) as fake, caplog.at_level(logging.WARNING):
        client = Client(_options(fake.url, sniffing=True, sniffing_delay=1000))
        for count in range(1, 4):
            assert client.bulk(b"{}\n") == answer
            assert [request.path.partition("?")[0] for request in fake.requests].count("/_bulk") == count
        client.close()
    assert sum(request.path.startswith("/_nodes") for request in fake.requests) == 1
    assert not any("x-elastic-client-meta" in request.headers for request in fake.requests)
    assert not caplog.records


def test_a_connection_that_breaks_is_one_request():
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(65536))

        thread = threading.Thread(target=hang_up)
        thread.start()
        client = Client(_options(f"127.0.0.1:{server.getsockname()[1]}"))
        for count in range(1, 4):
            with pytest.raises(NoAnswer):
                client.bulk(b"{}\n")
            assert len(asked) == count
        client.close()
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_at_most_so_many_requests_are_under_way():
    under_way, most, lock = [0], [0], threading.Lock()
    together = threading.Barrier(2, timeout=60)

    def answer(request):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        together.wait()
        with lock:
            under_way[0] -= 1
        return 200, b"{}"

    with fake_http(answer) as fake:
        client = Client(_options(fake.url), connections=2)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            assert [status for status, _ in pool.map(client.bulk, [b"{}\n"] * 6)] == [200] * 6
        client.close()
    assert most == [2]


_NODES = {
    "a": {"roles": ["data"], "http": {"publish_address": "127.0.0.1:1"}},
    "b": {"roles": ["ingest"], "http": {"publish_address": "es2/10.0.0.2:9201"}},
    "c": {"roles": ["master"], "http": {"publish_address": "10.0.0.3:9200"}},
    "d": {"roles": ["data"], "http": {"publish_address": "[::1]:9202"}},
    "e": {"http": {"publish_address": "nonsense"}},
    "g": {
        "http": {"publish_address": "a b:9200"}
    },  # of these names urllib3 makes no client: they ended the job
    "h": {"http": {"publish_address": "xn--\u2603:9200"}},
    "i": {"http": {"publish_address": "\0:9200"}},
    "j": {"http": {"publish_address": "x\r\ny:9200"}},
    "f": None,
}


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (orjson.dumps({"nodes": _NODES}), {"127.0.0.1:1", "es2:9201", "::1:9202"}),
        (b'{"nodes":[]}', set()),
        (b"[1]", set()),
        (b"nope", set()),
    ],
)
def test_sniffing_finds_the_other_nodes(reply, found):
    def answer(request):
        return (200, reply) if request.path.startswith("/_nodes") else (200, b"{}")

    with fake_http(answer) as fake:
        client = Client(_options(fake.url, sniffing=True, user="u", password="p"))
        client.bulk(b"")
        nodes = {f"{node.host}:{node.port}" for node in client._transport.node_pool.all()}
        client.close()
    assert nodes == {fake.url.removeprefix("http://"), *found}
    assert all("authorization" in request.headers for request in fake.requests)
    assert all("authorization" in node.headers for node in client._transport.node_pool.all())


def test_cloud_ids():
    cloud_id = "name:" + base64.b64encode(b"eu.example:9243$abc$kib").decode()
    assert Client(ElasticsearchOptions(cloud_id=cloud_id)).where == "https://abc.eu.example:9243"
    with pytest.raises(OptionError, match="--cloud_id"):
        Client(ElasticsearchOptions(cloud_id="rubbish"))


def test_check_returns_the_version():
    with fake_http(lambda request: (200, ROOT)) as fake:
        assert require_cluster(_options(fake.url)) == "9.4.3"


def test_check_finds_the_version_of_a_server_without_a_root_page():
    def answer(request):
        return (405, b"{}") if request.path == "/" else (200, b'{"nodes":{"x":{"version":"8.19.21"}}}')

    with fake_http(answer) as fake:
        assert require_cluster(_options(fake.url)) == "8.19.21"


@pytest.mark.parametrize(
    ("status", "reply", "error", "text"),
    [
        (
            401,
            b"{}",
            AccessDenied,
            r"asks who we are \(401\). Give PENSTOCK_API_KEY, or --user and PENSTOCK_PASSWORD",
        ),
        (200, b"<html>welcome</html>", PeerError, "no Elasticsearch and no OpenSearch"),
        (
            200,
            b'{"version":{"number":"6.5.4"}}',
            PeerError,
            "^Elasticsearch 6.5.4 answers at .* speaks to E.* 6.6",
        ),
        (404, b"", PeerError, "--path"),
        (503, b'{"error":"starting"}', PeerError, "503: starting"),
        (429, b'{"Message":"User is not authorized"}', PeerError, "429: User is not authorized"),
        (429, b'{"message":null,"error":{"type":"busy"}}', PeerError, "429: busy"),
    ],
)
def test_check_says_in_one_line_what_is_wrong(status, reply, error, text):
    with fake_http(lambda request: (status, reply)) as fake, pytest.raises(error, match=text) as caught:
        require_cluster(_options(fake.url))
    assert fake.url in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"user": "u", "password": "hush"}, "Check --user and --password."),
        ({"api_key": "hush:hush"}, "Check --api_key."),
    ],
)
def test_check_names_the_credentials_that_were_refused(options, text):
    with fake_http(lambda request: (401, b"{}")) as fake, pytest.raises(AccessDenied) as caught:
        require_cluster(_options(fake.url, **options))
    assert f"refuses the credentials (401). {text}" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_check_names_the_missing_privilege():
    def answer(request):
        if request.path == "/":
            return 200, ROOT
        return (
            200,
            b'{"has_all_requested":false,"index":{"logs-*":{"create_doc":true,"auto_configure":false}}}',
        )

    with (
        fake_http(answer) as fake,
        pytest.raises(AccessDenied, match="u lacks the index privilege auto_configure") as caught,
    ):
        require_cluster(_options(fake.url, user="u", password="hush", index="logs-%{+YYYY}"))
    assert "hush" not in str(caught.value)
    assert (
        fake.requests[1].body
        == b'{"index":[{"names":["logs-*"],"privileges":["create_doc","auto_configure"]}]}'
    )


def test_check_without_a_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        Unreachable, match=rf"no answer .*127.0.0.1:{port} \(.*refused\). Check --hosts and that it runs"
    ):
        require_cluster(_options(f"127.0.0.1:{port}"))
    with pytest.raises(Unreachable, match=r"\(the proxy: .*refused\). Check --proxy"):
        require_cluster(_options("127.0.0.1:9200", proxy=f"http://127.0.0.1:{port}"))


def test_a_redirect_tells_where_to_without_what_may_be_secret():
    with fake_http(lambda request: (307, b"")) as fake:
        fake.headers = {"location": "https://u:hush@es.example:9243/es/_bulk?token=hush"}
        with pytest.raises(
            PeerError, match=r"307: it redirects to https://es.example:9243/es/_bulk. Give"
        ) as caught:
            require_cluster(_options(fake.url))
    assert "hush" not in str(caught.value)
    assert len(fake.requests) == 1
