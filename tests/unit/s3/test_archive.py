"""The archive's sink: what is in a file, when it is uploaded, and that nothing is acknowledged before."""

import gzip
import json
import threading

import pytest
from botocore.exceptions import ClientError

from penstock.io.archive import LAYOUT, ArchiveOptions
from penstock.io.archive.files import encode, name_of
from penstock.io.archive.sink import Archive
from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import AccessDenied, DeliveryError, Unreachable
from penstock.io.kinesis.positions import KinesisRecord
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.pipelines.jobs import kinesis_to_s3
from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder
from tests.unit.s3.conftest import BUCKET

HOUR_MS = 3_600_000
NOON = 1_795_348_800_000  # 2026-11-22T12:00:00Z


def record(number, shard=0, arrived_ms=NOON, data=None, sub=0):
    origin = KinesisRecord("stream", f"shardId-{shard:012d}", str(100 + number), "key", arrived_ms, 3)
    return Event(data if data is not None else b'{"n":%d}' % number, origin, sub)


class Live:
    """A source as the archive sees it."""

    stopping = False
    max_pending_events = 1000
    max_pending_bytes = 1 << 20
    pending_events = 0
    pending_bytes = 0
    all_handed_out = True

    def __init__(self):
        self.shards = {}
        self.acknowledged = []
        self.stored = []
        self.failure = None
        self.before_close = None
        self.ended = set()
        self.trouble = ""

    def batch(self, *chunks):
        """Events and tokens of a batch made of (token, events) pairs."""
        for token, events in chunks:
            self.shards[token] = events[0].origin.shard_id if events else "shardId-000000000000"
        return [e for _, events in chunks for e in events], [token for token, _ in chunks]

    def shards_of(self, tokens):
        return {token: self.shards[token] for token in tokens if token in self.shards}

    def acknowledge(self, tokens):
        for token in tokens:
            if self.shards.pop(token, None):
                self.acknowledged.append(token)

    def has_ended(self, shard_id):
        return shard_id in self.ended

    def store_checkpoint(self, shard_id, timeout_s):
        self.stored.append(shard_id)
        return True

    def fail(self, failure):
        self.failure = failure


class Bucket:
    def __init__(self):
        self.files = {}
        self.failures = []
        self.gate = threading.Event()
        self.gate.set()

    def put(self, name, body):
        assert self.gate.wait(60)
        if self.failures:
            raise self.failures.pop(0)
        return self.files.setdefault(name, body) is body


@pytest.fixture
def made():
    live, bucket, clock = Live(), Bucket(), [0.0]
    archives = []

    def make(**options):
        settings = {
            "archive": "s3://bucket/lake",
            "archive_format": "json",
            "archive_compression": "gzip",
            **options,
        }
        archive = Archive(ArchiveOptions(**settings), live, bucket.put, lambda: clock[0])
        archives.append(archive)
        return archive, live, bucket, clock

    yield make
    for archive in archives:
        bucket.gate.set()
        archive.close()
    LIVE.close()


def lines(body):
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


