"""`metrics` writes all numbers of a job in Prometheus' text format.

It writes every series of `METERS`, and the present numbers of the live sources. Labels are steps, sources, shards, kinds
of requests and errors, all bounded. A client's address is no label, because each connection would leave a series behind.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Sequence

from penstock.io.chain.source_status import ClientStatus, ShardStatus, SourceStatus
from penstock.io.meters import BOUNDS_S, Reading
from penstock.pipelines.status.picture import JobFacts, Picture
from penstock.pipelines.status.report import MAX_SHARDS
from penstock.pipelines.status.seen import Series, WorkerStatus

__all__ = ["CONTENT_TYPE", "metrics_of", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Rows = Iterable[tuple[Sequence[str], float]]


def metrics_text(job: JobFacts, picture: Picture) -> bytes:
    """Makes the answer to /metrics of one job."""
    text = _Text()
    _about(text, job, picture)
    return text.encode()


def metrics_of(jobs: Iterable[tuple[JobFacts, Picture]]) -> bytes:
    """Makes the answer to /metrics of several jobs: every number has the label `name`, the job's."""
    text = _Text()
    for job, picture in jobs:
        text.job = job.name
        _about(text, job, picture)
    return text.encode()


def _about(text: "_Text", job: JobFacts, picture: Picture) -> None:
    _about_the_job(text, job, picture)
    _about_sources(text, picture.sources)
    for name, counters in picture.seen.counters.items():
        text.add(name, "counter", counters.text, counters.labels, counters.rows.items())
    for name, histograms in picture.seen.histograms.items():
        text.add_histograms(name, histograms)
    if picture.seen.workers:
        _about_workers(text, picture.seen.workers)


def _about_the_job(text: "_Text", job: JobFacts, picture: Picture) -> None:
    text.add("penstock_info", "gauge", "Which job of which release this is.", ("name", "version"),
             [((job.name, job.version), 1)])  # fmt: skip
    text.add("penstock_ready", "gauge", "Whether the job is connected and keeps up, as /readyz says.", (),
             [((), float(not picture.reasons))])  # fmt: skip
    text.add("process_start_time_seconds", "gauge", "When the job started, in seconds since 1970.", (),
             [((), job.started_at)])  # fmt: skip
    text.add("process_cpu_seconds_total", "counter", "CPU time used.", (), [((), picture.seen.cpu_s)])
    text.add("process_resident_memory_bytes", "gauge", "Memory resident.", (),
             [((), picture.seen.resident_bytes)])  # fmt: skip


def _about_sources(text: "_Text", sources: Sequence[SourceStatus]) -> None:
    def each(name: str, kind: str, help_text: str, field: str) -> None:
        rows = [((source.key,), float(getattr(source, field))) for source in sources]
        text.add(name, kind, help_text, ("source",), rows)

    each("penstock_source_connected", "gauge", "Whether events can arrive.", "connected")
    each("penstock_source_events_total", "counter", "Events taken in.", "events")
    each("penstock_source_bytes_total", "counter", "Payload of the events taken in.", "bytes")
    each(
        "penstock_source_acknowledged_events_total",
        "counter",
        "Events that are durable.",
        "acknowledged_events",
    )
    each(
        "penstock_source_returned_chunks_total", "counter", "Chunks handed out again, because a bundle failed.",
        "returned_chunks",
    )  # fmt: skip
    each("penstock_source_pending_events", "gauge", "Taken in, not yet durable.", "pending_events")
    each("penstock_source_pending_events_limit", "gauge", "As many may be pending.", "max_pending_events")
    each(
        "penstock_source_pending_bytes",
        "gauge",
        "Memory of what is taken in and not yet durable.",
        "pending_bytes",
    )
    each(
        "penstock_source_pending_bytes_limit", "gauge", "As much memory may be pending.", "max_pending_bytes"
    )
    each("penstock_source_lag_seconds", "gauge", "Age of the oldest event that is not durable.", "lag_s")
    each(
        "penstock_source_intended_lag_seconds", "gauge",
        "How much of the lag is intended, as where an archive fills its files.", "patience_s",
    )  # fmt: skip
    text.add(
        "penstock_source_unread_shards", "gauge", "Shards of the stream that no living worker reads.", ("source",),
        [((source.key,), float(len(source.unread))) for source in sources],
    )  # fmt: skip
    _about_shards(text, sources)
    connections = [
        ((source.key,), float(len(clients)))
        for source in sources
        if (clients := [peer for peer in source.peers if isinstance(peer, ClientStatus)])
        or source.key.startswith("beats ")
    ]
    text.add("penstock_beats_connections", "gauge", "Clients connected now.", ("source",), connections)


