"""The write as Beam and the job see it: batches stay whole, refusals become dead letters, checks come first."""

import pickle
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE, LiveReceipt
from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError, PenstockError, Unreachable
from penstock.io.kinesis import KinesisWriteOptions, WriteToKinesis
from penstock.io.kinesis.write.preflight import require_writable
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.sink import _WriteToKinesisDoFn
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.document import with_document
from tests.simulator import KinesisSimulator
from tests.tools.models.kpl import user_records
from tests.tools.samples.events import ToyOrigin


@pytest.fixture
def kinesis() -> Iterator[KinesisSimulator]:
    with KinesisSimulator() as simulator:
        simulator.create_stream("orders", shards=2)
        yield simulator
        LIVE.close()


def _aws(kinesis: KinesisSimulator, **given: Any) -> AwsOptions:
    return AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="AKIATEST", secret_key="secret", **given)


def _options(stream: str = "orders", **given: Any) -> KinesisWriteOptions:
    return KinesisWriteOptions(stream, **{"metrics_level": "none", **given})


def _batch(*datas: bytes) -> EventBatch:
    events = [Event(data, ToyOrigin(None), index) for index, data in enumerate(datas)]
    return EventBatch(LiveReceipt("source", [1, 2]), events, [], 1)


def _dofn(kinesis: KinesisSimulator, options: KinesisWriteOptions) -> _WriteToKinesisDoFn:
    keys = PartitionKeys(options.event_partition_keys, randomized=options.randomized_partition_key)
    made: _WriteToKinesisDoFn = pickle.loads(pickle.dumps(_WriteToKinesisDoFn(options, _aws(kinesis), keys)))
    return made


def _datas(kinesis: KinesisSimulator, stream: str = "orders") -> list[bytes]:
    return sorted(user[2] for _, key, data, _ in kinesis.records(stream) for user in user_records(data, key))


def test_a_batch_is_written_before_it_is_handed_on(kinesis: KinesisSimulator) -> None:
    batch = _batch(b"one", b"two")
    results = _dofn(kinesis, _options()).process(batch)
    [out] = results
    assert out is batch
    assert _datas(kinesis) == [b"one", b"two"]


def test_an_emptied_batch_travels_on(kinesis: KinesisSimulator) -> None:
    batch = _batch()
    assert list(_dofn(kinesis, _options()).process(batch)) == [batch]
    assert not kinesis.faults.calls


def test_dofn_instances_share_one_writer(kinesis: KinesisSimulator) -> None:
    before = threading.active_count()
    for number in range(20):
        list(_dofn(kinesis, _options(metrics_level="detailed")).process(_batch(b"%d" % number)))
    assert kinesis.faults.calls["ListShards"] == 1
    assert threading.active_count() - before < 5
    LIVE.close()


def test_a_changed_document_is_written_as_it_is_now(kinesis: KinesisSimulator) -> None:
    batch = _batch(b'{"a":1}', b'{"a":2}')
    batch.events[1].document = {"a": 3}
    batch.events[1].changed = True
    list(_dofn(kinesis, _options()).process(batch))
    assert _datas(kinesis) == [b'{"a":1}', b'{"a":3}']


def test_refused_events_become_dead_letters_of_the_batch(kinesis: KinesisSimulator) -> None:
    batch = _batch(b"small", b"x" * ((1 << 20) + 5))
    [out] = _dofn(kinesis, _options()).process(batch)
    assert out.receipt.tokens == batch.receipt.tokens
    assert [event.data for event in out.events] == [b"small"]
    [letter] = out.dead_letters
    assert letter.event is batch.events[1]
    assert (letter.error, letter.stage, letter.kept) == ("RecordTooLarge", "kinesis", False)
    assert "1048581 bytes" in letter.reason


def test_a_terminal_failure_is_kept_for_the_jobs_last_words(kinesis: KinesisSimulator) -> None:
    kinesis.faults.refuse("PutRecords", "AccessDeniedException")
    with pytest.raises(AccessDenied) as raised:
        list(_dofn(kinesis, _options()).process(_batch(b"x")))
    assert LIVE.failure is raised.value
    assert f"{kinesis.identity} needs kinesis:PutRecords on arn:aws:kinesis:us-east-1:*:stream/orders" in str(
        raised.value
    )


def test_a_function_chooses_keys(kinesis: KinesisSimulator) -> None:
    WriteToKinesis(_options(), _aws(kinesis), partition_key=_first_letter)
    with pytest.raises(OptionError):
        WriteToKinesis(_options(randomized_partition_key=True), _aws(kinesis), partition_key=_first_letter)
    keys = PartitionKeys(function=_first_letter)
    list(_WriteToKinesisDoFn(_options(), _aws(kinesis), keys).process(_batch(b"abc", b"xyz")))
    users = [user for _, key, data, _ in kinesis.records("orders") for user in user_records(data, key)]
    assert {(user[0], user[2]) for user in users} == {("a", b"abc"), ("x", b"xyz")}


