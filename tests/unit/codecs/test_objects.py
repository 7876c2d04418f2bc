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
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.decode import decode_step
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
                | decode_step(DecodeOptions(codec=codec), keep_documents=False)
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


TRACE = b"".join(b"2026-11-22 error %d\n  at a.b(%d)\n\tat c.d\nCaused by: x\n" % (n, n) for n in range(3000))


@pytest.mark.parametrize(
    ("options", "begin"),
    [
        ({"codec_multiline": r"^(\s|Caused)"}, b"2026"),
        ({"codec_multiline": r"^2026", "codec_negate": True}, b"2026"),
        ({"codec_multiline": r"(error \d+|\)|c\.d)$", "codec_what": "next"}, b"2026"),
    ],
)
@pytest.mark.parametrize("block", [7, 1000, 1 << 20])
def test_lines_of_an_object_that_belong_together(tmp_path, monkeypatch, options, begin, block):
    """Whatever blocks an object comes in: the same events, with the number of their first line."""
    monkeypatch.setattr("penstock.io.s3.formats._compression.BLOCK", block)
    (tmp_path / "trace.log").write_bytes(TRACE if block > 7 else TRACE[:2000])
    store = LocalFiles()
    unit = WorkUnit(store.stat("", str(tmp_path / "trace.log")))
    decode = DecodeOptions(codec="lines", **options)
    assert decode.needs_whole_objects
    reader = UnitReader(unit, S3ReadOptions(input=["x"]), store, (), decode.decoder)
    events = [event for piece in reader.pieces() for event in piece[0]]
    assert b"\n".join(event.data for event in events) == (tmp_path / "trace.log").read_bytes().rstrip(b"\n")
    assert all(event.data.startswith(begin) for event in events)
    assert [event.index for event in events] == list(range(0, 4 * len(events), 4))
    decoded, letters = decode.decoder().decode(events)
    assert not letters
    assert [orjson.loads(each.data)["message"].encode() for each in decoded] == [
        event.data for event in events
    ]
    assert len({each.id for each in decoded}) == len(events)
