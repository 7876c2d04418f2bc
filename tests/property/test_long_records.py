"""A record too long to hold gives what it gives whole, in whatever blocks it comes."""

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.codecs import _json_cutter
from penstock.transforms.codecs.long_records import LongRecord, long_records_of
from penstock.transforms.codecs.options import DecodeOptions
from tests.tools.samples.events import ToyOrigin

ORIGIN = ToyOrigin(b"p")
TEXTS = st.text(max_size=4) | st.sampled_from(['"', "\\", "}{", "[", '"list":[', "é"])
KEYS = st.sampled_from(["a", "b", "list", "x", '"'])
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(KEYS, VALUES, max_size=2) | LEAVES, max_size=4)


@st.composite
def records(draw):
    """Objects one after another, most of them with the list at x.list behind the fields that are copied."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        outer = {
            "a": draw(VALUES),
            "x": {"b": draw(LEAVES), "list": draw(ROWS), "c": draw(VALUES)},
            "z": draw(VALUES),
        }
        made.append(
            draw(
                st.sampled_from(
                    [outer, {"a": 1, **draw(st.dictionaries(KEYS, VALUES, max_size=3))}, draw(ROWS)]
                )
            )
        )
    indent = draw(st.sampled_from([None, orjson.OPT_INDENT_2]))
    return draw(st.sampled_from([b"", b" ", b"\r\n"])).join(
        orjson.dumps(each, option=indent) for each in made
    )


def streamed(decode, record, sizes, hold):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_json_cutter, "HOLD", hold)
        long = long_records_of(decode.decoder())(ORIGIN, 7, 1 << 20)
        events, letters, position = [], [], 0
        while position < len(record):
            size = sizes[position % len(sizes)]
            found, refused = long.feed(record[position : position + size])
            events, letters, position = events + found, letters + refused, position + size
        found, refused = long.finish()
    events, letters = events + found, letters + refused
    done = [event for event in events if event.id is not None]
    raw = [event for event in events if event.id is None]
    decoded, more = decode.decoder(keep_documents=False).decode(raw)
    return done + decoded, letters + more


def seen(events, letters):
    return (
        [(event.part, event.id, event.timestamp, orjson.loads(event.data)) for event in events],
        [(letter.event.part, letter.error) for letter in letters],
    )


@given(
    records(),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(1, 60),
    st.sampled_from(
        [("x.list", []), ("x.list", ["a", "x.b"]), ("x.list", ["a", "z"]), ("list", []), (None, [])]
    ),
)
@example(b'[][{"a":1},{"b":2},7]{"c":3}', [1], 1, (None, []))
@example(
    b'{"a":null,"x":{"b":null,"list":[{"n":1},{"x":null},{"n":2}],"c":null},"z":null}',
    [1], 1, ("x.list", ["a", "x.b"]),
)  # fmt: skip
def test_any_blocks_give_what_the_whole_gives(record, sizes, hold, how):
    expand, copied = how
    decode = DecodeOptions(expand=expand, expand_copy=copied)
    whole = decode.decoder(keep_documents=False).decode([Event(record, ORIGIN, 7)])
    events, letters = streamed(decode, record, sizes, hold)
    assert seen(events, letters) == seen(*whole)


@pytest.mark.parametrize(
    ("record", "left", "reason"),
    [
        (b'{"list":[{"n":1},{"s":"%b"},{"n":2}]}{"n":3}' % (b"x" * 5000), [1, 2, 3], "an element of the list of"),
        (b'{"s":"%b","list":[{"n":1}]}{"n":3}' % (b"{" * 5000), [3], "a value of more than 1000"),
        (b'{"n":0}{"s":"%b","t":"\\\\"}{"n":1}' % (b"\\\\\\\"x" * 5000), [0, 1], "a value of more than 1000"),
        (b'{"n":0}' + b"no json " * 5000, [0], "the rest of the record is not read"),
        (b'{"list":[{"n":1},{"n":2}', [1, 2], "cut short"),
        (b'{"list":[{"n":1},7,{"n":2}]', [1, 2], "element"),
        (b'{"n":0}]{"n":1}', [0, 1], "closes nothing"),
    ],
)  # fmt: skip
def test_what_is_too_long_or_no_json_is_a_letter_and_the_rest_goes_on(record, left, reason, monkeypatch):
    monkeypatch.setattr(_json_cutter, "HOLD", 10)
    long = LongRecord(ORIGIN, 0, 1000, ("list",), ())
    events, letters = [], []
    for position in range(0, len(record), 100):
        found, refused = long.feed(record[position : position + 100])
        events, letters = events + found, letters + refused
    found, refused = long.finish()
    assert [orjson.loads(event.data)["n"] for event in events + found] == left
    assert any(reason in letter.reason for letter in letters + refused), [x.reason for x in letters + refused]
    assert all(len(letter.event.data) <= 64 << 10 for letter in letters)