@pytest.mark.parametrize("kind", ["parquet", "avro", "json"])
def test_without_its_layout_an_archive_is_refused_and_its_rows_are_no_documents(kind, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(encode([record(1), record(2)], kind, "gzip"))
    unit = WorkUnit(LocalFiles().stat("", str(path)))
    ((events, (letter,)),) = UnitReader(unit, S3ReadOptions(input=["x"]), LocalFiles()).pieces()
    assert events == []
    assert letter.error == "DamagedObject"
    assert "penstock.io.archive.LAYOUT" in letter.reason


def test_nothing_is_acknowledged_before_the_upload(made):
    archive, live, bucket, _ = made()
    bucket.gate.clear()
    archive.append(*live.batch((1, [record(1), record(2)]), (2, [record(3)])))
    assert live.acknowledged == []
    flushing = threading.Thread(target=archive.flush)
    flushing.start()
    assert live.acknowledged == []
    bucket.gate.set()
    flushing.join(60)
    assert live.acknowledged == [1, 2]
    assert live.stored == ["shardId-000000000000"]
    ((name, body),) = bucket.files.items()
    assert name == "lake/dt=2026-11-22/hour=12/stream-shardId-000000000000-101-0_103-0.jsonl.gz"
    assert [line["sequence_number"] for line in lines(body)] == ["101", "102", "103"]


def test_files_are_of_one_shard_and_one_hour(made):
    archive, live, bucket, _ = made()
    archive.append(
        *live.batch((1, [record(1), record(2, arrived_ms=NOON + HOUR_MS)]), (2, [record(1, shard=1)]))
    )
    archive.flush()
    assert sorted(bucket.files) == [
        "lake/dt=2026-11-22/hour=12/stream-shardId-000000000000-101-0_101-0.jsonl.gz",
        "lake/dt=2026-11-22/hour=12/stream-shardId-000000000001-101-0_101-0.jsonl.gz",
        "lake/dt=2026-11-22/hour=13/stream-shardId-000000000000-102-0_102-0.jsonl.gz",
    ]
    assert sorted(live.acknowledged) == [1, 2]


def test_a_full_file_is_uploaded_and_an_idle_one_by_the_timer(made):
    archive, live, bucket, clock = made(roll_bytes=100, roll_seconds=60)
    archive.append(*live.batch((1, [record(1, data=b"x" * 200)])))
    archive.append(*live.batch((2, [record(2)])))
    wait(lambda: live.acknowledged == [1])
    clock[0] = 59.0
    archive._seal_old(clock[0])
    assert live.acknowledged == [1]
    clock[0] = 61.0
    archive.start()
    wait(lambda: live.acknowledged == [1, 2])
    assert len(bucket.files) == 2


def wait(condition):
    tick = threading.Event()
    for _ in range(500):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("not in time")


def test_a_stretch_without_events_is_acknowledged_at_once(made):
    archive, live, _, _ = made()
    archive.append(*live.batch((1, [])))
    assert live.acknowledged == [1]


def test_a_failed_bundle_is_not_archived_twice(made):
    archive, live, bucket, _ = made()
    first = live.batch((1, [record(1)]), (2, [record(2)]))
    archive.append(*first)
    archive.append(*live.batch((1, [record(1)]), (2, [record(2)]), (3, [record(3)])))
    archive.flush()
    (body,) = bucket.files.values()
    assert [line["sequence_number"] for line in lines(body)] == ["101", "102", "103"]
    assert live.acknowledged == [1, 2, 3]


def test_what_a_lost_lease_held_is_left_to_its_new_owner(made):
    archive, live, bucket, _ = made()
    archive.append(*live.batch((1, [record(1)])))
    live.shards.clear()
    archive.flush()
    assert bucket.files == {}
    assert live.acknowledged == []


def test_a_lease_that_comes_back_starts_anew(made):
    """Lost and won again within `roll_seconds`: what was held before is the other owner's, and stands in no file twice."""
    archive, live, bucket, _ = made()
    archive.append(*live.batch((1, [record(1), record(2)])))
    live.shards.clear()
    archive.append(*live.batch((2, [record(3)])))
    archive.flush()
    ((name, body),) = bucket.files.items()
    assert name.endswith("-103-0_103-0.jsonl.gz")
    assert [line["sequence_number"] for line in lines(body)] == ["103"]
    assert live.acknowledged == [2]


def test_a_batch_of_a_lost_lease_is_not_taken(made):
    archive, live, bucket, _ = made()
    events, tokens = live.batch((1, [record(1)]), (2, [record(1, shard=1)]))
    del live.shards[1]
    archive.append(events, tokens)
    archive.flush()
    assert [name.partition("shardId-")[2][:12] for name in bucket.files] == ["000000000001"]


def test_the_lease_is_looked_at_between_the_attempts_of_an_upload(made, monkeypatch):
    archive, live, bucket, _ = made()
    monkeypatch.setattr("penstock.io.archive.uploads.delays", lambda *_: iter(lambda: 0.01, None))
    archive.append(*live.batch((1, [record(1)])))

    def put(name, body):
        live.shards.clear()  # while S3 answers 503, another worker takes the shard
        raise Unreachable("no answer")

    monkeypatch.setattr(bucket, "put", put)
    archive._uploads._put = put
    archive.flush()
    assert live.acknowledged == []
    assert live.failure is None, "a lost lease is no failure"


def test_the_last_file_of_an_ended_shard_does_not_wait(made):
    archive, live, bucket, _ = made(roll_seconds=3600)
    archive.append(*live.batch((1, [record(1)]), (2, [record(1, shard=1)])))
    live.ended.add("shardId-000000000000")
    archive.start()
    wait(lambda: live.acknowledged == [1])
    assert len(bucket.files) == 1


def test_uploads_that_fail_for_long_are_told(made, monkeypatch):
    archive, live, _, clock = made()
    monkeypatch.setattr("penstock.io.archive.uploads.delays", lambda *_: iter(lambda: 0.01, None))
    told = []

    def put(name, body):
        told.append(live.trouble)
        clock[0] += 10
        if len(told) < 5:
            raise Unreachable("no answer from S3")
        return True

    archive._uploads._put = put
    archive.append(*live.batch((1, [record(1)])))
    archive.flush()
    assert told[:2] == ["", ""]
    assert told[2] == "uploads have failed for 20 s: no answer from S3"
    assert live.trouble == ""


def test_a_file_is_never_written_over(s3, store):
    assert store.put_new(BUCKET, "a", b"long", "x")
    assert not store.put_new(BUCKET, "a", b"l", "x")
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"long"


def test_a_store_without_conditions_is_written_to(s3, store, monkeypatch):
    call = store.session.call
    seen = []

    def old_store(service, method, **arguments):
        seen.append("IfNoneMatch" in arguments)
        if arguments.pop("IfNoneMatch", None):
            raise ClientError({"Error": {"Code": "NotImplemented", "Message": "no"}}, "PutObject")
        return call(service, method, **arguments)

    monkeypatch.setattr(store.session, "call", old_store)
    assert store.put_new(BUCKET, "a", b"1", "x")
    assert store.put_new(BUCKET, "b", b"1", "x")
    assert seen == [True, False, False]


def test_a_fault_that_passes_is_tried_again(made):
    archive, live, bucket, _ = made()
    bucket.failures = [Unreachable("no answer")]
    archive.append(*live.batch((1, [record(1)])))
    archive.flush()
    assert live.acknowledged == [1]


def test_a_denial_ends_the_job_and_acknowledges_nothing(made):
    archive, live, bucket, _ = made()
    bucket.failures = [AccessDenied("access denied")]
    archive.append(*live.batch((1, [record(1)])))
    with pytest.raises(AccessDenied):
        archive.flush()
    assert isinstance(live.failure, AccessDenied)
    assert isinstance(LIVE.failure, AccessDenied)
    assert live.acknowledged == []
    with pytest.raises(AccessDenied):
        archive.append(*live.batch((2, [record(2)])))


def test_a_stop_waits_no_longer_than_it_was_told(made):
    archive, live, bucket, _ = made(stop_timeout=0)
    bucket.gate.clear()
    archive.append(*live.batch((1, [record(1)])))
    with pytest.raises(DeliveryError, match="comes again"):
        archive.flush()
    assert live.acknowledged == []


def test_a_source_without_room_left_gets_its_largest_file_uploaded(made):
    archive, live, _, _ = made()
    archive.append(*live.batch((1, [record(1, data=b"x" * 100)]), (2, [record(1, shard=1)])))
    live.pending_events = 900
    archive.start()
    wait(lambda: live.acknowledged[:1] == [1])


@pytest.mark.parametrize("kind", ["parquet", "avro", "json"])
@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_an_archived_record_comes_back_as_it_was(tmp_path, kind, compression):
    events = [
        record(1, data=b'{"message":"one"}', sub=0), record(1, data=b"\xff\x00 not UTF-8", sub=1),
        record(2, shard=1, data=b""), record(3, arrived_ms=NOON + 1, data='{"message":"Zoë 🚰"}'.encode(), sub=7),
    ]  # fmt: skip
    path = tmp_path / "file"
    path.write_bytes(encode(events, kind, compression))
    found = LocalFiles().stat("", str(path))
    pieces = list(UnitReader(WorkUnit(found), S3ReadOptions(input=["x"]), LocalFiles(), (LAYOUT,)).pieces())
    assert [event for found, _ in pieces for event in found] == events
    assert not any(letters for _, letters in pieces)
    live, _ = JsonDecoder().decode([record(1, data=b'{"message":"one"}')])
    again, _ = JsonDecoder().decode([event for found, _ in pieces for event in found][:1])
    assert again[0].id == live[0].id


@pytest.mark.parametrize("kind", ["parquet", "avro", "json"])
def test_a_record_that_stands_in_two_files_has_one_id(tmp_path, kind):
    """After a kill, a file may begin in the middle of an earlier one: the backfill stores each record once."""
    events = [record(n, data=b'{"n":%d}' % n) for n in range(10)]
    ids = []
    for number, part in enumerate((events[:7], events[4:])):
        path = tmp_path / f"{number}"
        path.write_bytes(encode(part, kind, "zstd"))
        unit = WorkUnit(LocalFiles().stat("", str(path)))
        for found, _ in UnitReader(unit, S3ReadOptions(input=["x"]), LocalFiles(), (LAYOUT,)).pieces():
            ids += [event.id for event in JsonDecoder().decode(found)[0]]
    assert len(ids) == 13
    live, _ = JsonDecoder().decode([record(n, data=b'{"n":%d}' % n) for n in range(10)])
    assert set(ids) == {event.id for event in live}


def test_a_name_holds_the_first_and_the_last_record():
    name = name_of("lake", record(5, sub=3), record(9), "parquet", "zstd")
    assert name == "lake/dt=2026-11-22/hour=12/stream-shardId-000000000000-105-3_109-0.parquet"
    assert name_of("", record(5), record(5), "avro", "gzip").startswith("dt=2026-11-22/")


def test_a_line_that_is_no_archived_record_is_a_letter(tmp_path):
    good = gzip.decompress(encode([record(1)], "json", "gzip"))
    path = tmp_path / "file"
    path.write_bytes(good + b'{"penstock_archive":1,"stream":5}\n' + good)
    found = LocalFiles().stat("", str(path))
    pieces = list(UnitReader(WorkUnit(found), S3ReadOptions(input=["x"]), LocalFiles(), (LAYOUT,)).pieces())
    assert sum(len(events) for events, _ in pieces) == 2
    assert [letter.event.index for _, letters in pieces for letter in letters] == [1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--application_name", "logstash"), "--application_name logstash is the live job's by tradition"),
        (("--application_name", "archive", "--checkpoints", "none"), "--checkpoints none"),
    ],
)
def test_the_archive_job_wants_a_lease_table_of_its_own(capsys, given, says):
    arguments = (
        "--kinesis_stream_name",
        "stream",
        "--region",
        "us-east-1",
        "--archive",
        "s3://bucket/prefix",
    )
    assert kinesis_to_s3.JOB.main((*arguments, *given)) == 2
    assert says in capsys.readouterr().err


def test_the_archive_job_says_that_it_has_no_use_for_dead_letters(capsys):
    arguments = ("--kinesis_stream_name", "stream", "--application_name", "archive", "--region", "us-east-1")
    arguments += ("--archive", "s3://bucket/prefix", "--dead_letters", "file:///letters.jsonl")
    assert kinesis_to_s3.JOB.main(arguments) == 2
    assert "refuses none: leave --dead_letters out" in capsys.readouterr().err
