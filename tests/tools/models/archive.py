"""`archive` reads an archive that `kinesis-to-s3` has written, with none of our code."""

import gzip
import io
import json
from typing import Any

import fastavro
import pyarrow.parquet as pq

PLACE = ("shard_id", "sequence_number", "sub_sequence_number")


def archived(s3: Any, bucket: str, prefix: str = "") -> list[tuple[Any, ...]]:
    """Every record: shard, sequence and sub-sequence number, as often as it is there."""
    found = []
    for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        found += [tuple(row[name] for name in PLACE) for row in _rows(body)]
    return found


def _rows(body: bytes) -> list[Any]:
    if body.startswith(b"PAR1"):
        return list(pq.read_table(io.BytesIO(body)).to_pylist())
    if body.startswith(b"Obj"):
        return list(fastavro.reader(io.BytesIO(body)))
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]
