"""For every place that makes letters: refused, kept and replayed, the same stands there as if nothing had been refused.

A row per kind. `test_every_place_that_makes_letters_has_its_row` fails for a place in the code that no row reaches.
"""

import ast
import importlib
import io
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import boto3
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from penstock.io.archive import LAYOUT
from penstock.io.aws.session import AwsOptions
from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.prepare import PrepareDoFn
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import in_parts
from penstock.io.dead_letters import LetterReader, open_store
from penstock.io.dead_letters._letters import lines_of
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.elements.from_elements import FromElements, _GatherDoFn
from penstock.io.files._text import text_function
from penstock.io.files.file_writer import FileWriter
from penstock.io.files.sink import stdout_writer
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.pipelines.jobs.replay_dead_letters import _chosen, _Filters, sender, stream_sender
from penstock.pipelines.run.replaying import Counts, replay_all
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.codecs import _json_cutter
from penstock.transforms.codecs.long_records import LongRecord
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.events import MapEvents, apply
from penstock.transforms.logstash.beam import RunFilters
from penstock.transforms.logstash.language._parser import parse_condition
from penstock.transforms.logstash.language._tree import Places
from penstock.transforms.logstash.routes import Route, Routes
from penstock.transforms.logstash.settings import FilterOptions
from penstock.transforms.logstash.values.event import LogEvent
from tests.property.dead_letters.test_dead_letters_replayed import OBJECTS, Again, Peer
from tests.simulator import KinesisSimulator
from tests.tools.samples.events import ToyOrigin, batch

CLIENT = BeatsClient("10.1.2.3", 4711)
NO_FILTERS = FilterOptions()
FILTERS = 'filter { mutate { add_tag => ["seen"] } }'
UNDECIDED = 'filter { if [none] > 5 { mutate { add_tag => ["seen"] } } }'
WORDS = MapEvents(lambda document: {**document, "mapped": True})._function
RAISES = MapEvents(lambda document: document["of the function"])._function
UNWRITABLE = MapEvents(lambda document: {**document, "n": 1 << 70})._function


class Kind(NamedTuple):
    """What was refused, and what a replay gives.

    Attributes:
        letters: of the job.
        there: what stands there at once: documents by id, or payloads.
        never: what would stand there if nothing had been refused.
        decode: the options of the replay; None: it goes to a stream.
        again: how many are refused again.
        without: how many hold no event.
        filters: the replay's.
    """

    letters: list
    there: dict | list
    never: dict | list
    decode: DecodeOptions | None = None
    again: int = 0
    without: int = 0
    filters: FilterOptions = NO_FILTERS


def records(payloads):
    return [Event(data, ToyOrigin(b"s/%d" % number), number) for number, data in enumerate(payloads)]


def written(events, refuses=lambda name: False, **options):
    """What Elasticsearch holds, and the letters."""
    peer = Peer(refuses)
    writer = BulkWriter(ElasticsearchOptions(**options), threading.Event(), client=peer)
    return peer.stored, writer.write(events).letters


def decoded(payloads, **options):
    made = DecodeOptions(**options)
    events, letters = made.decoder(keep_documents=True).decode(records(payloads))
    made.stamper()(events)
    return events, letters


def dumped(documents):
    return list(map(orjson.dumps, documents))


# -- to Elasticsearch --------------------------------------------------------------------------------------------------


def refused_by_elasticsearch(documents, folder):
    payloads = dumped(documents)
    there, letters = written(decoded(payloads)[0], lambda name: sum(name.encode()) % 2)
    return Kind(letters, there, written(decoded(payloads)[0])[0], DecodeOptions())


def changed_then_refused_by_elasticsearch(documents, folder):
    events = apply(WORDS, decoded(dumped(documents))[0], "map")[0]
    there, letters = written(events, lambda name: True)
    return Kind(letters, there, written(events)[0], DecodeOptions())


def no_index(documents, folder):
    """A reference to a field that isn't there, with its option mended for the replay."""
    events = decoded(dumped(documents))[0]
    there, letters = written(events, index="x-%{nowhere}")
    assert len(letters) == len(documents)
    return Kind(letters, there, written(events)[0], DecodeOptions())


def filtered(documents, folder):
    config = folder / "filters.conf"
    config.write_text(FILTERS)
    options = FilterOptions(filters=str(config))
    events = apply(RunFilters(options.step), decoded(dumped(documents))[0], "logstash_filters")[0]
    there, letters = written(events, lambda name: True)
    return Kind(letters, there, written(events)[0], DecodeOptions(), filters=options)


def filters_that_fail(documents, folder):
    config = folder / "failing.conf"
    config.write_text(UNDECIDED)
    options = FilterOptions(filters=str(config))
    events, letters, _ = apply(RunFilters(options.step), decoded(dumped(documents))[0], "logstash_filters")
    assert not events
    return Kind(letters, {}, {}, DecodeOptions(), again=len(letters), filters=options)


