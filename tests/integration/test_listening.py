"""Each job listens where it was told to and nowhere else, and believes no certificate that nobody vouches for."""

import http.server
import json
import os
import socket
import ssl
import threading

import pytest

from tests.tools.jobs.planted import BEATS, KINESIS, TIMEOUT_S, free_port
from tests.tools.machine.listening import listening
from tests.tools.samples.certificates import Authority

pytestmark = pytest.mark.servers


def wait_for(process, word):
    said = []
    while line := process.stderr.readline():
        said.append(line)
        if word in line:
            return
    pytest.fail("".join(said))


def test_this_test_sees_what_listens():
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        ports = [server.getsockname()[1] for server in (four, everywhere, six)]
        found = listening(os.getpid())
    assert {("127.0.0.1", ports[0]), ("0.0.0.0", ports[1]), ("::1", ports[2])} <= found


def test_beats_to_kinesis_listens_for_beats_on_loopback_unless_told_otherwise(start_planted, planted):
    process = start_planted(*BEATS, "--beats_port", planted.port, *planted.aws)
    wait_for(process, "ready:")
    assert listening(process.pid) == {("127.0.0.1", planted.port)}


def test_the_status_page_is_one_more_port(start_planted, planted):
    page = free_port()
    process = start_planted(*BEATS, "--beats_port", planted.port, *planted.aws, "--status_port", page)
    wait_for(process, "ready:")
    assert listening(process.pid) == {("127.0.0.1", planted.port), ("127.0.0.1", page)}


def test_kinesis_to_elasticsearch_listens_nowhere(start_planted, planted):
    process = start_planted(*KINESIS, *planted.aws, "--hosts", planted.hosts)
    wait_for(process, "ready:")
    assert listening(process.pid) == set()


# -- TLS -------------------------------------------------------------------------------------------------


@pytest.fixture
def impostor(tmp_path):
    """An HTTPS server with a certificate of an authority that nobody knows; what it was asked is kept."""
    certificate, key = Authority(tmp_path).issue("server")
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, dict(self.headers)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({}).encode())

        do_GET = do_POST  # noqa: N815  the library's names

        def log_message(self, *arguments):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("job", ["beats-to-kinesis", "kinesis-to-elasticsearch"])
def test_an_aws_endpoint_with_a_certificate_of_its_own_making_is_told_nothing(
    start_planted, planted, impostor, job
):
    url, asked = impostor
    options = (*BEATS, "--beats_port", planted.port) if job == "beats-to-kinesis" else KINESIS
    process = start_planted(*options, "--endpoint_url", url)
    _, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert asked == []
    assert url in error.splitlines()[-1]


def test_an_elasticsearch_with_a_certificate_of_its_own_making_is_told_nothing(
    start_planted, planted, impostor
):
    url, asked = impostor
    process = start_planted(
        *KINESIS, *planted.aws, "--hosts", url, "--user", "elastic", "--password", "a-secret-word"
    )
    _, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert asked == []
    last = error.splitlines()[-1]
    assert url in last
    assert "TLS" in last
    assert "a-secret-word" not in error
