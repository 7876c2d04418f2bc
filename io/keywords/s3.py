"""`s3` gives editors and mypy the keywords of `ReadFromS3`.

Made by docs/make_keywords.py from the options classes; change them there.
"""

from collections.abc import Sequence
from typing import Literal

from penstock.io.keywords.aws import AwsKeywords

__all__ = ["ReadKeywords"]


class ReadKeywords(AwsKeywords, total=False):
    """Keywords of `ReadFromS3`."""

    input: str | Sequence[str]
    """What to read: s3://bucket/prefix, s3://bucket/logs/*.gz (*, ? and [ab] take slashes too), or paths of local files and
    folders. Several: repeat, or separate by commas. In a key, write [[] for [ and \\, for a comma.
    """

    input_manifest: str | None
    """File (path or s3://...) that lists objects instead: one URL per line, or JSON lines with bucket, key and, if you want
    a certain one, version; or the manifest.json of an S3 Inventory (Parquet, ORC, CSV).
    """

    exclude_pattern: str | None
    """Regular expression; keys (paths) in which it is found are not read."""

    include_hidden: bool
    """Read also what Spark, Hadoop, Delta and Iceberg keep for themselves: names with . or _ in front (not _day=1),
    x_$folder$, Iceberg's metadata. What `input` or a list names itself is always read. Default: False.
    """

    start_after: str | None
    """Begin each listing of a bucket behind this key; where keys are in order of time, what is older is not listed."""

    from_time: str | None
    """Skip objects whose key names an earlier hour or day (dt=2026-11-22/hour=06, 2026/11/22/06, 2026-11-22,
    year=2026/month=11/...); ISO 8601, UTC. Keys without a date are read.
    """

    to_time: str | None
    """Likewise those that begin at that time or later."""

    to: str | None
    """The same as `to_time`."""

    modified_after: str | None
    """Only objects last modified at that time or later; ISO 8601, UTC."""

    modified_before: str | None
    """Only objects last modified before that time."""

    format: Literal["auto", "lines", "json", "json_array", "json_records", "parquet", "avro", "orc"]
    """How an object holds records. auto: by content; text is lines unless it begins with [, {"Records":[ or a line that is
    only {. lines: one record per line; json: JSON values one after another, over any lines; json_array: elements of one
    array; json_records: those of "Records". One of auto, lines, json, json_array, json_records, parquet, avro, orc.
    Default: auto.
    """

    columns: str | Sequence[str]
    """Columns of Parquet (a.b within a struct), Avro and ORC to read. Fewer are faster. Default: all."""

    include_object_properties: bool
    """Put bucket, key, version, last modified and index into [@metadata][s3], for transforms and references. Default: False.
    """

    manifest: str | None
    """Where finished objects are noted, so that a second run does only the rest: file:///path, s3://bucket/prefix or
    dynamodb:table.
    """

    split_bytes: int
    """Objects larger than this are read in parts where the format allows (uncompressed lines, Parquet, Avro). Smaller:
    better spread over workers; larger: fewer requests. At least 16 MiB. Default: 67108864.
    """

    max_line_bytes: int
    """Longer lines and array elements are refused; bounds what a reader holds. Default: 16777216."""

    max_batch_events: int
    """Events in one batch at most. Default: 4000."""

    max_batch_bytes: int
    """Bytes of one batch at most; a larger record goes alone. Default: 8388608."""

    max_events_per_second: float
    """Events read per second, by all worker processes of this machine together; 0: no limit. With --max_bulks_in_flight it
    keeps room for the live stream. Default: 0.0.
    """

    request_payer: bool
    """We pay for requests to requester-pays buckets. Default: False."""

    sse_customer_key: str | None
    """Base64 of the 256-bit key of objects encrypted with your own key (SSE-C); SSE-S3 and SSE-KMS need none."""
