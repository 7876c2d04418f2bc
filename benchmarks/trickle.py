"""This benchmark measures the way of an event from the Beat into Elasticsearch, at one event per second, through both jobs.

usage: python -P benchmarks/trickle.py [EVENTS]

Starts what `./run_local.sh` starts: moto, a real Elasticsearch, both jobs with their defaults. An event counts as
arrived when a GET of its document finds it (a refresh, which makes it searchable, is the index's own setting).
"""

import http.client
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import load_package

load_package("local")
load_package("tests")

from local.demo.stack import Stack
from local.terminal import Progress
from penstock.transforms.batch import Event
from penstock.transforms.identity import document_id
from tests.tools.peers.lumberjack import Client, whole_window

WARM_UP = 5


def event(number: int) -> bytes:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    return json.dumps(
        {
            "@timestamp": stamp,
            "agent": {"type": "filebeat", "ephemeral_id": RUN},
            "log": {"offset": number, "file": {"path": "/var/log/trickle.log"}},
            "message": f"event {number}",
        }
    ).encode()


RUN = str(uuid.uuid4())


def main(count: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="penstock-trickle-"))
    folder.chmod(0o755)
    stack = Stack(folder, "trickle", None)
    try:
        stack.start(Progress(sys.stderr))
        host, _, port = stack.elasticsearch_url.rpartition("//")[2].partition(":")
        elasticsearch = http.client.HTTPConnection(host, int(port.strip("/")))
        latencies = []
        with Client(("127.0.0.1", stack.beats_port)) as beat:
            for number in range(count + WARM_UP):
                payload = event(number)
                name = document_id(Event(payload, None, 0), json.loads(payload))
                began = time.monotonic()
                beat.send(whole_window([payload]))
                while True:
                    elasticsearch.request("GET", f"/trickle/_doc/{name}?_source=false")
                    reply = elasticsearch.getresponse()
                    reply.read()
                    if reply.status == 200:
                        break
                    if time.monotonic() - began > 60:
                        sys.exit(f"event {number} is not in Elasticsearch after 60 s")
                    time.sleep(0.005)
                took = time.monotonic() - began
                if number >= WARM_UP:
                    latencies.append(took)
                beat.acks_until(1)
                # Another phase each time, else all would meet the same moment of the shard's polling.
                time.sleep(max(0.0, 1 - took) * random.uniform(0.5, 1.5))
    finally:
        stack.kill()
        shutil.rmtree(folder, ignore_errors=True)
    latencies.sort()
    print(
        f"one event a second, {count} events: from the Beat's socket into Elasticsearch in\n"
        f"  median {statistics.median(latencies):.3f} s   95 % within {latencies[int(len(latencies) * 0.95)]:.3f} s"
        f"   worst {latencies[-1]:.3f} s   (goal: 1 s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
