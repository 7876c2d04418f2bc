"""Shares that differ by one at most, reached by workers that see only the table."""

import random

import pytest

from penstock.io.kinesis.lease.rules._plan import LeaseWatch, choose
from penstock.io.kinesis.lease.table import Lease
from penstock.io.kinesis.positions import TRIM_HORIZON


def leases_of(owners):
    return [Lease(f"s{n}", TRIM_HORIZON, owner, 1) for n, owner in enumerate(owners)]


def free_of(leases):
    return [lease for lease in leases if lease.owner is None]


def test_alone_it_takes_everything():
    leases = leases_of([None] * 5)
    assert {lease.shard_id for lease in choose(leases, leases, "me")} == {f"s{n}" for n in range(5)}


def test_of_what_is_free_it_takes_its_share_only():
    leases = leases_of(["other", None, None, None, None])
    assert len(choose(leases, free_of(leases), "me")) == 3
    assert choose(leases_of(["me", "me", None]), [leases[2]], "me") != []


def test_half_the_difference_is_stolen_from_the_richest():
    leases = leases_of(["a"] * 5 + ["b"] * 2 + ["me"])
    stolen = choose(leases, [], "me")
    assert [lease.owner for lease in stolen] == ["a", "a"]


@pytest.mark.parametrize("owners", [["a", "a", "me"], ["a", "me"], ["a"], ["me", "me"], []])
def test_a_difference_of_one_is_left_alone(owners):
    assert choose(leases_of(owners), [], "me") == []


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 4, 10, 25])
def test_shares_even_out_and_then_nothing_moves(workers, count):
    owners = dict.fromkeys(range(count))
    names = [f"w{n}" for n in range(workers)]
    # everybody begins at once, then the last one comes late
    for crowd in (names[:-1] or names, names):
        for _ in range(30):
            for me in random.sample(crowd, len(crowd)):
                leases = [Lease(f"{n}", TRIM_HORIZON, owner) for n, owner in owners.items()]
                for lease in choose(leases, free_of(leases), me):
                    owners[int(lease.shard_id)] = me
    shares = [list(owners.values()).count(name) for name in names]
    assert max(shares) - min(shares) <= 1
    leases = [Lease(f"{n}", TRIM_HORIZON, owner) for n, owner in owners.items()]
    assert [choose(leases, [], me) for me in names] == [[]] * workers


def test_a_lease_is_free_when_its_counter_stood_still():
    watch = LeaseWatch(10.0, is_gone=lambda owner: False)
    lease = Lease("s", TRIM_HORIZON, "other", 5)
    watch.look([lease], 0.0)
    assert watch.free([lease], 9.0) == []
    assert not watch.is_alive(lease)
    renewed = lease.renewed()
    watch.look([renewed], 9.0)
    assert watch.is_alive(renewed)
    assert watch.free([renewed], 18.0) == []
    watch.look([renewed], 18.0)
    assert watch.free([renewed], 19.0) == [renewed]


def test_a_lease_of_a_worker_known_to_be_gone_is_free_at_once():
    watch = LeaseWatch(10.0, is_gone=lambda owner: owner == "dead")
    leases = leases_of(["dead", "alive", None])
    watch.look(leases, 0.0)
    assert watch.free(leases, 0.0) == [leases[0], leases[2]]
