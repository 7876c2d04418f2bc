"""Compression is known by content, several members are one content, and damage never hides what stands before it."""

import bz2
import gzip
import io
import lzma
import random
import shutil
import subprocess

import pytest
from backports import zstd

from penstock.io.s3.formats._compression import BLOCK, Damaged, blocks, detect

CONTENT = random.Random(1).randbytes(300_000) + b"x" * 3_000_000
FORMATS = {"gzip": gzip.compress, "zstd": zstd.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def read(data, step=1 << 18):
    """What came out, and the damage that ended it."""
    found = []
    head, rest = data[:100], io.BytesIO(data[100:])

    class Slow:
        def read(self, size):
            return rest.read(min(size, step))

    try:
        for block in blocks(Slow(), head, detect(head)):
            assert 0 < len(block) <= BLOCK
            found.append(block)
    except Damaged as damage:
        return b"".join(found), str(damage)
    return b"".join(found), ""


@pytest.mark.parametrize("name", FORMATS)
def test_whole_content_comes_out(name):
    data = FORMATS[name](CONTENT)
    assert detect(data) == name
    assert read(data) == (CONTENT, "")
    assert read(data, 777)[0] == CONTENT


@pytest.mark.parametrize("name", FORMATS)
def test_several_members_are_one_content(name):
    compress = FORMATS[name]
    assert read(compress(CONTENT) + compress(b"") + compress(b"second")) == (CONTENT + b"second", "")


@pytest.mark.parametrize("name", FORMATS)
def test_cut_short_says_so_after_what_was_good(name):
    data = FORMATS[name](CONTENT) + FORMATS[name](CONTENT)
    found, damage = read(data[: len(data) * 3 // 4])
    assert (CONTENT + CONTENT).startswith(found)
    assert len(found) >= len(CONTENT)
    assert f"{name} data is cut short" in damage


@pytest.mark.parametrize("name", FORMATS)
def test_zeros_at_the_end_are_padding_and_other_bytes_are_not(name):
    data = FORMATS[name](CONTENT)
    assert read(data + b"\0" * 1_000_000) == (CONTENT, "")
    found, damage = read(data + b"something else entirely")
    assert found == CONTENT
    assert "followed by something else" in damage


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_corrupt_content_says_so(name):
    data = bytearray(FORMATS[name](CONTENT))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    found, damage = read(bytes(data))
    assert len(found) <= len(CONTENT)
    assert "corrupt" in damage


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_content_is_empty(name):
    assert read(FORMATS[name](b"")) == (b"", "")


def test_a_bomb_comes_in_blocks():
    bomb = gzip.compress(bytes(200 << 20))
    total = 0
    for block in blocks(io.BytesIO(bomb), b"", "gzip"):
        assert len(block) <= BLOCK
        total += len(block)
    assert total == 200 << 20


@pytest.mark.parametrize("head", [b"", b"{}", b"BZh is a word", b"BZh9 too", b"\x1f\x8b", b"(\xb5/"])
def test_what_is_no_compression_is_none(head):
    assert detect(head) == "none"


PROGRAMS = ["gzip -9", "gzip -1 --rsyncable", "zstd --check", "zstd --long=27", "bzip2", "xz -T2"]


@pytest.mark.parametrize("command", PROGRAMS)
def test_what_the_system_s_own_programs_write_is_read(tmp_path, command):
    program, *options = command.split()
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    file = tmp_path / "content"
    file.write_bytes(CONTENT)
    made = subprocess.run([program, *options, "-c", str(file)], capture_output=True, check=True).stdout
    assert read(made + made) == (CONTENT + CONTENT, "")


LINES = b"".join(b'{"n": %d, "s": "\xc3\xa9"}\n' % n for n in range(3000))
WRAPPED = {
    "gzip in gzip": gzip.compress(gzip.compress(LINES)),
    "gzip members in gzip, as Firehose writes CloudWatch Logs": gzip.compress(
        b"".join(gzip.compress(line + b"\n") for line in LINES.splitlines())
    ),
    "xz in bzip2": bz2.compress(lzma.compress(LINES)),
    "UTF-16": LINES.decode().encode("utf-16"),
    "UTF-16, the other order, in gzip": gzip.compress(b"\xfe\xff" + LINES.decode().encode("utf-16-be")),
}


@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.parametrize("block", [77, 1 << 20])
def test_text_that_is_wrapped_twice_is_read(how, block, read, monkeypatch):
    monkeypatch.setattr("penstock.io.s3.formats._compression.BLOCK", block)
    documents, letters, reader = read(WRAPPED[how])
    assert not letters
    assert documents == [{"n": n, "s": "é"} for n in range(3000)]
    assert reader.finished


def test_a_bomb_in_a_bomb_ends(read, monkeypatch):
    monkeypatch.setattr("penstock.io.s3.formats._compression._TWICE_FREE", 1 << 20)
    content = gzip.compress(gzip.compress(b'{"n":1}\n' * (2 << 20)))
    documents, ((error, reason),), _ = read(content)
    assert 0 < len(documents) <= max(1 << 20, 1000 * len(content)) // 8
    assert (error, reason) == (
        "DamagedObject",
        "the object was compressed twice and becomes more than 1000 times its size",
    )


def test_what_only_begins_like_utf_16_is_damage(read):
    _, ((error, reason),), _ = read(b"\xff\xfe{\x00\x00\xd8x")
    assert error == "DamagedObject"
    assert "the byte order mark says utf-16-le" in reason
