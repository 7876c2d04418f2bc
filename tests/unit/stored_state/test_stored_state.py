"""State that the version before has stored is read by this one: archive, letters, manifest, leases, savepoints."""

import base64
import json
import pickle
from pathlib import Path

import moto
import pytest
from apache_beam.internal import pickler

from penstock.io import archive
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.chain import unbounded
from penstock.io.chain.batch_coder import BatchCoder
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import decode
from penstock.io.kinesis.lease.table import LeaseTable
from penstock.io.kinesis.positions import SHARD_END, TRIM_HORIZON, Position, read_marks
from penstock.io.s3 import Finished, Stores, list_objects
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object
from penstock.io.s3.reading import UnitReader, plan
from penstock.io.s3.units.manifest import open_manifest
from penstock.transforms.codecs.json_objects import JsonDecoder

STORED = Path(__file__).parent / "fixtures"
SAVEPOINT = json.loads((STORED / "savepoint.json").read_text())
NUMBER = 49600000000000000000000000000000000000000000000000000005
AWS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example", region="us-east-1")


@pytest.mark.parametrize("name", ["archive.parquet", "archive.avro", "archive.jsonl.gz"])
def test_an_archive_gives_the_ids_of_the_live_path(name):
    options = S3ReadOptions(input=[str(STORED / name)])
    stores, store = Stores(options, AWS, LIVE.stopping), LocalFiles()
    (found,) = list_objects(options, stores)
    events = []
    for unit in plan(found, options, store):
        for piece, letters in UnitReader(unit, options, store, (archive.LAYOUT,)).pieces():
            assert not letters
            events += piece
    assert events[-1].data == b"\xff\xfenot json"
    decoded, _ = JsonDecoder().decode(events)
    assert [event.id for event in decoded] == SAVEPOINT["ids"]["archive"]


def test_letters_hold_what_it_takes_to_send_them_again():
    letters = [decode(line) for line in (STORED / "letters.jsonl").read_bytes().splitlines()]
    assert [letter.error for letter in letters] == [
        "JSONDecodeError",
        "document_parsing_exception",
        "UnicodeDecodeError",
    ]
    assert [letter.event.data for letter in letters] == [b'{"n":', b'{"price":"x"}', b"\xff\x00raw"]
    assert [(letter.event.index, letter.event.part) for letter in letters] == [(1, 0), (4, 2), (0, 0)]
    assert letters[1].event.id == "1abc"
    assert letters[1].event.origin.position() == b"s3://bucket/logs/a.json\0etag1"


def test_a_manifest_tells_what_is_finished(tmp_path):
    (tmp_path / "manifest.jsonl").write_bytes((STORED / "manifest.jsonl").read_bytes())
    finished = Finished(open_manifest(f"file://{tmp_path}/manifest.jsonl", AWS).read())
    whole = S3Object("bucket", "logs/a.json", 10, "etag1", 1770000000000)
    large = S3Object("bucket", "logs/big.parquet", 1 << 30, "etag2", 1770000000000)
    assert finished.whole(whole)
    assert not finished.whole(large)
    assert finished.parts(large) == {"0-2"}


def test_a_lease_table_says_who_reads_what_and_how_far():
    with moto.mock_aws():
        session = AwsSession(AWS)
        table = LeaseTable(session, "app")
        table.create_if_missing()
        for item in json.loads((STORED / "lease_table.json").read_text()):
            session.client("dynamodb").put_item(TableName="app", Item=item)
        leases = {lease.shard_id[-1]: lease for lease in table.scan()}
    assert {shard: (lease.position, lease.owner, lease.counter) for shard, lease in leases.items()} == {
        "0": (Position(NUMBER, 2), "w1", 7),
        "1": (SHARD_END, None, 3),
        "2": (TRIM_HORIZON, None, 0),
    }


def test_a_savepoint_gives_its_splits_positions_and_batches():
    for split in (
        unbounded._SplitCoder().decode(SAVEPOINT["split_coder"].encode()),
        pickle.loads(base64.b64decode(SAVEPOINT["split_pickle"])),
        pickler.loads(SAVEPOINT["split_beam_pickle"]),
    ):
        assert (split.key, split.number, split.count, split.salt) == ("kinesis:orders/app", 1, 4, 17)
    mark = unbounded._MarkCoder().decode(SAVEPOINT["mark_coder"].encode())
    assert read_marks(mark.position) == {"shardId-000000000000": Position(NUMBER, 2)}
    batch = BatchCoder().decode(base64.b64decode(SAVEPOINT["batch_coder"]))
    assert [(event.data, event.id) for event in batch.events] == [(b'{"n":1}', "1id")]
    assert batch.dead_letters[0].error == "JSONDecodeError"
    assert "kinesis:orders/app" in repr(batch.receipt)
