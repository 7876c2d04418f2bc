"""`io/kinesis` holds the aggregated write and the checkpointed read of Kinesis.

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.kinesis.read.policy import READ_HELP, read_policy, read_statements
    from penstock.io.kinesis.read.preflight import prepare_read, read_trials, require_readable
    from penstock.io.kinesis.read.source import ReadFromKinesis
    from penstock.io.kinesis.read_options import KinesisReadOptions
    from penstock.io.kinesis.record_properties import AddRecordProperties, with_record_properties
    from penstock.io.kinesis.write.options import KinesisWriteOptions
    from penstock.io.kinesis.write.policy import WRITE_HELP, write_policy, write_statements
    from penstock.io.kinesis.write.preflight import require_writable, write_trials
    from penstock.io.kinesis.write.sink import WriteToKinesis

__all__ = [
    "READ_HELP",
    "WRITE_HELP",
    "AddRecordProperties",
    "KinesisReadOptions",
    "KinesisWriteOptions",
    "ReadFromKinesis",
    "WriteToKinesis",
    "prepare_read",
    "read_policy",
    "read_statements",
    "read_trials",
    "require_readable",
    "require_writable",
    "with_record_properties",
    "write_policy",
    "write_statements",
    "write_trials",
]

__getattr__ = lazily(
    __name__,
    {
        "AddRecordProperties": "record_properties",
        "KinesisReadOptions": "read_options",
        "KinesisWriteOptions": "write.options",
        "READ_HELP": "read.policy",
        "ReadFromKinesis": "read.source",
        "WRITE_HELP": "write.policy",
        "WriteToKinesis": "write.sink",
        "prepare_read": "read.preflight",
        "read_policy": "read.policy",
        "read_statements": "read.policy",
        "read_trials": "read.preflight",
        "require_readable": "read.preflight",
        "require_writable": "write.preflight",
        "with_record_properties": "record_properties",
        "write_policy": "write.policy",
        "write_statements": "write.policy",
        "write_trials": "write.preflight",
    },
)
