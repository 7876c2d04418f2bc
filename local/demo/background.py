"""`background` keeps a stack running after the command has ended (`up`, `down`, `status`), by a state file.

The file is in the cache and names each process by pid and start time, so that `down` finds it from any
checkout, and never ends a stranger who got a recycled pid.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.demo.stack import Stack, foreign_elasticsearch
from local.processes import Handle, LocalError, release_all
from local.servers import cache
from local.terminal import Progress

__all__ = ["down", "status", "up"]

STOP_TIMEOUT_S = 45.0
INDEX = "penstock"


def _state_file() -> Path:
    return cache.cache_folder() / "up.json"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (cache.cache_folder() / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another ./run_local.sh up or down is at work; wait for it."
            raise LocalError(message) from None
        yield


def _load() -> tuple[dict[str, Any], list[Handle]]:
    try:
        state: dict[str, Any] = json.loads(_state_file().read_text())
    except OSError:
        return {}, []
    return state, [Handle(each["name"], each["pid"], each["started"]) for each in state["processes"]]


def up(progress: Progress, *, on_flink: bool = False, product: str = "elasticsearch") -> int:
    """Starts servers and jobs, on a Flink cluster if asked to, and leaves them running."""
    with _one_at_a_time():
        _, running = _load()
        if any(process.alive for process in running):
            message = "it is up already; ./run_local.sh status tells where, ./run_local.sh down ends it."
            raise LocalError(message)
        folder = cache.new_run_folder("up")
        foreign = foreign_elasticsearch(progress)
        index = INDEX + "-%{+YYYY.MM.dd}"
        stack = Stack(folder, index, foreign, usual_ports=True, on_flink=on_flink, product=product)
        try:
            stack.start(progress)
            state = {
                "folder": str(folder),
                "beats": f"127.0.0.1:{stack.beats_port}",
                "elasticsearch": stack.elasticsearch_url,
                "aws": stack.endpoint_url,
                "flink": stack.flink.url if stack.flink else "",
                "flink_options": " ".join(stack.flink.options) if stack.flink else "",
                "pages": stack.pages,
                "processes": [process.to_json() for process in stack.processes],
            }
            (folder / "up.json").write_text(json.dumps(state))
            shutil.copy(folder / "up.json", _state_file())
            release_all()
        except BaseException:
            stack.kill()
            raise
    print(_guide(state))
    return 0


def _guide(state: dict[str, Any]) -> str:
    elasticsearch, program = state["elasticsearch"], Path(__file__).with_name("beats_client.py")
    return f"""
It runs until ./run_local.sh down, which drops its data too. Logs: {state["folder"]}

Point Filebeat at it, in filebeat.yml (no output.elasticsearch beside it):

    output.logstash:
      hosts: ["{state["beats"]}"]

or ship a file without Filebeat:

    .venv/bin/python -P {program} --host 127.0.0.1 --port {state["beats"].rpartition(":")[2]} FILE

Look at what arrived, in a browser:

    {elasticsearch}/{INDEX}-*/_search?sort=@timestamp:desc&size=20&pretty
    {elasticsearch}/{INDEX}-*/_search?q=message:error&pretty
    {elasticsearch}/{INDEX}-*/_count?pretty
    {elasticsearch}/_cat/indices/{INDEX}-*?v

Kinesis and DynamoDB are at {state["aws"]} (any credentials), for example:

    aws --endpoint-url {state["aws"]} --region us-east-1 kinesis list-shards --stream-name kinesis_poc
{_pages_guide(state["pages"])}{_flink_guide(state)}"""


def _pages_guide(pages: list[str]) -> str:
    if not pages:
        return ""
    listed = "\n    ".join(pages)
    return f"""
What the jobs do, live, beats-to-kinesis first:

    {listed}
"""


def _flink_guide(state: dict[str, Any]) -> str:
    if not state["flink"]:
        return ""
    return f"""
Both jobs run on Flink; its page tells of them, their tasks and their counters:

    {state["flink"]}

What its Python workers log is in {state["folder"]}/flink/workers

Its two slots are taken. Cancel a job there, and one of yours runs with these options:

    {state["flink_options"]}
"""


def status(progress: Progress) -> int:
    """What of it runs: exit code 0 when all does, 1 otherwise."""
    state, processes = _load()
    if not processes:
        print("It is not up. ./run_local.sh up starts it.")
        return 1
    for process in processes:
        print(f"  {process.name:<26} {'runs' if process.alive else 'ended':<6} pid {process.pid}")
    for name, key in (
        *(("Beats", "beats"), ("Elasticsearch", "elasticsearch")),
        *(("Kinesis, DynamoDB", "aws"), ("Flink", "flink")),
    ):
        if state.get(key):
            print(f"  {name:<26} {state[key]}")
    for page in state.get("pages", []):
        print(f"  {'status page':<26} {page}")
    print(f"  {'logs':<26} {state['folder']}")
    return 0 if all(process.alive for process in processes) else 1


def down(progress: Progress) -> int:
    """Ends all that `up` started: the jobs first, cleanly, then their servers."""
    with _one_at_a_time():
        state, processes = _load()
        if not processes:
            print("It is not up; nothing to end.")
            return 0
        for process in processes:
            if not process.alive:
                print(f"{progress.cross} {process.name} had ended before; see {state['folder']}")
                continue
            progress.begin(f"ending {process.name}")
            began = time.monotonic()
            clean = process.stop(STOP_TIMEOUT_S)
            how = "ended" if clean else f"did not end within {time.monotonic() - began:.0f} s and was killed"
            progress.done(f"{process.name} {how}")
            process.kill()
        shutil.rmtree(state["folder"], ignore_errors=True)
        _state_file().unlink(missing_ok=True)
    return 0
