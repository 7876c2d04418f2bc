"""Replies of status 200 that are well-formed nonsense: whatever AWS answers ends in a result or in a named error."""

import contextlib
import functools
import itertools
import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.cloudwatch import MetricsUploader, Series, Statistics
from penstock.io.aws.session import AwsSession
from penstock.io.dead_letters.stores import KinesisStore, S3Store
from penstock.io.errors import PenstockError
from penstock.io.kinesis.lease.table import Lease, LeaseLost, LeaseTable
from penstock.io.kinesis.positions import TRIM_HORIZON
from penstock.io.kinesis.shard_map import list_shards
from penstock.io.kinesis.stream_facts import describe_stream
from penstock.io.kinesis.wire.calls import CallFailed, PutEntry
from penstock.io.kinesis.wire.client import connect
from penstock.io.preflight.trials import try_all
from penstock.io.s3.objects import ObjectFailure, S3Objects
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream
from penstock.io.s3.units.manifest import open_manifest
from penstock.transforms.batch import DeadLetter
from tests.tools.peers.failing_peers import AWS, FailingPeers
from tests.tools.samples.events import event
from tests.tools.samples.examples import examples

SESSION, OBJECTS = AwsSession(AWS), S3Objects(AWS)
TABLE, LEASE = LeaseTable(SESSION, "app"), Lease("s", TRIM_HORIZON)
LETTERS = [DeadLetter(event(b"nope"), "e", "r", "decode")]
OBJECT = S3Object("lake", "k", 5, "e", 0)


def _uploaded():
    uploader = MetricsUploader(dict, lambda: SESSION, "Penstock", every_s=60.0, option="", advice="")
    uploader._merge({Series("Records", "Count"): Statistics(1.0)})
    uploader.upload()


def _put(plane):
    reply = connect(SESSION, data_plane=plane).put_records("s", [PutEntry(b"x", "k")])
    assert len(reply.records) == 1


def _get(plane):
    connect(SESSION, data_plane=plane).get_records("i")


def _iterator(plane):
    connect(SESSION, data_plane=plane).get_shard_iterator("s", "s", "LATEST")


class _Never(threading.Event):
    """No stop, and no waiting for one."""

    def wait(self, timeout=None):
        return False


CALLS = {
    "S3 list": lambda: list(itertools.islice(OBJECTS.list("lake", "p"), 5000)),
    "S3 level": lambda: OBJECTS.level("lake", "p"),
    "S3 stat": lambda: OBJECTS.stat("lake", "k"),
    "S3 read": lambda: ObjectStream(S3Objects(AWS, stopping=_Never()), OBJECT).read(),
    "S3 put": lambda: OBJECTS.put_new("lake", "k", b"x", "text/plain"),
    "S3 bucket": lambda: OBJECTS.check_bucket("lake"),
    "S3 manifest": lambda: list(open_manifest("s3://lake/p", AWS).read()),
    "S3 manifest, add": lambda: open_manifest("s3://lake/p", AWS).add("u", "s3://lake/a"),
    "DynamoDB manifest": lambda: list(open_manifest("dynamodb:m", AWS).read()),
    "DynamoDB manifest, add": lambda: open_manifest("dynamodb:m", AWS).add("u", "s3://lake/a"),
    "letters in S3": lambda: list(S3Store("lake", "p", AWS, None).read()),
    "letters in Kinesis": lambda: list(KinesisStore("s", AWS, None).read()),
    "CloudWatch": _uploaded,
    "STS who": lambda: AwsSession(AWS).principal(),
    "STS check": lambda: list(try_all(identity_trials(AwsAccount(AWS)))),
    "DynamoDB table": lambda: TABLE.create_if_missing(),
    "DynamoDB rows": lambda: TABLE.rows(),
    "DynamoDB create": lambda: TABLE.create(LEASE),
    "DynamoDB replace": lambda: TABLE.replace(LEASE, LEASE.taken_by("w", None)),
    "DynamoDB get": lambda: TABLE._was_ours(LEASE),
    "DynamoDB delete": lambda: TABLE.delete(LEASE),
    "Kinesis shards": lambda: list_shards(SESSION, "s"),
    "Kinesis stream": lambda: describe_stream(SESSION, "s"),
    **{f"Kinesis put, {plane}": functools.partial(_put, plane) for plane in ("thin", "boto3")},
    **{f"Kinesis get, {plane}": functools.partial(_get, plane) for plane in ("thin", "boto3")},
    **{f"Kinesis iterator, {plane}": functools.partial(_iterator, plane) for plane in ("thin", "boto3")},
}  # fmt: skip

