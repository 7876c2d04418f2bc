"""Only some may read the status page, and asking costs the job nothing."""

import contextlib
import http.client
import json
import os
import re
import resource
import socket
import time

import pytest

from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import OptionError
from penstock.pipelines.status import Monitor, StatusServer
from penstock.pipelines.status.page import server
from penstock.pipelines.status.page.render import PAGE, PAGE_POLICY
from penstock.pipelines.status.step_meters import Step

PATHS = ("/", "/status.json", "/metrics", "/healthz", "/readyz")


@contextlib.contextmanager
def serving(names=(), ends=True, **options):
    monitor = Monitor("toy", "a runner", [Step("Read"), Step("Write", ["Read"])], ends=ends, **options)
    made = StatusServer(monitor, "127.0.0.1", 0, names)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Tests ask more often than people and scrapers."""
    monkeypatch.setattr(server, "MAX_PER_SECOND", 10_000)


@pytest.fixture(scope="module")
def page():
    with serving(["Logs.Example.org"]) as made:
        yield made


def ask(made, method="GET", path="/", **headers):
    connection = http.client.HTTPConnection(*made.address, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{made.address[1]}", **headers}.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply, body


@pytest.mark.parametrize("path", PATHS)
def test_what_it_serves(page, path):
    reply, body = ask(page, path=path)
    assert reply.status == 200
    assert body
    assert reply.getheader("Content-Length") == str(len(body))
    head, nothing = ask(page, "HEAD", path)
    assert (head.status, nothing) == (200, b"")


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/..%2f..%2fetc/passwd"])
def test_no_answer_can_be_read_or_framed_by_another_origin(page, path):
    reply, _ = ask(page, path=path, Origin="https://evil.example", Access_Control_Request_Method="GET")
    names = {name.lower() for name, _ in reply.getheaders()}
    assert not [name for name in names if name.startswith("access-control-")]
    assert reply.getheader("X-Content-Type-Options") == "nosniff"
    assert reply.getheader("X-Frame-Options") == "DENY"
    assert reply.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert reply.getheader("Cache-Control") == "no-store"
    assert "frame-ancestors 'none'" in reply.getheader("Content-Security-Policy")
    assert "default-src 'none'" in reply.getheader("Content-Security-Policy")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("host", "answers"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8080", True),
        ("localhost:80", True),
        ("LOCALHOST.", True),
        ("[::1]:9000", True),
        ("192.0.2.7:9000", True),
        ("logs.example.org", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("evil.example@127.0.0.1", False),
        ("127.0.0.1/x", False),
        ("2130706433", False),
        ("", False),
        (None, False),
    ],
)
def test_the_host_header_must_name_us(page, path, host, answers):
    """A web site that points its own name here (DNS rebinding) sends that name."""
    reply, body = ask(page, path=path, Host=host)
    assert reply.status == (200 if answers else 421)
    assert answers or b"events" not in body


def test_two_host_headers_are_refused(page):
    with socket.create_connection(page.address, 5) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert b" 421 " in sock.recv(4096).splitlines()[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "FOO"])
def test_nothing_but_get_and_head(page, method):
    reply, _ = ask(page, method)
    assert reply.status == 405
    assert reply.getheader("Allow") == "GET, HEAD"


@pytest.mark.parametrize(
    ("path", "site", "mode", "status"),
    [
        ("/", "cross-site", "navigate", 200),  # a link
        ("/", "cross-site", "no-cors", 403),
        ("/status.json", "cross-site", "navigate", 403),
        ("/status.json", "same-site", "cors", 403),
        ("/metrics", "cross-site", "no-cors", 403),
        ("/status.json", "same-origin", "cors", 200),
        ("/status.json", "none", "navigate", 200),
    ],
)
def test_what_a_browser_asks_for_another_site(page, path, site, mode, status):
    assert ask(page, path=path, Sec_Fetch_Site=site, Sec_Fetch_Mode=mode)[0].status == status


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50), b"GET\r\n\r\n",
     b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
     b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ids=["nothing", "empty", "tls", "no-path", "version", "headers", "long"],
)  # fmt: skip
def test_garbage_is_survived(page, sent):
    with socket.create_connection(page.address, 5) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while sock.recv(4096):
                pass
    assert ask(page, path="/healthz")[0].status == 200


def test_a_probe_is_answered_whatever_else_is_open():
    """Half requests, many more than there is room for: the oldest goes when a new one comes."""
    with serving() as made, contextlib.ExitStack() as open_ones:
        for _ in range(2 * server.MAX_CONNECTIONS):
            sock = open_ones.enter_context(socket.create_connection(made.address, 5))
            sock.sendall(b"GET / HT")
        began = time.monotonic()
        for path in ("/healthz", "/metrics", "/healthz"):
            assert ask(made, path=path)[0].status == 200
        assert time.monotonic() - began < server.PATIENCE_S, "the server waited for the others"
        assert len(made._open) <= server.MAX_CONNECTIONS


def test_a_flood_is_slowed_and_not_refused(monkeypatch):
    monkeypatch.setattr(server, "MAX_PER_SECOND", 5)
    with serving() as made:
        began = time.monotonic()
        assert [ask(made, path="/healthz")[0].status for _ in range(15)] == [200] * 15
        assert time.monotonic() - began > 1.5


def test_without_a_free_descriptor_a_probe_is_answered_and_nothing_spins():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving() as made, contextlib.ExitStack() as ends:
        assert ask(made, path="/healthz")[0].status == 200
        half, probe, late = (ends.enter_context(socket.socket()) for _ in range(3))
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 60, hard))
        ends.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with contextlib.suppress(OSError):
            while True:
                ends.callback(os.close, os.dup(0))
        probe.connect(made.address)
        probe.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert probe.recv(100).startswith(b"HTTP/1.1 200")
        half.connect(made.address)
        half.sendall(b"GET")
        late.connect(made.address)  # it waits in the listener's queue, which is readable all the time
        used = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - used < 0.25


def test_a_byte_now_and_then_does_not_hold_a_thread(monkeypatch):
    monkeypatch.setattr(server, "PATIENCE_S", 0.5)
    with serving() as made, socket.create_connection(made.address, 5) as sock:
        began = time.monotonic()
        with contextlib.suppress(OSError):  # reset or broken pipe
            while time.monotonic() - began < 30:
                sock.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 15


def test_readiness():
    with serving(ends=False) as made:
        reply, body = ask(made, path="/readyz")
        assert reply.status == 503
        assert body == b"starting: nothing is read yet\n"
        assert ask(made, path="/healthz")[1] == b"ok\n"
    with serving() as made:
        assert ask(made, path="/readyz")[1] == b"ready\n"
        LIVE.stopping.set()
        try:
            made.monitor.picture = made.monitor.look()
            reply, body = ask(made, path="/readyz")
        finally:
            LIVE.stopping.clear()
        assert (reply.status, body) == (503, b"stopping: nothing more is read\n")


@pytest.mark.parametrize(
    "query", ["", "?since=0", "?since=-1", "?since=x", "?since=" + "9" * 5000, "?a&b&c&d&e&f"]
)
def test_the_document(page, query):
    reply, body = ask(page, path=f"/status.json{query}")
    assert reply.status == 200
    document = json.loads(body)
    assert document["job"]["name"] == "toy"
    assert [step["name"] for step in document["steps"]] == ["Read", "Write"]
    assert document["history"]["last"] >= 1
    assert len(document["history"]["times"]) >= 1


def test_the_page_loads_nothing_and_its_policy_covers_it():
    text = PAGE.decode()
    assert not re.findall(r"(?:src|href)=\"(?!/|data:)", text)
    assert "//" not in re.sub(r"http://www\.w3\.org/2000/svg|(?<=\s)//.*", "", text), "an address elsewhere"
    assert not re.findall(r"\son\w+=|style=|innerHTML|insertAdjacent|document\.write|eval\(", text)
    assert "unsafe" not in PAGE_POLICY
    assert PAGE_POLICY.count("sha256-") == 2
    assert len(PAGE) < 60_000


def test_a_port_that_is_taken_and_an_address_of_somebody_else(page):
    monitor = page.monitor
    with pytest.raises(OptionError, match="--status_port"):
        StatusServer(monitor, *page.address)
    with pytest.raises(OptionError, match="--status_host"):
        StatusServer(monitor, "192.0.2.1", 0)
    with pytest.raises(OptionError, match="--status_host"):
        StatusServer(monitor, "no such host", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback(page, host):
    made = StatusServer(page.monitor, host, 0)
    try:
        assert made.is_loopback
        assert made.url.startswith(("http://127.0.0.1:", "http://[::1]:"))
    finally:
        made.stop()


def test_it_stops_at_once_with_a_client_in_the_middle():
    with serving() as made:
        sock = socket.create_connection(made.address, 5)
        sock.sendall(b"GET")
        began = time.monotonic()
    assert time.monotonic() - began < server.PATIENCE_S, "it waited for the client"
    sock.close()
