"""Both data planes make the same calls, give the same replies and fail the same way."""

import base64
import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import AccessDenied, Unreachable
from penstock.io.kinesis.wire.client import CallFailed, KinesisClient, PutEntry, connect
from tests.simulator import KinesisSimulator

PLANES = ["thin", "boto3"]
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def kinesis() -> Iterator[KinesisSimulator]:
    with KinesisSimulator() as simulator:
        simulator.create_stream("orders", shards=2)
        yield simulator


def _client(endpoint_url: str, plane: str, **options: Any) -> KinesisClient:
    given = {"access_key": "AKIATEST", "secret_key": SECRET, **options}
    return connect(AwsSession(AwsOptions(endpoint_url=endpoint_url, **given)), data_plane=plane)


def _all_taken(reply: Any) -> bool:
    return not any(result.error_code for result in reply.records)


class Canned:
    """An HTTP server that keeps what it got and answers what it is told."""

    def __init__(
        self, reply: bytes = b"{}", status: int = 200, context: ssl.SSLContext | None = None
    ) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                canned.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "Canned":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


_PUT_REPLY = b'{"FailedRecordCount":0,"Records":[{"ShardId":"s","SequenceNumber":"1"}]}'


@pytest.mark.parametrize("plane", PLANES)
def test_put_and_get(kinesis: KinesisSimulator, plane: str) -> None:
    client = _client(kinesis.endpoint_url, plane)
    entries = [
        PutEntry(b"\x00\xff" * 100, 'clé "日本"\\'),
        PutEntry(b"", "k", "7"),
        PutEntry(b"x", "k", str((1 << 128) - 1)),
    ]
    reply = client.put_records("orders", entries)
    assert _all_taken(reply)
    assert reply.records[1].shard_id == "shardId-000000000000"
    assert reply.records[2].shard_id == "shardId-000000000001"
    assert [result.error_code for result in reply.records] == [None] * 3
    stored = {record[1:] for record in kinesis.records("orders")}
    assert stored == {("k", b"", 7), ("k", b"x", (1 << 128) - 1), ('clé "日本"\\', b"\x00\xff" * 100, None)}
    iterator = client.get_shard_iterator("orders", "shardId-000000000001", "TRIM_HORIZON")
    got = client.get_records(iterator, 100)
    [record] = [each for each in got.records if each.data == b"x"]
    assert (record.partition_key, record.sequence_number) == ("k", reply.records[2].sequence_number)
    assert abs(record.approximate_arrival_timestamp - datetime.datetime.now(datetime.UTC).timestamp()) < 60
    assert got.millis_behind_latest == 0
    assert got.next_shard_iterator
    assert got.child_shards == []
    number = record.sequence_number
    after = client.get_shard_iterator(
        "orders", "shardId-000000000001", "AFTER_SEQUENCE_NUMBER", sequence_number=number
    )
    assert number not in [each.sequence_number for each in client.get_records(after).records]
    at = record.approximate_arrival_timestamp
    since = client.get_shard_iterator("orders", "shardId-000000000001", "AT_TIMESTAMP", timestamp=at)
    assert number in [each.sequence_number for each in client.get_records(since).records]


@pytest.mark.parametrize("plane", PLANES)
def test_a_closed_shard_ends_with_its_children(kinesis: KinesisSimulator, plane: str) -> None:
    client = _client(kinesis.endpoint_url, plane)
    children = kinesis.split("orders", "shardId-000000000000")
    got = client.get_records(client.get_shard_iterator("orders", "shardId-000000000000", "LATEST"))
    assert got.next_shard_iterator is None
    assert [child.shard_id for child in got.child_shards] == children
    assert got.child_shards[0].parent_shards == ["shardId-000000000000"]
    assert got.child_shards[0].hash_key_range.starting_hash_key == "0"


@pytest.mark.parametrize("plane", PLANES)
def test_a_stream_by_its_arn(kinesis: KinesisSimulator, plane: str) -> None:
    arn = kinesis.stream("orders").arn
    with Canned(_PUT_REPLY) as server:
        # boto3 looks up an endpoint by ARN only where none was given; the body is what counts.
        _client(server.url, plane).put_records(arn, [PutEntry(b"x", "k")])
        assert orjson.loads(server.requests[0][2])["StreamARN"] == arn


def test_thin_sends_what_boto3_sends() -> None:
    entries = [PutEntry(b"\x00\xffdata", 'clé "日本"'), PutEntry(b"", "k", "7")]
    reply = b'{"Records":[{"ShardId":"s","SequenceNumber":"1"},{"ErrorCode":"E","ErrorMessage":"M"}],"FailedRecordCount":1}'
    with Canned(reply) as server:
        replies = [_client(server.url, plane).put_records("orders", entries) for plane in PLANES]
        thin, boto = server.requests
    assert replies[0] == replies[1]
    assert orjson.loads(thin[2]) == orjson.loads(boto[2])
    for header in ("x-amz-target", "content-type", "host", "content-length"):
        same = thin[1][header] == boto[1][header]
        assert same or header == "content-length"
    assert thin[0] == boto[0] == "/"


