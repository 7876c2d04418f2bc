"""`io/s3` is the bounded read of a backfill.

- `options`, `origin`: every option; objects, units of work and where events came from.
- `_selection`, `listing`: which objects are read.      - `objects`: the only file that reads buckets and files.
- `formats`: read the formats of objects, one file per format (pure).
- `tables`: reads Parquet, ORC and Avro in a process of its own, since files can bring their libraries down.
- `reading`, `source`: units of work into batches.      - `units`: units noted, shared, counted and paced.
- `preflight`, `policy`: what is tried before the start, and the permissions it needs.

The names below load when they are first used: the process of `tables` needs none of them, and not Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.s3.listing import Stores, list_objects
    from penstock.io.s3.options import S3ReadOptions
    from penstock.io.s3.origin import S3Object
    from penstock.io.s3.policy import read_statements
    from penstock.io.s3.preflight import read_trials
    from penstock.io.s3.source import AddObjectProperties, ReadFromS3, plan_units, with_object_properties
    from penstock.io.s3.units.claims import Claims
    from penstock.io.s3.units.finish import FinishUnits
    from penstock.io.s3.units.listed import Listed
    from penstock.io.s3.units.manifest import Finished, open_manifest

__all__ = [
    "AddObjectProperties",
    "Claims",
    "FinishUnits",
    "Finished",
    "Listed",
    "ReadFromS3",
    "S3Object",
    "S3ReadOptions",
    "Stores",
    "list_objects",
    "open_manifest",
    "plan_units",
    "read_statements",
    "read_trials",
    "with_object_properties",
]

__getattr__ = lazily(
    __name__,
    {
        "AddObjectProperties": "source",
        "Claims": "units.claims",
        "FinishUnits": "units.finish",
        "Finished": "units.manifest",
        "Listed": "units.listed",
        "ReadFromS3": "source",
        "S3Object": "origin",
        "S3ReadOptions": "options",
        "Stores": "listing",
        "list_objects": "listing",
        "open_manifest": "units.manifest",
        "plan_units": "source",
        "read_statements": "policy",
        "read_trials": "preflight",
        "with_object_properties": "source",
    },
)
