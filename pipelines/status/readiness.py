"""Whether a job is connected and keeps up; if not, why. Pure."""

from collections.abc import Sequence

from penstock.io.status import ShardStatus, SourceStatus

__all__ = ["reasons_against"]


def reasons_against(
    sources: Sequence[SourceStatus],
    *,
    starting: bool,
    stopping: bool,
    failure: str,
    max_lag_s: float,
) -> list[str]:
    """Why the job is not ready, most telling first; empty when it is.

    Args:
        sources: its live sources; a batch job has none.
        starting: whether it waits for its first source.
        stopping: whether it was asked to stop.
        failure: why it ends; empty if it doesn't.
        max_lag_s: it keeps up while nothing waits longer, in seconds.
    """
    reasons = [f"failed: {failure}"] if failure else []
    reasons += [f"failed: {source.failure}" for source in sources if source.failure and not failure]
    if stopping:
        reasons.append("stopping: nothing more is read")
    elif starting:
        reasons.append("starting: nothing is read yet")
    for source in sources:
        if not source.connected and not source.stopping:
            reasons.append(f"not connected: {source.text}")
        if source.lag_s > max_lag_s + source.patience_s:
            shards = [peer for peer in source.peers if isinstance(peer, ShardStatus)]
            most = max_lag_s + source.patience_s
            slow = [each for each in shards if each.behind_s is not None and each.behind_s > most]
            which = f" ({len(slow)} of {len(shards)} shards)" if slow else ""
            reasons.append(
                f"not keeping up: {source.lag_s:,.0f} s behind{which}, --status_max_lag is {max_lag_s:g} s"
            )
    return reasons
