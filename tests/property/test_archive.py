"""The archive equals the stream up to the checkpoint, whoever owned the shard: a model of workers that share one.

Workers read, upload with faults and delays, lose and regain the lease, freeze (and know nothing of the loss), die and
begin again. In the middle of an upload anything may happen to the others. The archive's own code runs, on one thread.
"""

import gzip
import itertools
import json
from collections import Counter
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from penstock.io.archive import ArchiveOptions, sink, uploads
from penstock.io.archive.sink import Archive
from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import Unreachable
from penstock.io.kinesis.positions import KinesisRecord
from penstock.transforms.batch import Event
from tests.tools.samples.examples import examples

SHARD = "shardId-000000000000"
OPTIONS = ArchiveOptions(
    archive="s3://bucket", archive_format="json", archive_compression="gzip", roll_bytes=1_000_000
)
HOUR_MS = 3_600_000
TOKENS = itertools.count(1)


def record(position):
    origin = KinesisRecord("s", SHARD, str(position), "k", position // 7 * HOUR_MS, 0)
    return Event(b"%d" % position, origin, 0)


class Pool:
    """Runs what is submitted at once."""

    def __init__(self, *_):
        pass

    def submit(self, function, *arguments):
        function(*arguments)

    def shutdown(self, **_):
        pass


class World:
    """The stream, the lease table's row, and the bucket."""

    def __init__(self):
        self.owner = None
        self.checkpoint = 0
        self.files = {}
        self.faults = 0
        self.meanwhile = []
        self.workers = [Worker(self) for _ in range(3)]

    def run(self, actions):
        for index, action, amount in actions:
            getattr(self, action)(self.workers[index], amount)

    def read(self, worker, amount):
        worker.notice()
        worker.read(amount)

    def upload(self, worker, amount):
        if not worker.archive._busy():  # else it is in the middle of one already
            worker.archive.flush()

    def take(self, worker, amount):
        """The lease changes hands as it should: the old owner sees it at once."""
        before = self.owner
        worker.notice()
        self.owner = worker
        if before is not None and before is not worker:
            before.notice()
        worker.begin()

    def take_from_a_frozen_one(self, worker, amount):
        """The old owner knows nothing of it until its next read, or the next look into the lease table."""
        worker.notice()
        self.owner = worker
        worker.begin()

    def die(self, worker, amount):
        index = self.workers.index(worker)
        self.workers[index] = Worker(self)
        if self.owner is worker:
            self.owner = None

    def refuse(self, worker, amount):
        self.faults = amount

    def settle(self):
        """The troubles are over: whoever has the lease now gets everything acknowledged."""
        self.faults, self.meanwhile = 0, []
        worker = self.workers[0]
        self.take(worker, 0)
        worker.read(3)
        worker.archive.flush()
        assert self.checkpoint == worker.next - 1, "nothing is held back for ever"

    def put(self, name, body):
        if self.meanwhile:
            actions, self.meanwhile = self.meanwhile, []
            self.run(actions)
        if self.faults:
            self.faults -= 1
            raise Unreachable("503")
        rows = [int(json.loads(line)["sequence_number"]) for line in gzip.decompress(body).splitlines()]
        found = self.files.setdefault(name, rows)
        assert found == rows, "files of one name hold the same records"
        return found is rows


class Worker:
    """A worker as the archive sees it (its live source), with the archive on it."""

    max_pending_events = max_pending_bytes = 1 << 40
    pending_events = pending_bytes = 0
    all_handed_out = True
    stopping = False
    trouble = ""

    def __init__(self, world):
        self.world = world
        self.tokens = {}
        self.next = None
        self.acknowledged = 0
        with mock.patch.object(sink.concurrent.futures, "ThreadPoolExecutor", Pool):
            self.archive = Archive(OPTIONS, self, world.put, lambda: 0.0)

    def begin(self):
        """Starts from the checkpoint."""
        if self.next is None:
            self.next = self.world.checkpoint + 1
            self.acknowledged = self.world.checkpoint

    def notice(self):
        """Looks into the lease table."""
        if self.world.owner is not self:
            self.tokens.clear()
            self.next = None

    def read(self, amount):
        if self.next is not None:
            events = [record(self.next + n) for n in range(amount)]
            self.next += amount
            token = next(TOKENS)
            self.tokens[token] = self.next - 1
            self.archive.append(events, [token])

    def shards_of(self, tokens):
        return {token: SHARD for token in tokens if token in self.tokens}

    def has_ended(self, shard_id):
        return False

    def acknowledge(self, tokens):
        for token in tokens:
            if token in self.tokens:
                self.acknowledged = max(self.acknowledged, self.tokens.pop(token))

    def store_checkpoint(self, shard_id, timeout_s):
        """A write on the condition that the row is still ours."""
        if self.world.owner is self:
            self.world.checkpoint = max(self.world.checkpoint, self.acknowledged)
        self.notice()
        return True

    def fail(self, failure):
        raise failure


ACTIONS = st.tuples(
    st.integers(0, 2),
    st.sampled_from(
        ["read", "read", "read", "upload", "upload", "take", "take_from_a_frozen_one", "die", "refuse"]
    ),
    st.integers(1, 5),
)
QUIET = st.tuples(st.integers(0, 2), st.sampled_from(["read", "upload", "take"]), st.integers(1, 5))


def check(world):
    stored = Counter(position for rows in world.files.values() for position in rows)
    missing = [position for position in range(1, world.checkpoint + 1) if not stored[position]]
    assert not missing, f"acknowledged up to {world.checkpoint}, and not archived"
    for rows in world.files.values():
        assert rows == list(range(rows[0], rows[0] + len(rows))), "each record once, in order, without a gap"
    return stored


@examples(200)
@given(
    st.lists(ACTIONS, min_size=20, max_size=60),
    st.lists(st.tuples(st.integers(0, 30), st.lists(ACTIONS, min_size=1, max_size=4)), max_size=3),
)
def test_nothing_acknowledged_is_missing(actions, interludes):
    with mock.patch.object(uploads, "delays", return_value=itertools.repeat(0.0)):
        world = World()
        between = dict(interludes)
        for number, action in enumerate(actions):
            world.meanwhile += between.get(number, [])
            world.run([action])
            check(world)
        world.settle()
        check(world)
    LIVE.close()


@examples(200)
@given(st.lists(QUIET, min_size=20, max_size=60))
def test_nothing_stands_twice_without_a_kill_or_a_pause(actions):
    world = World()
    world.run(actions)
    assert not [position for position, count in check(world).items() if count > 1]
    LIVE.close()