def a_function_that_raises(documents, folder):
    _, letters, _ = apply(RAISES, decoded(dumped(documents))[0], "map")
    return Kind(letters, {}, written(decoded(dumped(documents))[0])[0], DecodeOptions())


def a_function_of_more_than_json(documents, folder):
    events = apply(UNWRITABLE, decoded(dumped(documents))[0], "map")[0]
    there, letters = written(events)
    return Kind(letters, there, written(decoded(dumped(documents))[0])[0], DecodeOptions())


def no_file_and_no_text(documents, folder):
    """The field of a file's name is missing, or names a folder; a value is no text for the standard output."""
    (folder / "here" / "1").mkdir(parents=True, exist_ok=True)
    text = text_function("json_lines")
    to = FileWriter(f"{folder}/here/%{{n}}", text, compress=False, append=True, stopping=threading.Event())
    events = decoded(dumped([{"n": 1}, *({**each, "n": None} for each in documents)]))[0]
    letters = to.write(events)
    letters += stdout_writer("json_lines", None, "\n", False).write(apply(UNWRITABLE, events[:1], "map")[0])
    assert len(letters) >= 2
    refused = {letter.event.index for letter in letters}
    return Kind(
        letters, {}, written([event for event in events if event.index in refused])[0], DecodeOptions()
    )


def an_undecided_output(documents, folder):
    """The letter is about one output of several; a replay sends it to that one."""
    condition = "[none] > 5"
    routes = Routes([Route("all"), Route("some", parse_condition(condition), Places(condition))])
    events = decoded(dumped(documents))[0]
    for each in events:
        routes.note(LogEvent(dict(each.document)))
    letters = routes.take(events)[1]
    assert {letter.output for letter in letters} == {"some"}
    return Kind(letters, {}, written(events)[0], DecodeOptions())


def other_codec(payloads, wrong, right):
    """The replay reads by another codec than the job."""
    events, letters = decoded(payloads, **wrong)
    there = written(events)[0]
    assert letters
    refused = {letter.event.index for letter in letters}
    rest = [event for event in decoded(payloads, **right)[0] if event.index in refused]
    return Kind(letters, there, {**there, **written(rest)[0]}, DecodeOptions(**right))


def no_json(documents, folder):
    return other_codec([b"no", *dumped(documents)], {}, {"codec": "plain"})


def no_text(documents, folder):
    return other_codec(
        [b"\xff", *dumped(documents)], {"codec": "plain"}, {"codec": "plain", "codec_base64_field": "raw"}
    )


def no_subscription(documents, folder):
    """Two values in one record: each its part."""
    return other_codec([b"".join(dumped(documents))] * 2, {"codec": "cloudwatch_logs"}, {})


def an_array_in_an_array(documents, folder):
    events, letters = decoded([orjson.dumps([{"n": 0}, documents, {"n": 2}])])
    there = written(events)[0]
    return Kind(letters, there, there, DecodeOptions(), again=1)


def a_long_record(documents, folder):
    """Beside an element that is no object, and one without room for a copied field, a value that was cut off."""
    elements = b",".join([*dumped(documents), b"[7]", b'{"x":1}', b'{"s":"%b"}' % (b"y" * 100_000)])
    text = b'{"a":1,"x":{"b":2,"list":[%b]}} no JSON' % elements
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_json_cutter, "HOLD", 10)
        long = LongRecord(ToyOrigin(), 0, 70_000, ("x", "list"), (("a",), ("x", "b")))
        pieces = [long.feed(text[start : start + 100]) for start in range(0, len(text), 100)]
        pieces.append(long.finish())
    there = written([event for events, _ in pieces for event in events])[0]
    letters = [letter for _, refused in pieces for letter in refused]
    assert len(letters) == 4
    options = DecodeOptions(expand="x.list", expand_copy=["a", "x.b"])
    return Kind(letters, there, there, options, again=3, without=1)


def an_array_in_a_long_record(documents, folder):
    """Its elements keep their parts; one that is no object is refused again."""
    long = LongRecord(ToyOrigin(), 0, 70_000)
    pieces = [long.feed(b'{"n":0}' + orjson.dumps([[7], *documents])), long.finish()]
    letters = [letter for _, refused in pieces for letter in refused]
    there = written([each for events, _ in pieces for each in decoded_again(events)])[0]
    return Kind(letters, there, there, DecodeOptions(), again=1)


# -- to Kinesis --------------------------------------------------------------------------------------------------------


def prepared(payloads, validates, kinds):
    received = batch(*(Event(data, CLIENT, number) for number, data in enumerate(payloads)))
    received.receipt.source = "beats"
    (made,) = PrepareDoFn("beats", validates, kinds).process(received)
    return made


