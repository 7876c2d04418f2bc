"""Whoever doesn't answer is named with the reason: TLS and network, by botocore and by the thin client."""

import contextlib
import datetime
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import Unreachable
from penstock.io.kinesis.shard_map import list_shards
from penstock.io.kinesis.wire.calls import CallFailed, PutEntry
from penstock.io.kinesis.wire.client import connect
from penstock.io.meters import METERS
from penstock.pipelines.status.readiness import Trouble, reasons_against
from tests.simulator import KinesisSimulator
from tests.tools.models.write_bench import STREAM, Bench
from tests.tools.samples.certificates import Authority

DAY = datetime.timedelta(days=1)


class Listener:
    """Accepts connections, and does with each what it is told."""

    def __init__(self, handle: Any) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._handle = handle
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._handle(connection)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def tls(certificate: tuple[Path, Path], *, authority: Path | None = None) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)

    return handle


def plain(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def closing(connection: socket.socket) -> None:
    connection.recv(65536)


def banner(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"220 mail.example ESMTP\r\n")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """Addresses by what is wrong there; and the authority's file, as `authority`."""
    folder = tmp_path_factory.mktemp("tls")
    known, unknown = Authority(folder), Authority(folder, "unknown")
    now = datetime.datetime.now(datetime.UTC)
    listeners = {
        "unknown authority": Listener(tls(unknown.issue("stranger"))),
        "other host": Listener(tls(known.issue("other", host="other.example", address="192.0.2.1"))),
        "expired": Listener(tls(known.issue("old", until=now - DAY))),
        "client certificate": Listener(tls(known.issue("strict"), authority=known.certificate)),
        "plain text": Listener(plain),
        "closed": Listener(closing),
        "mail": Listener(banner),
    }
    found = {name: (f"127.0.0.1:{each.port}", str(known.certificate)) for name, each in listeners.items()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found["nobody"] = (f"127.0.0.1:{free.getsockname()[1]}", str(known.certificate))
        found["name"] = ("nobody.invalid:443", str(known.certificate))
        yield found
    for each in listeners.values():
        each.close()


TABLE = [
    ("unknown authority", "https", "signed by an authority that this machine does not know. Give a file"),
    ("other host", "https", "its certificate is for another host name. Name the host in --endpoint_url"),
    ("expired", "https", "its certificate has expired. Renew it"),
    ("plain text", "https", "it answers in plain text. Give --endpoint_url with http://"),
    ("nobody", "https", "(connection refused). Check --endpoint_url"),
    ("nobody", "http", "(connection refused). Check --endpoint_url"),
    ("name", "https", "(unknown host name). Check --endpoint_url"),
    ("closed", "http", "(it closed the connection). Check --endpoint_url"),
    ("mail", "http", "(what answers does not speak HTTP; is it TLS?). Check --endpoint_url"),
]


def _session(case: tuple[str, str], scheme: str, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    address, authority = case
    for name in ("REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CA_BUNDLE", authority)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return AwsSession(
        AwsOptions(endpoint_url=f"{scheme}://{address}", access_key="AKIATEST", secret_key="secret")
    )


@pytest.mark.parametrize(("case", "scheme", "words"), TABLE)
@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_a_hot_call_says_who_did_not_answer_and_why(
    cases: Any, case: str, scheme: str, words: str, plane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _session(cases[case], scheme, monkeypatch)
    client = connect(session, data_plane=plane)
    with pytest.raises(CallFailed) as raised:
        client.put_records("orders", [PutEntry(b"secret payload", "key")])
    assert raised.value.retriable
    told = str(raised.value.explain(session, "stream orders", "write to stream orders"))
    assert words in told
    assert f"{scheme}://{cases[case][0]}" in told
    assert "secret" not in told
    assert "\n" not in told
    assert ("AWS_CA_BUNDLE" in told) == (case == "unknown authority")
    assert f"{scheme}://{cases[case][0]}" in raised.value.reason


@pytest.mark.parametrize(
    ("case", "scheme", "words"), [each for each in TABLE if each[0] not in ("closed", "mail")]
)
def test_every_other_call_does_too(
    cases: Any, case: str, scheme: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _session(cases[case], scheme, monkeypatch)
    with pytest.raises(Unreachable) as raised:
        list_shards(session, "orders")
    assert words in str(raised.value)
    assert f"{scheme}://{cases[case][0]}" in str(raised.value)


def test_an_outage_in_mid_run_names_address_and_reason_and_each_new_kind_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KinesisSimulator() as kinesis:
        kinesis.create_stream(STREAM)
        bench = Bench(kinesis, "thin")
        writer = bench.writer()
        assert writer.write([b"one"], None) == []
        put = writer.client.put_records
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
            options = AwsOptions(endpoint_url=address, access_key="key", secret_key="secret")
            nobody = connect(AwsSession(options)).put_records
            calls = iter([nobody, nobody, nobody])
            monkeypatch.setattr(writer.client, "put_records", lambda *given: next(calls, put)(*given))
            kinesis.faults.refuse("PutRecords", "InternalFailure", status=500, times=2)
            with caplog.at_level(logging.WARNING):
                assert writer.write([b"two"], None) == []
        bench.pool.shutdown()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, "one for each kind, within the same minute"
    assert f"stream orders: no answer from {address} (connection refused) x1" in lines[0]
    assert "InternalFailure x1" in lines[1]
    METERS.retried(
        "kinesis_put_records", "ConnectionError", 1, f"no answer from {address} (connection refused)"
    )
    words = METERS.last_words["kinesis_put_records"]
    trouble = Trouble("PutRecords", "ConnectionError", 1.0, words)
    (reason,) = reasons_against(
        [], starting=False, stopping=False, failure="", max_lag_s=60.0,
        waits={"WriteToKinesis": 20.0}, troubles=[trouble],
    )  # fmt: skip
    assert f"PutRecords: no answer from {address} (connection refused); WriteToKinesis waits" in reason