def _about_shards(text: "_Text", sources: Sequence[SourceStatus]) -> None:
    shards = [
        (source.key, peer) for source in sources for peer in source.peers if isinstance(peer, ShardStatus)
    ][:MAX_SHARDS]
    labels = ("source", "shard_id")

    def each(name: str, kind: str, help_text: str, field: str) -> None:
        rows = [
            ((key, shard.shard_id), float(value))
            for key, shard in shards
            if (value := getattr(shard, field)) is not None
        ]
        text.add(name, kind, help_text, labels, rows)

    each(
        "penstock_shard_behind_seconds",
        "gauge",
        "Age of the shard's oldest record that is not durable, or its distance from the tip.",
        "behind_s",
    )
    each(
        "penstock_shard_retention_seconds", "gauge", "For how long the stream keeps the shard's records.",
        "retention_s",
    )  # fmt: skip
    each("penstock_shard_events_total", "counter", "Events read since the lease was taken.", "events")
    each("penstock_shard_bytes_total", "counter", "Bytes read since the lease was taken.", "bytes")
    each("penstock_shard_throttled_total", "counter", "Reads that Kinesis put off.", "throttled")
    each(
        "penstock_shard_checkpoint_age_seconds", "gauge", "Time since the last checkpoint was written.",
        "checkpoint_age_s",
    )  # fmt: skip
    each(
        "penstock_shard_checkpoint_due",
        "gauge",
        "Whether more is durable than the checkpoint says.",
        "unwritten",
    )


def _about_workers(text: "_Text", workers: Sequence[WorkerStatus]) -> None:
    """Writes the numbers of each worker under names of their own: a sum over the others' names must count nothing twice."""

    def each(name: str, kind: str, help_text: str, field: str) -> None:
        rows = [((str(worker.number),), float(getattr(worker, field))) for worker in workers]
        text.add(name, kind, help_text, ("worker",), rows)

    each("penstock_worker_ready", "gauge", "Whether the worker is connected.", "ready")
    each("penstock_worker_restarts_total", "counter", "How often it was started again.", "restarts")
    each("penstock_worker_events_total", "counter", "Events that it has taken in.", "events")
    each(
        "penstock_worker_acknowledged_events_total",
        "counter",
        "Events of it that are durable.",
        "acknowledged_events",
    )
    each("penstock_worker_pending_events", "gauge", "Taken in by it, not yet durable.", "pending_events")
    each("penstock_worker_lag_seconds", "gauge", "Age of its oldest event that is not durable.", "lag_s")
    each("penstock_worker_cpu_seconds_total", "counter", "CPU time that it used.", "cpu_s")
    each("penstock_worker_resident_memory_bytes", "gauge", "Its memory resident.", "resident_bytes")


class _Text:
    """The lines of each family, which must stand together. `job` is the job that they are about, where there are several."""

    def __init__(self) -> None:
        self.families: dict[str, list[str]] = {}
        self.job = ""

    def encode(self) -> bytes:
        return "".join(line for lines in self.families.values() for line in lines).encode()

    def add(self, name: str, kind: str, help_text: str, labels: Sequence[str], rows: Rows) -> None:
        lines = self._family(name, kind, help_text)
        for values, number in rows:
            lines.append(self._line(name, zip(labels, values, strict=True), number))

    def add_histograms(self, name: str, series: Series[Reading]) -> None:
        lines = self._family(name, "histogram", series.text)
        for values, reading in series.rows.items():
            labels = list(zip(series.labels, values, strict=True))
            total = 0
            for bound, count in zip((*BOUNDS_S, float("inf")), reading.counts, strict=True):
                total += count
                written = "+Inf" if bound == float("inf") else f"{bound:g}"
                lines.append(self._line(f"{name}_bucket", [*labels, ("le", written)], total))
            lines.append(self._line(f"{name}_sum", labels, reading.sum))
            lines.append(self._line(f"{name}_count", labels, total))

    def _family(self, name: str, kind: str, help_text: str) -> list[str]:
        escaped = help_text.replace("\\", "\\\\").replace("\n", "\\n")
        return self.families.setdefault(name, [f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"])

    def _line(self, name: str, labels: Iterable[tuple[str, str]], number: float) -> str:
        given = dict(labels)
        if self.job:
            given.setdefault("name", self.job)
        pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in given.items())
        written = str(int(number)) if number == int(number) else repr(number)
        return f"{name}{{{pairs}}} {written}\n" if pairs else f"{name} {written}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
