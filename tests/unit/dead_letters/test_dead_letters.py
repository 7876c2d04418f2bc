import gzip
import logging
import os
import subprocess
import sys
import threading

import apache_beam as beam
import boto3
import orjson
import pytest
from apache_beam.testing.util import assert_that
from moto import mock_aws

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE, Chunk, LiveSource
from penstock.io.dead_letters import (
    LetterReader,
    ReplayedOrigin,
    WriteDeadLetters,
    decode,
    default_store_url,
    encode,
    open_store,
    place_of,
    read_letters,
    require_store_url,
)
from penstock.io.dead_letters._letters import letter_id, lines_of
from penstock.io.dead_letters._parts import Joiner
from penstock.io.dead_letters.file_store import FileStore
from penstock.io.dead_letters.gathering import Gatherer
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.errors import AccessDenied, DeliveryError, OptionError, PeerError, PenstockError
from penstock.io.preflight.trials import writable
from penstock.transforms.batch import DeadLetter
from penstock.transforms.identity import position_id
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import ARRIVED_MS, ToyOrigin, batch, event


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    LIVE.close()


def _letter(data: bytes = b"nope", index: int = 3, **fields) -> DeadLetter:
    one = event(data, index)
    one.part = 2
    return DeadLetter(one, "JSONDecodeError", "no JSON", "decode", **fields)


@pytest.mark.parametrize("data", [b"nope", b"\xff\x00\n", '{"ü":"\u2028"}'.encode(), b""])
def test_a_letter_holds_the_bytes_and_all_it_takes_to_send_them_again(data):
    letter = _letter(data, status=400, attempts=3)
    letter.event.id = "i"
    line = encode(letter, 1_000_000_000.0)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    found = orjson.loads(line)
    assert found["@timestamp"] == "2001-09-09T01:46:40Z"
    assert (found["stage"], found["error"], found["reason"]) == ("decode", "JSONDecodeError", "no JSON")
    assert (found["status"], found["attempts"]) == (400, 3)
    assert found["origin"] == {"toy": "stream/shard/1", "index": 3, "part": 2}
    back = decode(line)
    assert back.event.data == data
    assert (back.event.index, back.event.part, back.event.id) == (3, 2, "i")
    assert position_id(back.event) == position_id(letter.event)
    assert back.event.origin.arrived_ms == ARRIVED_MS
    assert back.event.origin.describe() == {"toy": "stream/shard/1"}
    assert back.kept


def test_an_origin_without_position_comes_back_without_one():
    letter = DeadLetter(event(b"x", origin=ToyOrigin(None)), "e", "r", "s")
    assert decode(encode(letter)).event.origin == ReplayedOrigin(None, ARRIVED_MS, (("toy", ""),))


@pytest.mark.parametrize("line", [b"", b"{}", b"nope", b"[]", b'{"origin":{}}', encode(_letter())[:-20]])
def test_what_is_no_letter_is_a_value_error(line):
    with pytest.raises(ValueError, match="not a dead letter"):
        decode(line)


def test_letter_ids():
    assert letter_id(_letter()) == letter_id(_letter())
    others = [_letter(index=4), _letter(b"x"), DeadLetter(_letter().event, "e", "r", "elasticsearch")]
    assert len({letter_id(each) for each in [_letter(), *others]}) == 4


@pytest.mark.parametrize(
    "url",
    [
        "file:///a/b.jsonl",
        "file://localhost/x",
        "elasticsearch:refused",
        "s3://my-bucket/a/b",
        "kinesis:refused",
    ],
)
def test_urls(url):
    require_store_url(url)


@pytest.mark.parametrize(
    "url",
    ["", "file:///", "file://host/x", "/tmp/x", "http://x/y", "elasticsearch:", "elasticsearch:Upper", "elasticsearch:_x",
     "s3://B/x", "s3:///x", "kinesis:", "kinesis:a/b", "file:relative", "file:///%00x", "file:./x",
     "elasticsearch:.", "elasticsearch:..", "elasticsearch:" + "a" * 256],
)  # fmt: skip
def test_what_names_no_store_is_refused(url):
    with pytest.raises(OptionError, match=r"--dead_letters .* is none of"):
        require_store_url(url)


