"""Clients get in by their certificates; the others are named with the reason."""

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.io.beats.server.beats_server import BeatsServer
from tests.tools.peers.lumberjack import Client, payloads, whole_window
from tests.tools.peers.tls_http import Relay
from tests.tools.samples.certificates import Authority
from tests.unit.beats.transport.test_tls import TlsClient, exchange, logged

Files = tuple[Path, Path] | None
HOUR = datetime.timedelta(hours=1)


class Certificates:
    """An authority that the server trusts, and clients' certificates of every kind."""

    def __init__(self, folder: Path) -> None:
        for name in ("good", "bad"):
            (folder / name).mkdir()
        self._folder = folder
        self.ca = Authority(folder / "good")
        self._middle = Authority(folder / "good", "middle", issuer=self.ca)
        self._stranger = Authority(folder / "bad", "stranger")
        self._attacker = Authority(folder / "bad", key_ids=False)  # it has the good one's name

    def _with(self, files: tuple[Path, Path], *more: Authority) -> tuple[Path, Path]:
        chain = files[0].with_suffix(".chain")
        chain.write_bytes(
            b"".join(path.read_bytes() for path in (files[0], *(ca.certificate for ca in more)))
        )
        return chain, files[1]

    def of(self, kind: str) -> Files:
        now = datetime.datetime.now(datetime.UTC)
        return {
            "right": lambda: self.ca.issue("web-1"),
            "with its chain": lambda: self._with(self._middle.issue("web-1"), self._middle),
            "without its chain": lambda: self._middle.issue("web-1"),
            "expired": lambda: self.ca.issue("web-1", until=now - HOUR),
            "wrong authority": lambda: self._stranger.issue("web-1"),
            "its own authority sent along": lambda: self._with(self._stranger.issue("web-1"), self._stranger),
            "an authority of the same name": lambda: self._with(
                self._attacker.issue("web-1"), self._attacker
            ),
            "forged chain": lambda: self._with(self._attacker.issue("web-1"), self.ca),
            "none": lambda: None,
        }[kind]()


REFUSED = {
    "without its chain": "let it send the intermediate certificates too",
    "expired": "its certificate has expired",
    "wrong authority": "its certificate",
    "its own authority sent along": "an authority that is not among --ssl_certificate_authorities",
    "an authority of the same name": "was not signed by the authority that it names",
    "forged chain": "was not signed by the authority that it names",
    "none": "it shows no certificate",
}
KINDS = ("right", "with its chain", *REFUSED)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asked", ["required", "optional"])
@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_who_gets_in(
    serve: Callable[..., BeatsServer],
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    version: ssl.TLSVersion,
    way: str,
) -> None:
    certificate, key = certificates.ca.issue("server")
    server = serve(
        ssl_enabled=True,
        ssl_certificate=str(certificate),
        ssl_key=str(key),
        ssl_client_authentication=asked,
        ssl_certificate_authorities=[str(certificates.ca.certificate)],
    )
    said = {}
    relay = Relay(server.address[1])
    address = relay.address if way == "proxy" else server.address
    for kind in KINDS:
        mine = certificates.of(kind)
        if kind not in REFUSED or (kind == "none" and asked == "optional"):
            with TlsClient(address, certificates.ca, mine, maximum_version=version) as client:
                subject = None if mine is None else "CN=web-1,O=Example"
                assert exchange(server, client).tls_subject == subject, kind
            continue
        caplog.clear()
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):  # noqa: PT012, SIM117  early or late
            with TlsClient(address, certificates.ca, mine, maximum_version=version) as client:
                client.send(whole_window(payloads(1)))
                client.read_ack()
        logged(caplog, "its TLS handshake failed")
        said[kind] = caplog.text
        assert REFUSED[kind] in caplog.text, kind
    assert server.take(0.1) is None, "nothing of a refused client is taken"
    relay.close()
    assert bool(relay.read) == (way == "proxy")
    assert b"2W\0\0\0\1" not in relay.read, "what is in between reads no frame"
    assert "expired" not in said["without its chain"]


def test_a_server_s_key_is_needed_to_pass_for_it(
    serve: Callable[..., BeatsServer], certificates: Certificates
) -> None:
    """What a Beat does with `ssl.certificate_authorities`: it refuses a server of another authority."""
    certificate, key = certificates._attacker.issue("server")
    server = serve(ssl_enabled=True, ssl_certificate=str(certificate), ssl_key=str(key))
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsClient(server.address, certificates.ca)
    with Client(server.address) as client:
        client.send(whole_window(payloads(1)))
        client.read_to_end()
    assert server.take(0.1) is None
