"""TLS as the options have it, against a loopback server with certificates of a small authority of our own."""

import datetime
import http.server
import ipaddress
import os
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.elasticsearch.cluster.trust import Trust
from penstock.io.errors import OptionError, Unreachable
from tests.tools.peers.fake_http import fake_http

ROOT = b'{"version":{"number":"9.4.3"}}'


def _certificate(folder, name, issuer=None, *, authority=False, address="127.0.0.1"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = _certificate(folder, "ca", authority=True)
    _certificate(folder, "other", authority=True)
    _certificate(folder, "server", authority)
    _certificate(folder, "elsewhere", authority, address="10.1.2.3")
    _certificate(folder, "client", authority)
    return folder


@pytest.fixture
def serve(folder):
    """Starts a server with the certificate of that name; gives its URL."""
    started = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ROOT)))
            self.end_headers()
            self.wfile.write(ROOT)

        def log_message(self, *arguments):
            pass

    def start(name: str = "server", *, client_certificate: bool = False) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        if client_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder / "ca.pem")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *arguments: None
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        started.append((server, thread))
        return f"https://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


def _check(url: str, **options) -> str:
    return require_cluster(ElasticsearchOptions(hosts=[url], timeout=10, **options))


def test_an_authority_of_ones_own(serve, folder):
    url = serve()
    assert _check(url, ssl_certificate_authorities=str(folder / "ca.pem")) == "9.4.3"
    for options in ({}, {"ssl_certificate_authorities": str(folder / "other.pem")}):
        with pytest.raises(
            Unreachable, match=r"TLS: .*certificate verify failed.*--ssl_certificate_authorities, or"
        ):
            _check(url, **options)


def test_the_other_scheme_is_named(serve):
    with pytest.raises(Unreachable, match="Check --hosts: is https meant"):
        _check(serve().replace("https:", "http:"))
    with fake_http(lambda request: (200, ROOT)) as fake, pytest.raises(Unreachable, match="is http meant"):
        _check(fake.url.replace("http:", "https:"))


def test_verification_modes(serve, folder):
    url = serve("elsewhere")
    authorities = {"ssl_certificate_authorities": str(folder / "ca.pem")}
    with pytest.raises(Unreachable, match=r"TLS: .*Name the node in --hosts as its certificate does"):
        _check(url, **authorities)
    assert _check(url, **authorities, ssl_verification_mode="certificate") == "9.4.3"
    with pytest.raises(Unreachable, match="TLS"):
        _check(url, ssl_verification_mode="certificate")
    assert _check(url, ssl_verification_mode="none") == "9.4.3"


def test_a_trusted_fingerprint(serve, folder):
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    url = serve()
    assert _check(url, ca_trusted_fingerprint=fingerprint) == "9.4.3"
    with pytest.raises(Unreachable, match=r"TLS: .*Check --ca_trusted_fingerprint"):
        _check(url, ca_trusted_fingerprint="ab" * 32)


def test_a_certificate_of_our_own(serve, folder):
    url = serve(client_certificate=True)
    authorities = {"ssl_certificate_authorities": str(folder / "ca.pem")}
    ours = {"ssl_certificate": str(folder / "client.pem"), "ssl_key": str(folder / "client.key")}
    assert _check(url, **authorities, **ours) == "9.4.3"
    with pytest.raises(Unreachable):
        _check(url, **authorities)


OURS = {"ssl_certificate": "client.pem", "ssl_key": "client.key"}
WRONG = {
    "a folder of authorities": (
        {"ssl_certificate_authorities": "."},
        "authorities {}: can't be read: Is a direct",
    ),
    "no authorities": (
        {"ssl_certificate_authorities": "text"},
        "authorities {}: holds no certificate in PEM form",
    ),
    "a pipe": ({"ssl_certificate_authorities": "pipe"}, "authorities {}: is no regular file"),
    "a device": ({"ssl_certificate_authorities": "/dev/zero"}, "authorities {}: is no regular file"),
    "a huge file": ({"ssl_certificate_authorities": "huge"}, "which is no file of certificates"),
    "a folder": ({**OURS, "ssl_certificate": "."}, "ssl_certificate {}: can't be read: Is a directory"),
    "no certificate": ({**OURS, "ssl_certificate": "text"}, "ssl_certificate {}: holds no certificate"),
    "no key": ({**OURS, "ssl_key": "text"}, "ssl_key {}: holds no private key"),
    "another's key": ({**OURS, "ssl_key": "other.key"}, "ssl_key {}: is not the key of the certificate"),
    "a locked key": (
        {**OURS, "ssl_key": "locked"},
        "ssl_key {}: is encrypted: give one without a passphrase",
    ),
}


@pytest.mark.parametrize(
    ("name", "pin"),
    [(name, None) for name in WRONG]
    + [(name, "ab" * 32) for name, case in WRONG.items() if OURS.keys() <= case[0].keys()],
)
def test_a_wrong_file_fails_at_the_start_and_is_named(folder, tmp_path, name, pin):
    files, expected = WRONG[name]
    (tmp_path / "text").write_text("rubbish")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    key = serialization.load_pem_private_key((folder / "client.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"x" * 8)
    (tmp_path / "locked").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    paths = {
        flag: str(next(path for path in (folder / file, tmp_path / file) if path.exists()))
        for flag, file in files.items()
    }
    if "." in files.values():
        paths = {flag: str(tmp_path) if files[flag] == "." else path for flag, path in paths.items()}
    with pytest.raises(OptionError) as caught:
        Trust(
            ElasticsearchOptions(
                hosts=["https://127.0.0.1:9"], index="x", ca_trusted_fingerprint=pin, **paths
            )
        )
    named = next(flag for flag, file in files.items() if file not in OURS.values())
    assert expected.format(paths[named]) in str(caught.value)
