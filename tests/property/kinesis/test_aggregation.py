"""For any user records and any shard map: nothing lost, sizes exact, no aggregated record spans shards."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from penstock.io.kinesis.kpl._aggregation import Aggregator, aggregate_run
from penstock.io.kinesis.shard_map import Shard, ShardMap
from penstock.io.kinesis.write._packing import Packer, cut
from tests.tools.models.kpl import UserRecord, user_records

_keys = st.text(min_size=1, max_size=20)
_hash_keys = st.integers(0, (1 << 128) - 1).map(str)
_datas = st.binary(max_size=200)
_users = st.lists(st.tuples(_keys, _datas, st.none() | _hash_keys), min_size=1, max_size=40)


@given(_users, st.integers(1, 50), st.integers(64, 4000))
def test_what_was_added_comes_out_again(
    users: list[tuple[str, bytes, str | None]], max_count: int, max_size: int
) -> None:
    record = Aggregator(max_count, max_size)
    taken = []
    for key, data, explicit in users:
        before = record.size
        if record.add(key, data, explicit):
            taken.append((key, explicit, data))
        else:
            assert record.size == before
    encoded = record.encode()
    assert len(encoded) == record.size
    assert record.size <= max_size or not taken
    assert [tuple(user) for user in user_records(encoded, "a")] == taken


@given(st.lists(_datas, max_size=60), st.integers(1, 50), st.integers(64, 2000), _keys)
def test_runs_cover_everything_once(datas: list[bytes], max_count: int, max_size: int, key: str) -> None:
    at = 0
    for start, stop, used, encoded in aggregate_run(itertools.repeat(key), datas, max_count, max_size):
        assert start == at
        at = stop
        if encoded is None:
            assert stop == start + 1
        else:
            assert len(encoded) <= max_size
            assert 2 <= stop - start <= max_count
            assert [user[2] for user in user_records(encoded, "a")] == datas[start:stop]
            assert used == key
    assert at == len(datas)


@st.composite
def _maps(draw: st.DrawFn) -> ShardMap:
    edges = sorted(draw(st.sets(st.integers(1, (1 << 128) - 1), max_size=8)))
    bounds = itertools.pairwise([0, *edges, 1 << 128])
    gone = draw(st.sets(st.integers(0, 8), max_size=2))
    return ShardMap(
        Shard(f"shardId-{number:012d}", (), start, end - 1, "0", "1" if number in gone else None)
        for number, (start, end) in enumerate(bounds)
    )


@given(
    st.lists(st.tuples(_keys, _datas), min_size=1, max_size=60),
    _maps(),
    st.booleans(),
    st.integers(64, 2000),
)
def test_no_aggregated_record_spans_shards(
    events: list[tuple[str, bytes]], shards: ShardMap, ordered: bool, max_size: int
) -> None:
    packer = Packer(max_count=100, max_size=max_size, randomized=False, ordered=ordered)
    keys, datas = [key for key, _ in events], [data for _, data in events]
    packets, refused = packer.pack(range(len(events)), datas, keys, shards, aggregate=True)
    assert not refused
    assert sorted(index for packet in packets for index in packet.members) == list(range(len(events)))
    by_key: dict[str, list[int]] = {}
    for packet in packets:
        entry = packet.entry
        # What goes plain has no explicit hash key, and may begin with any bytes, KPL's magic too.
        users = [UserRecord((entry.partition_key, None, entry.data))]
        if entry.explicit_hash_key is not None:
            users = user_records(entry.data, entry.partition_key, entry.explicit_hash_key)
        assert [user[2] for user in users] == [datas[index] for index in packet.members]
        assert [user[0] for user in users] == [keys[index] for index in packet.members]
        assert packet.size == len(entry.data) + len(entry.partition_key.encode())
        assert packet.spread == (min(u.hash_key for u in users), max(u.hash_key for u in users))
        assert packet.hash_key == users[0].hash_key
        if len(users) > 1:
            assert (entry.partition_key, entry.explicit_hash_key) == ("a", str(users[0].hash_key))
            homes = {shards.find(user.hash_key) for user in users}
            assert len(homes) == 1
            # Where the map has a gap, only one key may be together.
            assert homes != {None} or len({user[0] for user in users}) == 1
        for index in packet.members:
            by_key.setdefault(keys[index], []).append(index)
    assert all(indices == sorted(indices) for indices in by_key.values())


@given(st.lists(st.integers(1, 1000), max_size=60), st.integers(1, 10), st.integers(1000, 3000))
def test_requests_keep_their_bounds_and_the_order(sizes: list[int], max_count: int, max_size: int) -> None:
    shards = ShardMap([])
    packer = Packer(max_count=1, max_size=100, randomized=False, ordered=False)
    datas = [b"x" * (size - 1) for size in sizes]
    packets, _ = packer.pack(range(len(sizes)), datas, None, shards, aggregate=False)
    assert [packet.size for packet in packets] == sizes
    requests = cut(packets, max_count, max_size)
    assert [packet for request in requests for packet in request] == packets
    for request, following in itertools.zip_longest(requests, requests[1:]):
        size = sum(packet.size for packet in request)
        assert 1 <= len(request) <= max_count
        assert size <= max_size
        # No request is sent with room for the next record.
        assert following is None or len(request) == max_count or size + following[0].size > max_size