def test_a_path_that_is_too_long_is_refused_at_the_start():
    with pytest.raises(OptionError, match="the name is too long"):
        writable("--dead_letters", "/x" * 3000)


def test_a_store_without_its_options_is_refused_when_the_pipeline_is_built():
    with pytest.raises(OptionError, match="this job has no"):
        WriteDeadLetters("elasticsearch:x", aws=AwsOptions())


def test_a_file_grows_is_rotated_and_read_in_order(tmp_path):
    path = tmp_path / "deep" / "letters.jsonl"
    store = FileStore(path, rotate_bytes=600)
    for number in range(7):
        store.append([_letter(b"%d" % number)])
    store.close()
    files = sorted(path.parent.iterdir())
    assert len(files) > 1
    assert all(file.stat().st_size < 1000 for file in files)
    again = FileStore(path)
    assert [letter.event.data for letter in read_letters(again)] == [b"%d" % number for number in range(7)]
    again.close()


def test_a_file_taken_away_by_others_is_made_anew(tmp_path):
    path = tmp_path / "letters.jsonl"
    store = FileStore(path)
    store.append([_letter(b"1")])
    path.rename(tmp_path / "elsewhere")
    store.append([_letter(b"2")])
    path.unlink()
    store.append([_letter(b"3")])
    store.close()
    assert [orjson.loads(line)["data"] for line in path.open("rb")] == ["3"]


def test_threads_and_processes_do_not_mix_lines(tmp_path):
    path = tmp_path / "letters.jsonl"
    stores = [FileStore(path, rotate_bytes=6_000) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda s=s: [s.append([_letter(b"x" * 300)] * 3) for _ in range(15)])
        for s in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(read_letters(stores[0]))) == 180
    for store in stores:
        store.close()


def test_lines_that_are_no_letters_are_left_out_and_told_once(tmp_path, caplog):
    path = tmp_path / "letters.jsonl"
    path.write_bytes(b"rubbish\n\n" + encode(_letter()) + b'{"cut":')
    store = FileStore(path)
    with caplog.at_level(logging.WARNING):
        assert len(list(read_letters(store))) == 1
    store.close()
    assert "2 lines are no dead letters" in caplog.text


@pytest.mark.parametrize(
    ("place", "told"),
    [("file/x.jsonl", "File exists"), ("folder", "Is a directory"), ("pipe", "no regular file")],
)
def test_a_file_that_cannot_be_written_is_an_option_error(tmp_path, place, told):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OptionError, match=f"--dead_letters: cannot write .*{told}"):
        FileStore(tmp_path / place).append([_letter()])


_ON_A_SMALL_DISK = """
import resource, sys
from pathlib import Path
from penstock.io.dead_letters.file_store import FileStore
from penstock.io.dead_letters.gathering import Gatherer
from penstock.io.errors import DeliveryError
from penstock.transforms.batch import DeadLetter
from tests.tools.samples.events import event

store = FileStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
kept = 0
try:
    while True:
        store.append([DeadLetter(event(b"%d" % kept), "e", "x" * 900, "decode")])
        kept += 1
except DeliveryError as error:
    print(kept, error)
"""


def test_a_full_disk_fails_the_batch_and_spoils_no_letter(tmp_path):
    """What was acknowledged is read, and so is what comes after the half line."""
    path = tmp_path / "letters.jsonl"
    command = [sys.executable, "-P", "-c", _ON_A_SMALL_DISK, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."}
    )
    kept, _, error = done.stdout.partition(" ")
    assert "not acknowledged and come again" in error
    assert not path.read_bytes().endswith(b"\n"), "the disk was full in the middle of a line"
    again = FileStore(path)
    again.append([_letter(b"first"), _letter(b"second")])
    again.close()
    reader = LetterReader(FileStore(path))
    expected = [*(b"%d" % number for number in range(int(kept))), b"first", b"second"]
    assert [letter.event.data for letter in reader] == expected
    assert reader.wrong == 1


