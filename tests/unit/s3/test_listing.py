"""Inputs and lists become objects: as a stream, without hidden files, by days; a list says what is gone."""

import datetime
import gzip
import json
import logging
import os
import threading
from urllib.parse import parse_qs, urlsplit

import botocore.awsrequest
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import NotFound, OptionError
from penstock.io.s3 import Listed
from penstock.io.s3._selection import hidden
from penstock.io.s3.listing import Stores, list_objects
from penstock.io.s3.objects import S3Objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.units.manifest import open_manifest
from penstock.pipelines.configuration.making import options_from
from tests.unit.s3.conftest import BUCKET

KEYS = AwsOptions(access_key="a", secret_key="b", region="us-east-1")


def listed(*inputs, **options):
    settings = S3ReadOptions(input=list(inputs), **options)
    return list(list_objects(settings, Stores(settings, KEYS, threading.Event())))


def put(s3, *keys):
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")


def keys_of(found):
    return [each.key for each in found]


def test_listing_with_globs_over_many_pages(s3):
    for number in range(1100):
        s3.put_object(Bucket=BUCKET, Key=f"logs/{number:04d}.{'gz' if number % 2 else 'txt'}", Body=b"x")
    s3.put_object(Bucket=BUCKET, Key="logs/folder/", Body=b"")
    found = listed(f"s3://{BUCKET}/logs/*.gz", f"s3://{BUCKET}/logs/0001", exclude_pattern="0003")
    assert len(found) == 549
    assert len({each.key for each in found}) == 549
    assert found[0].size == 1
    assert found[0].url == f"s3://{BUCKET}/logs/0001.gz"


def test_a_local_name_is_taken_as_it_stands_before_it_is_a_glob(tmp_path):
    for name in ("log[1].json", "log1.json", "log2.json", "deep/log3.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}\n")

    def names(pattern):
        return [each.key.removeprefix(f"{tmp_path}/") for each in listed(f"{tmp_path}/{pattern}")]

    assert names("log[1].json") == ["log[1].json"]
    assert names("log[12].json") == ["log1.json", "log2.json"]
    assert names("**/log3.json") == ["deep/log3.json"]
    assert len(names("")) == 4


def test_an_input_manifest_names_objects_and_versions(s3, tmp_path):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=BUCKET, Key="a", Body=b"first\n")["VersionId"]
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"second\n")
    manifest = tmp_path / "list"
    manifest.write_text(
        f'# what to read\ns3://{BUCKET}/a\n\n{{"bucket":"{BUCKET}","key":"a","version":"{first}"}}\n'
    )
    found = listed(input_manifest=str(manifest))
    texts = []
    for each in found:
        reader = UnitReader(WorkUnit(each), S3ReadOptions(input=["x"]), S3Objects(AwsOptions()))
        for events, _ in reader.pieces():
            texts += [(event.data, event.origin.version is not None) for event in events]
    assert texts == [(b"second", True), (b"first", True)]


# -- hidden names -------------------------------------------------------------------------------------

SPARK = {
    "t/day=1/part-0.parquet": True,
    "t/_day=1/part-0.parquet": True,
    "t/_SUCCESS": False,
    "t/_temporary/0/part-0": False,
    "t/.spark-staging-1/day=1/part-0": False,
    "t/day=1/.part-0.parquet.crc": False,
    "t/_delta_log/00000000000000000000.json": False,
    "t/metadata/v1.metadata.json": False,
    "t/metadata/snap-1-1-x.avro": False,
    "t/metadata/0a1b-m0.avro": False,
    "t/metadata/version-hint.text": False,
    "t/metadata/mine.json": True,
    "t/day=1_$folder$": False,
    "t/part-0.parquet._COPYING_": False,
    "t/snake_case/x.json": True,
}


def test_what_spark_and_tables_keep_for_themselves_is_left_out(s3, caplog):
    put(s3, *SPARK)
    shown = sorted(key for key, wanted in SPARK.items() if wanted)
    caplog.set_level(logging.INFO)
    assert sorted(keys_of(listed(f"s3://{BUCKET}/t/"))) == shown
    assert f"{len(SPARK) - len(shown)} hidden objects are left out" in caplog.text
    assert f"s3://{BUCKET}/t is a Delta table" in caplog.text
    assert f"s3://{BUCKET}/t is an Iceberg table" in caplog.text
    assert len(listed(f"s3://{BUCKET}/t/", include_hidden=True)) == len(SPARK)


