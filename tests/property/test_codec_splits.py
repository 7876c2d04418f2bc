"""However an object is cut into reads and batches, and lines into records, a codec gives the same events."""

import csv
import gzip
import io
import threading

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.io.s3 import reading
from penstock.io.s3.formats import _compression, _lines
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.transforms.batch import Event
from penstock.transforms.codecs import _json_cutter
from penstock.transforms.codecs.options import DecodeOptions
from tests.tools.samples.events import ToyOrigin
from tests.tools.samples.examples import examples
from tests.unit.codecs import samples

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=4)
BATCHES = st.lists(st.integers(1, 9), min_size=1, max_size=4)
SLOW = examples(60)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=6)
VALUES = WORDS | st.sampled_from(['"', ",", "\t", '","', "é", "\x0c", "\u2028", " ", "-"])


class Store:
    """Holds one object, and gives it a few bytes at a time."""

    def __init__(self, content, sizes):
        self.content, self.sizes, self.reads = content, sizes, 0
        self.stopping = threading.Event()

    def get(self, found, start, end):
        return Body(self, self.content[start:end]), None


class Body:
    def __init__(self, store, content):
        self.store, self.left = store, io.BytesIO(content)

    def read(self, size):
        self.store.reads += 1
        return self.left.read(min(size, self.store.sizes[self.store.reads % len(self.store.sizes)]))

    def close(self):
        self.left.close()


def object_events(decode, content, sizes, batches, options):
    """What an object becomes: index, part, id and document of each event, and the letters."""
    read, refused = [], []
    unit = WorkUnit(S3Object("b", "k", len(content), "e", 0))
    reader = reading.UnitReader(unit, options, Store(content, sizes), (), decode.decoder)
    for events, letters in reader.pieces():
        read += events
        refused += letters
    assert reader.finished
    decoder = decode.decoder(keep_documents=False)
    made, position = [], 0
    while position < len(read):
        batch = read[position : position + batches[position % len(batches)]]
        position += len(batch)
        made += [event for event in batch if event.id is not None]
        decoded, letters = decoder.decode([event for event in batch if event.id is None])
        made += decoded
        refused += letters
    made.sort(key=lambda event: (event.index, event.part))
    return (
        [(event.index, event.part, event.id, orjson.loads(event.data)) for event in made],
        [(letter.error, letter.event.index, letter.event.part, letter.event.data) for letter in refused],
    )


def same_however_it_comes(decode, content, sizes, batches, **options):
    """The documents of an object, which are the same in one read and in many, compressed or not."""
    options = S3ReadOptions(input=["x"], **options)
    whole = object_events(decode, content, [1 << 20], [1 << 20], options)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(reading, "_HEAD", 16)
        monkeypatch.setattr(_compression, "BLOCK", 64)
        monkeypatch.setattr(_lines, "_LONG", 30)
        monkeypatch.setattr(_json_cutter, "HOLD", 40)
        for each in (content, gzip.compress(content, mtime=0)):
            assert object_events(decode, each, sizes, batches, options) == whole
    documents = [document for _, _, _, document in whole[0]]
    for document in documents:
        document.pop("@timestamp", None)
    return documents, whole[1]


def separated(rows, separator, end):
    output = io.StringIO()
    csv.writer(output, delimiter=separator, lineterminator=end).writerows(rows)
    return output.getvalue().encode()