def no_object_from_a_beat(documents, folder):
    payloads = [b"no", b"[1]", b'{"a":NaN}', b'{"b":"\\ud800"}', *dumped(documents)]
    made = prepared(payloads, True, ())
    assert len(made.dead_letters) == 4
    never = [event.data for event in prepared(payloads, False, ()).events]
    return Kind(made.dead_letters, [event.data for event in made.events], never)


def no_object_to_enrich(documents, folder):
    """What `--validate` refuses has the fields where they had a place; what has none is sent as it came."""
    payloads = [b"no", b"[1]", b'{"a":NaN}', b'{"b":"\\ud800"}', *dumped(documents)]
    made = prepared(payloads, True, ("source_metadata",))
    assert len(made.dead_letters) == 4
    never = [event.data for event in prepared(payloads, False, ("source_metadata",)).events]
    return Kind(made.dead_letters, [event.data for event in made.events], [*payloads[:2], *never])


def no_stream(documents, folder):
    events = apply(WORDS, decoded(dumped(documents))[0], "map")[0]
    options = KinesisWriteOptions("%{nowhere}", metrics_level="none")
    writer = KinesisWriter(options, AwsOptions(access_key="a", secret_key="b", region="us-east-1"))
    letters, _ = writer.write(events, PartitionKeys([], randomized=False, function=None))
    writer.close()
    return Kind(letters, [], dumped([event.document for event in events]))


def larger_than_memory(documents, folder):
    events = decoded_again(records(dumped(documents)))  # on the way to a stream nothing gets a time
    stopping = threading.Event()
    stopping.wait = lambda _: None

    def write(part):
        raise MemoryError

    return Kind(in_parts(events, write, "kinesis", stopping)[1], [], dumped(documents))


def an_array_in_an_array_to_a_stream(documents, folder):
    letters = decoded([orjson.dumps([documents])])[1]
    return Kind(letters, [], [orjson.dumps(documents)])


# -- without an event --------------------------------------------------------------------------------------------------


def read(content, folder, layouts=(), **options):
    path = folder / "object"
    path.write_bytes(content)
    store = LocalFiles()
    unit = WorkUnit(store.stat("", str(path)))
    pieces = list(UnitReader(unit, S3ReadOptions(input=["x"], **options), store, layouts).pieces())
    letters = [letter for _, refused in pieces for letter in refused]
    there = written([event for events, _ in pieces for event in decoded_again(events)])[0]
    return Kind(letters, there, there, DecodeOptions(), without=len(letters))


def decoded_again(events):
    return DecodeOptions().decoder(keep_documents=True).decode(events)[0]


def too_long_a_line(documents, folder):
    return read(b"\n".join([*dumped(documents), b"x" * 70_000]), folder, max_line_bytes=66_000)


def too_long_an_element(documents, folder):
    return read(
        b"[%b]" % b",".join([*dumped(documents), b'{"s":"%b"}' % (b"x" * 2_000_000)]),
        folder,
        max_line_bytes=66_000,
    )


def a_damaged_object(documents, folder):
    return read(b"[%b" % b",".join(dumped(documents)), folder)


def an_unreadable_row(documents, folder):
    output = io.BytesIO()
    pq.write_table(pa.table({"t": pa.array([0, 10**15], pa.timestamp("ms"))}), output)
    return read(output.getvalue(), folder)


def no_line_of_the_archive(documents, folder):
    pieces = LAYOUT.events_of_lines([(records(dumped(documents)), [])])
    letters = [letter for _, refused in pieces for letter in refused]
    return Kind(letters, {}, {}, DecodeOptions(), without=len(letters))


def an_element_that_is_no_event(documents, folder):
    elements = FromElements(id_fn=lambda element: element["none"])
    gather = _GatherDoFn(elements._maker, 100, 1 << 20)
    gather.start_bundle()
    for document in documents:
        assert list(gather.process(document, Timestamp(1), GlobalWindow())) == []
    (made,) = gather.finish_bundle()
    return Kind(made.value.dead_letters, {}, {}, DecodeOptions(), without=len(documents))


KINDS = [
    refused_by_elasticsearch, changed_then_refused_by_elasticsearch, no_index, filtered, filters_that_fail,
    a_function_that_raises, a_function_of_more_than_json, no_file_and_no_text, an_undecided_output,
    no_json, no_text, no_subscription, an_array_in_an_array, an_array_in_a_long_record,
    a_long_record, no_object_from_a_beat, no_object_to_enrich, no_stream, larger_than_memory,
    an_array_in_an_array_to_a_stream, too_long_a_line, too_long_an_element, a_damaged_object, an_unreadable_row,
    no_line_of_the_archive, an_element_that_is_no_event,
]  # fmt: skip


