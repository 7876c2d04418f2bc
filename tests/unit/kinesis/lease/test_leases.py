"""The lease table: KCL's own rows, and conditional writes on a DynamoDB that means them."""

import dataclasses
import json
import re
from pathlib import Path

import moto
import pytest
from botocore.exceptions import ClientError

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.lease.rules._ownership import sort_rows
from penstock.io.kinesis.lease.table import Lease, LeaseLost, LeaseTable, MemoryLeases, Rows
from penstock.io.kinesis.positions import (
    AT_TIMESTAMP,
    LATEST,
    SHARD_END,
    TRIM_HORIZON,
    Position,
    StreamIdentity,
)
from penstock.io.kinesis.shard_map import Shard

TABLES = [
    (entry["label"], name, table["items"])
    for entry in json.loads((Path(__file__).parents[1] / "fixtures" / "kcl_lease_tables.json").read_text())
    for name, table in entry["tables"].items()
]
KEYS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
NUMBER = 49680460042495942168429495920219270817445654429888937986


@pytest.fixture(params=["dynamodb", "memory"])
def store(request):
    if request.param == "memory":
        yield MemoryLeases()
        return
    with moto.mock_aws():
        table = LeaseTable(AwsSession(KEYS), "app")
        table.create_if_missing()
        yield table


@pytest.mark.parametrize(("label", "name", "items"), TABLES, ids=[f"{t[0]}-{t[1]}" for t in TABLES])
def test_tables_of_every_kcl(label, name, items):
    leases = [lease for item in items if (lease := Lease.from_item(item)) is not None]
    expected = {
        item["leaseKey"]["S"]
        for item in items
        if item.get("leaseKey", {}).get("S", "").startswith("shardId-")
    }
    assert {lease.shard_id for lease in leases} == expected
    assert bool(expected) == (not name.startswith("appC-"))
    for lease in leases:
        row = next(item for item in items if item.get("leaseKey") == {"S": lease.shard_id})
        for value in row.values():
            value.get("SS", []).sort()
        written = lease.to_item()
        assert written == {key: row[key] for key in written}
        assert set(row) - set(written) <= {"entityType", "throughputKBps"}
        assert lease.position.checkpoint == row["checkpoint"]["S"]


@pytest.mark.parametrize(("label", "name", "items"), TABLES, ids=[f"{t[0]}-{t[1]}" for t in TABLES])
def test_tables_of_every_kcl_are_adopted_by_the_stream_they_are_of_and_by_no_other(label, name, items):
    leases = [lease for item in items if (lease := Lease.from_item(item)) is not None]
    ours = StreamIdentity("arn:aws:kinesis:us-east-1:000000000000:stream/s", 1)
    numbers = [lease.position.sequence_number for lease in leases if lease.position.is_record]
    shards = {
        lease.shard_id: Shard(
            lease.shard_id, lease.parents, int(lease.starting_hash_key or 0), int(lease.ending_hash_key or 0),
            str(min(numbers, default=0)), str(max(numbers, default=0)) if lease.position == SHARD_END else None,
        )
        for lease in leases
    }  # fmt: skip
    assert sort_rows(Rows(leases, []), shards, ours, name) == (leases, {})
    # A stream that was made later has one shard, of all hash keys, with numbers above these.
    other = Shard("shardId-000000000000", (), 0, (1 << 128) - 1, str(max(numbers, default=0) + 1), None)
    good, troubles = sort_rows(Rows(leases, []), {other.shard_id: other}, ours, name)
    assert bool(troubles) == bool(leases)
    assert all(set(lease.parents) <= set(troubles) for lease in good), (
        "a child waits for its parent, so it is never taken"
    )


def test_a_position_inside_an_aggregated_record_and_the_end_of_a_shard_are_among_them():
    leases = [
        lease for _, _, items in TABLES for item in items if (lease := Lease.from_item(item)) is not None
    ]
    assert Position(NUMBER, 11) in {lease.position for lease in leases}
    ended = [lease for lease in leases if lease.position == SHARD_END and lease.children]
    assert ended
    assert all(lease.children == ("shardId-000000000002", "shardId-000000000003") for lease in ended)
    assert any(lease.parents == ("shardId-000000000000",) for lease in leases)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"leaseKey": {"S": "Leader"}, "entityType": {"S": "LEADER"}}, None),
        ({"leaseKey": {"S": "shardId-1"}, "entityType": {"S": "STREAM"}, "checkpoint": {"S": "mm"}}, None),
        ({"leaseKey": {"S": "x"}}, None),
        ({"leaseKey": {"S": "shardId-1"}}, "it has no checkpoint"),
        (
            {"checkpoint": {"S": "garbage"}},
            "checkpoint 'garbage' is neither a sequence number nor TRIM_HORIZON",
        ),
        ({"checkpoint": {"S": "trim_horizon"}}, "checkpoint 'trim_horizon' is neither"),
        ({"checkpoint": {"S": ""}}, "checkpoint '' is neither"),
        ({"checkpoint": {"S": "49:x"}}, "checkpoint '49:x' is neither"),
        ({"checkpoint": {"N": "5"}}, "checkpoint is of type N, not S"),
        ({"checkpoint": {"S": "5"}, "leaseCounter": {"S": "7"}}, "leaseCounter is of type S, not N"),
        (
            {"checkpoint": {"S": "5"}, "leaseCounter": {"N": "7.5"}},
            "leaseCounter '7.5' is not a whole number",
        ),
        ({"checkpoint": {"S": "5"}, "parentShardId": {"S": "x"}}, "parentShardId is of type S, not SS"),
    ],
)
def test_rows_that_are_no_leases_are_skipped_and_broken_ones_say_why(item, why):
    item = {"leaseKey": {"S": "shardId-1"}, **item}
    if why is None:
        assert Lease.from_item(item) is None
    else:
        with pytest.raises(ValueError, match=re.escape(why)):
            Lease.from_item(item)


