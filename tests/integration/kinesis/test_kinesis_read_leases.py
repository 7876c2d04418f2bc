"""Lease races of eight workers on real conditional stores: moto's and DynamoDB Local's."""

import random
import threading
import uuid

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.lease.table import Lease, LeaseLost, LeaseTable
from penstock.io.kinesis.positions import TRIM_HORIZON, Position
from penstock.io.kinesis.read_options import KinesisReadOptions
from tests.tools.models.stream_model import SteppedLive, StreamModel
from tests.tools.peers.emulators import dynamodb_local

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("leases")]  # DynamoDB Local starts once

WORKERS = 8
SHARDS = 24


@pytest.fixture(scope="module", params=["moto", "DynamoDB Local"])
def endpoint_url(request, tmp_path_factory):
    if request.param == "moto":
        yield request.getfixturevalue("aws").endpoint_url
    else:
        with dynamodb_local(tmp_path_factory.mktemp("dynamodb")) as url:
            yield url


@pytest.fixture
def tables(endpoint_url):
    """One client a worker, all on one new table."""
    name = f"races-{uuid.uuid4().hex[:8]}"
    options = AwsOptions(endpoint_url=endpoint_url, access_key="test", secret_key="test")
    made = [LeaseTable(AwsSession(options), name) for _ in range(WORKERS)]
    threads = [threading.Thread(target=table.create_if_missing) for table in made]
    run(threads)
    return made


def run(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_of_eight_that_take_a_lease_at_once_one_gets_it(tables):
    for round_number in range(10):
        lease = Lease(f"shard-{round_number}", TRIM_HORIZON, None, 5)
        created = []
        taken = []
        barrier = threading.Barrier(WORKERS)

        def race(number, lease=lease, created=created, taken=taken, barrier=barrier):
            barrier.wait()
            if tables[number].create(lease):
                created.append(number)
            barrier.wait()
            try:
                tables[number].replace(lease, lease.taken_by(f"worker-{number}"))
            except LeaseLost:
                return
            taken.append(number)

        run([threading.Thread(target=race, args=(number,)) for number in range(WORKERS)])
        assert len(created) == 1
        assert len(taken) == 1
        (row,) = [each for each in tables[0].scan() if each.shard_id == lease.shard_id]
        assert row == lease.taken_by(f"worker-{taken[0]}")


def test_counters_rise_by_the_number_of_writes_that_succeeded(tables):
    """Eight workers take, renew, checkpoint and release at random for a while: no write is lost or doubled."""
    tables[0].create(Lease("shard", TRIM_HORIZON))
    won = []

    def work(number):
        me, chance = f"worker-{number}", random.Random(number)
        for _ in range(40):
            (row,) = tables[number].scan()
            if row.owner != me:
                new = row.taken_by(me)
            else:
                new = row.renewed(Position(row.counter)) if chance.random() < 0.7 else row.released()
            try:
                tables[number].replace(row, new)
            except LeaseLost:
                continue
            won.append(new)

    run([threading.Thread(target=work, args=(number,)) for number in range(WORKERS)])
    (row,) = tables[0].scan()
    assert row.counter == len(won)
    assert sorted(each.counter for each in won) == list(range(1, len(won) + 1))
    assert row in won


def test_eight_workers_share_evenly_and_one_that_slept_writes_nothing(tables):
    model = StreamModel(SHARDS)
    now = [0.0]
    options = KinesisReadOptions("stream", application_name="app", checkpoint_interval_seconds=1)
    workers = [SteppedLive(model, table, options, lambda: now[0]) for table in tables]

    def tick_all(who):
        # Really at the same time, so that their writes race.
        run([threading.Thread(target=worker.tick) for worker in who])

    for _ in range(40):
        now[0] += 1.0
        tick_all(workers)
    owned = [set(worker.coordinator.held) for worker in workers]
    assert sorted(map(len, owned)) == [SHARDS // WORKERS] * WORKERS
    assert set.union(*owned) == set(model.shards)

    # One sleeps for longer than its leases live; the others take over, and read on.
    sleeper, rest = workers[0], workers[1:]
    for number in range(200):
        model.put(f"key-{number}", b"x")
    sleeper.pool.step_all()
    slept_with = sleeper.take_all()
    for _ in range(16):
        now[0] += 1.0
        tick_all(rest)
    assert set.union(*(set(worker.coordinator.held) for worker in rest)) == set(model.shards)
    before = {lease.shard_id: lease for lease in tables[0].scan()}
    for batch in slept_with:
        sleeper.acknowledge(batch.receipt.tokens)
    now[0] += 1.0
    sleeper.renew_all()
    assert sleeper.coordinator.held == {}
    assert {lease.shard_id: lease for lease in tables[0].scan()} == before
    # It is a worker like any other again. Who steals from whom is chance, a look at the table every five seconds: within
    # a minute shares are even, and stay so for two looks.
    shares: list[set[str]] = []
    same = 0
    for _ in range(70):
        now[0] += 1.0
        tick_all(workers)
        before_it, shares = shares, [set(worker.coordinator.held) for worker in workers]
        same = same + 1 if shares == before_it else 0
        if same == 10 and {len(share) for share in shares} == {SHARDS // WORKERS}:
            break
    assert sorted(map(len, shares)) == [SHARDS // WORKERS] * WORKERS
    assert same == 10
    for worker in workers:
        worker.close()
    assert {lease.owner for lease in tables[0].scan()} == {None}
