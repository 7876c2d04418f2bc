"""Connectors as Beam's own are called: keywords, elements, refusals as outputs."""

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
        (lambda: WriteToElasticsearch(user="ann"), "WriteToElasticsearch: user"),
        (lambda: WriteToElasticsearch(hosts=5), "WriteToElasticsearch: "),
        (lambda: WriteToElasticsearch(ids="position"), "there is only 'content'"),
    ],
)
def test_messages_name_arguments(make, said):
    with pytest.raises(OptionError) as caught:
        make()
    assert said in str(caught.value)
    assert "--" not in str(caught.value)


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
    with pytest.raises(Exception, match=r"1 elements were refused, and nothing keeps them\..*not this one"):
        run(FromElements(), MapEvents(refuse))


def test_letters_that_are_kept_do_not(tmp_path):
    run(FromElements(), MapEvents(refuse), WriteDeadLetters(f"file://{tmp_path}/letters"))
    assert "not this one" in (tmp_path / "letters").read_text()


def test_elements_need_no_acknowledgement():
    pipeline = beam.Pipeline()
    _ = pipeline | beam.Create([{"n": 1}]) | WriteToKinesis(stream_name="s")
    require_whole_chains(pipeline)
