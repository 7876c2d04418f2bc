"""`client` makes the two hot calls, PutRecords and GetRecords, without boto3's cost, or by boto3 behind the same interface.

Problem. boto3 spends 60-90 % of such a call in `json`, `base64` and parameter checks: 11-14 ms of CPU for a
PutRecords of 25 records of 50 KB, where signing and sending need 2.

Plan. botocore stays for what it is good at: credentials, the endpoint, SigV4, proxy and TLS settings. The
body is put together from bytes with pybase64. The reply is decoded by msgspec and pybase64. The
connections are made by urllib3 and kept by us. `data_plane="boto3"` takes boto3's client instead.

Invariants.
- A call is made once. What went wrong is a `CallFailed` that knows whether the same call may work later;
  the caller decides on retries. Only an expired token is renewed and tried again, once.
- Payloads never get into a message.

Source: https://docs.aws.amazon.com/kinesis/latest/APIReference/ (JSON 1.1 protocol).
"""

from penstock.io.aws.session import AwsSession
from penstock.io.kinesis.wire.boto_client import BotoClient
from penstock.io.kinesis.wire.calls import (
    CallFailed,
    ChildShard,
    GetRecordsReply,
    HashKeyRange,
    KinesisClient,
    PutEntry,
    PutRecordsReply,
    PutResult,
    Record,
)
from penstock.io.kinesis.wire.thin_client import ThinClient

__all__ = [
    "CallFailed",
    "ChildShard",
    "GetRecordsReply",
    "HashKeyRange",
    "KinesisClient",
    "PutEntry",
    "PutRecordsReply",
    "PutResult",
    "Record",
    "connect",
]


def connect(session: AwsSession, *, max_connections: int = 24, data_plane: str = "thin") -> KinesisClient:
    """Makes a client with the session's credentials, region and endpoint.

    Args:
        session: whose credentials sign, whose options hold the limits.
        max_connections: the most connections that are kept open. More calls at once open further ones and close them again.
        data_plane: `thin`, or `boto3` for boto3's own client.
    """
    if data_plane == "boto3":
        return BotoClient(session, max_connections)
    return ThinClient(session, max_connections)
