"""Connectors as Beam's own are called: keywords, elements, refusals as outputs."""

import inspect
import re

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from penstock.io.archive import ArchiveOptions, ReadForArchive, WriteToArchive
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.beats import ReadFromBeats
from penstock.io.chain.whole_chain import require_whole_chains
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.elements import FromElements
from penstock.io.errors import AccessDenied, OptionError
from penstock.io.kinesis import KinesisReadOptions, KinesisWriteOptions, ReadFromKinesis, WriteToKinesis
from penstock.io.s3 import FinishUnits, ReadFromS3, S3ReadOptions
from penstock.transforms import DecodeJson, MapEvents


def test_keywords_and_options_mean_the_same():
    one = WriteToKinesis(stream_name="s", region="eu-west-1", event_partition_keys="user.id")
    two = WriteToKinesis(
        KinesisWriteOptions("s", event_partition_keys=["user.id"]), AwsOptions(region="eu-west-1")
    )
    assert one.display_data() == two.display_data()
    read = ReadFromKinesis(stream_name="s", application_name="app")
    assert (
        read.display_data() == ReadFromKinesis(kinesis_stream_name="s", application_name="app").display_data()
    )
    assert ReadFromBeats(port=5045).display_data() == ReadFromBeats(beats_port=5045).display_data()
    assert (
        WriteToElasticsearch(hosts="a:9200").display_data()
        == WriteToElasticsearch(ElasticsearchOptions(hosts=["a:9200"])).display_data()
    )
    archive = WriteToArchive(archive="s3://bucket/logs", archive_stop_timeout=5.0, region="eu-west-1")
    options = ArchiveOptions("s3://bucket/logs", stop_timeout=5.0), AwsOptions(region="eu-west-1")
    assert archive.display_data() == WriteToArchive(*options).display_data()
    read = ReadForArchive(stream_name="s", application_name="app", region="eu-west-1")
    options = KinesisReadOptions("s", "app"), AwsOptions(region="eu-west-1")
    assert read.display_data() == ReadForArchive(*options).display_data()
    objects = ReadFromS3((), input="s3://bucket/logs/", split_bytes=1 << 25, region="eu-west-1")
    options = S3ReadOptions(input=["s3://bucket/logs/"], split_bytes=1 << 25), AwsOptions(region="eu-west-1")
    assert objects.display_data() == ReadFromS3((), *options).display_data()


def test_letters_take_the_keywords_of_their_store():
    """Nothing is opened before the job runs."""
    for url, given in {
        "elasticsearch:letters": {"hosts": "a:9200", "user": "ann", "password": "hush"},
        "s3://bucket/letters": {"region": "eu-west-1"},
        "s3://bucket/more": {},
        "kinesis:letters": {"region": "eu-west-1", "endpoint_url": "http://127.0.0.1:1"},
        "file:///tmp/letters": {},
    }.items():
        assert WriteDeadLetters(url, **given).display_data() == {"dead_letters": url}


def test_objects_are_listed_by_their_names_alone(tmp_path):
    for name in ("a.log", "b.log", "c.txt"):
        (tmp_path / name).write_text(f'{{"name": "{name}"}}\n')
    with beam.Pipeline() as pipeline:
        read = pipeline | ReadFromS3(input=f"file://{tmp_path}/*.log", max_events_per_second=1000.0)
        names = read | beam.FlatMap(lambda batch: [bytes(event.data) for event in batch.events])
        assert_that(names, equal_to([b'{"name": "a.log"}', b'{"name": "b.log"}']))
        read | DecodeJson() | WriteDeadLetters(f"file://{tmp_path}/refused") | FinishUnits()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: WriteToKinesis(stream="s"),
            "WriteToKinesis has no argument 'stream'; did you mean stream_name?",
        ),
        (lambda: WriteToKinesis(), "WriteToKinesis needs stream_name."),
        (lambda: ReadFromKinesis(application_name="a"), "ReadFromKinesis needs stream_name."),
        (
            lambda: ReadFromKinesis(stream_name="s", kinesis_stream_name="t", application_name="a"),
            "kinesis_stream_name is given twice, by two of its names",
        ),
        (
            lambda: WriteToKinesis(KinesisWriteOptions("s"), stream_name="s"),
            "stream_name stand in KinesisWriteOptions already; give keywords or options, not both",
        ),
        (
            lambda: WriteToElasticsearch(user="ann"),
            "WriteToElasticsearch: user and password go together: give both or neither.",
        ),
        (
            lambda: WriteToElasticsearch(hosts=5),
            "WriteToElasticsearch: hosts must be a list of texts, not an int.",
        ),
        (lambda: WriteToElasticsearch(hosts=None), "hosts must be a list of texts, not None."),
        (lambda: WriteToKinesis(stream_name=5), "stream_name must be a text, not an int."),
        (
            lambda: WriteToKinesis(stream_name="s", rate_limit=True),
            "rate_limit must be a whole number, not a bool.",
        ),
        (
            lambda: WriteToKinesis(stream_name="s", data_plane="thick"),
            "data_plane 'thick' is none of thin, boto3",
        ),
        (
            lambda: WriteToKinesis("s"),
            "takes a KinesisWriteOptions there, not a str; give its options as keywords.",
        ),
        (
            lambda: ReadFromKinesis(stream_name="s s", application_name="a"),
            "ReadFromKinesis: stream_name 's s'",
        ),
        (lambda: ReadFromBeats(port=99999), "ReadFromBeats: port 99999 is not a port"),
        (lambda: ReadFromBeats(beats_port=99999), "ReadFromBeats: beats_port 99999 is not a port"),
        (lambda: WriteToElasticsearch(ids="position"), "there is only 'content'"),
        (lambda: WriteToArchive(), "WriteToArchive needs archive."),
        (lambda: WriteToArchive(archive="bucket/logs"), "WriteToArchive: archive 'bucket/logs' is not s3://"),
        (
            lambda: ReadForArchive(stream_name="s", application_name="a", checkpoints="none"),
            "ReadForArchive: checkpoints none: the archive knows",
        ),
        (lambda: ReadFromS3(), "ReadFromS3: input is required"),
        (
            lambda: WriteDeadLetters("/tmp/letters"),
            "WriteDeadLetters: url '/tmp/letters' is none of file:///",
        ),
        (
            lambda: WriteDeadLetters("elasticsearch:letters"),
            "WriteDeadLetters to elasticsearch needs its hosts",
        ),
        (lambda: ReadFromS3(inputs="s3://a/"), "ReadFromS3 has no argument 'inputs'; did you mean input?"),
        (
            lambda: WriteDeadLetters("s3://bucket/letters", hosts="a:9200"),
            "WriteDeadLetters to s3 has no argument 'hosts'",
        ),
        (
            lambda: WriteDeadLetters("file:///tmp/letters", region="eu-west-1"),
            "WriteDeadLetters to file has no argument 'region'",
        ),
    ],
)
def test_messages_name_arguments(make, said):
    with pytest.raises(OptionError) as caught:
        make()
    assert said in str(caught.value)
    assert "--" not in str(caught.value)


