"""The Beats protocol core under any split of the bytes, and the acknowledgements under any order of events."""

import gzip
import itertools
import json
from collections.abc import Sequence
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from penstock.io.beats import BeatsClient
from penstock.io.beats._enrich import enriched, fields_of
from penstock.io.beats.wire import _protocol
from penstock.io.beats.wire._acks import Due, Ledger
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver, Stretch
from penstock.io.beats.wire._proxy_protocol import parse
from penstock.io.errors import ProtocolError
from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder
from tests.tools.peers.lumberjack import compressed, data_event, event, window
from tests.tools.samples.events import ToyOrigin
from tests.tools.samples.examples import examples

LIMITS = Limits(
    max_window_size=50,
    max_frame_bytes=4000,
    max_inflated_bytes=10_000,
    max_nesting=2,
    stretch_events=5,
    stretch_bytes=300,
)


def parsed(data: bytes, cuts: Sequence[int] = ()) -> tuple[list[Stretch], str | None]:
    """All stretches, and the error's text if there was one, of `data` cut at those places."""
    receiver = Receiver(LIMITS)
    stretches = []
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    try:
        for begin, end in itertools.pairwise(places):
            if receiver.receive(data[begin:end]):
                while (stretch := receiver.next_stretch()) is not None:
                    stretches.append(stretch)
    except ProtocolError as error:
        return stretches, str(error)
    return stretches, None


payload = st.binary(max_size=80)
sequence = st.integers(0, 2**32 - 1)
pairs = st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=30)), max_size=4)
an_event = st.one_of(st.builds(event, sequence, payload), st.builds(data_event, sequence, pairs))


@st.composite
def honest(draw: st.DrawFn) -> tuple[bytes, int]:
    """Windows as clients may send them, short ones too, and how many events they hold."""
    data, count = b"", 0
    for events in draw(st.lists(st.lists(an_event, max_size=12), max_size=5)):
        missing = draw(st.sampled_from([0, 0, 0, 3]))
        frames = b""
        for frame in events:
            frames += frame
            if draw(st.integers(0, 5)) == 0:
                frames = compressed(frames)
        body = window(len(events) + missing) + frames
        data += compressed(body) if draw(st.integers(0, 4)) == 0 else body
        count += len(events)
    return data + window(0), count


@given(honest(), st.lists(st.integers(0, 2000), max_size=20))
def test_any_split_gives_the_same_stretches(sent: tuple[bytes, int], cuts: list[int]) -> None:
    data, count = sent
    whole, error = parsed(data)
    assert (whole, error) == parsed(data, cuts) == parsed(data, range(len(data)))
    if error is None:  # a compressed frame may be one too many levels deep, or hold a part of a frame
        assert sum(len(stretch.payloads) for stretch in whole) == count


mutation = st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=6))


def damaged(data: bytes, mutations: list[tuple[int, bytes]]) -> bytes:
    """The same bytes with others in some places."""
    changed = bytearray(data)
    for place, replacement in mutations:
        place %= len(changed)
        changed[place : place + len(replacement)] = replacement
    return bytes(changed)


@given(honest(), st.lists(mutation, min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=20))
def test_any_split_of_damaged_bytes_gives_the_same_stretches_and_error(
    sent: tuple[bytes, int], mutations: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = damaged(sent[0], mutations)
    assert parsed(data) == parsed(data, cuts) == parsed(data, range(len(data)))


@given(honest(), st.lists(mutation, max_size=4), st.lists(st.integers(0, 2000), max_size=20))
def test_the_kernel_reads_what_the_loop_reads(
    sent: tuple[bytes, int], mutations: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = damaged(sent[0], mutations)
    with_kernel = parsed(data, cuts)
    with mock.patch.object(_protocol, "_kernel", None):
        assert parsed(data, cuts) == with_kernel


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=10))
def test_rubbish_ends_in_an_error_or_in_waiting(data: bytes, cuts: list[int]) -> None:
    assert parsed(data) == parsed(data, cuts)


@given(honest())
def test_stretches_keep_their_bounds_and_their_places(sent: tuple[bytes, int]) -> None:
    place = 0
    for stretch in parsed(sent[0])[0]:
        assert len(stretch.payloads) <= LIMITS.stretch_events
        assert stretch.size == sum(map(len, stretch.payloads))
        assert stretch.size - len(stretch.payloads[-1] if stretch.payloads else b"") < LIMITS.stretch_bytes
        assert stretch.first == place
        place = 0 if stretch.final else place + len(stretch.payloads)
        assert not stretch.final or stretch.ack is not None


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=8), st.randoms())
def test_acknowledgements_come_in_order_each_final_one_once(
    windows: list[list[bool]], random: object
) -> None:
    ledger, dues, finals = Ledger(), [], []
    for number, parts in enumerate(windows, 1):
        for index, numbered in enumerate(parts):
            final = index == len(parts) - 1
            ack = number * 1000 + index if numbered or final else None
            due = Due(ack, final, 0x32, 0.0)
            ledger.add(due)
            dues.append(due)
            if final:
                finals.append(ack)
    sent: list[int] = []
    order = list(dues)
    random.shuffle(order)  # type: ignore[attr-defined]
    for due in order:
        due.done = True
        frames = ledger.due()
        acks = [int.from_bytes(frames[at + 2 : at + 6], "big") for at in range(0, len(frames), 6)]
        durable = 0
        while durable < len(dues) and dues[durable].done:
            durable += 1
        assert all(any(ack == each.ack for each in dues[:durable]) for ack in acks)
        sent += acks
    assert sent == sorted(set(sent))
    assert [ack for ack in sent if ack in finals] == finals
    assert ledger.settled