def test_rotated_files_of_a_name_like_a_glob_are_read(tmp_path):
    (tmp_path / "l[1].jsonl").write_bytes(encode(_letter(b"0")))
    (tmp_path / "l[1].jsonl.2026").write_bytes(encode(_letter(b"1")))
    (tmp_path / "l1.jsonl.2026").write_bytes(encode(_letter(b"another store's")))
    found = read_letters(FileStore(tmp_path / "l[1].jsonl"))
    assert [each.event.data for each in found] == [b"1", b"0"]


def test_files_that_were_compressed_are_read(tmp_path):
    path = tmp_path / "letters.jsonl"
    lines = [encode(_letter(b"%d" % number)) for number in range(3)]
    (tmp_path / "letters.jsonl.2.gz").write_bytes(gzip.compress(lines[0]))
    (tmp_path / "letters.jsonl.1").write_bytes(lines[1])
    path.write_bytes(lines[2])
    assert sorted(each.event.data for each in read_letters(FileStore(path))) == [b"0", b"1", b"2"]
    assert [each.event.data for each in read_letters(FileStore(tmp_path / "letters.jsonl.2.gz"))] == [b"0"]


@mock_aws
@pytest.mark.parametrize("kind", ["file", "s3"])
def test_a_damaged_file_is_counted_and_the_others_are_read(tmp_path, caplog, kind):
    packed = gzip.compress(b"".join(encode(_letter(os.urandom(9))) for _ in range(3)))
    files = {
        "1.jsonl.gz": packed[:-9],
        "2.jsonl.gz": packed[:20] + b"\xff" * 9 + packed[29:],
        "3.jsonl.gz": b"\x1f\x8bno gzip",
        "4.jsonl": encode(_letter(b"good")),
    }
    store = FileStore(tmp_path / "l")
    if kind == "s3":
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="refused")
        store = open_store("s3://refused", aws=AwsOptions(access_key="x", secret_key="y"))
    for name, content in files.items():
        if kind == "s3":
            client.put_object(Bucket="refused", Key=f"l.{name}", Body=content)
        else:
            (tmp_path / f"l.{name}").write_bytes(content)
    reader = LetterReader(store)
    assert [each.event.data for each in reader][-1] == b"good"
    assert reader.wrong >= 3
    assert all(f"l.{number}.jsonl.gz is damaged" in caplog.text for number in "123")


@pytest.mark.parametrize(
    "data", [b"\x00" * (12 << 20), b"\xff" * 3000, b"x" * 100_000, "\u2028".encode() * 50_000]
)
@pytest.mark.parametrize("limit", [1_000_000, 16 << 20, 20_000])
def test_a_letter_of_any_size_fits_its_store_and_comes_back(data, limit):
    letter = _letter(data, status=400)
    letter.event.id = "i"
    lines = lines_of(letter, limit)
    assert all(len(line) <= limit and line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert all(orjson.loads(line)["reason"] == "no JSON" for line in lines), "each says why"
    joiner = Joiner()
    found = [joiner.take(line) for line in [*lines[::-1], *lines[1:]]]
    (whole,) = [each for each in found if each is not None]
    back = decode(whole)
    assert (back.event.data, back.event.id, back.status) == (data, "i", 400)


def test_parts_that_miss_others_are_no_letter(tmp_path):
    lines = lines_of(_letter(b"x" * 100_000), 20_000)
    for missing in (lines[1:], lines[:-1], [lines[0], lines[0]], [lines[0].replace(b'"of":', b'"of":1')]):
        path = tmp_path / "letters.jsonl"
        path.write_bytes(b"".join(missing))
        reader = LetterReader(FileStore(path))
        assert list(reader) == []
        assert reader.wrong > 0


def test_letters_that_say_piece_are_letters():
    line = encode(_letter(b'{"piece":1}'))
    assert Joiner().take(line) == line


@mock_aws
def test_s3():
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="refused")
    store = open_store("s3://refused/a/b", aws=AwsOptions(access_key="x", secret_key="y"))
    store.append([_letter(b"1"), _letter(b"2")])
    store.append([_letter(b"1"), _letter(b"2")])  # a batch that came again
    store.append([_letter(b"3")])
    assert sorted(letter.event.data for letter in read_letters(store)) == [b"1", b"2", b"3"]
    packed = gzip.compress(encode(_letter(b"4")))
    boto3.client("s3").put_object(Bucket="refused", Key="a/b/x.jsonl.gz", Body=packed)
    assert sorted(letter.event.data for letter in read_letters(store)) == [b"1", b"2", b"3", b"4"]
    with pytest.raises(PenstockError, match="s3://missing"):
        open_store("s3://missing", aws=AwsOptions(access_key="x", secret_key="y")).append([_letter()])