def test_messages_name_arguments_while_the_pipeline_runs(monkeypatch):
    """On a worker in this process an error comes long after the keywords were given."""
    without = AwsSession(AwsOptions())
    monkeypatch.setattr(without._session, "get_credentials", lambda: None)
    with pytest.raises(AccessDenied, match="or give --profile, or run"):
        without.credentials()
    WriteToKinesis(stream_name="s")
    with pytest.raises(AccessDenied, match="or give profile, or run"):
        without.credentials()
    assert "--runner" in str(OptionError("no read has --runner"))  # Beam's options have no keyword


NEEDED = {
    ReadFromBeats: {},
    ReadFromKinesis: {"stream_name": "s", "application_name": "app"},
    WriteToKinesis: {"stream_name": "s"},
    WriteToElasticsearch: {},
    ReadFromS3: {"objects": (), "input": "s3://bucket/"},
    ReadForArchive: {"stream_name": "s", "application_name": "app"},
    WriteToArchive: {"archive": "s3://bucket/logs"},
    WriteDeadLetters: {"url": "s3://bucket/letters"},
}


@pytest.mark.parametrize("connector", NEEDED)
def test_the_docstring_and_the_signature_name_every_keyword(connector):
    parameters = inspect.signature(connector).parameters
    told = inspect.getdoc(connector).partition("Keyword Args:\n")[2]
    named = re.findall(r"^    (\w+): ", told, re.MULTILINE)
    assert len(named) > 15
    assert set(named) <= set(parameters)
    needed = NEEDED[connector]
    if connector is WriteDeadLetters:  # which takes those of one store
        named = [name for name in named if name in AwsOptions.__dataclass_fields__]
    defaults = {name: parameters[name].default for name in set(named) - set(needed)}
    assert connector(**needed, **defaults).display_data() == connector(**needed).display_data()


def test_a_secret_is_in_no_repr_and_no_message():
    with pytest.raises(OptionError) as caught:
        WriteToElasticsearch(user="ann", password="s3cr3t", api_key="t0ken")
    assert "s3cr3t" not in str(caught.value)
    assert "t0ken" not in str(caught.value)
    made = WriteToElasticsearch(user="ann", password="s3cr3t")
    assert "s3cr3t" not in repr(made) + str(made.display_data())


def refuse(event):
    raise ValueError("not this one")


def run(*steps):
    with beam.Pipeline() as pipeline:
        collection = pipeline | beam.Create([{"n": 1}])
        for step in steps:
            collection |= step
    return pipeline


def test_a_refusal_that_nobody_keeps_ends_the_pipeline():
    with pytest.raises(Exception, match=r"1 element was refused, and kept nowhere\..*not this one"):
        run(FromElements(), MapEvents(refuse))


def test_letters_that_are_kept_do_not(tmp_path):
    run(FromElements(), MapEvents(refuse), WriteDeadLetters(f"file://{tmp_path}/letters"))
    assert "not this one" in (tmp_path / "letters").read_text()


def test_elements_need_no_acknowledgement():
    pipeline = beam.Pipeline()
    _ = pipeline | beam.Create([{"n": 1}]) | WriteToKinesis(stream_name="s")
    require_whole_chains(pipeline)
