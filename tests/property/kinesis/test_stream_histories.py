"""Histories of a stream against kinds of tables: an open shard is read or named, a record once, no row of another changed.

The stream splits and merges while its listing lags and its replies lie; keys are withheld. The table was KCL's, holds
rows of other streams, and rows that somebody broke. At the end either all of it is read, or the stream is made again,
and then the job ends with the line that says so.
"""

import dataclasses
import itertools

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from penstock.io.errors import StateError
from penstock.io.kinesis.lease.table import BrokenRow, Lease
from penstock.io.kinesis.positions import LATEST, SHARD_END, TRIM_HORIZON, Position, StreamIdentity
from tests.property.kinesis.test_kinesis_read import LIMITS, Calm
from tests.tools.models.stream_model import ARN
from tests.unit.kinesis.read.test_stream_truth import OTHER, Table

_FOREIGN = (
    "111122223333:orders:1600000000:shardId-000000000000",
    "shardId-00000001414562045508-2b439142",
    "shardId-000000000901",
)


class Histories(Calm):
    """One worker, a stream and a table that aren't as one would wish."""

    def new_store(self, data):
        kind = data.draw(st.sampled_from(["none", "KCL 1", "KCL 2", "KCL 3", "ours before"]))
        self.numbers = itertools.count(1000)
        self.broken: set[str] = set()
        self.foreign: dict[str, Lease] = {}
        self.anew = data.draw(st.integers(0, 9)) == 0
        store = Table(kcl3=kind == "KCL 3")
        if kind == "none":
            return store
        for shard in self.model.shards.values():
            lease = Lease(shard.shard_id, TRIM_HORIZON, None, counter=data.draw(st.integers(0, 9)))
            if kind != "KCL 1":
                lease = dataclasses.replace(
                    lease, starting_hash_key=str(shard.start), ending_hash_key=str(shard.end)
                )
            store.create(lease)
        return store

    # -- what the service does -------------------------------------------------------------------------

    @rule(times=st.integers(1, 3))
    def replies_lie(self, times):
        self.model.lies = times

    @rule()
    def the_listing_stands_still(self):
        self.model.listing = list(self.model.shards.values())

    @rule()
    def the_listing_is_true_again(self):
        self.model.listing = None

    @rule(named=st.booleans())
    def replies_name_children(self, named):
        self.model.names_children = named

    @rule(key=st.sampled_from("abcdefgh"))
    def put_without_a_key(self, key):
        self.put(key, 1)
        shard_id = self.put_in[-1][0]
        record = self.model.records[shard_id][-1]
        self.model.records[shard_id][-1] = msgspec.structs.replace(record, partition_key="")

    # -- what is in the table --------------------------------------------------------------------------

    @rule(
        key=st.sampled_from(_FOREIGN),
        position=st.sampled_from([TRIM_HORIZON, LATEST, SHARD_END, Position(12)]),
    )
    def another_streams_row(self, key, position):
        if self.begun() and key not in self.foreign:
            row = Lease(key, position, "somebody", stream=OTHER if key.endswith("901") else None)
            self.foreign[key] = row
            self.store.create(row)

    @rule(pick=st.integers(0, 9))
    def a_row_is_broken(self, pick):
        leases = [lease for lease in self.store.scan() if lease.shard_id in self.model.shards]
        if self.begun() and leases and len(self.broken) < 2:
            lease = leases[pick % len(leases)]
            del self.store._leases[lease.shard_id]
            self.store.broken.append(BrokenRow(lease.shard_id, "checkpoint 'garbage' is no checkpoint"))
            self.broken.add(lease.shard_id)

    def begun(self):
        """At the start such a row ends the job (`test_stream_truth`); here it comes later."""
        return self.workers[0].coordinator._begun

    # -- what must hold --------------------------------------------------------------------------------

    @invariant()
    def no_row_of_another_is_changed(self):
        rows = {lease.shard_id: lease for lease in getattr(self, "store", Table()).scan()}
        for key, row in getattr(self, "foreign", {}).items():
            assert rows[key] == row

    @invariant()
    def an_open_shard_is_never_ended(self):
        for lease in getattr(self, "store", Table()).scan():
            shard = self.model.shards.get(lease.shard_id)
            assert shard is None or shard.closed or lease.position != SHARD_END

    def cut_off(self):
        """Shards whose row is broken, and what comes after them: it waits."""
        cut = set(self.broken)
        for shard in self.model.shards.values():
            if cut & set(shard.parents):
                cut.add(shard.shard_id)
        return cut

    def tick_for(self, rounds):
        for _ in range(rounds):
            self.tick(1.0)

    def finished(self):
        cut = self.cut_off()
        ended = {lease.shard_id for lease in self.store.scan() if lease.position == SHARD_END}
        closed = {shard.shard_id for shard in self.model.shards.values() if shard.closed} - cut
        return closed <= ended and all(
            (shard, number) in self.acknowledged for shard, number, _ in self.put_in if shard not in cut
        )

    def teardown(self):
        if not hasattr(self, "workers"):
            return
        (worker,) = self.workers
        if self.anew and self.begun():
            self.model.identity = StreamIdentity(ARN, self.model.identity.created_ms + 60_000)
            self.model.failures.clear()
            with pytest.raises(StateError, match="deleted and made again"):
                self.tick_for(30)
            return
        self.model.lies, self.model.listing = 0, None
        for _ in range(200):
            self.tick(1.0)
            worker.pool.step_all()
            self.take(0)
            while self.out[0]:
                self.acknowledge(0, 0)
            if self.finished() and (worker.connected or self.broken):
                break
        assert self.finished(), "records or shards were left behind"
        assert set(self.acknowledged.values()) <= {1}, "read twice"
        self.tick_for(8)  # the table is looked at every five seconds
        named = "\n".join(worker.unread())
        for shard_id in self.broken:
            assert f"row {shard_id} of lease table app can't be read" in named
        for key in self.foreign:
            assert f"row {key} of lease table app" in named
        if not self.broken:
            assert worker.connected
        held = set(worker.coordinator.held)
        for shard in self.model.open_shards():
            assert shard.shard_id in held or shard.shard_id in self.cut_off(), "neither read nor named"
        worker.close()


TestHistories = Histories.TestCase
TestHistories.settings = LIMITS
