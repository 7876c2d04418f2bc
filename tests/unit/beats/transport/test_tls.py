"""TLS: every option, with an authority made here; wrong files named; certificates replaced while it runs."""

import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.io.beats import BeatsOptions
from penstock.io.beats.preflight import require_listenable
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.beats.transport.handshake import subject_of
from penstock.io.beats.transport.tls import ReloadingTls, TlsFiles, load, openssl_name
from penstock.io.errors import OptionError
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.lumberjack import Client, payloads, whole_window
from tests.tools.samples.certificates import Authority

Serve = Callable[..., BeatsServer]


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server_files(ca: Authority) -> dict[str, Any]:
    certificate, key = ca.issue("server")
    return {"ssl_enabled": True, "ssl_certificate": str(certificate), "ssl_key": str(key)}


class TlsClient(Client):
    """A client that checks the server's certificate, and may show one of its own."""

    def __init__(
        self, address: tuple[str, int], ca: Authority, mine: tuple[Path, Path] | None = None, **limits: Any
    ) -> None:
        context = ssl.create_default_context(cafile=str(ca.certificate))
        for name, value in limits.items():
            setattr(context, name, value)
        if mine:
            context.load_cert_chain(*mine)
        plain = socket.create_connection(address, timeout=10)
        try:
            self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise


def exchange(server: BeatsServer, client: Client) -> Any:
    """One window there and back; the origin of its events."""
    client.send(whole_window(payloads(500, size=300), level=0))
    origin = None
    while origin is None or server.pending_events:
        batch = server.take(10)
        assert batch is not None
        origin = batch.events[0].origin
        server.acknowledge(batch.receipt.tokens)
    assert client.acks_until(500)[-1] == 500
    return origin


def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    wait_until(lambda: text in caplog.text, text)


def test_windows_pass_and_acknowledgements_come_back(
    serve: Serve, ca: Authority, server_files: dict[str, Any]
) -> None:
    server = serve(**server_files)
    with TlsClient(server.address, ca) as client:
        origin = exchange(server, client)
        exchange(server, client)
    assert origin.tls_version == "TLSv1.3"
    assert origin.tls_cipher.startswith("TLS_")
    assert origin.tls_subject is None


@pytest.mark.parametrize(("pkcs1", "passphrase"), [(True, None), (False, "secret"), (True, "secret")])
def test_keys_in_every_form(ca: Authority, pkcs1: bool, passphrase: str | None) -> None:
    certificate, key = ca.issue("server", pkcs1=pkcs1, passphrase=passphrase)
    assert load(TlsFiles(str(certificate), str(key), passphrase))


def test_required_client_certificates(
    serve: Serve,
    ca: Authority,
    server_files: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve(
        **server_files,
        ssl_client_authentication="required",
        ssl_certificate_authorities=[str(ca.certificate)],
    )
    with TlsClient(server.address, ca, ca.issue("web-1")) as client:
        assert exchange(server, client).tls_subject == "CN=web-1,O=Example"
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "stranger").issue("web-2")
    for mine in (None, stranger):
        caplog.clear()
        # With TLS 1.3 the client hears of it only after its own part of the handshake.
        refused = pytest.raises((ssl.SSLError, ConnectionError, EOFError))
        with TlsClient(server.address, ca, mine) as client, refused:
            client.send(whole_window(payloads(1)))
            client.read_ack()
        logged(caplog, "its TLS handshake failed")
    assert server.take(0.1) is None


def test_optional_client_certificates(serve: Serve, ca: Authority, server_files: dict[str, Any]) -> None:
    server = serve(
        **server_files,
        ssl_client_authentication="optional",
        ssl_certificate_authorities=[str(ca.certificate)],
    )
    with TlsClient(server.address, ca) as client:
        assert exchange(server, client).tls_subject is None
    with TlsClient(server.address, ca, ca.issue("web-1")) as client:
        assert exchange(server, client).tls_subject == "CN=web-1,O=Example"


def test_certificates_are_read_anew_when_their_files_change(
    ca: Authority, server_files: dict[str, Any]
) -> None:
    now = 0.0
    files = BeatsOptions(**server_files).tls_files()
    assert files is not None
    tls = ReloadingTls(files, clock=lambda: now)
    first = tls.context()
    certificate, key = ca.issue("server")
    os.utime(certificate, ns=(1, 1))
    assert tls.context() is first, "looked at once a second, not for each client"
    now = 2.0
    second = tls.context()
    assert second is not first
    Path(key).write_text("rubbish")
    now = 4.0
    assert tls.context() is second, "the last good one stays"


