"""The fixtures themselves: what other tests take for granted about the servers."""

import pytest

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("turn", [1, 2])
def test_shared_servers_answer(elasticsearch, aws, unique_name, turn):
    client = elasticsearch.client()
    client.index(index=unique_name, id="1", document={"turn": turn}, refresh=True)
    assert client.count(index=unique_name)["count"] == 1
    aws.create_stream(unique_name, shards=2)
    assert len(aws.client("kinesis").list_shards(StreamName=unique_name)["Shards"]) == 2
    assert elasticsearch.url.startswith("http://127.0.0.1:")


@pytest.mark.full  # elasticsearch/test_elasticsearch_faults.py kills one in the middle of a load each time
@pytest.mark.parametrize("password", [None, "secret-1"])
def test_a_killed_elasticsearch_keeps_what_it_acknowledged(elasticsearch_factory, unique_name, password):
    server = elasticsearch_factory(settings={"thread_pool.write.queue_size": 100}, password=password)
    url = server.url
    client = server.client(request_timeout=300)
    body = [line for n in range(500) for line in ({"create": {"_id": str(n)}}, {"n": n})]
    assert not client.bulk(index=unique_name, operations=body)["errors"]
    server.kill()
    server.start()
    assert server.url == url
    client.cluster.health(wait_for_status="yellow", timeout="240s")
    client.indices.refresh(index=unique_name)
    assert client.count(index=unique_name)["count"] == 500
    assert password is None or client.security.authenticate()["username"] == "elastic"
