"""`readiness` judges whether a job is connected and keeps up, and says why not. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence

from penstock.io.chain.source_status import ShardStatus, SourceStatus

__all__ = ["Trouble", "reasons_against"]

UNANSWERED_S = 10.0
"""Seconds. A step that waits longer for a peer that does not answer at all is not connected."""
_UNANSWERED = ("no_answer", "ConnectionError")
_LAST_MINUTE_S = 60.0
_MOST_UNREAD = 10


@dataclasses.dataclass(frozen=True)
class Trouble:
    """Why a request to a peer had to be tried again last.

    Attributes:
        request: which kind of request, in words.
        reason: a status, an error code, or `no_answer`.
        ago_s: how long ago, in seconds.
        words: the reason in words, with the peer's address, where it says more.
    """

    request: str
    reason: str
    ago_s: float
    words: str = ""

    def __str__(self) -> str:
        return f"{self.request}: {self.words or self.reason.replace('_', ' ')}"


def reasons_against(
    sources: Sequence[SourceStatus],
    *,
    starting: bool,
    stopping: bool,
    failure: str,
    max_lag_s: float,
    waits: Mapping[str, float],
    troubles: Sequence[Trouble],
) -> list[str]:
    """Gives the reasons why the job is not ready, the most important first; none when it is.

    Args:
        sources: its live sources; a batch job has none.
        starting: whether it waits for its first source.
        stopping: whether it was asked to stop.
        failure: why it ends; empty if it doesn't.
        max_lag_s: it keeps up while nothing waits longer, in seconds.
        waits: step -> seconds for which its present call has lasted.
        troubles: the last trouble of each kind of request.
    """
    reasons = [f"failed: {failure}"] if failure else []
    reasons += [f"failed: {source.failure}" for source in sources if source.failure and not failure]
    if stopping:
        reasons.append("stopping: nothing more is read")
    elif starting:
        reasons.append("starting: nothing is read yet")
    step, wait_s = max(waits.items(), key=lambda each: each[1], default=("", 0.0))
    meanwhile = [each for each in troubles if each.ago_s <= wait_s]
    lately = [each for each in troubles if each.ago_s <= max(wait_s, _LAST_MINUTE_S)]
    if wait_s > UNANSWERED_S and any(each.reason in _UNANSWERED for each in meanwhile):
        reasons.append(f"not connected: {_told(meanwhile)}; {step} waits for {wait_s:,.0f} s")
    for source in sources:
        if not source.connected and not source.stopping:
            reasons.append(f"not connected: {source.text}")
        if source.unread and not source.stopping:
            reasons += [f"not read: {line}" for line in source.unread[:_MOST_UNREAD]]
            if len(source.unread) > _MOST_UNREAD:
                reasons.append(f"not read: {len(source.unread) - _MOST_UNREAD:,} more")
        if source.lag_s > max_lag_s + source.patience_s:
            shards = [peer for peer in source.peers if isinstance(peer, ShardStatus)]
            most = max_lag_s + source.patience_s
            slow = [each for each in shards if each.behind_s is not None and each.behind_s > most]
            which = f" ({len(slow)} of {len(shards)} shards)" if slow else ""
            why = f"; tried again lately: {_told(lately)}" if lately else ""
            reasons.append(
                f"not keeping up: {source.lag_s:,.0f} s behind{which}, --status_max_lag is {max_lag_s:g} s{why}"
            )
    return reasons


def _told(troubles: Sequence[Trouble]) -> str:
    return ", ".join(map(str, troubles))
