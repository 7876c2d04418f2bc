"""Whatever happens to the stream and to the workers: nothing is lost, order is kept, no checkpoint runs ahead.

Invariants, checked after every step:
- a lease's position covers only records that a worker has acknowledged;
- a record is handed out only after all records of its shard's parents were acknowledged;
- a partition key's records are first handed out in the order in which they were put;
and at the end: every record was acknowledged; exactly once, if no worker ever failed or shared.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from penstock.io.kinesis.lease.table import MemoryLeases
from penstock.io.kinesis.positions import SHARD_END
from penstock.io.kinesis.read_options import KinesisReadOptions
from tests.tools.models.stream_model import SteppedLive, StreamModel
from tests.tools.samples.examples import examples

OPTIONS = KinesisReadOptions(
    "stream", application_name="app", checkpoint_interval_seconds=2, max_batch_events=4,
    additional_settings=["failoverTimeMillis=10000", "shardSyncIntervalMillis=5000"],
)  # fmt: skip


class Calm(RuleBasedStateMachine):
    """One worker that never fails: every record exactly once."""

    most_workers = 1

    @initialize(shards=st.integers(1, 3), data=st.data())
    def begin(self, shards, data):
        workers = data.draw(st.integers(1, self.most_workers))
        self.now = 0.0
        self.model = StreamModel(shards)
        self.store = self.new_store(data)
        self.put_in: list[tuple[str, int, bytes]] = []  # shard, number, key
        self.acknowledged: dict[tuple[str, int], int] = {}
        self.handed_out: dict[bytes, list[int]] = {}
        self.troubled = workers > 1
        self.workers = [self.new_worker() for _ in range(workers)]
        self.out = [[] for _ in self.workers]
        for key in "abcdefgh":
            self.put(key, 3)

    def new_store(self, data):
        return MemoryLeases()

    def new_worker(self, mark=None):
        return SteppedLive(self.model, self.store, OPTIONS, lambda: self.now, mark)

    # -- the stream ------------------------------------------------------------------------------------

    @rule(key=st.sampled_from("abcdefgh"), count=st.integers(1, 5))
    def put(self, key, count):
        for _ in range(count):
            shard_id, number = self.model.put(key, key.encode())
            self.put_in.append((shard_id, int(number), key.encode()))

    @rule(pick=st.integers(0, 9))
    def split(self, pick):
        shards = self.model.open_shards()
        if len(self.model.shards) < 7:
            self.model.split(shards[pick % len(shards)].shard_id)

    @rule(pick=st.integers(0, 9))
    def merge(self, pick):
        shards = self.model.open_shards()
        if len(shards) > 1 and len(self.model.shards) < 7:
            left = pick % (len(shards) - 1)
            self.model.merge(shards[left].shard_id, shards[left + 1].shard_id)

    @rule()
    def expire_iterators(self):
        self.model.expire_iterators()

    # -- the workers -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
    def wait(self, seconds):
        self.now += seconds
        self.model.now += seconds

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.0]))
    def tick(self, seconds):
        self.wait(seconds)
        for worker in self.workers:
            worker.tick()

    @rule(worker=st.integers(0, 2), reader=st.integers(0, 9))
    def fetch_one(self, worker, reader):
        self.workers[worker % len(self.workers)].pool.step(reader)

    @rule(worker=st.integers(0, 2), times=st.integers(1, 4))
    def fetch(self, worker, times):
        for _ in range(times):
            self.workers[worker % len(self.workers)].pool.step_all()

    @rule(worker=st.integers(0, 2), times=st.integers(1, 4))
    def take(self, worker, times=1):
        worker %= len(self.workers)
        for _ in range(times):
            batch = self.workers[worker].take(0.0)
            if batch is None:
                return
            self.out[worker].append(batch)
            for event in batch.events:
                self.check_order(event)

    @rule(worker=st.integers(0, 2), rounds=st.integers(1, 3))
    def work(self, worker, rounds):
        """Most of what a worker does, but for acknowledging."""
        for _ in range(rounds):
            self.workers[worker % len(self.workers)].tick()
            self.fetch(worker, 1)
            self.take(worker, 2)

    @rule(worker=st.integers(0, 2), oldest=st.integers(1, 5))
    def deliver(self, worker, oldest):
        """Acknowledges what was handed out first, as one fused chain does."""
        for _ in range(oldest):
            self.acknowledge(worker, 0)

    @rule(worker=st.integers(0, 2), which=st.integers(0, 9))
    def acknowledge(self, worker, which):
        worker %= len(self.workers)
        if self.out[worker]:
            batch = self.out[worker].pop(which % len(self.out[worker]))
            for event in batch.events:
                name = (event.origin.shard_id, int(event.origin.sequence_number))
                self.acknowledged[name] = self.acknowledged.get(name, 0) + 1
            self.workers[worker].acknowledge(batch.receipt.tokens)

    @rule(worker=st.integers(0, 2))
    def bundle_fails(self, worker):
        worker %= len(self.workers)
        self.workers[worker].requeue()
        self.out[worker].clear()

    # -- what must hold --------------------------------------------------------------------------------

    def check_order(self, event):
        shard_id, number = event.origin.shard_id, int(event.origin.sequence_number)
        for parent in self.model.shards[shard_id].parents:
            for record in self.model.records[parent]:
                assert (parent, int(record.sequence_number)) in self.acknowledged, "a child before its parent"
        seen = self.handed_out.setdefault(event.data, [])
        if number not in seen:
            assert not seen or number > max(seen), "out of order"
            seen.append(number)

    @invariant()
    def no_checkpoint_runs_ahead(self):
        for lease in getattr(self, "store", MemoryLeases()).scan():
            for record in self.model.records.get(lease.shard_id, ()):
                number = int(record.sequence_number)
                if (number, 0) <= lease.position:
                    assert (lease.shard_id, number) in self.acknowledged, "checkpoint before acknowledgement"

    def teardown(self):
        if not hasattr(self, "workers"):
            return
        for _ in range(200):
            self.wait(1.0)
            for number, worker in enumerate(self.workers):
                worker.tick()
                worker.pool.step_all()
                self.take(number)
                while self.out[number]:
                    self.acknowledge(number, 0)
            if all(worker.ready and worker.settled for worker in self.workers) and self.finished():
                break
        assert self.finished(), "records or shards were left behind"
        if not self.troubled:
            assert set(self.acknowledged.values()) <= {1}, "read twice without a reason"
        self.wait(3.0)
        for worker in self.workers:
            worker.tick()
        self.no_checkpoint_runs_ahead()

    def finished(self):
        ended = {lease.shard_id for lease in self.store.scan() if lease.position == SHARD_END}
        closed = {shard.shard_id for shard in self.model.shards.values() if shard.closed}
        return closed <= ended and all(
            (shard, number) in self.acknowledged for shard, number, _ in self.put_in
        )


class Stormy(Calm):
    """Workers that share, crash, sleep and stop: every record at least once, and the other invariants."""

    most_workers = 3

    @rule(seconds=st.sampled_from([6.0, 11.0]))
    def sleep_through(self, seconds):
        """Longer than a worker may go without a sign of life."""
        self.troubled = True
        self.wait(seconds)

    @rule(worker=st.integers(0, 2), with_mark=st.booleans())
    def crash(self, worker, with_mark):
        """The process is gone; its successor comes with the runner's mark of a finished bundle, or without."""
        worker %= len(self.workers)
        self.troubled = True
        mark = self.workers[worker].position() if with_mark and not self.out[worker] else None
        self.out[worker].clear()
        self.workers[worker] = self.new_worker(mark)

    @rule(worker=st.integers(0, 2))
    def stop_cleanly(self, worker):
        worker %= len(self.workers)
        self.workers[worker].close()
        if self.out[worker] or not self.workers[worker].settled:
            self.troubled = True  # what was not acknowledged comes again
        self.out[worker].clear()
        self.workers[worker] = self.new_worker()


LIMITS = settings(stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))

TestCalm = Calm.TestCase
TestCalm.settings = settings(LIMITS, max_examples=examples(60).max_examples)
TestStormy = Stormy.TestCase
TestStormy.settings = settings(LIMITS, max_examples=examples(90).max_examples)
