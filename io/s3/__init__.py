"""S3: the bounded read of a backfill, and the archive that it reads.

- `options`, `origin`: every option; objects, units of work and where events came from.
- `_selection`, `listing`: which objects.               - `objects`: the only file that reads buckets and files.
- `_compression`, `_lines`, `_json_array`, `_parquet`, `_avro`, `_rows`: formats (pure).
- `reading`, `source`, `finish`: units of work into batches, and noted at the end. - `claims`: units that processes share.
- `manifest`, `tally`, `throttle`: resume, progress, rate.
- `preflight`, `policy`: what is looked at before a job runs, and what IAM must allow.
- `_archive_rows`, `archive_files`, `archive`, `lease_read`: the archive's format, files, sink and source.
"""

from penstock.io.archive.sink import WriteToArchive
from penstock.io.archive.source import ReadForArchive, check_archive_read
from penstock.io.s3.listing import Stores, list_objects
from penstock.io.s3.options import ArchiveOptions, S3ReadOptions
from penstock.io.s3.origin import S3Object
from penstock.io.s3.policy import archive_statements, read_statements
from penstock.io.s3.preflight import archive_trials, read_trials
from penstock.io.s3.source import AddObjectProperties, Decode, ReadFromS3, plan_units
from penstock.io.s3.units.claims import Claims
from penstock.io.s3.units.finish import FinishUnits
from penstock.io.s3.units.manifest import Finished, open_manifest

__all__ = [
    "AddObjectProperties",
    "ArchiveOptions",
    "Claims",
    "Decode",
    "FinishUnits",
    "Finished",
    "ReadForArchive",
    "ReadFromS3",
    "S3Object",
    "S3ReadOptions",
    "Stores",
    "WriteToArchive",
    "archive_statements",
    "archive_trials",
    "check_archive_read",
    "list_objects",
    "open_manifest",
    "plan_units",
    "read_statements",
    "read_trials",
]