WORDS = [
    *("Contents", "Key", "Size", "ETag", "LastModified", "IsTruncated"),
    *("NextContinuationToken", "CommonPrefixes", "Prefix", "Items", "LastEvaluatedKey", "Item"),
    *("leaseKey", "unit", "S", "N", "SS", "Table"),
    *("TableStatus", "KeySchema", "AttributeDefinitions", "AttributeName", "KeyType", "AttributeType"),
    *("Records", "SequenceNumber", "Data", "ShardId", "ErrorCode", "NextShardIterator"),
    *(
        "MillisBehindLatest",
        "ApproximateArrivalTimestamp",
        "ShardIterator",
        "Shards",
        "HashKeyRange",
        "StartingHashKey",
    ),
    *(
        "EndingHashKey",
        "SequenceNumberRange",
        "StartingSequenceNumber",
        "NextToken",
        "StreamDescriptionSummary",
        "StreamStatus",
    ),
    *(
        "OpenShardCount",
        "StreamCreationTimestamp",
        "GetCallerIdentityResponse",
        "GetCallerIdentityResult",
        "AssumeRoleResponse",
        "AssumeRoleResult",
    ),
    *("Credentials", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Arn"),
    *("Account", "ListBucketResult"),
]
TEXT = st.sampled_from(
    [
        "",
        "x",
        "true",
        "false",
        "0",
        "-1",
        "1e300",
        "2026-01-01T00:00:00Z",
        "9999999999999999",
        "ACTIVE",
        "eA==",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=15,
)
XML = st.recursive(
    TEXT,
    lambda inner: st.lists(st.tuples(st.sampled_from(WORDS), inner), max_size=4).map(
        lambda found: "".join(f"<{name}>{text}</{name}>" for name, text in found)
    ),
    max_leaves=15,
)
BODIES = st.one_of(
    JSON.map(orjson.dumps),
    st.tuples(st.sampled_from(WORDS), XML).map(lambda found: f"<{found[0]}>{found[1]}</{found[0]}>".encode()),
    st.sampled_from([b"", b"{}", b"<html><p>log in<br></html>", b"\xff\xfe", b"[" * 100_000]),
    st.binary(max_size=30),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "ETag": st.sampled_from(['"e"', "", "x"]),
        "Content-Length": st.sampled_from(["5", "0", "-1", "x", ""]),
        "Last-Modified": st.sampled_from(["x", "Sat, 28 Nov 2026 20:00:00 GMT", "", "1e999"]),
        "Content-Range": st.sampled_from(["bytes 0-4/5", "x"]),
        "x-amz-version-id": st.just("v"),
    },
)


@pytest.mark.parametrize("name", CALLS)
@examples(20)
@given(st.lists(st.tuples(BODIES, HEADERS), min_size=1, max_size=3))
def test_nonsense_ends_in_a_result_or_a_named_error(name, replies):
    with pytest.MonkeyPatch.context() as patch:
        peers = FailingPeers(patch, "nonsense")
        peers.replies = itertools.cycle(replies)
        with contextlib.suppress(PenstockError, CallFailed, LeaseLost, ObjectFailure):
            CALLS[name]()
        assert len(peers.asked) <= 130, "a waiter looks once per second for two minutes"
