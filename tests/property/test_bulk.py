"""Bulks: cut anyhow, every document is sent once; whatever the server answers, each has exactly one outcome."""

import threading
from collections import Counter

import orjson
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.bulk._bulk import Item, cut, in_order
from penstock.io.elasticsearch.bulk._metadata import MetadataCutter
from penstock.io.elasticsearch.cluster.client import NoAnswer
from penstock.io.elasticsearch.writer import BulkWriter
from tests.tools.samples.events import event, filebeat_events
from tests.tools.samples.examples import examples


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 10), st.integers(1, 120))
def test_cutting_keeps_order_bounds_and_every_document(sizes, max_count, max_bytes):
    documents = [b"%d\n%b\n" % (i, b"x" * n) for i, n in enumerate(sizes)]
    bulks = cut([event(b"", i) for i in range(len(sizes))], documents, max_count, max_bytes)
    assert [e.index for bulk in bulks for e in bulk.events] == list(range(len(sizes)))
    assert [document for bulk in bulks for document in bulk.documents()] == documents
    for bulk in bulks:
        assert 1 <= len(bulk.events) <= max_count
        assert len(bulk.body) <= max_bytes or len(bulk.events) == 1


STATUSES = st.sampled_from([200, 201, 400, 409, 429, 500])


@given(st.lists(st.tuples(st.text(min_size=1, max_size=3), STATUSES), min_size=1, max_size=12), st.randoms())
def test_in_whatever_order_a_server_answers_no_failure_counts_as_written(sent, random):
    documents = [b'{"create":{"_index":"i","_id":%b}}\n{}\n' % orjson.dumps(name) for name, _ in sent]
    items = [Item(status, id=name) for name, status in sent]
    random.shuffle(items)
    found = in_order(items, documents)
    assert len(found) == len(sent)
    once = {name for name, count in Counter(name for name, _ in sent).items() if count == 1}
    displaced = {item.status for item in items} - {201, 409}
    for (name, status), item in zip(sent, found, strict=True):
        if displaced and name in once:
            assert item.status == status
        elif status >= 300 and displaced and [each.id for each in items] != [name for name, _ in sent]:
            assert item.status >= 300, "which of two documents with one id failed is not known"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
KEYS = st.sampled_from(["@metadata", "a", "m", '"@metadata":{},', '\\"@metadata":']) | TEXT
VALUES = st.recursive(
    st.integers(0, 9) | KEYS | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4), st.booleans())
def test_cutting_metadata_leaves_the_same_json_without_that_key(documents, indent):
    cutter = MetadataCutter()
    for document in [*documents, *documents]:  # the second time with what was learnt
        data = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None)
        document = {key: value for key, value in document.items() if key != "@metadata"}
        assert orjson.loads(cutter(data)) == document


@given(st.binary(max_size=30).map(lambda tail: b'{"@metadata":' + tail) | st.binary(max_size=30))
def test_cutting_metadata_never_raises(data):
    assert isinstance(MetadataCutter()(data), bytes)


def test_the_cut_of_captured_events_is_learnt_and_touches_nothing_else():
    cutter = MetadataCutter()
    for data in filebeat_events():
        document = orjson.loads(data)
        del document["@metadata"]
        assert orjson.loads(cutter(data)) == document
        assert len(cutter.learnt) == 1
    assert (
        cutter(b'{"n":123456789012345678901234567890.10, "@metadata": {"x":1}}')
        == b'{"n":123456789012345678901234567890.10}'
    )


# What the server says of a document, one after the other; after the last it is written.
ITEM = st.sampled_from([429, 503, 400, 404, 500, 409])
WHOLE = st.sampled_from([None, None, None, "none", 429, 503, 413, "short", "rubbish"])


class Server:
    """Answers by script; knows what it has stored."""

    where = "http://fake:9200"

    def __init__(self, items: dict[str, list[int]], wholes: list) -> None:
        self.items = {name: list(statuses) for name, statuses in items.items()}
        self.wholes = list(wholes)
        self.stored: list[str] = []
        self.lock = threading.Lock()

    def root(self):
        return 200, {"version": {"number": "9.4.3"}}

    def speak(self, dialect):
        pass

    def bulk(self, body: bytes):
        names = [orjson.loads(line)["create"]["_id"] for line in body.split(b"\n")[:-1:2]]
        with self.lock:
            whole = self.wholes.pop() if self.wholes else None
            if whole == "none":
                raise NoAnswer("reset")
            if whole == 413 and len(names) == 1:
                whole = None
            if isinstance(whole, int):
                return whole, b"{}"
            answers = []
            for name in names:
                status = self.items[name].pop() if self.items.get(name) else 201
                if status == 201 and name in self.stored:
                    status = 409
                if status == 201:
                    self.stored.append(name)
                answers.append(
                    {"create": {"status": status, **({"error": {"type": "t"}} if status != 201 else {})}}
                )
            if whole == "short":
                answers = answers[:-1]
            if whole == "rubbish":
                return 200, b"rubbish"
            return 200, orjson.dumps(
                {"errors": any("error" in a["create"] for a in answers), "items": answers}
            )

    def close(self) -> None:
        pass


@examples(60)
@given(
    st.integers(0, 12),
    st.dictionaries(st.integers(0, 11), st.lists(ITEM, max_size=4), max_size=6),
    st.lists(WHOLE, max_size=8),
    st.integers(1, 5),
)
def test_every_document_has_exactly_one_outcome(count, items, wholes, max_count):
    server = Server({f"i{n}": statuses for n, statuses in items.items()}, wholes)
    options = ElasticsearchOptions(
        retry_initial_interval=0.0001, retry_max_interval=0.0001, bulk_max_count=max_count
    )
    writer = BulkWriter(options, threading.Event(), client=server)
    events = []
    for number in range(count):
        one = event(b"{}", number)
        one.id = f"i{number}"
        events.append(one)
    report = writer.write(events)
    writer.close()
    refused = [letter.event.id for letter in report.letters]
    assert len(set(refused)) == len(refused)
    assert report.written + report.replayed + len(refused) == count
    assert len(set(server.stored)) == len(server.stored)
    # Nobody is called written who is not there, save for a 409, which says that it is there already.
    said = {name for name, statuses in items.items() if 409 in statuses}
    for one in events:
        assert one.id in refused or one.id in server.stored or one.index in said
