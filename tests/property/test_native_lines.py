"""The kernel that reads lines says what the reader in Python says, or leaves the line to it."""

import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.codecs.lines import _separated
from penstock.transforms.codecs.lines._aws_formats import FORMATS
from penstock.transforms.codecs.lines._separated import LineReader
from tests.unit.codecs import samples

pytestmark = pytest.mark.skipif(_separated._kernel is None, reason="the kernel isn't built, or switched off")

FRONT_FIELDS = samples.CLOUDFRONT.splitlines()[1].decode().removeprefix("#Fields:").split()
VPC_FIELDS = samples.VPC_CUSTOM.splitlines()[0].decode().split()
LINES = [
    ("vpcflow", [], samples.VPC),
    ("vpcflow", [], samples.VPC_NODATA),
    ("vpcflow", [], samples.VPC_IPV6),
    ("vpcflow", VPC_FIELDS, samples.VPC_CUSTOM.splitlines()[1]),
    ("alb", [], samples.ALB),
    ("alb", [], samples.ALB_UNREACHABLE),
    ("nlb", [], samples.NLB),
    ("elb", [], samples.ELB),
    ("cloudfront", FRONT_FIELDS, samples.CLOUDFRONT.splitlines()[2]),
    ("cloudfront_realtime", [], samples.REALTIME),
    ("s3access", [], samples.S3_ACCESS),
]
USUAL = [case for case in LINES if case[2] is not samples.ALB_UNREACHABLE]
READERS = {(name, *columns): LineReader(FORMATS[name], columns) for name, columns, _ in LINES}


def found(name, columns, line):
    """Whether the kernel made the line; checks all it says against the reader."""
    reader = READERS[name, *columns]
    made = reader.document(line)
    if made is None:
        return False
    document, timestamp = made
    fields = reader.read(line.decode())
    assert timestamp == FORMATS[name].time(fields)
    assert orjson.loads(document) == {"@timestamp": timestamp, "aws": {name: fields}}
    floats = {key for key, value in fields.items() if isinstance(value, float)}
    assert {
        key for key, value in orjson.loads(document)["aws"][name].items() if isinstance(value, float)
    } == floats
    return True


@pytest.mark.parametrize("case", USUAL, ids=lambda case: case[0])
def test_the_usual_lines_are_made(case):
    assert found(*case)


VALUES = (
    "",
    "-",
    "0",
    "-0",
    "007",
    "-1",
    "1_0",
    "1.5",
    "-0.5",
    "1e5",
    "00.1",
    "1.",
    "nan",
    "9" * 19,
    "1.2.3.4",
    "::1",
    "[::1]:80",
    "1.2.3.4:80",
    "a:b",
    ":80",
    "]:80",
    "x:007",
    "%20",
    "%41%zz",
    "%c3%bc",
    "%22%5C",
    '"',
    '"a b"',
    '"a"b"',
    '""',
    "[a b]",
    "[a]",
    "GET / HTTP/1.1",
    '"GET  HTTP/1.1"',
    '"- - -"',
    "a,b,,c",
    "\\",
    "é",
    "\x00",
    "2018-07-02T22:23:00.186641Z",
    "2018-07-02T22:23:00",
    "2018-02-30T22:23:00Z",
    "2018-07-02 22:23:00",
    "2018-07-02T22:23:60Z",
    "0000-01-01T00:00:00Z",
    "[06/Feb/2019:00:00:38 +0000]",
    "[06/Feb/2019:00:00:38 +0100]",
    "[31/Feb/2019:00:00:38 +0000]",
    "253402300800",
    "1599243242.1129999",
    "1599243242.",
    "0.0",
    "2019-12-04",
    "21:02:31",
    "24:00:00",
    "\t",
    " ",
    "  ",
)


@given(
    st.sampled_from(LINES),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(VALUES) | st.text(max_size=6)), max_size=4),
    st.integers(0, 3),
)
def test_lines_with_odd_values(case, changes, more):
    name, columns, line = case
    separator = "\t" if FORMATS[name].separator == "tab" else " "
    values = line.decode().split(separator)
    for place, value in changes:
        values[place % len(values)] = value
    values += ["more", '"even more"', "-"][:more]
    text = separator.join(values)
    if len(text.splitlines()) == 1:
        _checked(name, columns, text)


def _checked(name, columns, text):
    try:
        found(name, columns, text.encode())
    except _separated.FieldError:
        pytest.fail(f"the kernel made a line that the reader refuses: {text!r}")


@given(
    st.sampled_from(LINES),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3), st.text(max_size=3)), max_size=3),
)
def test_lines_with_rotten_places(case, edits):
    name, columns, line = case
    text = line.decode()
    for place, dropped, added in edits:
        place %= len(text) + 1
        text = text[:place] + added + text[place + dropped :]
    if len(text.splitlines()) == 1:
        _checked(name, columns, text)


def test_every_second_of_an_epoch_is_the_calendar_s():
    numbers = random.Random(24)
    form = READERS["vpcflow",]
    for _ in range(3000):
        second = numbers.randrange(253_402_300_800)
        line = samples.VPC.replace(b"1418530010", str(second).encode())
        document, timestamp = form.document(line)
        assert timestamp == FORMATS["vpcflow"].time({"start": second})
        assert timestamp.encode() in document
