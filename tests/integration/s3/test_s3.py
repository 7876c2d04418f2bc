"""Backfills from moto's S3 into a real Elasticsearch, and the archive that one of them reads."""

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from local.demo import evidence
from local.demo.jobs import Job
from local.processes import started_at
from local.servers.aws_server import CREDENTIALS, REGION
from tests.tools.machine.listening import process_tree
from tests.tools.machine.waiting import wait_until
from tests.tools.models.archive import archived
from tests.tools.samples.events import filebeat_events

pytestmark = pytest.mark.servers


class Backfill:
    """A bucket of its own, and the job on it."""

    def __init__(self, folder, elasticsearch, aws, name):
        self.folder, self.elasticsearch, self.aws, self.name = folder, elasticsearch, aws, name
        self.client = elasticsearch.client(request_timeout=30)
        self.s3 = aws.client("s3")
        self.s3.create_bucket(Bucket=name)

    def put(self, key, body):
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def command(self, *options, prefix=""):
        return [
            sys.executable, "-P", "-m", "penstock", "s3-to-elasticsearch",
            "--input", f"s3://{self.name}/{prefix}", "--hosts", self.elasticsearch.url, "--index", self.name,
            "--region", REGION, "--endpoint_url", self.aws.endpoint_url,
            "--dead_letters", f"file://{self.folder}/letters.jsonl", *options,
        ]  # fmt: skip

    def run(self, *options, prefix=""):
        environment = {**os.environ, **CREDENTIALS}
        return subprocess.run(
            self.command(*options, prefix=prefix),
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            timeout=240,
        )

    def start(self, *options):
        environment = {**os.environ, **CREDENTIALS}
        return subprocess.Popen(
            self.command(*options), stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder
        )

    def documents(self):
        """Every document by its id."""
        if not evidence.count_documents(self.client, self.name):
            return {}
        found, after = {}, None
        pit = self.client.open_point_in_time(index=self.name, keep_alive="1m")["id"]
        while True:
            page = self.client.search(
                pit={"id": pit, "keep_alive": "1m"}, size=5000, sort=["_shard_doc"], search_after=after
            )["hits"]["hits"]
            if not page:
                return found
            found.update((hit["_id"], hit["_source"]) for hit in page)
            after = page[-1]["sort"]

    def letters(self):
        file = self.folder / "letters.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def backfill(tmp_path, elasticsearch, aws, unique_name):
    return Backfill(tmp_path, elasticsearch, aws, unique_name)


def rows(count, first=0):
    return [
        {"@timestamp": "2026-11-22T12:00:00.000Z", "number": n, "message": f"line {n}"}
        for n in range(first, first + count)
    ]


def lines(documents):
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def test_every_format_and_compression_arrives(backfill):
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(300, 3000)), table, row_group_size=100, compression="snappy")
    avro = io.BytesIO()
    schema = {"type": "record", "name": "r", "fields": [
        {"name": "@timestamp", "type": "string"}, {"name": "number", "type": "long"}, {"name": "message", "type": "string"},
    ]}  # fmt: skip
    schema["fields"][0]["name"], avro_rows = (
        "timestamp",
        [
            {"timestamp": row["@timestamp"], "number": row["number"], "message": row["message"]}
            for row in rows(300, 4000)
        ],
    )
    fastavro.writer(avro, schema, avro_rows, codec="snappy")
    backfill.put("a/lines.gz", gzip.compress(lines(rows(500))) + gzip.compress(lines(rows(500, 500))))
    backfill.put("a/lines.wrong.gz", lines(rows(300, 1000)))
    backfill.put("a/lines.zst", zstd.compress(lines(rows(300, 2000))))
    backfill.put("a/table", table.getvalue())
    backfill.put("a/avro", avro.getvalue())
    backfill.put("a/array.json", json.dumps(rows(300, 5000)).encode())
    backfill.put("a/records.json.gz", gzip.compress(json.dumps({"Records": rows(300, 6000)}).encode()))
    backfill.put("a/empty", b"")
    backfill.put("a/excluded", lines(rows(10, 9000)))

    done = backfill.run("--exclude_pattern", "excluded", prefix="a/*")

    assert done.returncode == 0, done.stderr
    documents = backfill.documents()
    expected = [
        *range(1300),
        *range(2000, 2300),
        *range(3000, 3300),
        *range(4000, 4300),
        *range(5000, 5300),
        *range(6000, 6300),
    ]
    assert sorted(document["number"] for document in documents.values()) == expected
    assert "2,800   read" in done.stderr
    assert "written               2,800" in done.stderr

    # Again: everything is known by its id.
    again = backfill.run("--exclude_pattern", "excluded", prefix="a/*")
    assert again.returncode == 0, again.stderr
    assert "there already         2,800" in again.stderr
    assert backfill.documents() == documents


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_in_the_middle_and_resumed_nothing_is_missing_or_double(backfill, workers):
    for number in range(40):
        backfill.put(f"{number:02d}.gz", gzip.compress(lines(rows(500, number * 500))))
    manifest = backfill.folder / "manifest.jsonl"
    options = (
        "--manifest", f"file://{manifest}", "--workers", workers, "--max_events_per_second", "4000",
        "--max_batch_events", "600",
    )  # fmt: skip
    job = backfill.start(*options)
    wait_until(lambda: manifest.exists() and manifest.read_bytes().count(b"\n") >= 5, "five finished objects")
    processes = process_tree(job.pid)
    job.kill()
    job.communicate()
    wait_until(lambda: not any(map(started_at, processes)), "its workers are gone")
    noted = manifest.read_bytes().count(b"\n")
    assert 5 <= noted < 40
    assert len(backfill.documents()) < 20_000

    done = backfill.run(*options[:4])

    assert done.returncode == 0, done.stderr
    assert f"{noted} more were finished before" in done.stderr
    assert sorted(document["number"] for document in backfill.documents().values()) == list(range(20_000))
    assert manifest.read_bytes().count(b"\n") == 40


