"""An outlook tells whether a lag is caught up, or lost to the stream's retention, and when."""

import pytest

from penstock.io.chain.source_status import ShardStatus, SourceStatus
from penstock.pipelines.status.outlook import Outlook, numbers_of, outlook
from penstock.pipelines.status.picture import Sample

HOUR_S = 3600.0


def shard(behind_s, retention_s=24 * HOUR_S):
    return ShardStatus(
        "shardId-1", behind_s, 10, 100, 0, "49:3", 3.0, unwritten=True, retention_s=retention_s
    )


def source(*behind_s, lag_s=None, patience_s=0.0, retention_s=24 * HOUR_S):
    known = [each for each in behind_s if each is not None]
    return SourceStatus(
        key="kinesis", text="", connected=True, stopping=False, failure="", events=0, bytes=0, acknowledged_events=0,
        returned_chunks=0, pending_events=0, pending_bytes=0, max_pending_events=1, max_pending_bytes=1,
        lag_s=max(known, default=0.0) if lag_s is None else lag_s, patience_s=patience_s,
        peers=[shard(each, retention_s) for each in behind_s],
    )  # fmt: skip


def between(before, after, passed=60.0):
    return outlook(
        Sample(1000.0 + passed, numbers_of([after]), {}, {}, {}),
        Sample(1000.0, numbers_of([before]), {}, {}, {}),
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # One second per second: the shard stands still, and 22 hours are left.
        (source(2 * HOUR_S - 60), source(2 * HOUR_S), Outlook(lost_in_s=22 * HOUR_S)),
        # A quarter of that.
        (source(2 * HOUR_S - 15), source(2 * HOUR_S), Outlook(lost_in_s=88 * HOUR_S)),
        # The slowest shard counts, not the others, and one that was not read yet is no shard to judge by.
        (source(0.0, 2 * HOUR_S - 60, None), source(0.0, 2 * HOUR_S, None), Outlook(lost_in_s=22 * HOUR_S)),
        (source(600.0), source(480.0), Outlook(caught_up_in_s=240.0)),
        (source(25 * HOUR_S), source(25 * HOUR_S), Outlook(lost_in_s=0.0)),
        # Steady, short, or meant: nothing to tell.
        (source(600.0), source(600.2), Outlook()),
        (source(0.2), source(9.0), Outlook()),
        (source(100.0, patience_s=120.0), source(129.0, patience_s=120.0), Outlook()),
        # No shards, as of Beats: nobody drops anything, but it catches up.
        (source(lag_s=40.0), source(lag_s=100.0), Outlook()),
        (source(lag_s=100.0), source(lag_s=40.0), Outlook(caught_up_in_s=40.0)),
        (source(100.0, retention_s=None), source(160.0, retention_s=None), Outlook()),
    ],
)
def test_the_outlook_of_a_minute(before, after, expected):
    found = between(before, after)
    for name, value in expected._asdict().items():
        assert getattr(found, name) == (None if value is None else pytest.approx(value)), name


def test_a_few_seconds_are_no_pace():
    assert between(source(100.0), source(110.0), passed=10.0) == Outlook()
