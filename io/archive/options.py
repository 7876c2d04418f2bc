"""`ArchiveOptions` holds the options of the archive that `kinesis-to-s3` writes."""

import dataclasses

from penstock.io.errors import OptionError
from penstock.io.options import option
from penstock.io.s3.options import require_place

__all__ = ["ArchiveOptions"]


@dataclasses.dataclass(frozen=True)
class ArchiveOptions:
    """Where and how the archive is written."""

    archive: str = option(help="Where the archive is written: s3://bucket/prefix.")
    archive_format: str = option(
        "parquet",
        choices=("parquet", "avro", "json"),
        help="Parquet is the smallest and the fastest to backfill; json (lines) is read by everything.",
    )
    archive_compression: str = option(
        "zstd",
        choices=("zstd", "gzip"),
        help="Compression, of all three formats; in Avro, gzip means its deflate.",
    )
    roll_bytes: int = option(
        64 << 20,
        help="A shard's file is uploaded once it holds so many payload bytes. Larger: fewer files; all files of a "
        "process together take up to three times this in memory, and small events fill that before a file is full.",
    )
    roll_seconds: float = option(
        300.0,
        help="A file is uploaded after that many seconds, however small. Longer: fewer files; shorter: less is read "
        "again after a crash.",
    )
    upload_threads: int = option(4, help="Uploads under way at the same time.")
    stop_timeout: float = option(
        30.0, flag="archive_stop_timeout", help="Seconds that a stopping job still tries to upload."
    )

    def __post_init__(self) -> None:
        if not self.archive.startswith("s3://"):
            message = f"--archive {self.archive!r} is not s3://bucket/prefix."
            raise OptionError(message)
        require_place("--archive", self.archive)
        if self.archive_format not in ("parquet", "avro", "json"):
            message = f"--archive_format {self.archive_format!r} is not one of parquet, avro, json."
            raise OptionError(message)
        if self.archive_compression not in ("zstd", "gzip"):
            message = f"--archive_compression {self.archive_compression!r} is neither zstd nor gzip."
            raise OptionError(message)
        for name in ("roll_bytes", "roll_seconds", "upload_threads", "stop_timeout"):
            if getattr(self, name) < (1 if name != "stop_timeout" else 0):
                message = f"--{name} {getattr(self, name)} is too small: at least 1."
                raise OptionError(message)

    @property
    def place(self) -> tuple[str, str]:
        """Bucket, and prefix without slashes at its ends."""
        bucket, _, prefix = self.archive.removeprefix("s3://").partition("/")
        return bucket, prefix.strip("/")
