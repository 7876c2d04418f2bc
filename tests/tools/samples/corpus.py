"""Small objects as data lakes hold them: made by pyarrow and fastavro, laid out as Spark does, as AWS services document.

`CORPUS` maps a key to what a backfill with `--codec json` makes of it: bytes, documents, and letters by error. A key in
`HIDDEN` is not read at all.

Formats: CloudTrail, WAF, VPC flow logs, load balancers, GuardDuty, Route 53 Resolver, DMS, Firehose, EventBridge and
Config as https://docs.aws.amazon.com describes their files.
"""

import bz2
import datetime
import decimal
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from typing import Any

import fastavro
import lz4.frame
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
from backports import zstd

from penstock.io.archive.files import encode
from penstock.io.kinesis.positions import KinesisRecord
from penstock.transforms.batch import Event

__all__ = ["CORPUS", "HIDDEN"]

NOW = datetime.datetime(2026, 11, 22, 6, 0, 0, 123456, datetime.UTC)
TEXT = "2026-11-22T06:00:00Z"


def lines(count: int, **more: Any) -> bytes:
    return b"".join(json.dumps({"@timestamp": TEXT, "n": n, **more}).encode() + b"\n" for n in range(count))


def text_lines(count: int, line: str) -> bytes:
    return "".join(f"{line.format(n)}\n" for n in range(count)).encode()


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    output = io.BytesIO()
    pq.write_table(pa.table(columns), output, **options)
    return output.getvalue()


def avro(kind: Any, values: list[Any], codec: str = "null", **options: Any) -> bytes:
    output = io.BytesIO()
    schema = {"type": "record", "name": "r", "namespace": "n", "fields": [{"name": "v", "type": kind}]}
    fastavro.writer(output, schema, [{"v": value} for value in values], codec=codec, **options)
    return output.getvalue()


def zipped() -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as file:
        file.writestr("a.json", lines(3))
    return output.getvalue()


def tarred() -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as file:
        entry = tarfile.TarInfo("a.json")
        entry.size = len(lines(3))
        file.addfile(entry, io.BytesIO(lines(3)))
    return output.getvalue()


def orc() -> bytes:
    output = io.BytesIO()
    pyarrow.orc.write_table(pa.table({"n": [1, 2]}), output)
    return output.getvalue()


def archive(kind: str, compression: str = "zstd") -> bytes:
    origin = KinesisRecord("logs", "shardId-000000000000", f"4959{kind}", "key", 1_795_327_200_000, 0)
    # Its events have the origin of the live path; the key, by which the test counts them, stands in the payload.
    data = b'{"n":%d,"@metadata":{"s3":{"key":"archive/dt=2026-11-22/hour=06/%b"}}}'
    return encode([Event(data % (n, kind.encode()), origin, n) for n in range(4)], kind, compression)


def zipped_lines(count: int, **more: Any) -> bytes:
    return gzip.compress(lines(count, **more))


