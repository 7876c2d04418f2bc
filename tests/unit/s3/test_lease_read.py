"""The archive's source: the runner's positions are neither told nor believed, the lease table says all."""

import pytest

from penstock.io.archive.source import LeaseOnlyKinesis
from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.lease.table import MemoryLeases
from penstock.io.kinesis.read_options import KinesisReadOptions
from tests.simulator import KinesisSimulator


@pytest.fixture
def live():
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("logs", shards=1)
        for number in range(20):
            kinesis.put("logs", b"%d" % number, "key")
        options = KinesisReadOptions(
            kinesis_stream_name="logs",
            application_name="archive",
            checkpoints="none",
            checkpoint_interval_seconds=3600,
        )
        aws = AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="a", secret_key="b")
        store = MemoryLeases()
        made = LeaseOnlyKinesis("kinesis:logs:archive", options, aws, store=store)
        yield made, store
        made.close()


def taken(live):
    events, tokens = [], []
    while len(events) < 20:
        batch = live.take(10.0)
        assert batch is not None
        events += batch.events
        tokens += batch.receipt.tokens
    return events, tokens


def test_what_the_archive_holds_survives_readers_that_come_and_go(live):
    live, store = live
    live.resume(None)
    events, tokens = taken(live)
    assert live.position() is None
    last = events[-1].origin
    for mark in (
        None,
        {"shards": {last.shard_id: last.sequence_number}},
        {"shards": {last.shard_id: "TRIM_HORIZON"}},
    ):
        live.resume(mark)
        assert live.take(0.3) is None, "nothing is handed out twice"
        assert live.pending_events == 20
    assert set(live.shards_of(tokens).values()) == {last.shard_id}
    assert live.idle_for(0.0), "what waits for its upload does not keep a job from being idle"

    live.acknowledge(tokens)
    assert live.shards_of(tokens) == {}
    assert live.store_checkpoint(last.shard_id, 10.0)
    (lease,) = store.scan()
    assert str(lease.position.sequence_number) == last.sequence_number, (
        "stored although none was due for an hour"
    )


def test_a_failed_bundle_is_handed_out_again(live):
    live, _ = live
    live.resume(None)
    events, tokens = taken(live)
    live.requeue()
    again, same = taken(live)
    assert [event.data for event in again] == [event.data for event in events]
    assert same == tokens


def test_the_archive_finishes_before_the_last_checkpoints(live):
    live, store = live
    live.resume(None)
    events, tokens = taken(live)
    live.before_close = lambda: live.acknowledge(tokens)
    live.close()
    (lease,) = store.scan()
    assert str(lease.position.sequence_number) == events[-1].origin.sequence_number
