"""Elasticsearch's sink: CPU-seconds per million 350-byte events, and what ids and the real server make of it.

usage: python -P benchmarks/elasticsearch_write.py WHAT [URL] [--events N] [--rounds N]

sink    decoded batch -> gathered reply of a null endpoint, against the client's `helpers.parallel_bulk` and the
        floor (prebuilt bodies through urllib3)
decode  DecodeJson, with documents kept and dropped, against orjson.loads
real    URL: indexing rate of a real server against a bare loop of prebuilt bulks
ids     URL: indexing rate and index size by the form of the ids
"""

import argparse
import contextlib
import functools
import gc
import hashlib
import http.client
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import urllib3
from elasticsearch import Elasticsearch, OrjsonSerializer, helpers

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from harness import cpu_per_million, events, print_table, rounds

BATCH = 4000  # what a source hands out under load


class Origin:
    arrived_ms = 1_795_000_000_000

    def position(self) -> bytes:
        return b"stream/shardId-000000000000/49590338271490256608559692538361571095921575989136588898"

    def describe(self) -> dict[str, str | int]:
        return {}


ORIGIN = Origin()


def decoded(payloads: list[bytes]) -> list[Event]:
    made, letters = JsonDecoder(keep_documents=False).decode(
        [Event(p, ORIGIN, i) for i, p in enumerate(payloads)]
    )
    assert not letters
    return made


def batches(items: list, size: int = BATCH) -> list[list]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def body(event: Event, index: str, name: str | None) -> bytes:
    head = {"_index": index} if name is None else {"_index": index, "_id": name}
    return orjson.dumps({"create": head}) + b"\n" + event.data + b"\n"


