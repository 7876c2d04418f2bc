"""Kinesis: the aggregated write and the checkpointed read."""

from penstock.io.kinesis.read.policy import READ_HELP, read_policy, read_statements
from penstock.io.kinesis.read.preflight import check_read, prepare_read, read_checks
from penstock.io.kinesis.read.source import ReadFromKinesis
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.policy import WRITE_HELP, write_policy, write_statements
from penstock.io.kinesis.write.preflight import check_write, write_checks
from penstock.io.kinesis.write.sink import WriteToKinesis

__all__ = [
    "READ_HELP",
    "WRITE_HELP",
    "KinesisReadOptions",
    "KinesisWriteOptions",
    "ReadFromKinesis",
    "WriteToKinesis",
    "check_read",
    "check_write",
    "prepare_read",
    "read_checks",
    "read_policy",
    "read_statements",
    "write_checks",
    "write_policy",
    "write_statements",
]
