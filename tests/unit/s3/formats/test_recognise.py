"""An unreadable object is recognised: one letter names it and the way out, whatever its name and compression."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import lz4.frame
import pytest

from penstock.transforms.codecs.options import DecodeOptions


def _zip():
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as file:
        file.writestr("a.json", '{"n": 1}\n')
    return output.getvalue()


def _tar():
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as file:
        entry = tarfile.TarInfo("a.json")
        entry.size = 9
        file.addfile(entry, io.BytesIO(b'{"n": 1}\n'))
    return output.getvalue()


LINE = b'{"n": 1}\n'
OBJECTS = {
    "zip": (_zip(), "a zip archive, which is not read: unpack it first"),
    "tar": (_tar(), "a tar archive"),
    "tar.gz": (gzip.compress(_tar()), "a tar archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(30), "a 7z archive"),
    "lz4": (lz4.frame.compress(LINE), "compressed with lz4, which is not read: decompress it first"),
    "Z": (b"\x1f\x9d\x90" + bytes(30), "compressed with compress (.Z)"),
    "UTF-16 without a mark": (LINE.decode().encode("utf-16-le"), "text in UTF-16 without a byte order mark"),
    "UTF-16 in gzip": (gzip.compress(LINE.decode().encode("utf-16-be")), "text in UTF-16"),
    "UTF-32": (LINE.decode().encode("utf-32"), "text in UTF-32"),
    "three times": (gzip.compress(bz2.compress(lzma.compress(LINE))), "compressed three times, with xz inside"),
    "tar.gz.gz": (gzip.compress(gzip.compress(_tar())), "a tar archive"),
    "Parquet in gzip": (gzip.compress(b"PAR1" + bytes(30)), "compressed again: decompress it first"),
    "lzma": (lzma.compress(LINE, lzma.FORMAT_ALONE), "compressed with lzma"),
    "PDF": (b"%PDF-1.7\n" + bytes(30), "a PDF"),
    "sequence file": (b"SEQ\x06" + bytes(30), "a Hadoop sequence file"),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_what_is_not_read_is_named(read, name):
    content, what = OBJECTS[name]
    documents, ((error, reason),), reader = read(content)
    assert documents == []
    assert error == "UnsupportedFormat"
    assert what in reason
    assert reader.finished


def lines(count, text):
    return b"".join(text.replace(b"%d", b"%d" % n) + b"\n" for n in range(count))


VPC = b"2 123456789012 eni-0a1b2c3d 10.0.0.1 10.0.0.2 443 %d 6 10 840 1600000000 1600000060 ACCEPT OK"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lines(5000, VPC), "looks like a VPC flow log: --codec vpcflow"),
        (gzip.compress(lines(5000, VPC)), "--codec vpcflow"),
        (lines(200, b"%d,red,apple"), "looks like CSV: --codec csv"),
        (lines(50, b"%d\tred\tapple"), "--codec tsv"),
        (lines(200, b'level=info msg="hello %d" n=%d'), "looks like pairs of key=value: --codec plain"),
        (lines(200, b"Nov 22 06:00:00 host sshd[%d]: ok"), "--codec plain"),
        (lines(200, b"<row>%d</row>"), "XML"),
        (lines(200, b'{\n  "n": %d\n}'), "JSON that is spread over several lines"),
    ],
)
def test_a_text_that_the_codec_can_t_read_is_one_letter(read, content, what):
    documents, ((error, reason),), reader = read(content, decoder=DecodeOptions().decoder, format="lines")
    assert documents == []
    assert error == "UndecodableLines"
    assert what in reason
    assert not reader.finished, "another --codec may read it: with --manifest the next run tries again"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (lines(99, b"no %d") + lines(1000, b'{"n": %d}'), 1099),
        (lines(9, b"no %d"), 9),
        (lines(1000, b'{"n": %d}') + lines(1000, b"no %d"), 2000),
        (b"", 0),
    ],
)
def test_lines_that_may_be_odd_ones_are_the_decoder_s(read, content, count):
    """One that can be decoded among the first hundred, or only a few lines: each bad line is its own letter."""
    documents, letters, reader = read(content, decoder=DecodeOptions().decoder)
    assert len(documents) == count
    assert letters == []
    assert reader.finished


def test_a_format_of_lines_fits_its_codec_only(read):
    documents, letters, _ = read(lines(500, VPC), decoder=DecodeOptions(codec="vpcflow").decoder)
    assert (len(documents), letters) == (500, [])
    documents, letters, _ = read(lines(500, b'{"n": %d}'), decoder=DecodeOptions(codec="vpcflow").decoder)
    assert [error for error, _ in letters] == ["UndecodableLines"]