@contextlib.contextmanager
def null_elasticsearch() -> Iterator[str]:
    command = [sys.executable, "-P", str(HERE / "null_elasticsearch.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def sink(count: int, repeat: int) -> None:
    ready = batches(decoded(events(count)))
    documents = [[(e.id, orjson.loads(e.data)) for e in batch] for batch in ready]
    prebuilt = [
        b"".join(body(e, "i", e.id) for e in part) for batch in ready for part in batches(batch, 1000)
    ]
    with null_elasticsearch() as url:
        writer = BulkWriter(ElasticsearchOptions(hosts=[url]), threading.Event())
        client = Elasticsearch(url, serializer=OrjsonSerializer())
        stock = Elasticsearch(url)
        pool = urllib3.HTTPConnectionPool("127.0.0.1", urlsplit(url).port, maxsize=4, block=True)
        threads = ThreadPoolExecutor(4)

        def ours() -> int:
            for batch in ready:
                assert writer.write(batch).written == len(batch)
            return count

        def parallel_bulk(client: Elasticsearch) -> int:
            for batch in documents:
                actions = ({"_op_type": "create", "_index": "i", "_id": n, "_source": d} for n, d in batch)
                for ok, _ in helpers.parallel_bulk(client, actions, thread_count=4, chunk_size=1000):
                    assert ok
            return count

        def floor() -> int:
            headers = {"content-type": "application/x-ndjson"}

            def post(body: bytes) -> None:
                assert pool.urlopen("POST", "/_bulk", body=body, headers=headers).status == 200

            for pair in batches(prebuilt, 2):
                list(threads.map(post, pair))
            return count

        contenders = {
            "helpers.parallel_bulk": lambda: cpu_per_million(lambda: parallel_bulk(stock)),
            "helpers.parallel_bulk, orjson": lambda: cpu_per_million(lambda: parallel_bulk(client)),
            "ours: WriteToElasticsearch": lambda: cpu_per_million(ours),
            "floor: prebuilt bodies, urllib3": lambda: cpu_per_million(floor),
        }
        title = f"decoded batches of {BATCH} -> gathered bulk replies of a null endpoint ({count} events)"
        print_table(title, rounds(contenders, repeat), {"ours: WriteToElasticsearch": 1.0})
        writer.close()


def decode(count: int, repeat: int) -> None:
    payloads = events(count)

    def ours(keep: bool) -> int:
        for batch in batches(payloads):
            JsonDecoder(keep_documents=keep).decode([Event(p, ORIGIN, i) for i, p in enumerate(batch)])
        return count

    def loads() -> int:
        for payload in payloads:
            orjson.loads(payload)
        return count

    contenders = {
        "orjson.loads alone": lambda: cpu_per_million(loads),
        "ours: DecodeJson, documents kept": lambda: cpu_per_million(lambda: ours(True)),
        "ours: DecodeJson, documents dropped": lambda: cpu_per_million(lambda: ours(False)),
    }
    print_table(
        f"350-byte events -> id and time ({count} events, made anew each round)", rounds(contenders, repeat)
    )


class RealServer:
    """Indexes the same events again and again, each time into a fresh index."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Elasticsearch(url, request_timeout=60)
        parts = urlsplit(url)
        self.address = (parts.hostname, parts.port)

    def fresh(self) -> str:
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self.client.indices.create(
            index=name,
            settings={"number_of_replicas": 0, "number_of_shards": 1, "refresh_interval": "30s"},
            mappings={"properties": {"@timestamp": {"type": "date"}, "message": {"type": "text"}}},
        )
        return name

    def drop(self, name: str) -> None:
        self.client.indices.delete(index=name)

    def bare_loop(self, bodies: list[bytes], threads: int) -> None:
        """Posts prebuilt bulks from `threads` threads, looking at nothing but the status."""
        waiting = iter(bodies)
        lock = threading.Lock()

        def post() -> None:
            connection = http.client.HTTPConnection(*self.address)
            while True:
                with lock:
                    body = next(waiting, None)
                if body is None:
                    return
                headers = {"content-type": "application/x-ndjson"}
                connection.request("POST", "/_bulk?filter_path=errors", body, headers)
                assert connection.getresponse().read() == b'{"errors":false}'

        workers = [threading.Thread(target=post) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def timed(work: Callable[[], None], count: int) -> float:
    """Events a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def in_turn(contenders: dict[str, Callable[[], float]], repeat: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(repeat):
        for name in names if number % 2 == 0 else names[::-1]:
            found[name].append(contenders[name]())
            sys.stderr.write(f"  round {number + 1}: {name}: {found[name][-1]:,.0f}/s\n")
    return found


def print_rates(title: str, found: dict[str, list[float]]) -> None:
    base = statistics.median(next(iter(found.values())))
    print(f"{title}\n  {'events per second':44} median     lowest - highest      ratio")
    for name, values in found.items():
        median = statistics.median(values)
        print(f"  {name:44} {median:9,.0f}  {min(values):9,.0f} - {max(values):9,.0f}  {median / base:5.2f}")


def real(url: str, count: int, repeat: int) -> None:
    server = RealServer(url)
    ready = decoded(events(count))

    def bare() -> float:
        name = server.fresh()
        bodies = [b"".join(body(e, name, e.id) for e in part) for part in batches(ready, 1000)]
        rate = timed(lambda: server.bare_loop(bodies, 2), count)
        server.drop(name)
        return rate

    def ours(decode_too: bool, size: int) -> float:
        name = server.fresh()
        writer = BulkWriter(ElasticsearchOptions(hosts=[url], index=name), threading.Event())
        payloads = [e.data for e in ready]

        def work() -> None:
            for start in range(0, count, size):
                part = ready[start : start + size]
                batch = decoded(payloads[start : start + size]) if decode_too else part
                assert writer.write(batch).written == len(part)

        rate = timed(work, count)
        writer.close()
        server.drop(name)
        return rate

    bare()
    ours(False, BATCH)  # a fresh JVM is two to three times slower
    found = in_turn(
        {
            "bare loop: prebuilt bulks of 1000, 2 threads": bare,
            "ours: batches of 2000, bulks of 1000": lambda: ours(False, 2000),
            "ours: batches of 4000, bulks of 1000": lambda: ours(False, 4000),
            "ours: batches of 8000, bulks of 1000": lambda: ours(False, 8000),
            "ours: batches of 4000, with decoding": lambda: ours(True, 4000),
        },
        repeat,
    )
    print_rates(f"{url}: {count} events of 350 bytes a run, an index each", found)


def ids(url: str, count: int, repeat: int) -> None:
    server = RealServer(url)
    ready = decoded(events(count))
    forms: dict[str, Callable[[Event, int], str | None]] = {
        "Elasticsearch's own": lambda e, n: None,
        "ours: time, then hash": lambda e, n: e.id,
        "the hash alone": lambda e, n: str(e.id)[7:],
        "UUID-like random hex": lambda e, n: hashlib.md5(b"%d" % n).hexdigest(),
    }
    sizes: dict[str, list[int]] = {name: [] for name in forms}

    def run(form: str) -> float:
        name = server.fresh()
        make = forms[form]
        bodies = [
            b"".join(body(e, name, make(e, start + n)) for n, e in enumerate(ready[start : start + 1000]))
            for start in range(0, count, 1000)
        ]
        rate = timed(lambda: server.bare_loop(bodies, 2), count)
        server.client.indices.forcemerge(index=name, max_num_segments=1)
        server.client.indices.refresh(index=name)
        sizes[form].append(
            server.client.indices.stats(index=name)["_all"]["primaries"]["store"]["size_in_bytes"]
        )
        server.drop(name)
        return rate

    run("the hash alone")
    print_rates(
        f"{url}: {count} events a run", in_turn({f: functools.partial(run, f) for f in forms}, repeat)
    )
    for name, found in sizes.items():
        print(f"  {name:44} {statistics.median(found) / count:7.1f} bytes per event on disk")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("sink", "decode", "real", "ids"))
    parser.add_argument("url", nargs="?", help="a real Elasticsearch, for `real` and `ids`")
    parser.add_argument("--events", type=int, help="events a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.what in ("real", "ids") and not given.url:
        parser.error("name the URL of a real Elasticsearch")
    gc.collect()
    gc.freeze()
    if given.what == "sink":
        sink(given.events or 100_000, given.rounds)
    elif given.what == "decode":
        decode(given.events or 100_000, given.rounds)
    else:
        {"real": real, "ids": ids}[given.what](given.url, given.events or 100_000, given.rounds)


if __name__ == "__main__":
    main()
