"""Kinesis: the aggregated write and the checkpointed read."""

from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.read_policy import READ_HELP, read_policy
from penstock.io.kinesis.sink import WriteToKinesis
from penstock.io.kinesis.source import ReadFromKinesis
from penstock.io.kinesis.source import check as check_read
from penstock.io.kinesis.write_check import check_write
from penstock.io.kinesis.write_options import KinesisWriteOptions
from penstock.io.kinesis.write_policy import WRITE_HELP, write_policy

__all__ = [
    "READ_HELP",
    "WRITE_HELP",
    "KinesisReadOptions",
    "KinesisWriteOptions",
    "ReadFromKinesis",
    "WriteToKinesis",
    "check_read",
    "check_write",
    "read_policy",
    "write_policy",
]
