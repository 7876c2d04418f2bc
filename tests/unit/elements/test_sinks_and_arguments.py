"""Connectors as Beam's own are called: keywords, elements, refusals as outputs."""

import inspect
import re

import apache_beam as beam
import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.beats import ReadFromBeats
from penstock.io.chain.whole_chain import require_whole_chains
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.elements import FromElements
from penstock.io.errors import OptionError
from penstock.io.kinesis import KinesisWriteOptions, ReadFromKinesis, WriteToKinesis
from penstock.transforms import MapEvents


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
    ],
)
def test_messages_name_arguments(make, said):
    with pytest.raises(OptionError) as caught:
        make()
    assert said in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("connector", [ReadFromBeats, ReadFromKinesis, WriteToKinesis, WriteToElasticsearch])
def test_the_docstring_and_the_signature_name_every_keyword(connector):
    parameters = inspect.signature(connector).parameters
    told = inspect.getdoc(connector).partition("Keyword Args:\n")[2]
    named = re.findall(r"^    (\w+): ", told, re.MULTILINE)
    assert len(named) > 20
    assert set(named) <= set(parameters)
    needed = {"stream_name": "s"} if "stream_name" in named else {}
    needed |= {"application_name": "app"} if connector is ReadFromKinesis else {}
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
