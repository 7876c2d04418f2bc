"""Shards are read in their order: splits, merges, starting points, leases that KCL has cleaned up."""

from typing import NamedTuple

import pytest

from penstock.io.kinesis.lease.rules._graph import is_readable, missing_leases, parents_first
from penstock.io.kinesis.positions import AT_TIMESTAMP, LATEST, SHARD_END, TRIM_HORIZON, Position


class Node(NamedTuple):
    shard_id: str
    parents: tuple[str, ...] = ()
    closed: bool = False


def tree(*nodes):
    return {node.shard_id: node for node in nodes}


# 0 was split into 2 and 3; 3 and 1 were merged into 4
SPLIT_AND_MERGED = tree(
    Node("4", ("1", "3")),
    Node("3", ("0",), closed=True),
    Node("2", ("0",)),
    Node("1", closed=True),
    Node("0", closed=True),
)
SOMEWHERE = Position(7)


def test_parents_come_first_whatever_their_names():
    order = parents_first(tree(Node("a", ("z",)), Node("b", ("a", "y")), Node("y"), Node("z")))
    assert [order.index(each) for each in ("z", "a", "b")] == sorted(order.index(e) for e in ("z", "a", "b"))
    assert order.index("y") < order.index("b")


def test_parents_that_name_each_other_do_not_hang():
    assert sorted(parents_first(tree(Node("a", ("b",)), Node("b", ("a",))))) == ["a", "b"]


def test_from_the_horizon_everything_is_read_in_order():
    missing = missing_leases(SPLIT_AND_MERGED, {}, TRIM_HORIZON)
    assert set(missing) == set("01234")
    assert set(missing.values()) == {TRIM_HORIZON}
    assert list(missing).index("0") < list(missing).index("2")
    assert max(list(missing).index(each) for each in "13") < list(missing).index("4")


def test_latest_is_for_open_shards_only():
    assert missing_leases(SPLIT_AND_MERGED, {}, LATEST) == {"2": LATEST, "4": LATEST}
    for shard in "24":
        assert is_readable(shard, SPLIT_AND_MERGED, {"2": LATEST, "4": LATEST}, LATEST)


def test_children_of_a_shard_that_was_read_start_at_their_beginning():
    missing = missing_leases(SPLIT_AND_MERGED, {"0": SOMEWHERE, "1": LATEST}, LATEST)
    assert missing == {"2": TRIM_HORIZON, "3": TRIM_HORIZON, "4": TRIM_HORIZON}


def test_a_time_is_handed_on_to_children_until_somebody_got_further():
    assert set(missing_leases(SPLIT_AND_MERGED, {}, AT_TIMESTAMP).values()) == {AT_TIMESTAMP}
    missing = missing_leases(SPLIT_AND_MERGED, {"0": AT_TIMESTAMP, "1": SOMEWHERE}, AT_TIMESTAMP)
    assert missing == {"2": AT_TIMESTAMP, "3": AT_TIMESTAMP, "4": TRIM_HORIZON}


@pytest.mark.parametrize("initial", [TRIM_HORIZON, LATEST, AT_TIMESTAMP])
def test_a_finished_shard_whose_lease_is_gone_is_not_read_again(initial):
    positions = {"2": SOMEWHERE, "1": SHARD_END}
    assert missing_leases(SPLIT_AND_MERGED, positions, initial) == {"3": TRIM_HORIZON, "4": TRIM_HORIZON}
    # a grandchild's progress proves it just as well
    assert missing_leases(SPLIT_AND_MERGED, {"4": SOMEWHERE}, initial) == {"2": TRIM_HORIZON}


def test_a_childs_fresh_lease_proves_nothing():
    missing = missing_leases(SPLIT_AND_MERGED, {"2": TRIM_HORIZON}, TRIM_HORIZON)
    assert "0" in missing
    assert not is_readable("2", SPLIT_AND_MERGED, {"2": TRIM_HORIZON}, TRIM_HORIZON)


def test_a_merged_shard_waits_for_both_parents():
    positions = dict.fromkeys("01234", TRIM_HORIZON)
    assert [each for each in "01234" if is_readable(each, SPLIT_AND_MERGED, positions, TRIM_HORIZON)] == [
        "0",
        "1",
    ]
    positions |= {"0": SHARD_END, "1": SHARD_END}
    assert is_readable("3", SPLIT_AND_MERGED, positions, TRIM_HORIZON)
    assert not is_readable("4", SPLIT_AND_MERGED, positions, TRIM_HORIZON)
    positions["3"] = SHARD_END
    assert is_readable("4", SPLIT_AND_MERGED, positions, TRIM_HORIZON)


def test_a_parent_older_than_the_retention_is_finished():
    shards = tree(Node("4", ("1", "3")))
    assert is_readable("4", shards, {"4": TRIM_HORIZON}, TRIM_HORIZON)
    assert not is_readable("4", shards, {"4": TRIM_HORIZON, "3": SOMEWHERE}, TRIM_HORIZON)


def test_parents_that_only_the_lease_names_count():
    assert not is_readable("4", {}, {"4": TRIM_HORIZON, "3": SOMEWHERE}, TRIM_HORIZON, ("3",))