def test_stopped_it_writes_what_it_read_and_says_so(backfill):
    for number in range(20):
        backfill.put(f"{number:02d}.gz", gzip.compress(lines(rows(500, number * 500))))
    manifest = backfill.folder / "manifest.jsonl"
    options = (
        "--manifest",
        f"file://{manifest}",
        "--max_events_per_second",
        "2000",
        "--max_batch_events",
        "600",
    )
    job = backfill.start(*options)
    wait_until(
        lambda: manifest.exists() and manifest.read_bytes().count(b"\n") >= 3, "three finished objects"
    )
    job.send_signal(signal.SIGTERM)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 3, said
    assert "stopped before the end" in said
    finished = {json.loads(line)["url"].rpartition("/")[2] for line in manifest.read_text().splitlines()}
    numbers = {document["number"] for document in backfill.documents().values()}
    for name in finished:
        start = int(name[:2]) * 500
        assert set(range(start, start + 500)) <= numbers
    assert backfill.run(*options[:2]).returncode == 0
    assert len(backfill.documents()) == 10_000


def test_rotten_objects_cost_only_themselves(backfill):
    whole = gzip.compress(os.urandom(200).hex().encode() + b"\n")
    good = lines(rows(2000))
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(10)), table)
    backfill.put("cut.gz", gzip.compress(good)[:-2000])
    backfill.put("cut.parquet", table.getvalue()[:-10])
    backfill.put("bad line", lines(rows(5, 5000)) + b"{not json\n" + lines(rows(5, 5005)))
    backfill.put("no json.gz", whole)
    done = backfill.run()
    assert done.returncode == 1
    assert "exit code 1" in done.stderr
    letters = {letter["origin"]["key"]: letter for letter in backfill.letters()}
    assert letters["cut.gz"]["error"] == "DamagedObject"
    assert "cut short" in letters["cut.gz"]["reason"]
    assert letters["cut.parquet"]["error"] == "DamagedObject"
    assert letters["bad line"]["error"] == "JSONDecodeError"
    assert letters["bad line"]["origin"]["index"] == 5
    assert letters["bad line"]["origin"]["counts"] == "line"
    assert letters["bad line"]["origin"]["bucket"] == backfill.name
    assert letters["no json.gz"]["error"] == "JSONDecodeError"
    numbers = {document["number"] for document in backfill.documents().values()}
    assert set(range(5000, 5010)) <= numbers
    assert 0 in numbers  # what stood before the cut

    assert backfill.run("--allow_dead_letters").returncode == 0


def test_two_workers_share_the_objects(backfill):
    for number in range(12):
        backfill.put(f"{number:02d}.gz", gzip.compress(lines(rows(1000, number * 1000))))
    manifest = f"s3://{backfill.name}-manifest/done"
    backfill.s3.create_bucket(Bucket=f"{backfill.name}-manifest")
    done = backfill.run("--workers", "2", "--manifest", manifest)
    assert done.returncode == 0, done.stderr
    assert "12,000   read" in done.stderr
    assert sorted(document["number"] for document in backfill.documents().values()) == list(range(12_000))
    again = backfill.run("--workers", "2", "--manifest", manifest)
    assert "12 more were finished before" in again.stderr


def test_a_worker_s_failure_is_one_line(backfill):
    backfill.put("x", lines(rows(10)))
    done = backfill.run(
        "--workers", "2", "--dead_letters", "kinesis:no-such-stream", "--codec", "json", prefix="x"
    )
    assert done.returncode == 0  # nothing was refused, so nobody missed the stream
    backfill.put("y", b"no json\n")
    done = backfill.run("--workers", "2", "--dead_letters", "kinesis:no-such-stream", prefix="y")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no-such-stream" in done.stderr


def test_what_is_not_there_is_one_line(backfill):
    done = backfill.run(prefix="nothing/")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is nothing of that name" in done.stderr


def _field(number, data):
    length = len(data)
    head = bytes([number << 3 | 2])
    while length > 127:
        head += bytes([length & 127 | 128])
        length >>= 7
    return head + bytes([length]) + data