def document(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def zipped_text(count: int, line: str) -> bytes:
    return gzip.compress(text_lines(count, line))


def cloudtrail(count: int) -> bytes:
    record = {
        "eventVersion": "1.08", "eventTime": TEXT, "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
        "awsRegion": "eu-west-1", "requestParameters": {"bucketName": "b", "key": "]}{["}, "responseElements": None,
    }  # fmt: skip
    return json.dumps({"Records": [{**record, "eventID": f"e{n}"} for n in range(count)]}).encode()


def broken(content: bytes, at: int, count: int = 20) -> bytes:
    return content[:at] + b"\xff" * count + content[at + count :]


def second_row_group_broken() -> bytes:
    content = parquet({"n": range_of(300)}, row_group_size=100, compression="gzip", use_dictionary=False)
    place = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(0).data_page_offset
    return broken(content, place + 60)


def range_of(count: int) -> list[int]:
    return list(range(count))


def int96(*times: datetime.datetime) -> bytes:
    return parquet({"t": pa.array(times, pa.timestamp("us"))}, use_deprecated_int96_timestamps=True)


def late_avro() -> bytes:
    """A date of the year 10000 among others: written as a number, named a date."""
    content = avro({"type": "int", "logicalTyqe": "date"}, [1] * 50 + [2**31 - 1] + [1] * 50)
    return content.replace(b"logicalTyqe", b"logicalType")


MICROS = {"type": "long", "logicalType": "timestamp-micros"}
NESTED = {
    "type": "record",
    "name": "inner",
    "fields": [{"name": "a", "type": ["null", {"type": "array", "items": "long"}]}],
}
VPC = "2 123456789012 eni-0a1b2c3d 10.0.0.1 10.0.0.2 443 {} 6 10 840 1600000000 1600000060 ACCEPT OK"
ALB = 'https 2026-11-22T06:00:{:02d}.000000Z app/lb/50dc 10.0.0.1:2817 10.0.0.2:80 0.0 0.0 0.0 200 200 34 366 "GET / HTTP"'
NOT_UTF8 = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
AWS, DAY = "AWSLogs/1", "eu-west-1/2026/11/22"
UNDECODABLE, UNSUPPORTED = {"UndecodableLines": 1}, {"UnsupportedFormat": 1}
DAMAGED, UNREADABLE = {"DamagedObject": 1}, {"UnreadableValue": 1}
STRUCT_KEYS = pa.map_(pa.struct([("a", pa.int8())]), pa.string())
CODECS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
AVRO_CODECS = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
FAR = (datetime.datetime(9999, 12, 31), datetime.datetime(1677, 1, 1))  # noqa: DTZ001
STRINGS = avro("string", ["x" * 50] * 2000, sync_interval=20_000)
MONEY = {"v": [decimal.Decimal("1.50")] * 3, "d": pa.array([1] * 3, pa.duration("ns"))}
Entry = tuple[bytes, int, dict[str, int]]

CORPUS: dict[str, Entry] = {
    # Text, in every compression that is read.
    "text/lines.json": (lines(20), 20, {}),
    "text/lines.json.gz": (gzip.compress(lines(20)), 20, {}),
    "text/two-members.gz": (gzip.compress(lines(10)) + gzip.compress(lines(10)), 20, {}),
    "text/lines.zst": (zstd.compress(lines(20)), 20, {}),
    "text/lines.bz2": (bz2.compress(lines(20)), 20, {}),
    "text/lines.xz": (lzma.compress(lines(20)), 20, {}),
    "text/gz-without-suffix": (gzip.compress(lines(20)), 20, {}),
    "text/no-gzip.gz": (lines(20), 20, {}),
    "text/windows.json": (b"\xef\xbb\xbf" + lines(20).replace(b"\n", b"\r\n"), 20, {}),
    "text/blank-lines.json": (lines(5).replace(b"\n", b"\n\n"), 5, {}),
    "text/no-line-end.json": (lines(5)[:-1], 5, {}),
    "text/array.json": (b"[" + b",".join(lines(5).splitlines()) + b"]", 5, {}),
    "text/pretty-array.json": (json.dumps([{"n": n, "deep": {"a": [n]}} for n in range(5)], indent=2).encode(), 5, {}),
    "text/empty-array.json": (b"[]", 0, {}),
    "text/empty": (b"", 0, {}),
    "text/empty.gz": (gzip.compress(b""), 0, {}),
    "text/array-with-a-number.json": (b'[{"n": 1}, 5, {"n": 2}]', 2, {"NotAnObject": 1}),
    "text/one-bad-line.json": (lines(5) + b"{not json\n" + lines(5), 10, {"JSONDecodeError": 1}),
    "text/bad-utf8.json": (lines(3) + b'{"a":"\xff"}\n', 3, {"JSONDecodeError": 1}),
    "text/cut.json.gz": (gzip.compress(lines(20))[:-8], 20, DAMAGED),
    "text/cut-array.json": (b"[" + b",".join(lines(5).splitlines()), 5, DAMAGED),
    # What AWS services write.
    f"{AWS}/CloudTrail/{DAY}/1_CloudTrail_x.json.gz": (gzip.compress(cloudtrail(7)), 7, {}),
    f"{AWS}/CloudTrail-Digest/{DAY}/1_digest.json": (document(awsAccountId="1", logFiles=[]), 1, {}),
    f"{AWS}/Config/{DAY}/ConfigSnapshot/x.json": (document(fileVersion="1.0", configurationItems=[{}]), 1, {}),
    f"{AWS}/GuardDuty/{DAY}/x.jsonl.gz": (zipped_lines(6, schemaVersion="2.0", type="Recon:EC2/Port"), 6, {}),
    f"{AWS}/WAFLogs/acl/{DAY}/06/00/x.log.gz": (zipped_lines(6, timestamp=1_795_327_200_000, action="BLOCK"), 6, {}),
    f"{AWS}/vpcdnsquerylogs/vpc-1/{DAY}/x.log.gz": (zipped_lines(6, query_name="a.example.", rcode="NOERROR"), 6, {}),
    f"{AWS}/vpcflowlogs/{DAY}/x.log.gz": (zipped_text(400, VPC), 0, UNDECODABLE),
    f"{AWS}/elasticloadbalancing/{DAY}/x.log.gz": (zipped_text(60, ALB), 0, UNDECODABLE),
    f"{AWS}/vpcflowlogs-parquet/{DAY}/x.parquet": (parquet({"srcaddr": ["10.0.0.1"] * 9}, compression="gzip"), 9, {}),
    "firehose/2026/11/22/06/logs-1-2026-11-22-06-00-00-x": (lines(6).replace(b"\n", b""), 6, {}),
    "firehose/2026/11/22/06/logs-2-2026-11-22-06-00-00-x.gz": (zipped_lines(6), 6, {}),
    "eventbridge/2026/11/22/x.json": (lines(3, time=TEXT, **{"detail-type": "EC2 Instance State-change"}), 3, {}),
    "dms/public/orders/LOAD00000001.json": (lines(4, data={"id": 1}, metadata={"operation": "load"}), 4, {}),
    "dms/public/orders/LOAD00000002.csv": (text_lines(50, "I,2026-11-22 06:00:00,{},red"), 0, UNDECODABLE),
    # Parquet.
    **{
        f"parquet/{codec}.parquet": (parquet({"n": range_of(11), "t": [NOW] * 11}, compression=codec), 11, {})
        for codec in CODECS
    },
    "parquet/old.parquet": (parquet({"n": range_of(11)}, version="1.0", data_page_version="1.0"), 11, {}),
    "parquet/new-pages.parquet": (parquet({"n": range_of(11)}, version="2.6", data_page_version="2.0"), 11, {}),
    "parquet/nested.parquet": (parquet({"v": [{"a": [1, 2], "m": NOW}] * 5, "l": [[NOW.date()]] * 5}), 5, {}),
    "parquet/nanoseconds.parquet": (parquet({"v": pa.array([[1], None, [3]], pa.list_(pa.timestamp("ns")))}), 3, {}),
    "parquet/maps.parquet": (parquet({"v": pa.array([[({"a": 1}, "x")]] * 3, STRUCT_KEYS)}), 3, {}),
    "parquet/decimals.parquet": (parquet(MONEY), 3, {}),
    "parquet/not-utf8.parquet": (parquet({"v": pa.concat_arrays([pa.array(["a"] * 9), NOT_UTF8])}), 9, UNREADABLE),
    "parquet/year-10000.parquet": (parquet({"v": pa.array([0, 10**15, 0], pa.timestamp("ms"))}), 2, UNREADABLE),
    "parquet/no-rows.parquet": (parquet({"n": pa.array([], pa.int64())}), 0, {}),
    "parquet/cut.parquet": (parquet({"n": range_of(11)})[:-6], 0, DAMAGED),
    "parquet/one-group-broken.parquet": (second_row_group_broken(), 200, DAMAGED),
    "parquet/in-gzip.parquet.gz": (gzip.compress(parquet({"n": [1]})), 0, UNSUPPORTED),
    # Spark's layout.
    "spark/orders/day=2026-11-22/part-00000-x.c000.snappy.parquet": (parquet({"n": range_of(8)}), 8, {}),
    "spark/orders/_day=2026-11-22/part-00000-x.c000.json": (lines(8), 8, {}),
    "spark/orders/day=2026-11-23/part-00000-int96.parquet": (int96(*FAR), 2, {}),
    # Avro.
    **{f"avro/{codec}.avro": (avro("long", range_of(13), codec), 13, {}) for codec in AVRO_CODECS},
    "avro/unions.avro": (avro(["null", MICROS, "string"], [None, NOW, "x"]), 3, {}),
    "avro/nested.avro": (avro({"type": "map", "values": ["null", NESTED]}, [{"k": {"a": [1]}}, {"k": None}]), 2, {}),
    "avro/year-10000.avro": (late_avro(), 100, UNREADABLE),
    "avro/not-utf8.avro": (broken(STRINGS, 30_010), 1999, UNREADABLE),
    "avro/block-broken.avro": (broken(STRINGS, 30_000, 200), 1798, DAMAGED),
    "avro/cut.avro": (STRINGS[:-3], 1965, DAMAGED),
    # Our own archive.
    "archive/dt=2026-11-22/hour=06/parquet": (archive("parquet"), 4, {}),
    "archive/dt=2026-11-22/hour=06/avro": (archive("avro"), 4, {}),
    "archive/dt=2026-11-22/hour=06/json": (archive("json", "gzip"), 4, {}),
    # What is not read is named.
    "other/a.zip": (zipped(), 0, UNSUPPORTED),
    "other/a.tar.gz": (gzip.compress(tarred()), 0, UNSUPPORTED),
    "other/a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(30), 0, UNSUPPORTED),
    "other/a.lz4": (lz4.frame.compress(lines(3)), 0, UNSUPPORTED),
    "other/a.Z": (b"\x1f\x9d\x90" + bytes(30), 0, UNSUPPORTED),
    "other/a.orc": (orc(), 2, {}),
    "other/utf-16.json": (lines(3).decode().encode("utf-16"), 3, {}),
    "other/gzip-in-gzip.gz": (gzip.compress(gzip.compress(lines(3))), 3, {}),
    "other/log.txt": (text_lines(30, "Nov 22 06:00:00 host sshd[{}]: ok"), 0, UNDECODABLE),
}  # fmt: skip

HIDDEN: dict[str, bytes] = {
    "spark/orders/_SUCCESS": b"",
    "spark/orders/_temporary/0/part-00000": lines(5),
    "spark/orders/.spark-staging-1/day=1/part-00000": lines(5),
    "spark/orders/day=2026-11-22/.part-00000.crc": b"crc\0\0",
    "spark/orders/_delta_log/00000000000000000000.json": lines(5),
    "spark/iceberg/metadata/v1.metadata.json": b"{}",
    "spark/iceberg/metadata/snap-1-1-x.avro": avro("long", [1]),
    "spark/orders_$folder$": b"",
}