@SLOW
@given(
    st.lists(WORDS.filter(lambda word: word.strip() and ":" not in word), min_size=1, max_size=4, unique_by=str.strip),
    st.data(),
    st.sampled_from([",", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    SIZES,
    BATCHES,
)  # fmt: skip
def test_separated_values_with_a_header(names, data, separator, end, mark, sizes, batches):
    names = [name.strip() for name in names]
    first = VALUES.filter(str.strip)  # a line of nothing is left out
    rows = data.draw(
        st.lists(st.tuples(first, *[VALUES] * (len(names) - 1)).map(list), max_size=8), label="rows"
    )
    content = (b"\xef\xbb\xbf" if mark else b"") + separated([names, *rows], separator, end)
    decode = DecodeOptions(codec="csv" if separator == "," else "tsv")
    documents, letters = same_however_it_comes(decode, content, sizes, batches)
    assert not letters
    assert documents == [
        {name: value for name, value in zip(names, row, strict=True) if value} for row in rows
    ]


TRACE = ["2026 begin", "  at a", "\tat b", "Caused", "2026", "end\\", "é\x0c\u2028x\x85"]
RULES = (
    {"codec_multiline": r"^\s"},
    {"codec_multiline": "^2026", "codec_negate": True},
    {"codec_multiline": r"\\$", "codec_what": "next"},
)


@SLOW
@given(st.lists(st.sampled_from(TRACE), max_size=12), st.sampled_from(RULES), SIZES, BATCHES)
def test_lines_that_belong_together(lines, rule, sizes, batches):
    decode = DecodeOptions(codec="lines", **rule)
    documents, letters = same_however_it_comes(decode, "\n".join(lines).encode(), sizes, batches)
    assert not letters
    assert "\n".join(document["message"] for document in documents) == "\n".join(lines)
    apart, _ = DecodeOptions(codec="lines", **rule).decoder().decode([record("\n".join(lines).encode())])
    assert [document["message"] for document in documents] == [
        orjson.loads(each.data)["message"] for each in apart
    ]


FRONT = [
    "date",
    "time",
    "sc-bytes",
    "c-ip",
    "cs-method",
    "cs(Host)",
    "cs-uri-stem",
    "sc-status",
    "x-new-field",
    "time-taken",
]
FRONT_VALUES = {
    "date": "2026-11-22", "time": "13:28:38", "sc-bytes": "17", "c-ip": "2001:db8::7", "cs-method": "GET", "cs(Host)": "h",
    "cs-uri-stem": "/a%20b", "sc-status": "-", "x-new-field": "new", "time-taken": "0.5",
}  # fmt: skip


@SLOW
@given(
    st.lists(st.tuples(st.permutations(FRONT), st.integers(0, 4)), min_size=1, max_size=3),
    SIZES,
    BATCHES,
)
def test_headers_of_cloudfront_in_any_order(parts, sizes, batches):
    content, count = b"#Version: 1.0\n", 0
    for names, lines in parts:
        content += b"#Fields: " + " ".join(names).encode() + b"\n"
        content += ("\t".join(FRONT_VALUES[name] for name in names) + "\n").encode() * lines
        count += lines
    documents, letters = same_however_it_comes(DecodeOptions(codec="cloudfront"), content, sizes, batches)
    assert not letters
    known = {
        "date": "2026-11-22", "time": "13:28:38", "sc_bytes": 17, "c_ip": "2001:db8::7", "cs_method": "GET", "cs_host": "h",
        "cs_uri_stem": "/a%20b", "x_new_field": "new", "time_taken": 0.5,
    }  # fmt: skip
    assert documents == [{"aws": {"cloudfront": known}}] * count


JSON = st.dictionaries(
    st.sampled_from(["a", "b", "list"]),
    VALUES | st.integers(0, 99) | st.lists(VALUES, max_size=2),
    max_size=3,
)


@SLOW
@given(
    st.lists(JSON, max_size=8),
    st.sampled_from([b"", b"\n", b" ", b"\r\n\r\n"]),
    st.booleans(),
    st.sampled_from(["auto", "json"]),
    st.sampled_from(["json", "auto"]),
    SIZES,
    BATCHES,
)
@example([{"a": 1}, {}], b"", True, "auto", "json", [1], [1])
def test_json_in_any_row(rows, between, indent, form, codec, sizes, batches):
    if indent and form == "auto":
        rows = [{"first": 1}, *rows]
    content = between.join(orjson.dumps(row, option=orjson.OPT_INDENT_2 if indent else 0) for row in rows)
    documents, letters = same_however_it_comes(
        DecodeOptions(codec=codec), content, sizes, batches, format=form
    )
    assert not letters
    assert documents == rows


def record(data, index=0):
    return Event(data, ToyOrigin(b"p"), index)


_, FRONT_HEAD, FRONT_LINE = samples.CLOUDFRONT.splitlines()[:3]
LINES = {
    "csv": (b'anna,17,"a, ""b"""', {"codec_fields": ["name", "n:int", "note"]}),
    "tsv": (b"anna\t17\t", {"codec_fields": ["name", "n:int", "note"]}),
    "vpcflow": (samples.VPC, {}),
    "alb": (samples.ALB, {}),
    "cloudfront": (FRONT_LINE, {"codec_fields": FRONT_HEAD.decode().split()[1:]}),
    "s3access": (samples.S3_ACCESS, {}),
    "json": (b'{"n":17,"s":"}{"}', {}),
    "auto": (b'{"n":17,"s":"}{"}', {}),
    "lines": (b"text \x0c more", {}),
    "cloudwatch_logs": (samples.subscription("a", "] ["), {}),
}  # fmt: skip


@SLOW
@given(
    st.sampled_from(list(LINES)),
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_lines_in_any_records(codec, counts, end):
    line, options = LINES[codec]
    decode = DecodeOptions(codec=codec, **options)
    records = [record(end.join([line] * count), index) for index, count in enumerate(counts)]
    apart, letters = decode.decoder(keep_documents=False).decode(records)
    assert not letters
    whole, letters = decode.decoder(keep_documents=False).decode([record(end.join([line] * sum(counts)))])
    assert not letters
    assert [each.data for each in apart] == [each.data for each in whole]
    assert len(apart) == sum(counts) * (2 if codec == "cloudwatch_logs" else 1)
    if codec != "cloudwatch_logs":  # which names its events itself
        assert len({each.id for each in apart}) == len(apart)
