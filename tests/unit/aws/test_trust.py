"""Only AWS is believed, by both clients, directly and through a proxy: nobody else reads a request or its signature.

The proxy is the man in the middle that it may be: it keeps all that it can read.
"""

import os

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import OptionError
from penstock.io.kinesis.wire.calls import CallFailed, PutEntry
from penstock.io.kinesis.wire.client import connect
from tests.tools.peers.tls_http import ConnectProxy, TlsServer, closing
from tests.tools.samples.chains import chains

REPLY = b'{"Records":[{"SequenceNumber":"1","ShardId":"s"}]}'
EVENT, SECRET, TOKEN = b"what nobody else may read", "AKIDSECRET", "session-token-of-ours"
BELIEVED = ""
CASES = [
    # what the server presents (its own certificate first), the authority that is trusted, and why it is not believed
    (("leaf", "good"), "good", BELIEVED),
    (("deep", "inter", "good"), "good", BELIEVED),
    (("leaf", "good"), "evil", "an authority that this machine does not know"),
    (("leaf", "good"), None, "an authority that this machine does not know"),
    (("forged", "good"), "good", "an authority that this machine does not know"),
    (("forged", "evil", "good"), "good", "an authority that this machine does not know"),
    (("forged_name", "twin", "good"), "good", "certificate"),
    (("elsewhere", "good"), "good", "certificate"),
    (("expired", "good"), "good", "certificate has expired"),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return chains(tmp_path_factory.mktemp("trust"))


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("plane", ["thin", "boto3"])
@pytest.mark.parametrize(("chain", "trusted", "why"), CASES, ids=str)
def test_only_who_is_trusted_is_told_anything(certificates, monkeypatch, chain, trusted, why, plane, way):
    for name in ("NO_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.pem(trusted)))
    server = TlsServer(certificates.pem(*chain), certificates.key(chain[0]), REPLY)
    proxy = ConnectProxy(server.port)
    with closing(server, proxy):
        if way == "proxy":
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        aws = AwsOptions(
            endpoint_url=f"https://127.0.0.1:{server.port}", access_key=SECRET, secret_key="y", session_token=TOKEN
        )  # fmt: skip
        client = connect(AwsSession(aws), data_plane=plane)
        if why == BELIEVED:
            assert client.put_records("stream", [PutEntry(EVENT, "k")]).records[0].sequence_number == "1"
            assert len(server.heard) == 1
        else:
            with pytest.raises(CallFailed, match=why) as caught:
                client.put_records("stream", [PutEntry(EVENT, "k")])
            assert caught.value.retriable, "a proxy or a clock may be repaired meanwhile"
            assert server.heard == [], "not one header"
        client.close()
    assert proxy.read.startswith(b"CONNECT 127.0.0.1:") == (way == "proxy")
    for secret in (SECRET.encode(), TOKEN.encode(), EVENT, b"V2hhdCBub2JvZHk", b"Signature=", b"PutRecords"):
        assert secret not in proxy.read


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_file_of_authorities_that_is_none_is_named_at_the_start(tmp_path, monkeypatch, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "torn").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    for path in ("folder", "text", "torn", "pipe", "link", "missing", "n" * 300):
        monkeypatch.setenv(name, str(tmp_path / path))
        with pytest.raises(OptionError, match=f"{name}.*{path[:100]}.*: "):
            AwsSession(AwsOptions(region="us-east-1"))
        AwsSession(AwsOptions(endpoint_url="http://127.0.0.1:1"))
        AwsSession(AwsOptions(verify_certificate=False))
