"""Objects of a bucket, each kind by its codec, through the backfill's own read and decode on Beam; no server."""

import gzip
from typing import ClassVar

import apache_beam as beam
import orjson
import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.s3 import FinishUnits, ReadFromS3, Stores, list_objects
from penstock.io.s3.options import S3ReadOptions
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.document import payload_of
from tests.unit.codecs import samples

AWS = AwsOptions()
OBJECTS = {
    "vpcflow": (b"", samples.VPC_CUSTOM.splitlines()[0], [samples.VPC_CUSTOM.splitlines()[1]] * 3),
    "cloudfront": (
        b"",
        b"\n".join(samples.CLOUDFRONT.splitlines()[:2]),
        [samples.CLOUDFRONT.splitlines()[2]] * 3,
    ),
    "alb": (b"", None, [samples.ALB] * 3),
    "csv": (b"", b"name,n", [b'"anna, b",1', b"bert,2", b"carl,3"]),
    "cloudwatch_logs": (
        b"together",
        None,
        [samples.subscription(text, stream=text) for text in ("a", "b", "c")],
    ),
}


class Collect(beam.DoFn):
    events: ClassVar[list] = []
    letters: ClassVar[list] = []

    def process(self, batch):
        Collect.events += batch.events
        Collect.letters += batch.dead_letters
        for letter in batch.dead_letters:
            letter.kept = True
        yield batch


@pytest.mark.parametrize("codec", OBJECTS)
def test_an_object_of_each_kind(codec, tmp_path):
    together, head, lines = OBJECTS[codec]
    content = (b"" if together else b"\n").join(([head] if head else []) + lines)
    (tmp_path / "one.gz").write_bytes(gzip.compress(content))
    (tmp_path / "two.log").write_bytes(content)
    source = S3ReadOptions(
        input=[str(tmp_path)], max_batch_events=2
    )  # the header's batch isn't the last line's
    found = []
    for _ in range(2):  # a replay gives the same ids
        Collect.events, Collect.letters = [], []
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            _ = (
                pipeline
                | ReadFromS3(list_objects(source, Stores(source, AWS, LIVE.stopping)), source, AWS)
                | DecodeOptions(codec=codec).step(keep_documents=False)
                | beam.ParDo(Collect())
                | WriteDeadLetters("file:///dev/null")
                | FinishUnits(None, AWS)
            )
        LIVE.close()
        assert not Collect.letters
        found.append(sorted((event.id, payload_of(event)) for event in Collect.events))
    assert found[0] == found[1]
    names, documents = zip(*found[0], strict=True)
    assert len(documents) == 6
    # CloudWatch Logs names its events itself: both objects hold the same three of them.
    assert len(set(names)) == (3 if codec == "cloudwatch_logs" else 6)
    assert all(orjson.loads(document)["@timestamp"] for document in documents)