def test_requests_that_use_memory_again_are_each_whole() -> None:
    sizes = [900_000, 300_000, 1_000, 950_000, 0, 900_001]
    with Canned(_PUT_REPLY) as server:
        client = _client(server.url, "thin")
        for size in sizes:
            client.put_records("orders", [PutEntry(bytes([size % 251]) * size, 'clé "日本"', "7")])
        failures: list[Exception] = []

        def put(size: int) -> None:
            try:
                client.put_records("orders", [PutEntry(bytes([size % 251]) * size, "k")])
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=put, args=(400_000 + number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(client._buffers) <= 4  # type: ignore[attr-defined]
    got = [orjson.loads(body)["Records"] for _, _, body in server.requests]
    datas = [base64.b64decode(record["Data"]) for [record] in got]
    assert datas[: len(sizes)] == [bytes([size % 251]) * size for size in sizes]
    assert sorted(map(len, datas[len(sizes) :])) == [400_000 + number for number in range(8)]
    assert all(len(set(data)) <= 1 and (not data or data[0] == len(data) % 251) for data in datas)
    assert all(record["PartitionKey"] == 'clé "日本"' for [record] in got[: len(sizes)])


def test_the_signature_is_of_what_was_sent() -> None:
    with Canned(_PUT_REPLY) as server:
        _client(server.url, "thin", session_token="session").put_records("orders", [PutEntry(b"x", "k")])
        _, headers, body = server.requests[0]
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(signed)
    again = AWSRequest(
        "POST",
        server.url + "/",
        data=body,
        headers={name: headers[name] for name in signed if name != "host"},
    )
    again.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIATEST", SECRET, "session"), "kinesis", "us-east-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert headers["authorization"].endswith(f"Signature={signature}")
    assert headers["host"] == server.url.removeprefix("http://")


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize(
    ("status", "kind", "text", "retriable", "throttled"),
    [
        (400, "com.amazonaws.kinesis.v20131202#ResourceNotFoundException", "m", False, False),
        (400, "ProvisionedThroughputExceededException", "m", True, True),
        (400, "ExpiredIteratorException", "m", False, False),
        (500, "InternalFailure", "", True, False),
    ],
)
def test_errors_by_code(
    plane: str, status: int, kind: str, text: str, retriable: bool, throttled: bool
) -> None:
    body = orjson.dumps({"__type": kind, "message": text})
    with Canned(body, status) as server, pytest.raises(CallFailed) as raised:
        _client(server.url, plane).get_records("iterator")
    failure = raised.value
    code = kind.rpartition("#")[2]
    assert (failure.operation, failure.code, failure.text, failure.status) == (
        "GetRecords",
        code,
        text,
        status,
    )
    assert (failure.retriable, failure.throttled) == (retriable, throttled)


@pytest.mark.parametrize("plane", PLANES)
def test_a_bad_gateway_is_retriable(plane: str) -> None:
    with Canned(b"<html>no</html>", 502) as server, pytest.raises(CallFailed) as raised:
        _client(server.url, plane).get_records("iterator")
    assert raised.value.retriable


def test_a_denial_in_xml() -> None:
    body = (
        b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: x</Message></Error></ErrorResponse>"
    )
    with Canned(body, 403) as server, pytest.raises(CallFailed) as raised:
        _client(server.url, "thin").put_records("orders", [PutEntry(b"x", "k")])
    assert (raised.value.code, raised.value.text, raised.value.retriable) == (
        "AccessDenied",
        "User: x",
        False,
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"Records":[]}', b'{"Records":[{}', b'{"Records":{}}'])
def test_a_reply_that_breaks_the_promise_is_no_success(body: bytes) -> None:
    with Canned(body) as server, pytest.raises(CallFailed) as raised:
        _client(server.url, "thin").put_records("orders", [PutEntry(b"secret payload", "k")])
    assert raised.value.code == "BadReply"
    assert raised.value.retriable
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("plane", PLANES)
def test_nobody_answers(plane: str) -> None:
    with Canned() as server:
        pass
    client = _client(server.url, plane)
    with pytest.raises(CallFailed) as raised:
        client.get_records("iterator")
    failure = raised.value
    assert (failure.code, failure.status, failure.retriable) == ("ConnectionError", None, True)
    session = AwsSession(AwsOptions(endpoint_url=server.url, access_key="a", secret_key="b"))
    told = failure.explain(session, "stream orders", "read stream orders")
    assert isinstance(told, Unreachable)
    assert str(told) == (
        f"cannot read stream orders: no answer from {server.url} (connection refused). Check --endpoint_url, --region "
        "and the network."
    )


@pytest.mark.parametrize("plane", PLANES)
def test_a_slow_endpoint_meets_the_time_out(kinesis: KinesisSimulator, plane: str) -> None:
    client = _client(kinesis.endpoint_url, plane, request_timeout=100)
    kinesis.faults.latencies_s["PutRecords"] = 1.0
    with pytest.raises(CallFailed) as raised:
        client.put_records("orders", [PutEntry(b"x", "k")])
    assert (raised.value.code, raised.value.retriable) == ("ConnectionError", True)
    kinesis.faults.clear()
    assert _all_taken(client.put_records("orders", [PutEntry(b"y", "k")]))


@pytest.mark.parametrize("plane", PLANES)
def test_a_reset_leaves_the_pool_usable(kinesis: KinesisSimulator, plane: str) -> None:
    client = _client(kinesis.endpoint_url, plane)
    for after in (False, True):
        kinesis.faults.reset("PutRecords", after=after)
        with pytest.raises(CallFailed) as raised:
            client.put_records("orders", [PutEntry(b"x", "k")])
        assert raised.value.retriable
        assert _all_taken(client.put_records("orders", [PutEntry(b"x", "k")]))
    client.close()


def test_connections_are_kept() -> None:
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("orders")
        client = _client(kinesis.endpoint_url, "thin")
        for _ in range(20):
            client.put_records("orders", [PutEntry(b"x", "k")])
        assert len(kinesis._server._connections) == 1


# -- credentials -----------------------------------------------------------------------------------------


def _keys_file(path: Path, key: str) -> None:
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")


@pytest.mark.parametrize("plane", PLANES)
def test_expired_keys_are_read_again_from_their_file(
    kinesis: KinesisSimulator, plane: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    _keys_file(tmp_path / "credentials", "AKIAOLD")
    client = connect(AwsSession(AwsOptions(endpoint_url=kinesis.endpoint_url)), data_plane=plane)
    client.put_records("orders", [PutEntry(b"1", "k")])
    kinesis.expired_keys.add("AKIAOLD")
    _keys_file(tmp_path / "credentials", "AKIANEW")
    client.put_records("orders", [PutEntry(b"2", "k")])
    assert kinesis.seen_keys == {"AKIAOLD", "AKIANEW"}
    assert {record[2] for record in kinesis.records("orders")} == {b"1", b"2"}
    kinesis.expired_keys.add("AKIANEW")
    with pytest.raises(CallFailed) as raised:
        client.put_records("orders", [PutEntry(b"3", "k")])
    assert (raised.value.code, raised.value.retriable) == ("ExpiredTokenException", False)


@pytest.mark.parametrize("plane", PLANES)
def test_a_role_is_assumed_again_when_its_token_expires(kinesis: KinesisSimulator, plane: str) -> None:
    client = _client(kinesis.endpoint_url, plane, role_arn="arn:aws:iam::111122223333:role/writer")
    client.put_records("orders", [PutEntry(b"1", "k")])
    client.put_records("orders", [PutEntry(b"2", "k")])
    assert kinesis.assumed == 1
    kinesis.expired_keys.add("ASIA0000000000000001")
    client.put_records("orders", [PutEntry(b"3", "k")])
    assert kinesis.assumed == 2
    assert len(kinesis.records("orders")) == 3


@pytest.mark.parametrize("plane", PLANES)
def test_credentials_are_refreshed_before_they_expire(kinesis: KinesisSimulator, plane: str) -> None:
    # botocore refreshes what expires within ten minutes: every call assumes the role anew.
    kinesis.role_lifetime_s = 30.0
    client = _client(kinesis.endpoint_url, plane, role_arn="arn:aws:iam::111122223333:role/writer")
    for _ in range(3):
        client.put_records("orders", [PutEntry(b"1", "k")])
    assert kinesis.assumed >= 3


@pytest.mark.parametrize("plane", PLANES)
def test_many_threads_that_meet_an_expiry_renew_once(kinesis: KinesisSimulator, plane: str) -> None:
    client = _client(kinesis.endpoint_url, plane, role_arn="arn:aws:iam::111122223333:role/writer")
    client.put_records("orders", [PutEntry(b"first", "k")])
    kinesis.expired_keys.add("ASIA0000000000000001")
    failures: list[Exception] = []

    def put() -> None:
        try:
            client.put_records("orders", [PutEntry(b"x", "k")])
        except CallFailed as failure:
            failures.append(failure)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert kinesis.assumed == 2
    assert len(kinesis.records("orders")) == 9


@pytest.mark.parametrize("plane", PLANES)
def test_a_role_that_may_not_be_assumed_is_the_end(kinesis: KinesisSimulator, plane: str) -> None:
    role = "arn:aws:iam::111122223333:role/writer"
    kinesis.faults.refuse("AssumeRole", "AccessDenied", status=403, times=None)
    client = _client(kinesis.endpoint_url, plane, role_arn=role)
    with pytest.raises(CallFailed) as raised:
        client.put_records("orders", [PutEntry(b"x", "k")])
    assert not raised.value.retriable
    told = raised.value.explain(AwsSession(AwsOptions()), "x", "y")
    assert isinstance(told, AccessDenied)
    assert f"needs sts:AssumeRole on {role}" in str(told)


@pytest.mark.parametrize("plane", PLANES)
def test_an_sts_that_is_down_is_only_for_now(kinesis: KinesisSimulator, plane: str) -> None:
    kinesis.faults.refuse("AssumeRole", "InternalFailure", status=500, times=4)
    client = _client(kinesis.endpoint_url, plane, role_arn="arn:aws:iam::111122223333:role/writer")
    with pytest.raises(CallFailed) as raised:
        client.put_records("orders", [PutEntry(b"x", "k")])
    assert raised.value.retriable
    assert _all_taken(client.put_records("orders", [PutEntry(b"x", "k")]))


@pytest.mark.parametrize("plane", PLANES)
def test_a_role_whose_source_has_expired_is_assumed_from_a_new_one(
    kinesis: KinesisSimulator, plane: str
) -> None:
    kinesis.faults.refuse("AssumeRole", "ExpiredToken", status=403)
    client = _client(kinesis.endpoint_url, plane, role_arn="arn:aws:iam::111122223333:role/writer")
    assert _all_taken(client.put_records("orders", [PutEntry(b"x", "k")]))
    assert kinesis.assumed == 1
    kinesis.expired_keys.add("ASIA0000000000000001")
    kinesis.faults.refuse("AssumeRole", "ExpiredToken", status=403, times=None)
    with pytest.raises(CallFailed) as raised:
        client.put_records("orders", [PutEntry(b"x", "k")])
    assert not raised.value.retriable
    assert "the AWS credentials have expired" in str(raised.value.explain(AwsSession(AwsOptions()), "x", "y"))


# -- proxies and TLS, as botocore resolves them ------------------------------------------------------------


@pytest.mark.parametrize("plane", PLANES)
def test_the_proxy_variables_are_obeyed(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Canned(_PUT_REPLY) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://ann:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://ann:pass@127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        _client("http://kinesis.example:80", plane).put_records("orders", [PutEntry(b"x", "k")])
        path, headers, _ = proxy.requests[0]
        assert path.startswith("http://kinesis.example")
        assert headers["proxy-authorization"] == "Basic YW5uOnBhc3M="
        assert headers["host"].startswith("kinesis.example")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Canned(_PUT_REPLY) as server:
            _client(server.url, plane).put_records("orders", [PutEntry(b"x", "k")])
            assert len(server.requests) == len(proxy.requests) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return folder / "ca.pem", context


@pytest.mark.parametrize("plane", PLANES)
def test_certificates_are_verified(
    plane: str, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, context = certificate
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    entries = [PutEntry(b"x", "k")]
    with Canned(_PUT_REPLY, context=context) as server:
        with pytest.raises(CallFailed) as raised:
            _client(server.url, plane).put_records("orders", entries)
        assert "signed by an authority that this machine does not know" in raised.value.text
        assert server.requests == []
        _client(server.url, plane, verify_certificate=False).put_records("orders", entries)
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            with monkeypatch.context() as patch:
                patch.setenv(name, str(ca))
                _client(server.url, plane).put_records("orders", entries)
        assert len(server.requests) == 3


class Tunnel:
    """A proxy that knows CONNECT only, and leads every tunnel to the same port."""

    def __init__(self, port: int) -> None:
        self.asked: list[bytes] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(4096)
                self.asked.append(head.split(b"\r\n")[0])
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                server = socket.create_connection(("127.0.0.1", self._port))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pipe, args=pair, daemon=True).start()

    @staticmethod
    def _pipe(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize("plane", PLANES)
def test_tls_goes_through_a_proxy_by_a_tunnel(
    plane: str, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, context = certificate
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ca))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Canned(_PUT_REPLY, context=context) as server:
        tunnel = Tunnel(server.port)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, tunnel.url)
        client = _client(server.url, plane)
        for data in (b"x", b"y" * 400_000):
            client.put_records("orders", [PutEntry(data, "k")])
        assert [line.split()[:2] for line in tunnel.asked] == [[b"CONNECT", b"127.0.0.1:%d" % server.port]]
        datas = [base64.b64decode(orjson.loads(body)["Records"][0]["Data"]) for _, _, body in server.requests]
        assert datas == [b"x", b"y" * 400_000]
        client.close()
        tunnel.close()
