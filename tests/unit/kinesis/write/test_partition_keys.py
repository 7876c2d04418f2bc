"""Each event gets its partition key, and its stream."""

import orjson
import pytest

from penstock.io.errors import OptionError
from penstock.io.kinesis.write.routing import PartitionKeys, StreamName
from penstock.transforms.batch import Document, Event
from tests.tools.samples.events import ToyOrigin


def _event(data: bytes, document: Document | None = None) -> Event:
    return Event(data, ToyOrigin(None), 0, document=document)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b'{"user":"ann","host":{"name":"h1"}}', "ann"),
        (b'{"user":"","host":{"name":"h1"}}', "h1"),
        (b'{"user":null,"host":{"name":"h1"}}', "h1"),
        (b'{"host":{"name":"h1"}}', "h1"),
        (b'{"host":"h2"}', "-"),
        (b'{"user":7}', "7"),
        (b'{"user":0}', "0"),
        (b'{"user":false}', "false"),
        (b'{"user":{"a":1},"host":{"name":"h1"}}', "h1"),
        (b"{}", "-"),
        (b"not json", "-"),
        (b'["user"]', "-"),
        (b'{"user":"' + b"x" * 300 + b'"}', "x" * 256),
        # The service counts UTF-16 units: an emoji is two of them, and is not cut in its middle.
        (orjson.dumps({"user": "🙂" * 150}), "🙂" * 128),
        (orjson.dumps({"user": "x" + "🙂" * 150}), "x" + "🙂" * 127),
        (orjson.dumps({"user": "日" * 300}), "日" * 256),
        (orjson.dumps({"user": "é" * 200}), "é" * 200),
        ('{"user":"clé-日本"}'.encode(), "clé-日本"),
    ],
)
def test_the_first_field_that_is_present_and_not_empty(data: bytes, key: str) -> None:
    event = _event(data)
    assert PartitionKeys(["user", "[host][name]"]).of([event]) == [key]
    (prefixed,) = PartitionKeys(["user", "[host][name]"], prefix="-").of([event]) or ()
    assert prefixed == key == "-" or (prefixed[0] == "-" and key.startswith(prefixed[1:]))


def test_a_decoded_document_is_used_and_nothing_is_kept() -> None:
    decoded, plain = _event(b"not json", {"user": "ann"}), _event(b'{"user":"bob"}')
    assert PartitionKeys(["user"]).of([decoded, plain]) == ["ann", "bob"]
    assert plain.document is None


def test_without_fields_nothing_is_parsed() -> None:
    assert PartitionKeys().of([_event(b"{}")]) is None
    assert PartitionKeys(randomized=True).of([_event(b"{}")]) is None


def test_a_function_gives_the_key() -> None:
    keys = PartitionKeys(function=lambda event: event.data.decode()[:3])
    assert keys.of([_event(b"abcdef"), _event(b"")]) == ["abc", "-"]


@pytest.mark.parametrize("fields", [["[a"], [""], ["a..b"]])
def test_a_field_that_is_none_is_refused(fields: list[str]) -> None:
    with pytest.raises(OptionError, match="--event_partition_keys"):
        PartitionKeys(fields)


def test_two_ways_at_once_are_refused() -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        PartitionKeys(["a"], randomized=True)
    with pytest.raises(OptionError, match="exclude each other"):
        PartitionKeys(randomized=True, function=str)


def test_a_literal_stream_and_an_arn() -> None:
    assert StreamName("kinesis_poc").literal == "kinesis_poc"
    arn = "arn:aws:kinesis:eu-west-1:111122223333:stream/orders"
    assert StreamName(arn).literal == arn


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "x" * 129,
        "a/b",
        "%{}",
        "arn:aws:sqs:eu-west-1:111122223333:x",
        "logs/%{a}",
        "x" * 128 + "%{a}",
        "arn:aws:sqs:%{r}:111122223333:%{q}",
        "arn:aws:kinesis:eu-west-1:1111%:stream/%{f}",
        "arn:aws:kinesis:eu-west-1:11112222333a:stream/%{f}",
        "%{a",
        "logs-%{+QQQ Q}",
    ],
)
def test_a_name_no_stream_has_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="--stream_name"):
        StreamName(name)


def test_each_event_names_its_stream() -> None:
    stream = StreamName("logs-%{[data_stream][dataset]}-%{env}")
    assert stream.literal is None
    datas = [
        b'{"data_stream":{"dataset":"nginx"},"env":"prod"}',
        b'{"data_stream":{"dataset":"nginx"}}',
        b'{"data_stream":{"dataset":"a/b"},"env":"prod"}',
        b'{"data_stream":{"dataset":null},"env":"prod"}',
        b"not json",
    ]
    assert stream.of([_event(data) for data in datas]) == ["logs-nginx-prod", None, None, None, None]


def test_an_arn_by_field_a_date_and_a_field_in_brackets() -> None:
    event = _event(b'{"a":{"b":"x"},"account":"111122223333"}')
    event.timestamp = "2026-11-28T10:00:00.000Z"
    other = _event(b'{"a":{"b":"x"},"account":"1111"}')
    arn = StreamName("arn:aws:kinesis:eu-west-1:%{account}:stream/logs-%{[a][b]}")
    assert arn.of([event, other]) == ["arn:aws:kinesis:eu-west-1:111122223333:stream/logs-x", None]
    dated = StreamName("logs-%{+yyyy.MM.dd}")
    assert (dated.literal, dated.of([event])) == (None, ["logs-2026.11.28"])
    # An event may fill in a name, never an ARN of its own choice.
    whole = StreamName("%{arn}")
    assert whole.of([_event(b'{"arn":"arn:aws:kinesis:eu-west-1:111122223333:stream/x"}')]) == [None]
