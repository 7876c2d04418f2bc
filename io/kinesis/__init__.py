"""`io/kinesis` holds the aggregated write and the checkpointed read of Kinesis."""

from penstock.io.kinesis.read.policy import READ_HELP, read_policy, read_statements
from penstock.io.kinesis.read.preflight import prepare_read, read_trials, require_readable
from penstock.io.kinesis.read.source import ReadFromKinesis
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.policy import WRITE_HELP, write_policy, write_statements
from penstock.io.kinesis.write.preflight import require_writable, write_trials
from penstock.io.kinesis.write.sink import WriteToKinesis

__all__ = [
    "READ_HELP",
    "WRITE_HELP",
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
    "write_policy",
    "write_statements",
    "write_trials",
]