@pytest.mark.parametrize(
    ("prefix", "key", "left_out"),
    [
        ("t/", "t/_x", True),
        ("t/_", "t/_x", False),
        ("t/_staging/", "t/_staging/a/b", False),
        ("t/_staging", "t/_staging/_a", True),
        ("", "_x", True),
        ("t/_x", "t/_x", False),
    ],
)
def test_what_an_input_names_itself_is_read(prefix, key, left_out):
    assert hidden(key, prefix) is left_out


def test_hidden_local_files_are_left_out(tmp_path):
    for name in ("a.json", "_b.json", "_temporary/c.json", ".d/e.json", "only/_x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    names = [each.key.removeprefix(f"{tmp_path}/") for each in listed(str(tmp_path))]
    assert names == ["a.json"]
    assert len(listed(f"{tmp_path}/_b.json")) == 1
    with pytest.raises(NotFound, match=r"all 1 objects there are hidden .* --include_hidden"):
        listed(f"{tmp_path}/only")


# -- by days ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout", ["a/dt=%Y-%m-%d/x", "a/%Y/%m/%d/x", "a/eu/y=%Y/m=%m/x", "a/r1/%Y/%m/%d/%H/x"]
)
def test_a_range_of_days_lists_those_days_folders(s3, monkeypatch, layout):
    start = datetime.datetime(2025, 11, 20, 6, tzinfo=datetime.UTC)
    days = [start + datetime.timedelta(days=n) for n in range(0, 400, 5)]
    put(s3, *{day.strftime(layout) for day in days}, "a/none/of/these", "a/note")
    calls = []
    page = S3Objects._list_page
    monkeypatch.setattr(
        S3Objects, "_list_page", lambda self, **more: calls.append(more) or page(self, **more)
    )
    within = {"from_time": "2026-11-10", "to_time": "2026-11-20"}
    found = keys_of(listed(f"s3://{BUCKET}/a/", **within))
    assert {"a/none/of/these", "a/note", datetime.datetime(2026, 11, 15, 6).strftime(layout)} <= set(found)  # noqa: DTZ001
    flat = [call["Prefix"] for call in calls if "Delimiter" not in call]
    assert not any("2025" in prefix for prefix in flat), "days out of the range are not looked into"
    assert len(calls) < 30, "a request for each folder on the way"
    monkeypatch.setattr("penstock.io.s3.listing._levels_to_dates", lambda *_: 0)
    assert sorted(found) == sorted(keys_of(listed(f"s3://{BUCKET}/a/", **within))), (
        "the same as by listing everything"
    )


def test_start_after_begins_behind_a_key(s3):
    put(s3, *[f"a/{n:03d}" for n in range(20)])
    assert keys_of(listed(f"s3://{BUCKET}/a/", start_after="a/016")) == ["a/017", "a/018", "a/019"]


# -- as a stream --------------------------------------------------------------------------------------


def serve(objects, pages):
    """Answers a client's listings with `pages` pages of a thousand keys; gives how many it was asked for."""
    asked = []

    def send(request, **_):
        first = int(parse_qs(urlsplit(request.url).query).get("continuation-token", ["0"])[0])
        asked.append(first)
        entries = "".join(
            f"<Contents><Key>logs/%C3%BC+{n:09d}</Key><LastModified>2026-11-22T06:00:00.000Z</LastModified>"
            f"<ETag>&quot;e{n}&quot;</ETag><Size>{n % 5000}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for n in range(first, first + 1000)
        )
        more = (
            f"<NextContinuationToken>{first + 1000}</NextContinuationToken>"
            if first + 1000 < pages * 1000
            else ""
        )
        body = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url'
            f"</EncodingType><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{entries}{more}</ListBucketResult>"
        )
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, Raw(body.encode()))

    objects.session.client("s3").meta.events.register("before-send.s3", send)
    return asked


class Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self._body


def test_a_listing_is_a_stream_and_its_spool_gives_large_objects_first():
    objects = S3Objects(KEYS)
    asked = serve(objects, 12)
    stream = objects.list("b", "")
    first = next(stream)
    assert (first.key, first.size, first.etag, first.modified_ms) == (
        "logs/ü 000000000",
        0,
        "e0",
        1_795_327_200_000,
    )
    assert asked == [0], "a page is asked for when the one before is used up"
    spool = Listed(each for each in [first, *stream])
    assert (spool.count, spool.bytes) == (12_000, sum(n % 5000 for n in range(12_000)))
    orders = [each.size.bit_length() for each in spool]
    assert orders == sorted(orders, reverse=True)
    assert len({each.key for each in spool}) == 12_000
    assert sum(map(len, spool._held.values())) < 13 * 1000, "the rest is on disk"
    spool.close()


