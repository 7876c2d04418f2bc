"""Files that bite: what they claim is checked before memory is taken, or a library of C is called."""

import io
import json
import lzma
import os
import subprocess
import sys
import zlib

import fastavro
import pytest

from penstock.io.s3.formats import _avro_blocks

LINKED = {"type": "record", "name": "node", "fields": [{"name": "next", "type": ["null", "node"]}]}


def header(schema, codec="null"):
    output = io.BytesIO()
    fastavro.writer(output, schema, [], codec=codec)
    return output.getvalue()


def file_of(schema, rows, data, codec="null"):
    """An Avro file whose one block claims that many rows in those (stored) bytes."""
    begin = header(schema, codec)
    sync = begin[-16:]
    return begin + _avro_blocks._varint(rows) + _avro_blocks._sized(data) + sync


def deflated(size):
    compressor = zlib.compressobj(9, wbits=-15)
    return compressor.compress(bytes(size)) + compressor.flush()


def header_with(schema_text):
    pairs = _avro_blocks._sized(b"avro.schema") + _avro_blocks._sized(schema_text)
    return b"Obj\x01" + _avro_blocks._varint(1) + pairs + b"\0" + bytes(16)


STRING = {"type": "record", "name": "r", "fields": [{"name": "v", "type": "string"}]}
NOTHING = {"type": "record", "name": "r", "fields": [{"name": "v", "type": "null"}]}
EMPTY = {"type": "record", "name": "none", "fields": [{"name": "n", "type": "null"}]}
MANY = _avro_blocks._varint(300_000) + b"\0"


def array_of(items):
    return {
        "type": "record",
        "name": "r",
        "fields": [{"name": "v", "type": {"type": "array", "items": items}}],
    }


TOO_LARGE = "more than 134217728 bytes inflated"
DEEP = b'{"type":"array","items":' * 50_000 + b'"int"' + b"}" * 50_000


@pytest.mark.parametrize(
    ("content", "error", "what"),
    [
        (lambda: file_of(STRING, 1, deflated(130 << 20), "deflate"), "DamagedObject", TOO_LARGE),
        (file_of(STRING, 1, b"\xff\xff\xff\x7f" + b"x" * 20, "snappy"), "DamagedObject", TOO_LARGE),
        (file_of(STRING, 1, b"\xff\xff\xff\x7f" + b"x" * 20, "lz4"), "DamagedObject", TOO_LARGE),
        (file_of(NOTHING, 50_000_000, b""), "DamagedObject", "it claims 50000000 rows in 0 bytes"),
        (file_of(STRING, 2**40, b"\x02a"), "DamagedObject", "it claims 1099511627776 rows in 2 bytes"),
        (header(STRING) + b"\x02" + _avro_blocks._varint(2**40), "DamagedObject", "claims 1099511627776 bytes"),
        (header_with(DEEP), "DamagedObject", "nests 50000 brackets deep, at most 200 are read"),
        (b"Obj\x01\x02" + _avro_blocks._varint(2**40), "DamagedObject", "claims 1099511627776 bytes"),
        (file_of(LINKED, 1, b"\x02" * 100_000 + b"\0"), "DamagedObject", "maximum recursion depth exceeded"),
        (file_of(array_of("null"), 1, MANY), "DamagedObject", "more than 65536 items that take no bytes"),
        (file_of(array_of(EMPTY), 1, MANY), "DamagedObject", "more than 65536 items that take no bytes"),
    ],
    ids=["deflate", "snappy", "lz4", "rows of nothing", "rows", "size", "schema", "header", "recursion",
        "nulls", "empty records"],
)  # fmt: skip
def test_what_an_avro_file_claims_is_checked_first(read, content, error, what):
    documents, letters, reader = read(content() if callable(content) else content)
    assert documents == []
    ((kind, reason),) = letters
    assert kind == error
    assert what in reason
    assert reader.finished


def test_many_rows_without_bytes_within_the_bound_are_read(read):
    assert len(read(file_of(NOTHING, 5000, b""))[0]) == 5000
    some = _avro_blocks._varint(5000) + b"\0"
    assert read(file_of(array_of("null"), 2, some * 2))[0] == [{"v": [None] * 5000}] * 2


HUNGRY = """
import lzma, resource, sys
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader

store = LocalFiles()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reader = UnitReader(WorkUnit(store.stat("", sys.argv[1])), S3ReadOptions(input=["x"]), store)
count = 0
for _, letters in reader.pieces():
    count += len(letters)
    for letter in letters:
        print(letter.error, letter.reason)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def _memory(path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", HUNGRY, str(path)], capture_output=True, text=True, check=True
    )
    *said, grown = done.stdout.splitlines()
    return said, int(grown)


def test_xz_that_asks_for_a_huge_dictionary_is_refused(tmp_path):
    """Its header alone says how much memory it takes: 1.5 GiB here, in a few hundred bytes."""
    content = bytearray(lzma.compress(b'{"n": 1}\n', filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]))
    filter_flags = content.index(b"\x21\x01", 12)
    content[filter_flags + 2] = 39  # a dictionary of 3 GiB
    size = (content[12] + 1) * 4
    content[12 + size - 4 : 12 + size] = zlib.crc32(content[12 : 12 + size - 4]).to_bytes(4, "little")
    (tmp_path / "x").write_bytes(content)
    said, grown = _memory(tmp_path / "x")
    assert said[0].startswith("DamagedObject xz data is")
    assert "limit" in said[0].lower()
    assert grown < 300


def test_a_bomb_of_zeros_takes_no_more_than_its_blocks(tmp_path):
    """300 MB in one line: a letter for the line, and blocks of 1 MiB meanwhile."""
    (tmp_path / "x").write_bytes(lzma.compress(bytes(300 << 20), preset=0))
    assert os.path.getsize(tmp_path / "x") < 100_000
    said, grown = _memory(tmp_path / "x")
    assert len(said) <= 1
    assert grown < 200


def test_a_json_schema_s_strings_do_not_count_as_depth(read):
    fields = [{"name": f"f{n}", "type": "int"} for n in range(500)]
    schema = {"type": "record", "name": "r", "fields": fields}
    output = io.BytesIO()
    fastavro.writer(output, schema, [{field["name"]: 1 for field in fields}])
    (document,), letters, _ = read(output.getvalue())
    assert letters == []
    assert len(json.dumps(document)) > 500