def aggregate(held):
    """KPL's record of (partition key, data) pairs, by its format and none of our code."""
    message = b"".join(_field(1, key.encode()) for key, _ in held)
    message += b"".join(_field(3, bytes([8, at]) + _field(3, data)) for at, (_, data) in enumerate(held))
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def put_stream(backfill, count, first=0):
    """Records as a producer sends them: aggregated ones with Filebeat's real events, and plain ones."""
    kinesis = backfill.aws.client("kinesis")
    real = filebeat_events()
    for number in range(first, first + count):
        if number % 3:
            event = {"number": number, "message": "plain"}
            kinesis.put_record(
                StreamName=backfill.name, PartitionKey=str(number), Data=json.dumps(event).encode()
            )
        else:
            held = []
            for place in range(5):
                event = json.loads(real[(number + place) % len(real)])
                event["log"] = {"file": {"path": "/var/log/x"}, "offset": number * 1000 + place}
                held.append((str(number), json.dumps(event).encode()))
            kinesis.put_record(StreamName=backfill.name, PartitionKey="a", Data=aggregate(held))
    return count - (count + 2) // 3 + 5 * ((count + 2) // 3)


def stream_job(backfill, name, application, *options, log):
    common = [
        "--kinesis_stream_name", backfill.name, "--application_name", application, "--region", REGION,
        "--endpoint_url", backfill.aws.endpoint_url, "--checkpoint_interval_seconds", "1",
    ]  # fmt: skip
    return Job(name, [*common, *options], backfill.folder, log)


@pytest.mark.parametrize(("kind", "compression"), [("parquet", "zstd"), ("avro", "zstd"), ("json", "gzip")])
def test_backfilling_the_archive_gives_the_live_path_s_documents(backfill, kind, compression):
    backfill.aws.create_stream(backfill.name, 2)
    live = stream_job(
        backfill, "kinesis-to-elasticsearch", f"{backfill.name}-live", "--hosts", backfill.elasticsearch.url,
        "--index", backfill.name, "--dead_letters", f"file://{backfill.folder}/live.jsonl", log="live",
    )  # fmt: skip
    archive = stream_job(
        backfill, "kinesis-to-s3", f"{backfill.name}-archive", "--archive", f"s3://{backfill.name}/lake",
        "--archive_format", kind, "--archive_compression", compression, "--roll_seconds", "2", log="archive",
    )  # fmt: skip
    try:
        live.wait_ready()
        archive.wait_ready()
        count = put_stream(backfill, 60)
        wait_until(lambda: len(backfill.documents()) == count, "all events in the index")
        # A clean stop leaves what it had not read to the next run, and the two jobs read at their own pace.
        wait_until(lambda: len(set(archived(backfill.s3, backfill.name))) == count, "every record archived")
        archive.finish()
        live.finish()
        assert archive.exit_code == 0
    finally:
        live.kill()
        archive.kill()
    documents = backfill.documents()
    keys = [each["Key"] for each in backfill.s3.list_objects_v2(Bucket=backfill.name)["Contents"]]
    assert all(key.startswith("lake/dt=") and "/hour=" in key for key in keys)

    backfill.client.indices.delete(index=backfill.name)
    done = backfill.run(prefix="lake/")

    assert done.returncode == 0, done.stderr
    assert backfill.documents() == documents


@pytest.mark.kills
def test_an_archive_that_is_killed_goes_on_from_the_lease_without_loss(backfill):
    backfill.aws.create_stream(backfill.name, 2)
    options = ("--archive", f"s3://{backfill.name}/lake", "--roll_seconds", "1", "--roll_bytes", "20000")
    count = 0
    for round_number in range(4):
        job = stream_job(backfill, "kinesis-to-s3", backfill.name, *options, log=f"archive-{round_number}")
        try:
            job.wait_ready()
            count += put_stream(backfill, 60, round_number * 60)
            if round_number == 3:
                wait_until(
                    lambda total=count: len(set(archived(backfill.s3, backfill.name))) == total,
                    "every record archived",
                )
                job.finish()
                assert job.exit_code == 0
            else:
                time.sleep(0.3 + round_number * 0.7)  # before, during and after uploads
        finally:
            job.kill()
    # A file that was uploaded, but whose checkpoint was not stored before the kill, stands beside the next one.
    assert len(set(archived(backfill.s3, backfill.name))) == count
    for each in backfill.s3.list_objects_v2(Bucket=backfill.name)["Contents"]:
        rows = archived(backfill.s3, backfill.name, each["Key"])
        assert len(set(rows)) == len(rows), "within a file each record stands once"


def test_access_denied_on_the_archive_s_bucket_is_one_line(backfill):
    backfill.aws.create_stream(backfill.name, 1)
    job = stream_job(
        backfill, "kinesis-to-s3", backfill.name, "--archive", "s3://no-such-bucket-x/lake", log="archive"
    )
    wait_until(lambda: job.exit_code is not None, "the job ended")
    text = (backfill.folder / "archive.log").read_text()
    assert job.exit_code == 1
    assert "there is no bucket no-such-bucket-x" in text
    assert "Traceback" not in text
