"""`demonstration` is `./run_local.sh [FILE ...]`: real lines go through both jobs, with proof that each arrived once."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.demo import evidence, jobs, logs, shipping
from local.demo.search_api import SearchApi
from local.demo.stack import Stack, foreign_elasticsearch
from local.demo.summary import Report, render
from local.processes import LocalError
from local.servers import cache
from local.terminal import Progress

__all__ = ["run"]

STALLED_S = 90.0
FEW_MINUTES = 3
SEARCH: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}


def run(
    given: Sequence[Path],
    limit: int | None,
    progress: Progress,
    *,
    on_flink: bool = False,
    build_filebeat: bool = False,
    product: str = "elasticsearch",
) -> int:
    """The demonstration, in two processes or on a Flink cluster.

    A Filebeat ships where one is installed, or where `build_filebeat` asks to build one; else our own client does.

    Returns 0 when every line shipped is in Elasticsearch exactly once, else 1.
    """
    files = logs.choose(given, limit)
    lines = sum(file.lines for file in files)
    progress.begin("")
    progress.done(f"{lines:,} lines of {_names(files)}")
    filebeat = shipping.find_filebeat(progress, build=build_filebeat)
    folder = cache.new_run_folder("demo")
    # In a server that is not ours, earlier documents must not be counted as this run's.
    foreign = foreign_elasticsearch(progress)
    prefix = f"penstock-{folder.name}".lower() if foreign else "penstock"
    stack = Stack(folder, prefix + "-%{+YYYY.MM.dd}", foreign, on_flink=on_flink, product=product)
    succeeded = False
    try:
        stack.start(progress)
        report = _ship_and_look(stack, files, filebeat, prefix + "-*", progress)
        print(render(report, utf8=progress.utf8), end="")
        succeeded = report.exactly_once
    finally:
        stack.kill()
        if succeeded:
            shutil.rmtree(folder, ignore_errors=True)
    if foreign:
        print(f"  The documents stay in {foreign}, in the indices {prefix}-*")
    if not succeeded:
        print(f"  Logs and dead letters are in {folder}")
    return 0 if succeeded else 1


def _names(files: Sequence[logs.LogFile]) -> str:
    names = ", ".join(file.path.name for file in files[:4])
    return names if len(files) <= 4 else f"{len(files)} files: {names}, ..."


def _ship_and_look(
    stack: Stack, files: Sequence[logs.LogFile], filebeat: Path | None, index: str, progress: Progress
) -> Report:
    lines = sum(file.lines for file in files)
    client = SearchApi(stack.elasticsearch_url)
    began = time.monotonic()
    progress.begin(f"shipping {lines:,} lines")
    with shipping.start(files, stack.beats_port, stack.folder, filebeat) as shipper:
        documents = _wait_for_documents(stack, shipper, client, index, lines, progress)
        seconds = time.monotonic() - began
        progress.done(f"{documents:,} documents are in Elasticsearch")
        shipped = shipper.finish()
    progress.begin("stopping the jobs and counting")
    for job in (stack.beats_job, stack.kinesis_job):
        if job is not None:
            progress.update(job.name)
            job.finish()
    assert stack.aws is not None
    stream = evidence.count_stream(stack.aws.client("kinesis"), jobs.STREAM)
    progress.update("Elasticsearch")
    arrival = evidence.arrival(client, index, files)
    minutes = _histogram(client, index, "1m")
    seconds_chart = _histogram(client, index, "1s") if len(minutes) < FEW_MINUTES else []
    progress.done("both jobs stopped cleanly; stream and documents are counted")
    return Report(
        shipper=shipper.name,
        files=len(files),
        lines=lines,
        acknowledged=shipped.acknowledged,
        resent=shipped.resent,
        stream=stream,
        arrival=arrival,
        dead_letters=evidence.count_dead_letters(stack.folder / "dead_letters"),
        seconds=seconds,
        documents=_newest(client, index),
        minutes=minutes,
        seconds_chart=seconds_chart,
    )


def _wait_for_documents(
    stack: Stack, shipper: "shipping.Shipper", client: Any, index: str, lines: int, progress: Progress
) -> int:
    """Waits until as many documents as lines are there, or nothing has moved for a while."""
    dead_letters = stack.folder / "dead_letters"
    last, moved = -1, time.monotonic()
    while True:
        stack.check()
        documents = evidence.count_documents(client, index)
        acknowledged = shipper.acknowledged
        if documents + evidence.count_dead_letters(dead_letters) >= lines and shipper.complete:
            return documents
        state = documents + (acknowledged or 0)
        if state != last:
            last, moved = state, time.monotonic()
        elif time.monotonic() - moved > STALLED_S:
            if shipper.failure:
                raise LocalError(shipper.failure)
            return documents
        told = "" if acknowledged is None else f"acknowledged {acknowledged:,}, "
        progress.update(f"{told}in Elasticsearch {documents:,}")
        time.sleep(0.2)


def _newest(client: Any, index: str) -> list[dict[str, Any]]:
    order = [{"@timestamp": {"order": "desc"}}, {"log.offset": {"order": "desc", "unmapped_type": "long"}}]
    hits = client.search(index=index, size=3, sort=order, **SEARCH)["hits"]["hits"]
    return [hit["_source"] for hit in hits]


def _histogram(client: Any, index: str, interval: str) -> list[tuple[int, int]]:
    """Elasticsearch's own count of events an interval: (beginning in ms since 1970, count), oldest first."""
    histogram = {"date_histogram": {"field": "@timestamp", "fixed_interval": interval}}
    reply = client.search(index=index, size=0, aggregations={"when": histogram}, **SEARCH)
    found = reply.get("aggregations", {}).get("when", {}).get("buckets", [])
    return [(int(bucket["key"]), int(bucket["doc_count"])) for bucket in found]