class _Source(LiveSource):
    """Remembers what is acknowledged, and how many objects there were by then."""

    def __init__(self, **bounds):
        super().__init__("source", **{"max_pending_events": 1000, "max_pending_bytes": 1 << 30, **bounds})
        self.acknowledged = []
        LIVE.get("source", lambda: self)

    def batches(self, count):
        """Batches of one refused event each, handed out."""
        made = []
        for number in range(count):
            letter = _letter(b"%d" % number)
            assert self.offer(Chunk([letter.event], 1, number))
            one = self.take(0)
            made.append(one.with_events([], [letter]))
        return made

    def _acknowledged(self, chunks):
        self.acknowledged += [chunk.context for chunk in chunks]


@mock_aws
def test_letters_of_many_batches_are_one_object_and_acknowledged_when_it_is_stored():
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="refused")
    source = _Source()
    aws = AwsOptions(access_key="x", secret_key="y")
    with beam.Pipeline() as pipeline:
        batches = pipeline | beam.Create(source.batches(35), reshuffle=False)
        _ = batches | WriteDeadLetters("s3://refused/a", aws=aws) | Acknowledge()
    assert sorted(source.acknowledged) == list(range(35))
    assert len(s3.list_objects_v2(Bucket="refused")["Contents"]) < 18, "seconds, not batches, make objects"
    letters = read_letters(open_store("s3://refused/a", aws=aws))
    assert sorted(int(letter.event.data) for letter in letters) == list(range(35))


@pytest.mark.parametrize("bounds", [{}, {"max_pending_events": 4}], ids=["time", "no room"])
def test_gathered_letters_wait_neither_for_a_bundle_s_end_nor_for_room(bounds):
    source, stored = _Source(**bounds), []

    def keep(letters):
        assert not set(source.acknowledged) & {int(letter.event.data) for letter in letters}
        stored.append(letters)

    gatherer = Gatherer(keep)
    try:
        for one in source.batches(4):
            gatherer.add(one.dead_letters, one.receipt)
        wait_until(lambda: source.acknowledged == [0, 1, 2, 3], "all are acknowledged", 60.0)
        assert sum(map(len, stored)) == 4
    finally:
        gatherer.close()


def test_letters_that_cannot_be_stored_end_the_job_and_acknowledge_nothing():
    source = _Source()

    def keep(letters):
        raise AccessDenied("no")

    gatherer = Gatherer(keep)
    try:
        (one,) = source.batches(1)
        gatherer.add(one.dead_letters, one.receipt)
        wait_until(lambda: source.failure is not None, "the source has failed", 60.0)
        with pytest.raises(AccessDenied):
            gatherer.add(one.dead_letters, one.receipt)
        assert source.acknowledged == []
    finally:
        gatherer.close()


