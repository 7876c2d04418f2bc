"""JSON over several lines in an object: read as one record, whatever blocks it comes in, and told where it isn't."""

import gzip
import json

import orjson
import pytest

from penstock.transforms.batch import Event
from penstock.transforms.codecs.options import DecodeOptions
from tests.tools.samples.events import ToyOrigin
from tests.unit.codecs import samples

ROWS = [{"n": n, "text": "}{\n" * (n % 3), "list": [{"a": n}, [1]]} for n in range(300)]
PRETTY = b"\n".join(json.dumps(row, indent=2).encode() for row in ROWS)
ODD = b"".join(json.dumps(row, indent=1).encode().replace(b"{\n", b"{", 1) for row in ROWS)
"""Its first line is neither a record nor a brace alone."""
CONFIG = json.dumps({"account": {"id": "1"}, "items": ROWS}, indent=4).encode()
LOGS = b"\n".join(
    json.dumps(json.loads(samples.subscription(text, stream=text)), indent=2).encode() for text in "ab"
)


def stored(decode, content, read, monkeypatch, block=1 << 20, **options):
    """The documents with their ids, and the letters, of an object."""
    monkeypatch.setattr("penstock.io.s3.formats._compression.BLOCK", block)
    events, letters = [], []
    found, refused, reader = read(content, decoder=decode.decoder, events=True, **options)
    letters += refused
    raw, done = [e for e in found if e.id is None], [e for e in found if e.id is not None]
    made, more = decode.decoder(keep_documents=False).decode(raw)
    events = sorted(done + made, key=lambda event: (event.index, event.part))
    letters += [(letter.error, letter.reason) for letter in more]
    return [(event.id, orjson.loads(event.data)) for event in events], letters, reader


CASES = {
    "objects": (DecodeOptions(), PRETTY, {}),
    "objects, by option": (DecodeOptions(), ODD, {"format": "json"}),
    "behind a byte order mark": (DecodeOptions(), b"\xef\xbb\xbf" + PRETTY, {}),
    "with CRLF": (DecodeOptions(), PRETTY.replace(b"\n", b"\r\n"), {}),
    "one per line, by option": (DecodeOptions(), b"\n".join(map(orjson.dumps, ROWS)), {"format": "json"}),
    "arrays among objects": (DecodeOptions(), orjson.dumps(ROWS[:9]) + PRETTY, {"format": "json"}),
    "expanded": (DecodeOptions(expand="items", expand_copy=["account.id"]), CONFIG, {}),
    "auto": (DecodeOptions(codec="auto"), PRETTY + LOGS, {}),
    "CloudWatch Logs": (DecodeOptions(codec="cloudwatch_logs"), LOGS, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_object_is_read_as_one_record(case, read, monkeypatch):
    decode, content, options = CASES[case]
    text = content.removeprefix(b"\xef\xbb\xbf")
    whole, refused = decode.decoder(keep_documents=False).decode([Event(text, ToyOrigin(b"p"), 0)])
    assert not refused
    assert len(whole) >= 2
    monkeypatch.setattr("penstock.transforms.codecs._json_cutter.HOLD", 500)
    known = None
    for block in (997, 1 << 20):
        for each in (content, gzip.compress(content)):
            found, letters, reader = stored(decode, each, read, monkeypatch, block, **options)
            assert not letters
            assert reader.finished
            assert [document for _, document in found] == [orjson.loads(event.data) for event in whole]
            assert len({name for name, _ in found}) == len(found)
            if each is content:
                known = known or found
                assert found == known, "the same ids, whatever the blocks"


def test_a_part_that_is_no_json_costs_itself(read, monkeypatch):
    content = PRETTY.replace(b'"n": 7,', b'"n": seven,')
    found, ((_, reason),), reader = stored(DecodeOptions(), content, read, monkeypatch, 997)
    assert [document["n"] for _, document in found] == [n for n in range(300) if n != 7]
    assert "expected" in reason or "unexpected" in reason
    assert reader.finished
    _, letters, _ = stored(DecodeOptions(), PRETTY[:-5], read, monkeypatch)
    assert "cut short" in letters[-1][1]


@pytest.mark.parametrize("content", [ODD, b'{ "a": 1,\n  "b": 2 }\n', b'{"a":\n1}{"b":\n2}'])
def test_a_letter_names_the_option_where_the_first_line_does_not_tell(content, read):
    for each in (content, gzip.compress(content)):
        documents, ((error, reason),), _ = read(each, decoder=DecodeOptions().decoder)
        assert (documents, error) == ([], "UndecodableLines")
        assert reason.endswith("it looks like JSON that is spread over several lines: --format json")


@pytest.mark.parametrize("codec", ["lines", "plain", "csv"])
@pytest.mark.parametrize(
    "content",
    [b"{\n 1\n}\n", b"[2026-11-22 06:00:00] INFO up\n[2026-11-22 06:00:01] WARN x\n", b'{"Records":[\n1]}\n'],
)
def test_without_a_codec_of_json_a_bracket_is_text(codec, content, read):
    for each in (content, gzip.compress(content)):
        documents, letters, _ = read(each, decoder=DecodeOptions(codec=codec).decoder)
        assert (documents, letters) == (content.splitlines(), [])


def test_json_by_option_needs_a_codec_of_json(read):
    _, ((error, reason),), _ = read(b"{}", decoder=DecodeOptions(codec="csv").decoder, format="json")
    assert (error, reason) == ("UnsupportedFormat", "--format json is for codecs that read JSON")