MODIFIED = '<LastModified>2026-11-22T06:00:00.000Z</LastModified><ETag>"e"</ETag>'


@pytest.mark.parametrize(
    "entry",
    [
        f"<Contents><Size>5</Size><Key>a&amp;b</Key>{MODIFIED}</Contents>",
        f"<Contents><Key>a&amp;b</Key>{MODIFIED}<ChecksumType>x</ChecksumType><Size>5</Size><Owner><ID>x</ID></Owner></Contents>",
    ],
    ids=["another order", "more elements"],
)
def test_pages_of_other_stores_are_read_too(entry):
    objects = S3Objects(KEYS)
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>".encode()

    def send(request, **_):
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, Raw(body))

    objects.session.client("s3").meta.events.register("before-send.s3", send)
    (found,) = objects.list("b", "")
    assert (found.key, found.size, found.etag, found.modified_ms) == ("a&b", 5, "e", 1_795_327_200_000)


# -- lists --------------------------------------------------------------------------------------------


def test_a_stale_line_of_a_list_is_a_letter_and_the_others_are_read(s3, store, tmp_path):
    put(s3, *[f"a/{n}" for n in range(100)])
    lines = [f"s3://{BUCKET}/a/{n}" for n in range(100)]
    lines.insert(50, f"s3://{BUCKET}/gone")
    (tmp_path / "list").write_text("\n".join(lines))
    found = listed(input_manifest=str(tmp_path / "list"))
    assert [each.url for each in found] == lines, (
        "in the order of the list, however many are looked up at a time"
    )
    reader = UnitReader(WorkUnit(found[50]), S3ReadOptions(input=["x"]), store)
    ((events, (letter,)),) = reader.pieces()
    assert events == []
    assert letter.error == "ObjectDeleted"
    assert letter.event.origin.key == "gone"
    assert not reader.finished
    (tmp_path / "list").write_text('{"key": "a"}\n')
    with pytest.raises(OptionError, match=r"list, line 1: neither a URL nor JSON"):
        listed(input_manifest=str(tmp_path / "list"))


def inventory(form="Parquet", schema="message s3.inventory {}"):
    """As S3 writes its `manifest.json`."""
    return json.dumps(
        {
            "sourceBucket": "lake",
            "destinationBucket": f"arn:aws:s3:::{BUCKET}",
            "version": "2016-11-30",
            "creationTimestamp": "1795327200000",
            "fileFormat": form,
            "fileSchema": schema,
            "files": [{"key": "inv/data/0.parquet", "size": 1, "MD5checksum": "0" * 32}],
        }
    )


def test_an_s3_inventory_is_a_list(s3, tmp_path):
    table = pa.table(
        {
            "bucket": [BUCKET] * 4,
            "key": ["a/ü 1", "a/2", "a/old", "a/no etag"],
            "version_id": ["1", "2", "3", "4"],
            "is_latest": [True, True, False, True],
            "is_delete_marker": [False, True, False, False],
            "size": pa.array([5, None, 5, 5], pa.int64()),
            "last_modified_date": pa.array([1_795_327_200_000] * 4, pa.timestamp("ms")),
            "e_tag": ["e1", None, "e3", None],
            "storage_class": ["STANDARD"] * 4,
        }
    )
    pq.write_table(table, tmp_path / "0.parquet")
    put(s3, "a/no etag")
    s3.upload_file(str(tmp_path / "0.parquet"), BUCKET, "inv/data/0.parquet")
    s3.put_object(Bucket=BUCKET, Key="inv/manifest.json", Body=inventory().encode())
    for url in (
        f"s3://{BUCKET}/inv/manifest.json",
        f"s3://{BUCKET}/inv/data/0.parquet",
        str(tmp_path / "0.parquet"),
    ):
        first, looked_up = listed(input_manifest=url)
        assert first == S3Object(BUCKET, "a/ü 1", 5, "e1", 1_795_327_200_000)
        assert (looked_up.key, looked_up.size) == ("a/no etag", 1)
    orc.write_table(table, tmp_path / "0.orc")
    s3.upload_file(str(tmp_path / "0.orc"), BUCKET, "inv/data/0.parquet")
    s3.put_object(Bucket=BUCKET, Key="inv/manifest.json", Body=inventory("ORC").encode())
    for url in (f"s3://{BUCKET}/inv/manifest.json", str(tmp_path / "0.orc")):
        first, looked_up = listed(input_manifest=url)
        assert first == S3Object(BUCKET, "a/ü 1", 5, "e1", 1_795_327_200_000)
        assert (looked_up.key, looked_up.size) == ("a/no etag", 1)
    s3.put_object(Bucket=BUCKET, Key="inv/manifest.json", Body=inventory("JSON").encode())
    with pytest.raises(OptionError, match=r"an S3 Inventory in JSON .* Have it made in Parquet, ORC or CSV"):
        listed(input_manifest=f"s3://{BUCKET}/inv/manifest.json")