@mock_aws
def test_kinesis():
    client = boto3.client("kinesis", region_name="us-east-1")
    client.create_stream(StreamName="refused", ShardCount=2)
    store = open_store("kinesis:refused", aws=AwsOptions(access_key="x", secret_key="y"))
    store.append([_letter(b"%d" % number) for number in range(700)])
    assert sorted(int(letter.event.data) for letter in read_letters(store)) == list(range(700))
    large = os.urandom(1_200_000)  # what the job could not put into its own stream
    store.append([_letter(large)])
    assert [each.event.data for each in read_letters(store) if len(each.event.data) > 3] == [large]
    with pytest.raises(PenstockError, match="missing"):
        open_store("kinesis:missing", aws=AwsOptions(access_key="x", secret_key="y")).append([_letter()])


def test_kinesis_sends_only_what_failed_again():
    calls: list[int] = []

    class Client:
        def put_records(self, StreamName, Records):  # noqa: N803
            calls.append(len(Records))
            failed = len(calls) == 1
            return {
                "Records": [
                    {"ErrorCode": "x"} if failed and n % 2 else {"SequenceNumber": "1"}
                    for n in range(len(Records))
                ]
            }

    store = open_store("kinesis:refused", aws=AwsOptions(access_key="x", secret_key="y"))
    store._session.client = lambda service: Client()
    store.append([_letter(b"%d" % number) for number in range(4)])
    assert calls == [4, 2]


def test_elasticsearch():
    kept: dict[str, dict] = {}
    nonsense = [b""]

    def answer(request):
        if request.path.startswith("/_bulk"):
            lines = request.body.split(b"\n")
            items = []
            for head, source in zip(lines[::2], lines[1::2], strict=False):
                name = orjson.loads(head)["create"]["_id"]
                items.append({"create": {"status": 409 if name in kept else 201}})
                kept[name] = orjson.loads(source)
            return 200, orjson.dumps({"errors": True, "items": items})
        if nonsense[0]:
            return 200, nonsense[0]
        first = "/_search?" in request.path
        hits = [{"_id": name, "_source": source} for name, source in kept.items()] if first else []
        return 200, orjson.dumps({"_scroll_id": "s", "hits": {"hits": hits}})

    with fake_http(answer) as fake:
        store = open_store(
            "elasticsearch:refused", elasticsearch=ElasticsearchOptions(hosts=[fake.url], index="x-%{a}")
        )
        for _ in range(2):
            store.append([_letter(b"1"), _letter(b"2")])
        assert [letter.event.data for letter in read_letters(store)] == [b"1", b"2"]
        store.append([_letter(b"x" * 900_000)])
        assert [len(letter.event.data) for letter in read_letters(store)] == [1, 1, 900_000]
        for nonsense[0] in (b"{}", b"[]", b'{"hits":{"hits":[1]},"_scroll_id":"s"}', b"<html>"):
            with pytest.raises(PeerError, match="no page of a search"):
                list(read_letters(store))
        store.close()
    assert b'"_index":"refused"' in fake.requests[1].body


@pytest.mark.parametrize(("largest", "sizes"), [(20_000, [100, 50, 25]), (900, [100, 50, 25, 12, 6, 3, 1])])
def test_a_page_that_is_too_large_is_asked_for_with_fewer_letters(largest, sizes):
    """Letters of a release that kept them whole may be long, and `--max_reply_bytes` small."""
    lines = [orjson.loads(encode(_letter(b"%d" % number))) for number in range(90)]
    scroll = {"at": 0, "size": 0}
    asked = []

    def answer(request):
        if request.method == "DELETE":
            return 200, b"{}"
        if "/_search?" in request.path:
            asked.append(orjson.loads(request.body)["size"])
            scroll.update(at=0, size=asked[-1])
        begin = scroll["at"]
        scroll["at"] += scroll["size"]
        # The second page of a scroll is the large one: what the first one gave must not come twice.
        pad = "x" * 400 if begin else ""
        page = [
            {"_id": str(n), "_source": lines[n], "pad": pad}
            for n in range(90)[begin : begin + scroll["size"]]
        ]
        return 200, orjson.dumps({"_scroll_id": "s", "hits": {"hits": page}})

    with fake_http(answer) as fake:
        options = ElasticsearchOptions(hosts=[fake.url], max_reply_bytes=largest)
        store = open_store("elasticsearch:refused", elasticsearch=options)
        found = [int(letter.event.data) for letter in read_letters(store)]
        store.close()
    assert found == list(range(90))
    assert asked == sizes


