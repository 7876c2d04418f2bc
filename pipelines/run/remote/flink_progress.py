"""`flink_progress` says how far a job on Flink is: events acknowledged, the rate, the lag, the last checkpoint.

The numbers are the connectors' own, as Flink's REST API passes them on at the end of a bundle. They begin from zero when
Flink starts the job again. The lag is a moment (durable until) held against the clock here, since a
distance would stand still with the sink that is dead.
"""

import dataclasses
import re
import time

from penstock.pipelines.run.remote.flink import FlinkCluster

__all__ = ["Progress", "look"]

_ACKNOWLEDGED = "acknowledge_events"
_WRITTEN = "elasticsearch_documents"
_LETTERS = "acknowledge_dead_letters"
_PENDING = "beats_pending_events"
_DURABLE = "kinesis_durable_until_ms_"
_WANTED = re.compile(rf"{_ACKNOWLEDGED}|{_WRITTEN}|{_LETTERS}|{_PENDING}|{_DURABLE}.*")


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a job is at one moment.

    Attributes:
        at_s: the moment, in seconds since 1970.
        began_s: since when the job is running, or running again.
        events: acknowledged since then; of a batch job: written.
        letters: of them, kept as dead letters.
        pending: events of Beats that wait for their acknowledgement; None: no Beats are read.
        lag_s: how long ago the slowest shard was durable to its tip; None: no stream is read.
        checkpoint_s: how long ago the last checkpoint was complete; None: none is.
    """

    at_s: float
    began_s: float
    events: int
    letters: int
    pending: int | None
    lag_s: float | None
    checkpoint_s: float | None

    def describe(self, before: "Progress | None" = None) -> str:
        """In one line, with the rate since `before`, or since the job began."""
        since, events = self.began_s, self.events
        if before is not None and before.began_s == self.began_s:
            since, events = before.at_s, self.events - before.events
        took_s = max(self.at_s - since, 0.001)
        parts = [f"{self.events:,} events, {max(events, 0) / took_s:,.0f}/s in the last {took_s:,.0f} s"]
        if self.letters:
            parts.append(f"{self.letters:,} dead letters")
        if self.lag_s is not None:
            parts.append(f"{self.lag_s:,.1f} s behind")
        if self.pending is not None:
            parts.append(f"{self.pending:,} pending")
        parts.append(
            "no checkpoint yet"
            if self.checkpoint_s is None
            else f"last checkpoint {self.checkpoint_s:,.0f} s ago"
        )
        return ", ".join(parts)


def look(cluster: FlinkCluster, job_id: str) -> Progress:
    """Tells how far the job is now. Raises `PeerError` or `Unreachable` where Flink doesn't tell."""
    metrics = cluster.metrics(job_id, _WANTED)
    began_s = cluster.began_ms(job_id) / 1000
    checkpoint_ms = cluster.checkpointed_ms(job_id)
    now = time.time()
    durable = [most for name, (_, most) in metrics.items() if name.startswith(_DURABLE)]
    events, _ = metrics.get(_ACKNOWLEDGED) or metrics.get(_WRITTEN) or (0.0, 0.0)
    return Progress(
        at_s=now,
        began_s=began_s,
        events=int(events),
        letters=int(metrics.get(_LETTERS, (0.0, 0.0))[0]),
        pending=int(metrics[_PENDING][0]) if _PENDING in metrics else None,
        lag_s=max(0.0, now - min(durable) / 1000) if durable else None,
        checkpoint_s=max(0.0, now - checkpoint_ms / 1000) if checkpoint_ms else None,
    )
