"""Decoding: every record ends up in events or letters, nothing else comes out, and bytes stay what they were."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import document_of, payload_of
from tests.tools.samples.events import ToyOrigin

VALUES = st.none() | st.integers(-100, 100) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
OBJECTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), VALUES, max_size=3)
SPACES = st.sampled_from([b"", b" ", b"\t", b"\r"])
BOTH = st.booleans()


def _decode(data: bytes, keep: bool):
    return JsonDecoder(keep_documents=keep).decode([Event(data, ToyOrigin(), 0)])


@given(OBJECTS, st.booleans(), BOTH)
def test_an_object_passes_byte_by_byte(document, indent, keep):
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None)
    (one,), letters = _decode(data, keep)
    assert not letters
    assert one.data == data
    assert b"\n" not in payload_of(one)
    assert orjson.loads(payload_of(one)) == document == document_of(one)


@given(st.lists(OBJECTS, max_size=6), SPACES, BOTH)
def test_an_array_is_its_objects(documents, space, keep):
    data = (
        b"[" + (b"," + space).join([space + orjson.dumps(document) for document in documents]) + space + b"]"
    )
    events, letters = _decode(data, keep)
    assert not letters
    assert [document_of(e) for e in events] == documents
    assert len({e.id for e in events}) == len(documents)


@given(
    st.lists(OBJECTS, min_size=2, max_size=6),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \n"]), min_size=6),
    BOTH,
)
def test_lines_are_their_objects(documents, ends, keep):
    data = b"".join([orjson.dumps(document) + end for document, end in zip(documents, ends, strict=False)])
    events, letters = _decode(data, keep)
    assert not letters
    assert [document_of(e) for e in events] == documents
    assert len({e.id for e in events}) == len(documents)
    assert [e.part for e in events] == list(range(len(documents)))


@given(
    st.binary(max_size=40)
    | st.lists(st.sampled_from([b"{}", b'{"a":1}', b"x", b"\n", b"[", b"]", b",", b" "]), max_size=9).map(
        b"".join
    ),
    BOTH,
)
def test_any_bytes_end_up_somewhere(data, keep):
    events, letters = _decode(data, keep)
    for one in events:
        assert isinstance(document_of(one), dict)
        assert one.data in data
        assert one.id is not None
    for letter in letters:
        assert letter.event.data in data
        assert letter.reason
    if data.strip() and data.strip() != b"[]" and not events:
        assert letters or not data.strip(b"[] \t\r\n")