def test_a_letter_that_is_larger_than_a_reply_may_be_is_named():
    body = orjson.dumps(
        {"_scroll_id": "s", "hits": {"hits": [{"_id": "a", "_source": {"data": "x" * 5000}}]}}
    )
    with fake_http(lambda request: (200, body)) as fake:
        options = ElasticsearchOptions(hosts=[fake.url], max_reply_bytes=1000)
        store = open_store("elasticsearch:refused", elasticsearch=options)
        with pytest.raises(PenstockError, match="raise --max_reply_bytes"):
            list(read_letters(store))
        store.close()


def test_elasticsearch_refusing_a_letter_fails_the_batch():
    reply = b'{"errors":true,"items":[{"create":{"status":400,"error":{"type":"t","reason":"r"}}}]}'
    with fake_http(lambda request: (200, reply)) as fake:
        store = open_store("elasticsearch:refused", elasticsearch=ElasticsearchOptions(hosts=[fake.url]))
        with pytest.raises(DeliveryError, match="not acknowledged and come again"):
            store.append([_letter()])
        store.close()


def test_the_sink_keeps_new_letters_counts_them_and_hands_the_batch_on(tmp_path, caplog):
    path = tmp_path / "letters.jsonl"
    old, new = _letter(b"kept before"), _letter(b"new")
    old.kept = True
    full = batch(event(b"{}"))
    full.dead_letters.extend([old, new])

    def check(batches):
        assert all(letter.kept for each in batches for letter in each.dead_letters)
        assert len(batches) == 2

    pipeline = beam.Pipeline()
    assert_that(pipeline | beam.Create([full, batch()]) | WriteDeadLetters(f"file://{path}"), check)
    with caplog.at_level(logging.WARNING):
        result = pipeline.run()
        result.wait_until_finish()
    assert [orjson.loads(line)["data"] for line in path.open("rb")] == ["new"]
    (counter,) = result.metrics().query(beam.metrics.MetricsFilter().with_name("kept"))["counters"]
    assert counter.committed == 1
    assert "1 events refused (decode: JSONDecodeError x1); kept in" in caplog.text
    assert "no JSON" not in caplog.text, "reasons may quote the payload"


def test_a_store_that_fails_ends_the_job(tmp_path):
    (tmp_path / "file").write_text("")
    full = batch()
    full.dead_letters.append(_letter())
    with pytest.raises(Exception, match="cannot write"), beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([full]) | WriteDeadLetters(f"file://{tmp_path}/file/x")
    assert isinstance(LIVE.failure, OptionError)


@pytest.mark.parametrize(
    ("cwd", "environment", "folder"),
    [
        ("/tmp", {}, "/tmp"),
        ("/", {"HOME": "/home/me"}, "/home/me/.local/state/penstock"),
        ("/", {"XDG_STATE_HOME": "/state"}, "/state/penstock"),
        ("/", {"STATE_DIRECTORY": "/var/lib/penstock"}, "/var/lib/penstock"),
        ("/tmp", {"STATE_DIRECTORY": "/var/lib/private/a 100%:/var/lib/b"}, "/var/lib/private/a 100%"),
    ],
)
def test_where_letters_are_kept_when_nothing_is_said(monkeypatch, cwd, environment, folder):
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(cwd)
    assert place_of(default_store_url("a-job")) == ("file", f"{folder}/dead_letters/a-job.jsonl", "")
