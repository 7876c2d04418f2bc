"""`io/archive` is the archive of a stream in S3: what `kinesis-to-s3` writes, and how a backfill reads it back.

- `sink`: `WriteToArchive`.    - `source`: the read whose lease table alone says where to go on.
- `files`: a file as bytes, and its name.    - `_rows`: the rows, and the layout that a backfill plugs in.
- `options`, `preflight`: the options, what is tried before the start, and the permissions it needs.

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.archive._rows import LAYOUT
    from penstock.io.archive.options import ArchiveOptions
    from penstock.io.archive.preflight import archive_statements, archive_trials
    from penstock.io.archive.sink import WriteToArchive
    from penstock.io.archive.source import ReadForArchive, require_archive_read

__all__ = [
    "LAYOUT",
    "ArchiveOptions",
    "ReadForArchive",
    "WriteToArchive",
    "archive_statements",
    "archive_trials",
    "require_archive_read",
]

__getattr__ = lazily(
    __name__,
    {
        "ArchiveOptions": "options",
        "LAYOUT": "_rows",
        "ReadForArchive": "source",
        "WriteToArchive": "sink",
        "archive_statements": "preflight",
        "archive_trials": "preflight",
        "require_archive_read": "source",
    },
)
