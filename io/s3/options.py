"""`S3ReadOptions` holds the options of the S3 read, named as in Logstash's input `s3` where the meaning is the same."""

import base64
import binascii
import dataclasses
import datetime
import re

from penstock.io.errors import OptionError
from penstock.io.options import option

__all__ = ["FORMATS", "S3ReadOptions", "require_place", "split_url"]

FORMATS = ("auto", "lines", "json", "json_array", "json_records", "parquet", "avro", "orc")
_BUCKET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}")


@dataclasses.dataclass(frozen=True)
class S3ReadOptions:
    """What is read from S3 (or from local files), and how."""

    input: list[str] = option(
        [],
        help="What to read: s3://bucket/prefix, s3://bucket/logs/*.gz (*, ? and [ab] take slashes too), or paths "
        "of local files and folders. Several: repeat, or separate by commas. In a key, write [[] for [ and \\, for a comma.",
    )
    input_manifest: str | None = option(
        None,
        help="File (path or s3://...) that lists objects instead: one URL per line, or JSON lines with bucket, key "
        "and, if you want a certain one, version; or the manifest.json of an S3 Inventory (Parquet, ORC, CSV).",
    )
    exclude_pattern: str | None = option(
        None, help="Regular expression; keys (paths) in which it is found are not read."
    )
    include_hidden: bool = option(
        False,
        help="Read also what Spark, Hadoop, Delta and Iceberg keep for themselves: names with . or _ in front (not _day=1), "
        "x_$folder$, Iceberg's metadata. What --input or a list names itself is always read.",
    )
    start_after: str | None = option(
        None,
        help="Begin each listing of a bucket behind this key; where keys are in order of time, what is older is not listed.",
    )
    from_time: str | None = option(
        None,
        flag="from",
        help="Skip objects whose key names an earlier hour or day (dt=2026-11-22/hour=06, 2026/11/22/06, 2026-11-22, "
        "year=2026/month=11/...); ISO 8601, UTC. Keys without a date are read.",
    )
    to_time: str | None = option(None, flag="to", help="Likewise those that begin at that time or later.")
    modified_after: str | None = option(
        None, help="Only objects last modified at that time or later; ISO 8601, UTC."
    )
    modified_before: str | None = option(None, help="Only objects last modified before that time.")
    format: str = option(
        "auto",
        choices=FORMATS,
        help="How an object holds records. auto: by content; text is lines unless it begins with [, "
        '{"Records":[ or a line that is only {. lines: one record per line; json: JSON values one after another, over any '
        'lines; json_array: elements of one array; json_records: those of "Records".',
    )
    columns: list[str] = option(
        [],
        help="Columns of Parquet (a.b within a struct), Avro and ORC to read. Fewer are faster. Default: all.",
    )
    include_object_properties: bool = option(
        False,
        help="Put bucket, key, version, last modified and index into [@metadata][s3], for transforms and references.",
    )
    manifest: str | None = option(
        None,
        help="Where finished objects are noted, so that a second run does only the rest: file:///path, "
        "s3://bucket/prefix or dynamodb:table.",
    )
    split_bytes: int = option(
        64 << 20,
        help="Objects larger than this are read in parts where the format allows (uncompressed lines, Parquet, Avro). "
        "Smaller: better spread over workers; larger: fewer requests. At least 16 MiB.",
    )
    max_line_bytes: int = option(
        16 << 20, help="Longer lines and array elements are refused; bounds what a reader holds."
    )
    max_batch_events: int = option(4000, help="Events in one batch at most.")
    max_batch_bytes: int = option(8 << 20, help="Bytes of one batch at most; a larger record goes alone.")
    max_events_per_second: float = option(
        0.0,
        help="Events read per second, by all worker processes of this machine together; 0: no limit. With "
        "--max_bulks_in_flight it keeps room for the live stream.",
    )
    request_payer: bool = option(False, help="We pay for requests to requester-pays buckets.")
    sse_customer_key: str | None = option(
        None,
        secret=True,
        help="Base64 of the 256-bit key of objects encrypted with your own key (SSE-C); SSE-S3 and SSE-KMS need none.",
    )

    def __post_init__(self) -> None:
        if not self.input and not self.input_manifest:
            message = "--input is required (or --input_manifest): s3://bucket/prefix* or a local path."
            raise OptionError(message)
        for begin, end in (("from_time", "to_time"), ("modified_after", "modified_before")):
            after, before = self.time_ms(begin), self.time_ms(end)
            if after is not None and before is not None and after >= before:
                first, last = (name.removesuffix("_time") for name in (begin, end))
                message = f"--{first} {getattr(self, begin)} is not before --{last} {getattr(self, end)}: nothing fits."
                raise OptionError(message)
        if self.exclude_pattern:
            try:
                re.compile(self.exclude_pattern)
            except re.error as error:
                message = f"--exclude_pattern {self.exclude_pattern!r} is no regular expression: {error}."
                raise OptionError(message) from None
        for url in (*self.input, *filter(None, [self.input_manifest])):
            require_place("--input", url)
        if self.manifest:
            _check_manifest(self.manifest)
        if self.format not in FORMATS:
            message = f"--format {self.format!r} is not one of {', '.join(FORMATS)}."
            raise OptionError(message)
        bounds = {"split_bytes": 16 << 20, "max_line_bytes": 1, "max_batch_events": 1, "max_batch_bytes": 1}
        for name, lowest in bounds.items():
            if getattr(self, name) < lowest:
                message = f"--{name} {getattr(self, name)} is below {lowest}."
                raise OptionError(message)
        if self.max_events_per_second < 0:
            message = "--max_events_per_second must not be negative (0: no limit)."
            raise OptionError(message)
        if self.sse_customer_key is not None:
            try:
                valid = len(base64.b64decode(self.sse_customer_key, validate=True)) == 32
            except binascii.Error:
                valid = False
            if not valid:
                message = "--sse_customer_key is not the base64 form of 32 bytes."
                raise OptionError(message)

    def time_ms(self, name: str) -> int | None:
        """Gives one of the four time options in milliseconds since 1970; None when it isn't given."""
        text: str | None = getattr(self, name)
        if text is None:
            return None
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            flag = {"from_time": "from", "to_time": "to"}.get(name, name)
            message = f"--{flag} {text!r} is not ISO 8601 (2026-11-22, 2026-11-22T06:00:00Z)."
            raise OptionError(message) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        return round(moment.timestamp() * 1000)


def split_url(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; for a path, an empty bucket and the path."""
    if url.startswith("s3://"):
        bucket, _, key = url[5:].partition("/")
        return bucket, key
    return "", url.removeprefix("file://")


def require_place(flag: str, url: str) -> None:
    """Raises `OptionError` unless `url` is a local path or names a bucket."""
    if url.startswith("s3://"):
        if not _BUCKET.fullmatch(url[5:].partition("/")[0]):
            message = f"{flag} {url!r}: s3://bucket/prefix, with the bucket's name in full."
            raise OptionError(message)
    elif "://" in url and not url.startswith("file://"):
        message = f"{flag} {url!r} is neither s3://bucket/prefix nor a local path."
        raise OptionError(message)


def _check_manifest(url: str) -> None:
    scheme, _, rest = url.partition(":")
    if scheme == "s3":
        require_place("--manifest", url)
    elif not (
        (scheme == "file" and rest.startswith("///"))
        or (scheme == "dynamodb" and re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", rest))
    ):
        message = f"--manifest {url!r} is none of file:///path, s3://bucket/prefix or dynamodb:table."
        raise OptionError(message)