def _raw_object(members: list[tuple[str, str, str]]) -> str:
    return "{" + ",".join(f'"{key}"{space}:{space}{value}' for key, space, value in members) + "}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["@metadata", "message", "input", "tls_peer", "a{b", 'q"q']) | st.text(max_size=5)
objects = st.dictionaries(keys, json_values | st.dictionaries(keys, json_values, max_size=3), max_size=5)


@given(objects, st.booleans(), st.booleans())
@examples(300)
def test_enriching_is_the_same_as_parsing_and_adding(
    before: dict[str, object], ascii_only: bool, dense: bool
) -> None:
    fields = fields_of(BeatsClient("10.1.2.3", 1), ["source_metadata"])
    separators = (",", ":") if dense else None
    data = json.dumps(before, ensure_ascii=ascii_only, separators=separators)
    try:
        encoded = data.encode()
    except UnicodeEncodeError:  # a lone surrogate has no bytes
        return
    after = json.loads(enriched(encoded, fields))
    assert after == _enriched_by_decoding(before, fields)


def _enriched_by_decoding(event: object, fields: bytes) -> object:
    """The reference: decode all, set the fields, and be done."""
    if not isinstance(event, dict):
        return event
    before = event.get("@metadata")
    return {
        **event,
        "@metadata": {**(before if isinstance(before, dict) else {}), **json.loads(b"{%b}" % fields)},
    }


# JSON as an attacker writes it: keys that look like ours from one side, escapes, spaces, the same key twice.
raw_keys = st.sampled_from(
    [
        *(
            r"@metadata",
            r"\"@metadata",
            r"@metadata\"",
            r"\\\"@metadata",
            r"\u0040metadata",
            r"@m\u0065tadata",
        ),
        *(
            r"@metadata\\",
            r"\"@metadata\":{",
            r"{",
            r"}",
            r"input",
            r"inp\u0075t",
            r"tls_peer",
            r"\/",
            r"\ud800",
            r"",
            "a",
        ),
    ]
)
spaces = st.sampled_from(["", "", "", " ", "\n\t "])
raw_scalars = st.sampled_from(["1", "-0", "1e3", "true", "null", "{}", "[]", "18446744073709551615"])
raw_values = st.recursive(
    st.builds('"{}"'.format, raw_keys) | raw_scalars,
    lambda inner: (
        st.builds("[{}]".format, inner)
        | st.builds(_raw_object, st.lists(st.tuples(raw_keys, spaces, inner), max_size=3))
    ),
    max_leaves=6,
)
raw_events = st.builds(_raw_object, st.lists(st.tuples(raw_keys, spaces, raw_values), max_size=5))


@given(raw_events, spaces, st.integers(0, 400), st.binary(max_size=3))
@examples(600)
def test_no_payload_chooses_where_enrichment_goes(text: str, around: str, place: int, damage: bytes) -> None:
    fields = fields_of(BeatsClient("10.1.2.3", 1), ["source_metadata"])
    whole = f"{around}{text}{around}".encode()
    for data in (whole, whole[:place] + damage + whole[place + len(damage) :]):
        try:
            before = json.loads(data.decode())
        except ValueError:
            continue
        assert json.loads(enriched(data, fields)) == _enriched_by_decoding(before, fields), data


FORMS = {
    "alone": lambda one, other: one,
    "one after another": lambda one, other: one + other,
    "one per line": lambda one, other: one + b"\n" + other,
    "an array": lambda one, other: b"[" + one + b"," + other + b"]",
    "an array behind it": lambda one, other: one + b" [" + other + b"]" + one,
    "a byte order mark": lambda one, other: b"\xef\xbb\xbf" + one,
    "UTF-16": lambda one, other: one.decode().encode("utf-16"),
    "compressed": lambda one, other: gzip.compress(one),
    "deep": lambda one, other: one[:-1] + b',"deep":' + b"[" * 3000 + b"]" * 3000 + b"}",
}


@given(raw_events, raw_events, spaces, st.sampled_from(sorted(FORMS)))
@examples(400)
@example('{"@metadata":{"input":1}}', '{"@metadata":{"input":1}}', "", "one after another")
@example("{}", '{"@metadata":{"input":1}}', "", "one after another")
@example('{"a":1}', '{"a":1}', "\n", "one after another")
def test_no_reader_behind_us_finds_what_a_client_says_of_itself(
    one: str, other: str, around: str, form: str
) -> None:
    fields = fields_of(BeatsClient("10.1.2.3", 1), ["source_metadata"])
    data = FORMS[form](f"{one}{around}".encode(), other.encode())
    try:
        sent = enriched(data, fields)
    except ValueError:
        return  # a dead letter
    found, _ = JsonDecoder().decode([Event(sent, ToyOrigin(), 0)])
    for each in found:
        assert each.document is not None
        assert each.document["@metadata"]["input"] == {"beats": {"host": {"ip": "10.1.2.3"}}}, data


@given(st.binary(max_size=250), st.sampled_from([b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n", b""]))
def test_a_proxy_header_is_whole_or_wanting_or_refused(rest: bytes, start: bytes) -> None:
    data = start + rest
    try:
        header = parse(data)
    except ProtocolError:
        return
    if header is not None:
        assert 0 < header.length <= len(data)
        assert parse(data[: header.length]) == header
