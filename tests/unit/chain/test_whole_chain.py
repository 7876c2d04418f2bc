"""A pipeline in which a step was forgotten is refused when it is run, before anything is submitted."""

import copy
import functools

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.io import s3
from penstock.io.archive import ArchiveOptions, WriteToArchive
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.unbounded import read_batches
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.errors import OptionError, PipelineError
from penstock.io.kinesis import KinesisWriteOptions, WriteToKinesis
from penstock.transforms import AddFields, AsElements, DecodeJson
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.decode import decode_step
from penstock.transforms.step_kind import WHOLE

AWS = AwsOptions(access_key="a", secret_key="b", endpoint_url="http://127.0.0.1:1")
TO_ES = WriteToElasticsearch(ElasticsearchOptions(hosts=["127.0.0.1:1"]))
OWN_IDS = WriteToElasticsearch(ElasticsearchOptions(hosts=["127.0.0.1:1"], document_id="%{id}"))
TO_KINESIS = WriteToKinesis(KinesisWriteOptions("s"), AWS)
LETTERS = WriteDeadLetters("file:///dev/null")
ARCHIVE = WriteToArchive(ArchiveOptions(archive="s3://bucket/p"), AWS)
OBJECTS = s3.ReadFromS3([], s3.S3ReadOptions(input=["s3://bucket/a"]), AWS)
LARGE = [s3.S3Object("bucket", "a", 65 << 20, "etag", 0)]
LARGE_OBJECTS = s3.ReadFromS3(LARGE, s3.S3ReadOptions(input=["s3://bucket/a"]), AWS)
WHOLE_OBJECTS = s3.ReadFromS3(LARGE, s3.S3ReadOptions(input=["s3://bucket/a"], split_bytes=WHOLE), AWS)


class NotSubmitted(beam.runners.runner.PipelineRunner):
    """Runs nothing; counts what comes as far."""

    def run_pipeline(self, pipeline, options):
        raise AssertionError("submitted")


class Live(beam.PTransform):
    def expand(self, begin):
        return read_batches(begin, "forgetful", functools.partial(pytest.fail, "read"))


def run(*steps, side=()):
    pipeline = beam.Pipeline(runner=NotSubmitted())
    made = pipeline
    for number, step in enumerate(steps):
        made = made | f"{type(step).__name__}" >> copy.copy(step)
        if side and number == 0:
            _ = functools.reduce(lambda before, after: before | after, side, made)
    pipeline.run()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Live()], "nothing acknowledges what Live reads, so it would stall. Put Acknowledge at the end"),
        ([Live(), DecodeJson(), TO_ES, LETTERS], "nothing acknowledges what Live reads"),
        (
            [Live(), TO_ES, LETTERS, Acknowledge()],
            "WriteToElasticsearch gets events of Live without document ids.*Put DecodeJson or DecodePlain",
        ),
        (
            [Live(), DecodeJson(), TO_ES, Acknowledge()],
            "what WriteToElasticsearch refuses is kept nowhere. Put WriteDeadLetters between it and Acknowledge",
        ),
        ([Live(), LETTERS, AddFields({"a": 1}), Acknowledge()], "what AddFields refuses is kept nowhere"),
        (
            [Live(), beam.Reshuffle(), Acknowledge()],
            "Reshuffle stands between Live and Acknowledge: it shuffles or merges",
        ),
        ([Live(), AsElements()], "nothing acknowledges"),
        ([OBJECTS, DecodeJson(), TO_ES, LETTERS], "nothing acknowledges .* Put FinishUnits"),
        (
            [OBJECTS, LETTERS, Acknowledge()],
            "Acknowledge acknowledges no batches of ReadFromS3. Put FinishUnits",
        ),
        (
            [
                LARGE_OBJECTS,
                decode_step(DecodeOptions(codec="csv")),
                TO_ES,
                LETTERS,
                s3.FinishUnits(None, AWS),
            ],
            "ParDo needs each object from its first line .* ReadFromS3 reads large ones in parts.* split_bytes=46",
        ),
        (
            [
                LARGE_OBJECTS,
                decode_step(DecodeOptions(codec="lines", codec_multiline="^ ")),
                TO_ES,
                LETTERS,
                s3.FinishUnits(None, AWS),
            ],
            "needs each object from its first line",
        ),
    ],
)
def test_a_forgotten_step_is_named(steps, words):
    with pytest.raises(PipelineError, match=words):
        run(*steps)
    assert not LIVE.sources


@pytest.mark.parametrize(
    "steps",
    [
        [Live(), DecodeJson(), AddFields({"a": 1}), TO_ES, LETTERS, Acknowledge()],
        [Live(), TO_KINESIS, LETTERS, Acknowledge()],
        [Live(), OWN_IDS, LETTERS, Acknowledge()],
        [Live(), beam.Map(lambda batch: batch), Acknowledge()],
        [Live(), ARCHIVE],
        [OBJECTS, DecodeJson(), TO_ES, LETTERS, s3.FinishUnits(None, AWS)],
        [
            OBJECTS,
            decode_step(DecodeOptions(codec="csv", codec_fields=["a"])),
            TO_ES,
            LETTERS,
            s3.FinishUnits(None, AWS),
        ],
        [WHOLE_OBJECTS, decode_step(DecodeOptions(codec="csv")), TO_ES, LETTERS, s3.FinishUnits(None, AWS)],
        [beam.Create([1]), beam.Map(print)],
    ],
)
def test_a_whole_chain_is_submitted(steps):
    with pytest.raises(AssertionError, match="submitted"):
        run(*steps)


def test_a_branch_beside_the_chain_is_fine():
    with pytest.raises(AssertionError, match="submitted"):
        run(Live(), LETTERS, Acknowledge(), side=[AsElements(), beam.Map(print)])


class FlinkRunner(NotSubmitted):
    """Goes by the name of Beam's."""


@pytest.mark.parametrize(
    ("read", "options", "outcome"),
    [
        (Live(), [], "Live on FlinkRunner needs checkpoints.*--checkpointing_interval=10000"),
        (Live(), ["--checkpointing_interval=-1"], "needs checkpoints"),
        (Live(), ["--checkpointing_interval", "5000"], "submitted"),
        (
            Live(),
            ["--checkpointing_interval=5000", "--finish_bundle_before_checkpointing=false"],
            "read nothing",
        ),
        (Live(), ["--checkpointing_interval=5000", "--load_balance_bundles"], "to several processes"),
        (Live(), ["--checkpointing_interval=5000", "--stop_when_idle=5"], "goes on with a job whose reads"),
        (OBJECTS, [], "submitted"),
    ],
)
def test_an_endless_read_on_flink_needs_checkpoints(read, options, outcome):
    pipeline = beam.Pipeline(runner=FlinkRunner(), options=PipelineOptions(options))
    last = s3.FinishUnits(None, AWS) if read is OBJECTS else Acknowledge()
    _ = pipeline | "Live" >> copy.copy(read) | copy.copy(last)
    with pytest.raises((OptionError, AssertionError), match=outcome):
        pipeline.run()
    finishes = pipeline.options.get_all_options(retain_unknown_options=True)[
        "finish_bundle_before_checkpointing"
    ]
    assert finishes == (
        True
        if outcome == "submitted" and read is not OBJECTS
        else next((option.partition("=")[2] for option in options if option.startswith("--finish")), None)
    )
