"""`outlook` tells where a lag leads at the pace of the last minute: caught up, or at the end of the stream's retention.

Problem. "Two hours behind" can be a job that is nearly done with an outage, or one that loses events tonight.

Plan. The largest lag, and the least slack of all shards (how long their oldest event is still kept), are numbers of each
sample. Their change over a minute is the pace. A lag that is short, or meant (an archive fills its files), has no outlook.
"""

from collections.abc import Sequence
from typing import NamedTuple

from penstock.io.chain.source_status import ShardStatus, SourceStatus
from penstock.pipelines.status.picture import Sample

__all__ = ["LAG", "SLACK", "Outlook", "numbers_of", "outlook"]

LAG, SLACK = "lag_s", "slack_s"
_LEAST_LAG_S = 10.0
_LEAST_PASSED_S = 20.0
_LEAST_PACE = 0.01
"""Seconds per second: below it a lag counts as steady."""


class Outlook(NamedTuple):
    """Where the lag leads at the present pace. Each is None where it doesn't lead there.

    Attributes:
        lost_in_s: seconds until the oldest event that is not durable is dropped by the stream.
        caught_up_in_s: seconds until nothing is behind.
    """

    lost_in_s: float | None = None
    caught_up_in_s: float | None = None


def numbers_of(sources: Sequence[SourceStatus]) -> dict[str, float]:
    """Gives the numbers of a sample from which `outlook` is made; none where no lag is known."""
    late = [source.lag_s for source in sources if source.lag_s > source.patience_s + _LEAST_LAG_S]
    found = {LAG: max(late)} if late else {}
    slacks = [
        peer.retention_s - peer.behind_s
        for source in sources
        for peer in source.peers
        if isinstance(peer, ShardStatus) and peer.retention_s is not None and peer.behind_s is not None
    ]
    return found | ({SLACK: max(0.0, min(slacks))} if slacks else {})


def outlook(now: Sample, minute: Sample) -> Outlook:
    """Compares the newest sample with that of a minute before."""
    passed = now.at - minute.at
    lag, lag_before = now.numbers.get(LAG), minute.numbers.get(LAG)
    if passed < _LEAST_PASSED_S or lag is None or lag_before is None:
        return Outlook()
    slack, slack_before = now.numbers.get(SLACK), minute.numbers.get(SLACK)
    if slack is not None and slack_before is not None:
        pace = (slack_before - slack) / passed
        if slack == 0.0:
            return Outlook(lost_in_s=0.0)
        if pace > _LEAST_PACE:
            return Outlook(lost_in_s=slack / pace)
    pace = (lag_before - lag) / passed
    return Outlook(caught_up_in_s=lag / pace) if pace > _LEAST_PACE else Outlook()