def test_an_s3_inventory_in_csv_is_a_list(s3):
    rows = (
        f'"{BUCKET}","a/%C3%BC+1","v1","true","false","5","2026-11-22T06:00:00.000Z","e1","STANDARD"\n'
        f'"{BUCKET}","a/old","v2","false","false","5","2026-11-22T06:00:00.000Z","e2","STANDARD"\n'
        f'"{BUCKET}","a/deleted","v3","true","true","","2026-11-22T06:00:00.000Z","","STANDARD"\n'
        f'"{BUCKET}","a/comma%2C%22quote","v4","true","false","7","2026-11-22T06:00:00.000Z","e4","STANDARD"'
    )
    schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
    s3.put_object(Bucket=BUCKET, Key="inv/data/0.parquet", Body=gzip.compress(rows.encode()))
    s3.put_object(Bucket=BUCKET, Key="inv/manifest.json", Body=inventory("CSV", schema).encode())
    assert listed(input_manifest=f"s3://{BUCKET}/inv/manifest.json") == [
        S3Object(BUCKET, "a/ü 1", 5, "e1", 1_795_327_200_000),
        S3Object(BUCKET, 'a/comma,"quote', 7, "e4", 1_795_327_200_000),
    ]


def test_keys_with_commas_and_brackets_can_be_given(s3):
    put(s3, "a,b[1].json", "a,b1.json")
    options = options_from(S3ReadOptions, {"input": f"s3://{BUCKET}/a\\,b[[]1].json"})
    assert keys_of(listed(*options.input)) == ["a,b[1].json"]


def test_what_is_no_file_costs_itself_in_a_folder_and_ends_the_job_when_it_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"n":1}\n')
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    (tmp_path / "folder").mkdir()

    def failures(url):
        return {each.key.rpartition("/")[2]: each.failure and each.failure[1] for each in listed(str(url))}

    everything = {
        "a.json": None,
        "pipe": "it is no regular file",
        "dangling": "No such file or directory",
        "loop": "Too many levels of symbolic links",
    }
    assert failures(tmp_path) == failures(tmp_path / "[a-z]*") == everything
    for name, reason in {
        **everything,
        "folder": "there is nothing of that name, but an empty folder",
        "a\0b": "there is nothing of that name",
        "a.json/b": "there is nothing of that name",
    }.items():
        if reason is not None:
            with pytest.raises(NotFound, match=rf"--input .*{name}: .*{reason}\."):
                failures(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pipe", "it is no regular file"),
        ("folder", "it is a folder"),
        ("a.json/b", "Not a directory"),
        ("a\0b", "no path holds a NUL"),
    ],
)
def test_a_list_that_is_no_file_ends_the_job(tmp_path, name, reason):
    (tmp_path / "a.json").write_text('{"n":1}\n')
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotFound, match=rf"--input_manifest .*: {reason}\."):
        listed(input_manifest=str(tmp_path / name))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{}", "it is a folder"),
        ("{}/pipe", "it is no regular file"),
        ("{}/loop", "it is no regular file"),
        ("{}/file/x", "is no folder"),
        ("{}/a\0b", "no path holds a NUL"),
        ("/x" * 3000, "the name is too long"),
        ("/proc/x", "a view of the kernel's"),
        ("/sys/x/y", "a view of the kernel's"),
        ("/dev/zero", "it is no regular file"),
    ],
)
def test_a_manifest_that_cannot_be_written_is_refused_at_the_start(tmp_path, path, reason):
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=rf"--manifest: cannot write .*{reason}"):
        open_manifest(f"file://{path.format(tmp_path)}", AwsOptions())