class Store:
    """Keeps letters in lines of a length, as stores do that keep long ones in parts."""

    where = "here"

    def __init__(self, limit):
        self.limit, self.lines = limit, []

    def append(self, letters):
        self.lines += [line for letter in letters for line in lines_of(letter, self.limit)]

    def read(self):
        yield from self.lines


def replayed(kind, letters):
    """What stands there after a replay of these letters, and its counts."""
    again, counts, filters = Again(), Counts(), _Filters(kind.filters)
    chosen = _chosen(letters, [], counts)
    if kind.decode is not None:
        peer = Peer(lambda name: False)
        peer.stored = dict(kind.there)
        writer = BulkWriter(ElasticsearchOptions(), threading.Event(), client=peer)
        replay_all(chosen, sender(kind.decode, filters, writer, keep_documents=False), again, counts)
        return peer.stored, counts
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("orders")
        aws = AwsOptions(
            endpoint_url=kinesis.endpoint_url, access_key="a", secret_key="b", region="us-east-1"
        )
        options = KinesisWriteOptions("orders", aggregation_enabled=False, metrics_level="none")
        writer = KinesisWriter(options, aws)
        keys = PartitionKeys([], randomized=True, function=None)
        replay_all(chosen, stream_sender(filters, writer, keys), again, counts)
        writer.close()
        return kind.there + [record[2] for record in kinesis.records("orders")], counts


def hold(kind, store):
    """Keeps the letters and reads them back, replays them, and compares."""
    store.append(kind.letters)
    reader = LetterReader(store)
    there, counts = replayed(kind, list(reader))
    assert reader.wrong == 0
    if kind.decode is None:
        assert sorted(there) == sorted(kind.never)
    else:
        assert there == kind.never
    assert (counts.refused, counts.without_event) == (kind.again, kind.without)
    assert counts.sent == len(kind.letters) - kind.without


DOCUMENTS = st.lists(OBJECTS, min_size=1, max_size=3)
EXAMPLE = [{"n": 1, "t": "2026-01-02T03:04:05Z"}, {"m": "\x00" * 5, "bad": "é"}, {}]


@pytest.fixture(scope="module", autouse=True)
def _no_worker_is_left():
    yield
    LIVE.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_replay_gives_what_there_would_have_been(tmp_path, kind):
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(DOCUMENTS, st.sampled_from([16_384, 1 << 20]))
    def check(documents, limit):
        hold(kind(documents, tmp_path), Store(limit))

    check()


@mock_aws
@pytest.mark.parametrize("url", ["file://{folder}/{name}.jsonl", "s3://refused/{name}", "kinesis:{name}"])
def test_every_kind_fits_every_store(tmp_path, url):
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="refused")
    aws = AwsOptions(access_key="x", secret_key="y", region="us-east-1")
    for made in KINDS:
        name = made.__name__
        if url.startswith("kinesis"):
            boto3.client("kinesis", region_name="us-east-1").create_stream(StreamName=name, ShardCount=1)
        store = open_store(url.format(folder=tmp_path, name=name), aws=aws)
        kind = made(EXAMPLE, tmp_path)
        store.append(kind.letters)
        back = list(LetterReader(store))
        store.close()
        assert sorted(map(parts_of, back)) == sorted(map(parts_of, kind.letters)), name


def parts_of(letter):
    event = letter.event
    return (
        event.data,
        event.index,
        event.part,
        event.id or "",
        letter.stage,
        letter.error,
        event.filters or "",
    )


def places():
    """Every call that makes a letter: file and line, with its end."""
    for room in ("io", "transforms", "pipelines"):
        for path in Path(room).rglob("*.py"):
            if path.name == "_letters.py":  # reads what these have written
                continue
            text = path.read_text()
            for node in ast.walk(ast.parse(text)) if "DeadLetter(" in text else ():
                if (
                    isinstance(node, ast.Call)
                    and getattr(node.func, "id", getattr(node.func, "attr", "")) == "DeadLetter"
                ):
                    yield path, node.lineno, node.end_lineno


def test_every_place_that_makes_letters_has_its_row(tmp_path, monkeypatch):
    made, found = set(), list(places())

    class Seen(DeadLetter, gc=False):
        def __post_init__(self):
            frame = sys._getframe(1)
            made.add((Path(frame.f_code.co_filename).resolve(), frame.f_lineno))

    for path in {path for path, _, _ in found}:
        module = importlib.import_module(".".join(("penstock", *path.with_suffix("").parts)))
        monkeypatch.setattr(module, "DeadLetter", Seen)
    for kind in KINDS:
        one = kind(EXAMPLE, tmp_path)
        replayed(one, one.letters)
    missed = [
        f"{path}:{line}"
        for path, line, end in found
        if not any(file == path.resolve() and line <= at <= end for file, at in made)
    ]
    assert missed == [], "these places make letters, and no row of KINDS says what their replay gives"
