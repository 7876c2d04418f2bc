"""The sink against servers that are too busy, too small, locked, killed and frozen: nothing is lost, nothing hangs."""

import os
import signal
import threading
import time

import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied
from penstock.transforms.batch import Event
from tests import servers
from tests.tools.machine.waiting import wait_until
from tests.tools.samples.events import event

# One worker runs them all, since two share a server.
pytestmark = pytest.mark.xdist_group("faults")

FAST = {"retry_initial_interval": 0.1, "retry_max_interval": 1.0, "index": "loaded"}
LOAD = 10_000


def _events(count: int, start: int = 0, size: int = 10) -> list[Event]:
    made = []
    for number in range(start, start + count):
        one = event(b'{"n":%d,"t":"%s"}' % (number, b"x" * size), number)
        one.id = f"i{number}"
        made.append(one)
    return made


def _writer(server, **options) -> BulkWriter:
    return BulkWriter(ElasticsearchOptions(hosts=[server.url], **{**FAST, **options}), threading.Event())


def _count(client) -> int:
    client.indices.refresh(index="loaded")
    return client.count(index="loaded")["count"]


@pytest.fixture(scope="module")
def narrow():
    """A server with room for next to nothing."""
    with servers.private_elasticsearch() as factory:
        yield factory(
            settings={
                "thread_pool.write.queue_size": 1,
                "thread_pool.write.size": 1,
                "http.max_content_length": "64kb",
            }
        )


@pytest.fixture
def server(narrow):
    narrow.client().indices.delete(index="loaded", ignore_unavailable=True)
    return narrow


def test_a_full_write_queue_and_a_small_request_limit(server):
    client = server.client()
    client.indices.create(index="loaded", settings={"number_of_shards": 4, "number_of_replicas": 0})
    writer = _writer(server, bulk_max_count=50, max_bulks_in_flight=8, retry_max_interval=0.2)
    report = writer.write(_events(2000))
    assert (report.written + report.replayed, report.letters) == (2000, [])
    assert report.retries["429"] > 0
    assert _count(client) == 2000

    large = _writer(server, bulk_max_count=10_000)
    report = large.write(_events(4000, 2000, size=100))
    assert (report.written + report.replayed, report.letters) == (4000, [])
    assert report.bulks > 8, "413 halves the bulks"
    assert _count(client) == 6000

    report = large.write([*_events(2, 6000), *_events(1, 6002, size=100_000)])
    (letter,) = report.letters
    assert (letter.event.id, letter.status, letter.error) == ("i6002", 413, "content_too_large")
    assert _count(client) == 6002
    for each in (writer, large):
        each.close()


def test_security(secured_elasticsearch):
    server = secured_elasticsearch
    client = server.client()
    client.security.put_role(
        name="writer", indices=[{"names": ["loaded"], "privileges": ["create_doc", "auto_configure"]}]
    )
    client.security.put_role(name="reader", indices=[{"names": ["loaded"], "privileges": ["read"]}])
    for name in ("writer", "reader"):
        client.security.put_user(username=name, password=f"{name}-secret", roles=[name])
    key = client.security.create_api_key(
        name="k",
        role_descriptors={
            "r": {"indices": [{"names": ["loaded"], "privileges": ["create_doc", "auto_configure"]}]}
        },
    )

    def options(**given) -> ElasticsearchOptions:
        return ElasticsearchOptions(hosts=[server.url], **{**FAST, **given})

    good = [
        {"user": "writer", "password": "writer-secret"},
        {"api_key": key["encoded"]},
        {"api_key": f"{key['id']}:{key['api_key']}"},
    ]
    for number, given in enumerate(good):
        require_cluster(options(**given))
        writer = _writer(server, **given)
        assert writer.write(_events(3, 3 * number)).written == 3
        writer.close()

    for given, flag in (
        ({}, "--user"),
        ({"user": "writer", "password": "wrong"}, "--password"),
        ({"api_key": "wrong"}, "--api_key"),
    ):
        with pytest.raises(AccessDenied, match=rf"(refuses the credentials|asks who we are) \(401\).*{flag}"):
            require_cluster(options(**given))
        writer = _writer(server, **given)
        with pytest.raises(AccessDenied, match="401"):
            writer.write(_events(1))
        writer.close()

    reader = {"user": "reader", "password": "reader-secret"}
    with pytest.raises(AccessDenied, match="reader lacks the index privileges create_doc, auto_configure"):
        require_cluster(options(**reader))
    writer = _writer(server, **reader)
    with pytest.raises(
        AccessDenied, match=r"403.*reader.*granted by the index privileges \[create_doc"
    ) as caught:
        writer.write(_events(1))
    assert "reader-secret" not in str(caught.value)
    writer.close()
    assert _count(client) == 9


def test_kill_and_restart_in_the_middle_of_a_load_lose_nothing(server):
    writer = _writer(server, bulk_max_count=200, timeout=5)
    totals = [0, 0, 0]
    done = threading.Event()
    failures: list[BaseException] = []

    def load() -> None:
        try:
            for start in range(0, LOAD, 500):
                report = writer.write(_events(500, start))
                totals[0] += report.written
                totals[1] += report.replayed
                totals[2] += len(report.letters)
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=load)
    thread.start()
    wait_until(lambda: totals[0] >= LOAD // 6 or failures, "the first events")
    url = server.url
    server.kill()
    server.start()
    assert server.url == url
    wait_until(lambda: totals[0] + totals[1] >= LOAD // 2 or failures, "half of the events")
    os.killpg(server.process.pid, signal.SIGSTOP)  # a node that answers nothing, and comes back
    time.sleep(7)
    os.killpg(server.process.pid, signal.SIGCONT)
    assert done.wait(400)
    thread.join()
    writer.close()
    assert not failures
    assert totals[0] + totals[1] == LOAD
    assert totals[2] == 0
    assert _count(server.client()) == LOAD


def test_a_stop_while_the_server_is_down_gives_up_in_time():
    from local.servers.elasticsearch_server import free_port
    from penstock.io.errors import DeliveryError

    stopping = threading.Event()
    stopping.set()
    options = ElasticsearchOptions(hosts=[f"127.0.0.1:{free_port()}"], stop_timeout=2, **FAST)
    writer = BulkWriter(options, stopping)
    started = time.monotonic()
    with pytest.raises(DeliveryError, match="within 2 s of the stop"):
        writer.write(_events(1))
    assert time.monotonic() - started < 60
    writer.close()
