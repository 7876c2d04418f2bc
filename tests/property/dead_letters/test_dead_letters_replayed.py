"""Refused, kept and replayed: the same documents with the same ids as if they had never been refused."""

import threading

import orjson
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.dead_letters._letters import decode, lines_of
from penstock.io.dead_letters._parts import Joiner
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.pipelines.jobs.replay_dead_letters import _Filters, sender
from penstock.pipelines.run.replaying import Counts, replay_all
from penstock.transforms.batch import Event
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.events import FlatMapEvents, MapEvents, apply
from penstock.transforms.logstash.settings import FilterOptions
from tests.tools.samples.events import ToyOrigin
from tests.tools.samples.examples import examples

VALUES = st.integers(0, 3) | st.sampled_from(["a", "2026-01-02T03:04:05Z", None, "\x00", "é"])
OBJECTS = st.dictionaries(st.sampled_from(["n", "m", "t", "@timestamp", "bad"]), VALUES, max_size=3)
ELEMENTS = OBJECTS | st.lists(OBJECTS, max_size=2) | st.integers(0, 2)
RECORDS = (
    st.builds(orjson.dumps, OBJECTS)
    | st.builds(orjson.dumps, st.lists(ELEMENTS, max_size=4))
    | st.builds(lambda rows: b"\n".join(map(orjson.dumps, rows)), st.lists(OBJECTS, min_size=1, max_size=3))
    | st.sampled_from([b"nope", b"", b"\xff", b"[1", b"{}{}"])
)  # fmt: skip
CHANGES = {
    "none": None,
    "map": MapEvents(lambda document: {**document, "mapped": True})._function,
    "several": FlatMapEvents(lambda document: [{**document, "k": 0}, {"k": 1}])._function,
}


class Peer:
    """Keeps documents by id; refuses those for which `refuses` says so."""

    where = "http://fake:9200"

    def __init__(self, refuses):
        self.stored = {}
        self.refuses = refuses

    def root(self):
        return 200, {"version": {"number": "9.4.3"}}

    def speak(self, dialect):
        pass

    def bulk(self, body):
        lines = body.split(b"\n")[:-1]
        items = []
        for head, source in zip(lines[::2], lines[1::2], strict=True):
            name = orjson.loads(head)["create"]["_id"]
            if self.refuses(name):
                items.append({"create": {"status": 400, "error": {"type": "t", "reason": "r"}}})
            elif name in self.stored:
                items.append({"create": {"status": 409}})
            else:
                self.stored[name] = orjson.loads(source)
                items.append({"create": {"status": 201}})
        return 200, orjson.dumps({"errors": True, "items": items})

    def close(self):
        pass


def _writer(peer):
    return BulkWriter(ElasticsearchOptions(), threading.Event(), client=peer)


def _run(records, options, change, peer):
    """What a job does with these records; its dead letters."""
    events = [Event(data, ToyOrigin(b"s/%d" % number), number) for number, data in enumerate(records)]
    decoded, letters = options.decoder(keep_documents=False).decode(events)
    options.stamper()(decoded)
    if change is not None:
        decoded, refused, _ = apply(change, decoded, "change")
        letters += refused
    return letters + _writer(peer).write(decoded).letters


class Again:
    def __init__(self):
        self.letters = []

    def append(self, letters):
        self.letters += letters


@examples(150)
@given(
    st.lists(RECORDS, max_size=5),
    st.sets(st.integers(0, 7)),
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from([None, "t", "n:UNIX"]),
    st.sampled_from([16_384, 1 << 20]),
)
def test_a_replay_gives_what_there_would_have_been(records, refused, change, field, limit):
    options = DecodeOptions(timestamp_field=field)
    never = Peer(lambda name: False)
    lasting = _run(records, options, CHANGES[change], never)

    peer = Peer(lambda name: sum(name.encode()) % 8 in refused)
    letters = _run(records, options, CHANGES[change], peer)
    joiner = Joiner()
    kept = [joiner.take(line) for letter in letters for line in lines_of(letter, limit)]
    back = [decode(line) for line in kept if line is not None]
    assert len(back) == len(letters)

    peer.refuses = lambda name: False
    again, counts = Again(), Counts()
    send = sender(options, _Filters(FilterOptions()), _writer(peer), keep_documents=False)
    replay_all(iter(back), send, again, counts)
    assert peer.stored == never.stored
    assert counts.sent == len(letters)
    assert sorted(each.event.data for each in again.letters) == sorted(each.event.data for each in lasting)
    assert counts.refused == len(lasting)