def test_positions_sort_as_kcl_sorts_them():
    order = [
        AT_TIMESTAMP,
        TRIM_HORIZON,
        LATEST,
        Position(0),
        Position(5, 0),
        Position(5, 1),
        Position(NUMBER),
        SHARD_END,
    ]
    assert sorted([*order[4:], *order[:4]]) == order
    assert [Position.parse(each.text()) for each in order] == order


def test_creating_twice_keeps_the_first(store):
    assert store.create(Lease("a", TRIM_HORIZON))
    assert not store.create(Lease("a", LATEST))
    assert store.scan() == [Lease("a", TRIM_HORIZON)]


def test_a_life(store):
    lease = Lease("a", TRIM_HORIZON, parents=("p",), starting_hash_key="0", ending_hash_key="9", started_ms=5)
    store.create(lease)
    steps = [
        lease.taken_by("one"),
        lease.taken_by("one").renewed(),
        lease.taken_by("one").renewed().renewed(Position(7, 3)),
    ]
    steps.append(steps[-1].taken_by("two"))
    steps.append(steps[-1].renewed(SHARD_END, ("c", "d")))
    steps.append(steps[-1].released())
    for old, new in zip([lease, *steps], steps, strict=False):
        store.replace(old, new)
        assert store.scan() == [new]
    assert [step.counter for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.owner_switches for step in steps] == [0, 0, 0, 1, 0, 0]
    assert steps[-1].owner is None
    assert store.delete(steps[-1])
    assert store.scan() == []


@pytest.mark.parametrize("seen", [{"counter": 7}, {"owner": "other"}, {"owner": None}, {"shard_id": "gone"}])
def test_nothing_is_written_over_a_row_that_changed(store, seen):
    row = Lease("a", Position(3), "me", 8)
    store.create(row)
    stale = dataclasses.replace(row, **seen)
    with pytest.raises(LeaseLost):
        store.replace(stale, stale.renewed(Position(9)))
    assert not store.delete(stale)
    assert store.scan() == [row]


@pytest.fixture
def table():
    with moto.mock_aws():
        made = LeaseTable(AwsSession(KEYS), "app")
        made.create_if_missing()
        yield made


def test_the_table_is_kcls_and_billed_on_demand(table):
    described = AwsSession(KEYS).client("dynamodb").describe_table(TableName="app")["Table"]
    assert described["KeySchema"] == [{"AttributeName": "leaseKey", "KeyType": "HASH"}]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    table.create_if_missing()  # again: nothing happens


def test_a_write_whose_answer_was_lost_is_recognised(table):
    lease = Lease("a", TRIM_HORIZON).taken_by("me")
    table.create(lease)
    renewed = lease.renewed(Position(4))
    table.replace(lease, renewed)
    table.replace(lease, renewed)  # botocore sent it again
    assert table.scan() == [renewed]


def test_attributes_of_others_survive_and_kcls_pending_checkpoint_goes(table):
    client = AwsSession(KEYS).client("dynamodb")
    lease = Lease("a", Position(3), "kcl", 8)
    row = lease.to_item() | {
        "throughputKBps": {"N": "0.5"},
        "pendingCheckpoint": {"S": "4"},
        "checkpointOwner": {"S": "kcl-2"},
    }
    client.put_item(TableName="app", Item=row)
    taken = lease.taken_by("me")
    table.replace(lease, taken)
    table.replace(taken, taken.renewed(Position(5)))
    item = client.get_item(TableName="app", Key={"leaseKey": {"S": "a"}})["Item"]
    assert item["throughputKBps"] == {"N": "0.5"}
    assert "pendingCheckpoint" not in item
    assert "checkpointOwner" not in item
    assert item["checkpoint"] == {"S": "5"}


def test_a_scan_reads_every_page(table, monkeypatch):
    for number in range(5):
        table.create(Lease(f"shardId-{number:012d}", TRIM_HORIZON))
    client = table._session.client("dynamodb")
    scan = client.scan
    monkeypatch.setattr(client, "scan", lambda **given: scan(**given, Limit=2))
    assert len(table.scan()) == 5


def test_expired_credentials_are_renewed_and_the_call_made_again(table, monkeypatch):
    client = table._session.client("dynamodb")
    scan, renewed = client.scan, []
    expired = ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "Scan")

    def expired_once(**given):
        if not renewed:
            raise expired
        return scan(**given)

    monkeypatch.setattr(client, "scan", expired_once)
    monkeypatch.setattr(table._session, "renew", renewed.append)
    assert table.scan() == []
    assert len(renewed) == 1
