"""The shard map: lookup by hash key, paging, refreshing at once and from time to time."""

import threading
from collections.abc import Iterator

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import NotFound, PeerError, PenstockError
from penstock.io.kinesis.shard_map import LiveShardMap, Shard, ShardMap, list_shards
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until


@pytest.fixture
def kinesis() -> Iterator[KinesisSimulator]:
    with KinesisSimulator() as simulator:
        yield simulator


def _session(kinesis: KinesisSimulator) -> AwsSession:
    return AwsSession(AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="key", secret_key="secret"))


def test_all_pages_with_parents_and_closed_shards(kinesis: KinesisSimulator) -> None:
    kinesis.create_stream("orders", shards=3)
    kinesis.split("orders", "shardId-000000000000")
    kinesis.merge("orders", "shardId-000000000001", "shardId-000000000002")
    kinesis.page_size = 2
    shards = list_shards(_session(kinesis), "orders")
    assert kinesis.faults.calls["ListShards"] == 3
    assert [shard.shard_id[-1] for shard in shards] == list("012345")
    assert [shard.closed for shard in shards] == [True, True, True, False, False, False]
    assert shards[3].parents == ("shardId-000000000000",)
    assert shards[5].parents == ("shardId-000000000001", "shardId-000000000002")
    found = ShardMap(shards)
    assert [shard.shard_id[-1] for shard in found.open] == list("345")
    for shard in found.open:
        assert found.find(shard.start) is found.find(shard.end) is shard


def test_by_arn(kinesis: KinesisSimulator) -> None:
    stream = kinesis.create_stream("orders", shards=3)
    kinesis.page_size = 1
    assert len(list_shards(_session(kinesis), stream.arn)) == 3


def test_a_missing_stream_is_one_line(kinesis: KinesisSimulator) -> None:
    with pytest.raises(
        NotFound,
        match=r"cannot list the shards of stream nowhere: .*stream/nowhere does not exist in us-east-1",
    ):
        list_shards(_session(kinesis), "nowhere")


def test_a_gap_in_the_map_belongs_to_nobody() -> None:
    found = ShardMap([Shard("a", (), 10, 19, "0", None), Shard("b", (), 30, 39, "0", None)])
    assert [found.find(key) and found.find(key).shard_id for key in (9, 10, 19, 20, 30, 39, 40)] == [  # type: ignore[union-attr]
        None, "a", "a", None, "b", "b", None,
    ]  # fmt: skip


def _shard(name: str) -> Shard:
    return Shard(name, (), 0, (1 << 128) - 1, "0", None)


class _Lists:
    """Gives another map at each load; fails when told to."""

    def __init__(self) -> None:
        self.loads = 0
        self.failure: PenstockError | None = None
        self.loaded = threading.Condition()

    def __call__(self) -> list[Shard]:
        with self.loaded:
            self.loads += 1
            self.loaded.notify_all()
            if self.failure:
                raise self.failure
            return [_shard(f"shard-{self.loads}")]

    def wait_for(self, loads: int) -> None:
        with self.loaded:
            assert self.loaded.wait_for(lambda: self.loads >= loads, 10)


def test_refresh_beside_the_data_when_due_with_jitter() -> None:
    lists, now = _Lists(), [0.0]
    shards = LiveShardMap(lists, "orders", refresh_s=100, clock=lambda: now[0])
    assert shards.current().open[0].shard_id == "shard-1"
    now[0] = 79.9
    assert shards.current().version == 1
    now[0] = 120.1
    shards.current()
    lists.wait_for(2)
    wait_until(lambda: shards.current().version == 2)
    assert lists.loads == 2
    # Many processes that started together must not ask together for ever.
    others = [LiveShardMap(lists, "orders", refresh_s=100, clock=lambda: 0.0) for _ in range(50)]
    due = [(other.refresh(0), other._due)[1] for other in others]
    assert min(due) < 95 < 105 < max(due)


def test_a_failed_refresh_keeps_the_map(caplog: pytest.LogCaptureFixture) -> None:
    lists, now = _Lists(), [0.0]
    shards = LiveShardMap(lists, "orders", refresh_s=100, clock=lambda: now[0])
    shards.current()
    lists.failure = PeerError("no")
    now[0] = 121
    shards.current()
    lists.wait_for(2)
    wait_until(lambda: "stays as it is: no" in caplog.text)
    assert shards.current().open[0].shard_id == "shard-1"


def test_the_first_map_must_come() -> None:
    lists = _Lists()
    lists.failure = PeerError("no")
    with pytest.raises(PeerError):
        LiveShardMap(lists, "orders").current()


def test_of_several_that_saw_the_same_old_map_one_loads() -> None:
    lists = _Lists()
    shards = LiveShardMap(lists, "orders")
    seen = shards.current().version
    threads = [threading.Thread(target=shards.refresh, args=(seen,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lists.loads == 2