def _first_letter(event: Event) -> str:
    return event.data[:1].decode()


def test_streams_named_by_events(kinesis: KinesisSimulator) -> None:
    kinesis.create_stream("logs-a")
    kinesis.create_stream("logs-b")
    documents = [{"s": "a"}, {"s": "b"}, {"s": "nowhere"}, {}, {"s": "a", "n": 2}]
    options = _options("logs-%{s}", event_partition_keys=["n"])
    [out] = _dofn(kinesis, options).process(_batch(*map(orjson.dumps, documents)))
    assert _datas(kinesis, "logs-a") == [b'{"s":"a","n":2}', b'{"s":"a"}']
    assert _datas(kinesis, "logs-b") == [b'{"s":"b"}']
    assert {(letter.event.index, letter.error) for letter in out.dead_letters} == {
        (2, "NoStream"),
        (3, "NoStream"),
    }
    assert {letter.reason for letter in out.dead_letters} == {
        "there is no stream logs-nowhere (--stream_name logs-%{s})",
        "the event's fields give no stream name for --stream_name logs-%{s}",
    }
    assert [event.index for event in out.events] == [0, 1, 4]


@pytest.mark.parametrize("bad", [2**64, "\ud800"], ids=["integer", "surrogate"])
@pytest.mark.parametrize("stream", ["orders", "%{s}"])
def test_only_the_event_that_is_no_json_is_refused(
    kinesis: KinesisSimulator, stream: str, bad: object
) -> None:
    first, changed, last = _batch(b'{"s":"orders","n":1}', b"{}", b'{"s":"orders","n":2}').events
    writer = KinesisWriter(_options(stream), _aws(kinesis))
    events = [first, with_document(changed, {"s": "orders", "n": bad}), last]
    letters, _ = writer.write(events, PartitionKeys(["n"]))
    assert [(letter.event.index, letter.error, letter.stage) for letter in letters] == [
        (1, "UnwritableEvent", "kinesis")
    ]
    assert _datas(kinesis) == [first.data, last.data]
    letters, _ = writer.write(events[1:2], PartitionKeys())
    assert [letter.event.index for letter in letters] == [1]
    writer.close()


@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_credentials_that_expire_in_flight_are_renewed(kinesis: KinesisSimulator, plane: str) -> None:
    options = _options(data_plane=plane, aggregation_enabled=False, keep_order=False)
    writer = KinesisWriter(options, _aws(kinesis, role_arn="arn:aws:iam::111122223333:role/w"))
    for call in (2, 4):
        key = f"ASIA{kinesis.assumed + call // 2:016d}"
        kinesis.faults.at("PutRecords", call, lambda key=key: kinesis.expired_keys.add(key))
    for number in range(6):
        letters, _ = writer.write(_batch(b"%d" % number).events, PartitionKeys())
        assert not letters
    assert _datas(kinesis) == [b"%d" % number for number in range(6)]
    assert kinesis.assumed >= 3
    writer.close()


def test_close_ends_the_threads(kinesis: KinesisSimulator) -> None:
    before = {thread.name for thread in threading.enumerate()}
    writer = KinesisWriter(_options(metrics_level="detailed", aggregation_enabled=False), _aws(kinesis))
    writer.write([Event(b"x", ToyOrigin(None), 0)] * 1200, PartitionKeys(randomized=True))
    writer.close()
    after = {thread.name for thread in threading.enumerate() if thread.name.startswith("penstock")}
    assert not after - before


# -- the check before the pipeline -------------------------------------------------------------------------


def test_check_passes_and_costs_two_calls(kinesis: KinesisSimulator) -> None:
    require_writable(_options(), _aws(kinesis))
    assert kinesis.faults.calls == {"DescribeStreamSummary": 1, "ListShards": 1}
    kinesis.stream("orders").status = "UPDATING"
    require_writable(_options(), _aws(kinesis))
    require_writable(_options("logs-%{s}"), _aws(kinesis))


def _message(error: type[PenstockError], kinesis: KinesisSimulator, stream: str = "orders") -> str:
    with pytest.raises(error) as raised:
        require_writable(_options(stream), _aws(kinesis))
    text = str(raised.value)
    assert text.startswith(f"cannot write to stream {stream}: ") or "list the shards" in text
    assert "\n" not in text
    return text


