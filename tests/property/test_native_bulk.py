"""The kernel that writes bulk bodies: whatever the events, the bytes are those of its twin, cut at the same places."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.bulk import _actions
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.bulk._bulk import cut
from penstock.transforms.batch import Event
from penstock.transforms.document import with_document
from penstock.transforms.kernels import native
from tests.tools.samples.events import ToyOrigin, event, filebeat_events

kernel = native.load("penstock.io.elasticsearch.bulk._native_bulk", str)
pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel isn't built, or switched off")

TIME = '"@timestamp":"2026-11-22T01:02:03.000Z"'
DATA = st.one_of(
    st.sampled_from(filebeat_events()),
    st.sampled_from(
        [
            b"{}",
            b"",
            b"\n",
            b'{"@metadata":1}',
            b'{"a":"@metadata"}',
            b'{"mail":"me@metadata.org","at":"@"}',
            b'{"a":{"@metadata":{"beat":"b"}},"m":1}',
            b'{%b,"@metadata":{"beat":"b"},"m":1}' % TIME.encode(),
            b'{%b,"@metadata":{"beat":"c"},"m":"@metadata"}' % TIME.encode(),
            b'{%b,"@metadata":{"beat":"b"},"m":\n1}' % TIME.encode(),
            b'{"a":1,"@metadata":{"beat":"b"}}',
            b' {"a":1}',
            b'{ "a":1}',
            b"{ }",
            b'{"@metadata":{"beat":"b"},"a":1}',
        ]
    ),
    st.binary(max_size=60),
)
IDS = (
    st.sampled_from(["1abc", "1-_Z", "", 'a"b', "a\\b", "\n", "\x7f", "é", "x" * 600])
    | st.none()
    | st.text(max_size=4)
)
DAYS = ["2026-11-22T", "2026-11-23T", "2026-99-99T", "2026-11-22 "]
TIMES = (
    st.builds(
        lambda day, end: day + end, st.sampled_from(DAYS), st.sampled_from(["01:02:03Z", "Z", "01:02:03", ""])
    )
    | st.sampled_from(["", "Z", "é2026-11-22TZ", "2026-11-22TéZ"])
    | st.none()
)
OPTIONS = st.sampled_from(
    [
        {},
        {"index": "constant"},
        {"index": 'qu"oté'},
        {"index": "i-%{+yyyy}", "action": "index"},
        {"index": "i-%{+yyyy.MM.dd.HH}"},
        {"keep_metadata": True},
        {"document_id": "none"},
    ]
)


@st.composite
def events(draw):
    one = event(draw(DATA), draw(st.integers(0, 5)))
    one.id, one.timestamp = draw(IDS), draw(TIMES)
    if draw(st.integers(0, 9)) == 0:
        changed = with_document(one, {"@metadata": {}, "changed": "\n"})
        changed.timestamp = one.timestamp
        return changed
    one.stamped = one.timestamp is not None and _is_object(one.data) and draw(st.booleans())
    return one


def _is_object(data):
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


@given(
    st.lists(st.lists(events(), max_size=12), min_size=1, max_size=3),
    OPTIONS,
    st.integers(1, 8),
    st.integers(1, 2000) | st.just(1 << 20),
)
def test_bodies_are_the_twins(batches, options, max_count, max_bytes):
    ours, twin = (DocumentMaker(ElasticsearchOptions(**options)) for _ in range(2))
    for batch in [*batches, *batches]:  # the second time with what was learnt
        made = ours.bulks(batch, max_count, max_bytes)
        expected = cut(batch, twin.documents(batch), max_count, max_bytes)
        assert [(bulk.events, bulk.body) for bulk in made] == [(bulk.events, bulk.body) for bulk in expected]


def test_more_than_a_thousand_indices_and_a_body_that_grows():
    maker = DocumentMaker(ElasticsearchOptions())
    batch = []
    for number in range(3000):
        one = event(b'{"m":"%b"}' % (b"x" * (number % 7 * 100)))
        one.id, one.timestamp = (
            f"i{number}",
            f"{2026 + number // 300}-{number % 12 + 1:02}-{number % 25 + 1:02}T00:00:00Z",
        )
        batch.append(one)
    bulks = maker.bulks(batch, 1000, 1 << 30)
    twin = DocumentMaker(ElasticsearchOptions())
    assert b"".join(bulk.body for bulk in bulks) == b"".join(twin.documents(batch))
    assert [len(bulk.events) for bulk in bulks] == [1000, 1000, 1000]


def test_what_the_maker_raises_comes_out():
    one = with_document(event(b"{}"), {"a": object()})
    fine = event(b"{}")
    with pytest.raises(TypeError):
        DocumentMaker(ElasticsearchOptions()).bulks([fine, one, fine], 10, 1 << 20)


class Maker:
    """Stands in for a `DocumentMaker`, and does what a callback should not."""

    def __init__(self, document, then=lambda: None):
        self._document, self._then = document, then

    def document(self, one):
        self._then()
        return self._document


def _bodies(batch, maker, prefixes, learnt=None, max_count=10, max_bytes=1 << 20):
    return kernel.bulk_bodies(batch, Event, maker, prefixes, learnt, max_count, max_bytes)


def test_strange_arguments_are_refused():
    one = event(b"{}")
    for arguments in [
        ([one], Maker("text"), {}),
        ([one], Maker(None), {}),
        ([one], object(), {}),
        ([one], Maker(b""), "é"),
        ([one], Maker(b""), None),
        ([one], Maker(b""), {}, 3),
        ([one], Maker(b""), {}, [(0, 3, b"abc")]),
        ([one], Maker(b""), {}, [(1, 3, b"abc")]),
        ([one], Maker(b""), {}, None, 0),
        ((one,), Maker(b""), {}),
    ]:
        with pytest.raises((TypeError, ValueError, AttributeError)):
            _bodies(*arguments)
    with pytest.raises(SystemError):
        _bodies([one], Maker(b""), {}, ["no tuple"])


def test_a_list_that_shrinks_meanwhile_ends_early():
    batch = [Event(b"{}", ToyOrigin(), n) for n in range(5)]
    assert _bodies(batch, Maker(b"d\n", batch.clear), {}) == [(1, b"d\n")]


def test_the_kernel_is_what_the_maker_uses():
    assert _actions._kernel is kernel
