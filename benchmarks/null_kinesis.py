"""A Kinesis that stores nothing and never ends: each call costs it as little as can be.

usage: python -P benchmarks/null_kinesis.py SHARDS [RECORDS_PER_READ]      prints its address; the stream is `kinesis_poc`

- PutRecords says that all records are stored.
- GetRecords gives the same aggregated records (50 KB, 140 events each) over and over, with new sequence numbers, and says
  that more follow.

All other calls are those of the simulator of our tests. A process of its own, so that its CPU time is not that of the
job under test.
"""

import base64
import itertools
import re
import sys
import threading
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent))
from harness import load_package

load_package("tests")
import jobs

from tests.simulator.simulator import KinesisSimulator, hash_of

FIRST = 49_000_000 * 10**48
DISTINCT = 64
KEYS = re.compile(rb'"PartitionKey":"([^"]*)"(?:,"ExplicitHashKey":"(\d+)")?')


class NullKinesis(KinesisSimulator):
    """The simulator, but for the two calls of the data plane."""

    def __init__(self, shards: int, per_read: int) -> None:
        records = itertools.islice(jobs.aggregated_records(140 * DISTINCT), DISTINCT)
        self._data = [base64.b64encode(each["Data"]).decode() for each in records]
        self._per_read = per_read
        self._shards = shards
        self._results = [
            f'{{"ShardId":"shardId-{number:012}","SequenceNumber":"{FIRST}"}}' for number in range(shards)
        ]
        self._number = itertools.count(FIRST, 16 << 10)
        super().__init__()
        self.create_stream("kinesis_poc", shards)

    def _reply(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        target = headers.get(b"x-amz-target", b"")
        if target.endswith(b".PutRecords"):
            return 200, self._stored(body)
        if target.endswith(b".GetRecords"):
            return 200, self._read(orjson.loads(body)["ShardIterator"])
        return super()._reply(headers, body)

    def _stored(self, body: bytes) -> bytes:
        """Says of each record that it is in the shard of its hash key. By regular expression: a decoder costs more."""
        shards = []
        for partition_key, explicit in KEYS.findall(body):
            hash_key = int(explicit) if explicit else hash_of(partition_key.decode())
            shards.append(hash_key * self._shards >> 128)
        records = ",".join([self._results[shard] for shard in shards])
        return f'{{"FailedRecordCount":0,"Records":[{records}]}}'.encode()

    def _read(self, iterator: str) -> bytes:
        first = next(self._number)
        records = ",".join(
            [
                f'{{"Data":"{self._data[(first // (16 << 10) + index) % DISTINCT]}","SequenceNumber":"{first + index}",'
                f'"ApproximateArrivalTimestamp":1.7e9,"PartitionKey":"a"}}'
                for index in range(self._per_read)
            ]
        )
        return (
            f'{{"Records":[{records}],"MillisBehindLatest":60000,"NextShardIterator":"{iterator}"}}'
        ).encode()


def main() -> None:
    per_read = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with NullKinesis(int(sys.argv[1]), per_read) as kinesis:
        print(kinesis.endpoint_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
