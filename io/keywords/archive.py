"""`archive` gives editors and mypy the keywords of `WriteToArchive`.

Made by docs/make_keywords.py from the options classes; change them there.
"""

from typing import Literal

from penstock.io.keywords.aws import AwsKeywords

__all__ = ["WriteKeywords"]


class WriteKeywords(AwsKeywords, total=False):
    """Keywords of `WriteToArchive`."""

    archive: str
    """Where the archive is written: s3://bucket/prefix. Required."""

    archive_format: Literal["parquet", "avro", "json"]
    """Parquet is the smallest and the fastest to backfill; json (lines) is read by everything. One of parquet, avro, json.
    Default: parquet.
    """

    archive_compression: Literal["zstd", "gzip"]
    """Compression, of all three formats; in Avro, gzip means its deflate. One of zstd, gzip. Default: zstd."""

    roll_bytes: int
    """A shard's file is uploaded once it holds so many payload bytes. Larger: fewer files; all files of a process together
    take up to three times this in memory, and small events fill that before a file is full. Default: 67108864.
    """

    roll_seconds: float
    """A file is uploaded after that many seconds, however small. Longer: fewer files; shorter: less is read again after a
    crash. Default: 300.0.
    """

    upload_threads: int
    """Uploads under way at the same time. Default: 4."""

    stop_timeout: float
    """Seconds that a stopping job still tries to upload. Default: 30.0."""

    archive_stop_timeout: float
    """The same as `stop_timeout`."""
