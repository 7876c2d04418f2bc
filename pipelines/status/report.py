"""`report` makes one JSON document of everything that the page shows: numbers and words, no markup. It cuts long lists."""

from collections import Counter
from typing import Any

from penstock.io.chain.source_status import ClientStatus, ShardStatus, SourceStatus
from penstock.io.meters import METERS, Reading, quantile
from penstock.pipelines.status.outlook import outlook
from penstock.pipelines.status.picture import JobFacts, Picture
from penstock.pipelines.status.seen import Seen, WorkerStatus
from penstock.pipelines.status.step_meters import Step

__all__ = ["in_short", "of", "title_of"]

MAX_SHARDS = 500
MAX_CLIENTS = 200
MAX_KINDS = 30

_TITLES = {
    "elasticsearch_bulk": "Bulk to Elasticsearch",
    "kinesis_get_records": "GetRecords from Kinesis",
    "kinesis_put_records": "PutRecords to Kinesis",
    "s3_put_object": "Upload to S3",
}


def title_of(request: str) -> str:
    """Gives a kind of request in words."""
    return _TITLES.get(request, request.replace("_", " "))


def of(job: JobFacts, picture: Picture) -> dict[str, Any]:
    """Makes the document.

    Keys: `job`, `totals`, `steps`, `sources` (with `shards` or `clients`), `requests`, `dead_letters`, `warnings`,
    `workers`.
    """
    numbers, rate = picture.now.numbers, picture.rate
    return {
        "job": {
            "name": job.name,
            "version": job.version,
            "runner": job.runner,
            "started_at": job.started_at,
            "at": picture.at,
            "ready": not picture.reasons,
            "reasons": picture.reasons,
            "stopping": any(reason.startswith("stopping") for reason in picture.reasons),
            "progress": None if picture.progress is None else picture.progress._asdict(),
            "cpu_s": picture.seen.cpu_s,
            "resident_bytes": picture.seen.resident_bytes,
        },
        "totals": {
            "in": numbers.get("in", 0),
            "in_per_s": rate("in"),
            "out": numbers.get("out", 0),
            "out_per_s": rate("out"),
            "bytes_per_s": rate("bytes"),
            "lag_s": picture.lag_s,
            **outlook(picture.now, picture.minute)._asdict(),
            "pending": picture.pending,
            "max_pending": sum(source.max_pending_events for source in picture.sources),
            "dead_letters": numbers["dead_letters"],
            "dead_letters_per_s": rate("dead_letters"),
            "retries": numbers["retries"],
            "retries_per_s": rate("retries"),
            "delivery": _percentiles(picture.now.delivered_since(picture.minute)),
        },
        "steps": [_step(job.steps, step, picture) for step in job.steps],
        "sources": [_source(source) for source in picture.sources],
        "requests": [_request(name, picture) for name in sorted(picture.now.requests)],
        "dead_letters": {
            "total": numbers["dead_letters"],
            "kinds": _kinds(picture.seen),
            "last": [letter._asdict() for letter in picture.seen.letters],
        },
        "warnings": [warned._asdict() for warned in picture.seen.warnings],
        "workers": [_worker(worker, picture) for worker in picture.seen.workers],
    }


def in_short(job: JobFacts, picture: Picture) -> dict[str, Any]:
    """Makes what the page of one job says of the others beside it."""
    return {
        "name": job.name,
        "ready": not picture.reasons,
        "reason": next(iter(picture.reasons), ""),
        "in_per_s": picture.rate("in"),
        "out_per_s": picture.rate("out"),
        "lag_s": picture.lag_s,
        "pending": picture.pending,
        "dead_letters": picture.now.numbers["dead_letters"],
        "workers": len(picture.seen.workers),
        "progress": None if picture.progress is None else picture.progress.text,
    }


def _worker(worker: WorkerStatus, picture: Picture) -> dict[str, Any]:
    name = f"worker {worker.number}"
    return {
        **worker._asdict(),
        "in_per_s": picture.rate(f"{name} in"),
        "out_per_s": picture.rate(f"{name} out"),
        "cpu": picture.rate(f"{name} cpu_s"),
    }


def _step(steps: list[Step], step: Step, picture: Picture) -> dict[str, Any]:
    """Gives a step's numbers. Those of a source come from its live source; its bytes are those taken in."""
    name, numbers, rate = step.name, picture.now.numbers, picture.rate
    is_source = not step.after
    is_last = not any(name in other.after for other in steps)
    out, processes = f"{name} events_out", max(1, len(picture.seen.workers))
    if is_source:
        events, each_s, bytes_s = numbers.get("in", 0), rate("in"), rate("bytes")
    else:
        events, each_s = numbers.get(f"{name} events_in", 0), rate(f"{name} events_in")
        bytes_s = rate(f"{name} bytes_in")
    return {
        "name": name,
        "after": step.after,
        "kind": "source" if is_source else "last" if is_last else "step",
        "metered": step.metered or is_source,
        "events": events,
        "events_per_s": each_s,
        "out_per_s": rate(out) if step.metered else None,
        "bytes_per_s": bytes_s,
        "refused": numbers.get(f"{name} refused", 0),
        "refused_per_s": rate(f"{name} refused"),
        "failures": numbers.get(f"{name} failures", 0),
        "busy": min(1.0, rate(f"{name} busy_s") / processes) if step.metered and not is_source else None,
    }


def _source(source: SourceStatus) -> dict[str, Any]:
    shards = [peer for peer in source.peers if isinstance(peer, ShardStatus)]
    clients = [peer for peer in source.peers if isinstance(peer, ClientStatus)]
    shards.sort(key=lambda shard: (-(shard.behind_s or 0.0), shard.shard_id))
    clients.sort(key=lambda client: (-client.pending_events, client.address))
    told = {name: value for name, value in source._asdict().items() if name != "peers"}
    return {
        **told,
        "shards": [shard._asdict() for shard in shards[:MAX_SHARDS]],
        "shard_count": len(shards),
        "clients": [client._asdict() for client in clients[:MAX_CLIENTS]],
        "client_count": len(clients),
    }


def _request(name: str, picture: Picture) -> dict[str, Any]:
    now, recent = picture.now.requests[name], picture.recent.requests.get(name)
    passed = picture.now.at - picture.recent.at
    new = now.since(recent).total
    return {
        "name": name,
        "title": title_of(name),
        "total": now.total,
        "per_s": new / passed if passed > 0 else 0.0,
        "bytes_per_s": picture.rate(f"sent {name}"),
        **_percentiles(now.since(picture.minute.requests.get(name))),
        "retries": _retries(name, picture.seen),
    }


def _percentiles(reading: Reading) -> dict[str, float | None]:
    return {f"p{share}": quantile(reading, share / 100) for share in (50, 95, 99)}


def _retries(request: str, seen: Seen) -> list[dict[str, Any]]:
    found = Counter(
        {
            labels[1].replace("_", " "): count
            for labels, count in seen.rows(METERS.retries.name).items()
            if labels[0] == request
        }
    )
    return [{"reason": reason, "count": count} for reason, count in found.most_common(MAX_KINDS)]


def _kinds(seen: Seen) -> list[dict[str, Any]]:
    found = Counter(seen.rows(METERS.dead_letters.name))
    return [
        {"stage": stage, "error": error, "count": count}
        for (stage, error), count in found.most_common(MAX_KINDS)
    ]