def test_check_names_what_is_missing(kinesis: KinesisSimulator) -> None:
    assert "there is no such stream in us-east-1" in _message(NotFound, kinesis, "nowhere")
    kinesis.stream("orders").status = "CREATING"
    assert "it is CREATING, not ACTIVE" in _message(PeerError, kinesis)
    kinesis.stream("orders").status = "ACTIVE"
    for operation in ("DescribeStreamSummary", "ListShards"):
        kinesis.faults.refuse(operation, "AccessDeniedException")
        told = _message(AccessDenied, kinesis)
        assert (
            f"{kinesis.identity} needs kinesis:{operation} on arn:aws:kinesis:us-east-1:*:stream/orders"
            in told
        )
    kinesis.faults.refuse(None, "UnrecognizedClientException", times=None)
    assert "AWS refuses the credentials" in _message(AccessDenied, kinesis)


def test_check_of_an_endpoint_where_nobody_is() -> None:
    with KinesisSimulator() as kinesis:
        pass
    with pytest.raises(Unreachable, match=f"no answer from {kinesis.endpoint_url}"):
        require_writable(_options(), _aws(kinesis))


# -- options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"aggregation_max_count": 0}, "--aggregation_max_count 0 must be from 1 to 4294967295"),
        ({"aggregation_max_size": 1 << 20}, "--aggregation_max_size 1048576 must be from 64 to 1048575"),
        ({"collection_max_count": 501}, "--collection_max_count 501 must be from 1 to 500"),
        ({"collection_max_size": 10485761}, "--collection_max_size 10485761 must be from"),
        ({"record_ttl": -1}, "--record_ttl -1 must be at least 0"),
        ({"max_pending_records": 0}, "--max_pending_records 0 must be at least 1"),
        ({"rate_limit": 0}, "--rate_limit 0 must be at least 1"),
        ({"max_connections": 0}, "--max_connections 0"),
        ({"stop_timeout": -1.0}, "--stop_timeout must not be negative"),
        ({"metrics_upload_delay": 0}, "--metrics_upload_delay 0"),
        ({"metrics_access_key": "a"}, "--metrics_access_key and --metrics_secret_key go together"),
        ({"metrics_secret_key": "a"}, "--metrics_access_key and --metrics_secret_key go together"),
        ({"metrics_role_arn": "cw"}, "--metrics_role_arn 'cw' is no role's ARN"),
        ({"metrics_namespace": "AWS/Kinesis"}, "--metrics_namespace"),
        ({"metrics_namespace": ""}, "--metrics_namespace"),
        (
            {"event_partition_keys": ["a"], "randomized_partition_key": True},
            "exclude each other",
        ),
    ],
)
def test_wrong_options_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as raised:
        KinesisWriteOptions("orders", **given)
    assert words in str(raised.value)


def test_defaults_are_what_users_know() -> None:
    options = KinesisWriteOptions("orders")
    assert (options.aggregation_max_count, options.aggregation_max_size) == (4294967295, 51200)
    assert (options.collection_max_count, options.collection_max_size) == (500, 5242880)
    assert (options.record_ttl, options.max_pending_records) == (0, 1000)
    assert (options.rate_limit, options.fail_if_throttled, options.max_connections) == (150, False, 24)
    assert (options.metrics_level, options.metrics_granularity) == ("detailed", "shard")
    assert (options.metrics_namespace, options.metrics_upload_delay) == ("KinesisProducerLibrary", 60000)


def test_who_we_are_for_cloudwatch() -> None:
    aws = AwsOptions(access_key="job", secret_key="s1", session_token="t", role_arn="arn:role/job")
    assert KinesisWriteOptions("orders").metrics_aws(aws) is aws
    keys = KinesisWriteOptions("orders", metrics_access_key="cw", metrics_secret_key="s2").metrics_aws(aws)
    assert (keys.access_key, keys.secret_key, keys.session_token, keys.role_arn) == ("cw", "s2", None, None)
    role = KinesisWriteOptions("orders", metrics_role_arn="arn:role/cw").metrics_aws(aws)
    assert (role.access_key, role.role_arn) == ("job", "arn:role/cw")
    assert "s2" not in repr(KinesisWriteOptions("orders", metrics_access_key="cw", metrics_secret_key="s2"))


def test_every_count_has_its_beam_counter(kinesis: KinesisSimulator) -> None:
    kinesis.faults.refuse_records("InternalFailure", share=1.0)
    dofn = _dofn(kinesis, _options())
    list(dofn.process(_batch(b"x")))
    writer = LIVE.share(dofn._key, lambda: pytest.fail("the writer is shared"))
    assert writer.recorder.take_counts() == {}, "process took them"
    writer.write(_batch(b"y").events, PartitionKeys())
    kinesis.faults.refuse_records("InternalFailure", share=1.0)
    writer.write(_batch(b"z").events, PartitionKeys())
    assert set(writer.recorder.take_counts()) == set(dofn._counters)