def test_a_server_shows_its_new_certificate(
    serve: Serve, ca: Authority, server_files: dict[str, Any]
) -> None:
    server = serve(**server_files)

    def serial() -> Any:
        with TlsClient(server.address, ca) as client:
            return client.socket.getpeercert()["serialNumber"]  # type: ignore[attr-defined]

    before = serial()
    ca.issue("server")
    wait_until(lambda: serial() != before, "the new certificate")


def test_wrong_new_files_are_logged_once_and_named(
    ca: Authority, server_files: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    files = BeatsOptions(**server_files).tls_files()
    assert files is not None
    tls = ReloadingTls(files, clock=lambda: now)
    Path(files.key).write_text("rubbish")
    with caplog.at_level(logging.ERROR):
        for now in (2.0, 4.0, 6.0):  # noqa: B007  the clock
            tls.context()
    assert caplog.text.count(files.key) == 1


def test_protocol_versions(
    serve: Serve, ca: Authority, server_files: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(**server_files, ssl_supported_protocols=["TLSv1.3"])
    with pytest.raises(ssl.SSLError):
        TlsClient(server.address, ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    logged(caplog, "unsupported protocol")
    server = serve(**server_files, ssl_supported_protocols=["TLSv1.2"])
    with TlsClient(server.address, ca) as client:
        assert exchange(server, client).tls_version == "TLSv1.2"


@pytest.mark.parametrize(
    ("suites", "version", "cipher"),
    [
        (["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"], "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (["ECDHE-ECDSA-CHACHA20-POLY1305"], "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        (["TLS_AES_256_GCM_SHA384"], "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ],
)
def test_cipher_suites(
    serve: Serve, ca: Authority, server_files: dict[str, Any], suites: list[str], version: str, cipher: str
) -> None:
    server = serve(**server_files, ssl_cipher_suites=suites)
    with TlsClient(server.address, ca) as client:
        origin = exchange(server, client)
    assert (origin.tls_version, origin.tls_cipher) == (version, cipher)


def test_a_suite_of_tls_1_3_that_is_not_listed_is_refused(
    serve: Serve, ca: Authority, server_files: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(**server_files, ssl_cipher_suites=["TLS_AES_128_CCM_SHA256"])
    with TlsClient(server.address, ca) as client, pytest.raises((OSError, EOFError)):  # noqa: PT012
        client.send(whole_window(payloads(1)))
        client.read_ack()
    logged(caplog, "which --ssl_cipher_suites does not list")


@pytest.mark.parametrize(
    ("registered", "openssl"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE-RSA-AES256-SHA384"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
        ("TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", "DHE-RSA-AES256-GCM-SHA384"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ],
)
def test_names_of_cipher_suites(registered: str, openssl: str) -> None:
    assert openssl_name(registered) == openssl
    names = {suite["name"] for suite in ssl.create_default_context().get_ciphers()}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert openssl in names | {suite["name"] for suite in context.get_ciphers()}


def test_a_client_that_speaks_no_tls_and_one_that_says_nothing(
    serve: Serve, ca: Authority, server_files: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(**server_files, ssl_handshake_timeout=300)
    with Client(server.address) as client:
        client.send(whole_window(payloads(1)))
        client.read_to_end()
        logged(caplog, "its TLS handshake failed")
    with Client(server.address) as client:
        client.read_to_end()
        logged(caplog, "--ssl_handshake_timeout")
    with TlsClient(server.address, ca) as client:
        exchange(server, client)


def test_a_stop_acknowledges_says_goodbye_and_closes(
    serve: Serve, ca: Authority, server_files: dict[str, Any]
) -> None:
    server = serve(**server_files)
    with TlsClient(server.address, ca) as client:
        client.send(whole_window(payloads(3)))
        batch = server.take(10)
        assert batch is not None
        server.stop()
        server.acknowledge(batch.receipt.tokens)
        assert client.acks_until(3)[-1] == 3
        assert client.read_to_end() == b""


WRONG = {
    "no certificate": (
        {"ssl_certificate": "/nonexistent.crt"},
        "--ssl_certificate /nonexistent.crt: can't be read: No such file",
    ),
    "no key": ({"ssl_key": "/nonexistent.key"}, "--ssl_key /nonexistent.key: can't be read"),
    "rubbish certificate": (
        {"ssl_certificate": "{rubbish}"},
        "--ssl_certificate {rubbish}: holds no certificate",
    ),
    "damaged certificate": (
        {"ssl_certificate": "{damaged}"},
        "--ssl_certificate {damaged}: holds a damaged certificate",
    ),
    "rubbish key": ({"ssl_key": "{rubbish}"}, "--ssl_key {rubbish}: holds no private key"),
    "damaged key": ({"ssl_key": "{damaged_key}"}, "--ssl_key {damaged_key}: is damaged"),
    "another's key": ({"ssl_key": "{other}"}, "--ssl_key {other}: is not the key of the certificate in"),
    "no passphrase": (
        {"ssl_certificate": "{locked_certificate}", "ssl_key": "{locked}"},
        "--ssl_key {locked}: is encrypted: give --ssl_key_passphrase",
    ),
    "wrong passphrase": (
        {
            "ssl_certificate": "{locked_certificate}",
            "ssl_key": "{locked}",
            "ssl_key_passphrase": "not-this-one",
        },
        "--ssl_key {locked}: can't be opened with --ssl_key_passphrase",
    ),
    "rubbish authorities": (
        {"ssl_client_authentication": "required", "ssl_certificate_authorities": ["{rubbish}"]},
        "--ssl_certificate_authorities {rubbish}: holds no certificate",
    ),
    "a folder": ({"ssl_certificate": "/"}, "--ssl_certificate /: can't be read: Is a directory"),
    "a device": ({"ssl_key": "/dev/zero"}, "--ssl_key /dev/zero: is no regular file"),
    "unknown suite": (
        {"ssl_cipher_suites": ["TLS_NO_WITH_SUCH"]},
        "--ssl_cipher_suites: TLS_NO_WITH_SUCH is no",
    ),
    "suites of another version": (
        {"ssl_cipher_suites": ["TLS_AES_128_GCM_SHA256"], "ssl_supported_protocols": ["TLSv1.2"]},
        "have nothing in common",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_fails_at_the_start_and_is_named(
    ca: Authority, server_files: dict[str, Any], tmp_path: Path, name: str
) -> None:
    paths = {
        "rubbish": tmp_path / "rubbish",
        "damaged": tmp_path / "damaged",
        "damaged_key": tmp_path / "key",
    }
    paths["rubbish"].write_text("rubbish")
    paths["damaged"].write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    paths["damaged_key"].write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")
    paths["other"] = ca.issue("other")[1]
    paths["locked_certificate"], paths["locked"] = ca.issue("locked", passphrase="right")
    words = {key: str(path) for key, path in paths.items()}
    given, expected = WRONG[name]
    filled = {
        key: [text.format(**words) for text in value] if isinstance(value, list) else value.format(**words)
        for key, value in given.items()  # type: ignore[attr-defined]
    }
    with pytest.raises(OptionError) as caught:
        require_listenable(BeatsOptions(port=0, **{**server_files, **filled}))
    assert expected.format(**words) in str(caught.value)
    assert "not-this-one" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ssl_certificate": "x"}, "--ssl_certificate needs --ssl_enabled"),
        ({"ssl_client_authentication": "required"}, "--ssl_client_authentication needs --ssl_enabled"),
        ({"ssl_enabled": True, "ssl_key": "x"}, "--ssl_enabled needs --ssl_certificate"),
        ({"ssl_enabled": True, "ssl_certificate": "x"}, "--ssl_enabled needs --ssl_key"),
        (
            {
                "ssl_enabled": True,
                "ssl_certificate": "x",
                "ssl_key": "x",
                "ssl_client_authentication": "required",
            },
            "go together",
        ),
        (
            {
                "ssl_enabled": True,
                "ssl_certificate": "x",
                "ssl_key": "x",
                "ssl_supported_protocols": ["SSLv3"],
            },
            "'SSLv3' is none of TLSv1.2, TLSv1.3",
        ),
        ({"ssl_handshake_timeout": 0}, "--ssl_handshake_timeout must be at least 1"),
    ],
)
def test_options_that_contradict_each_other(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        BeatsOptions(**given)


def test_the_passphrase_is_shown_nowhere() -> None:
    options = BeatsOptions(ssl_enabled=True, ssl_certificate="c", ssl_key="k", ssl_key_passphrase="hush-hush")
    assert "hush" not in repr(options)
    assert "hush" not in repr(options.tls_files())


def test_subjects_are_written_as_rfc_4514_does() -> None:
    rdns = ((("countryName", "DE"),), (("organizationName", 'A, "B"'),), (("commonName", "web-1"),))
    assert subject_of({"subject": rdns}) == 'CN=web-1,O=A\\, \\"B\\",C=DE'
    assert subject_of({}) is None
    assert subject_of(None) is None
