"""`_recognise` names formats that are not read here, so that a letter names the format, not a decoder's failure. Pure.

Source: the formats' own specifications, as file(1) knows them.
"""

import re
from collections import Counter
from collections.abc import Sequence

from penstock.io.s3.formats._compression import is_utf16
from penstock.transforms.codecs._hints import hint

__all__ = ["AVRO", "PARQUET", "is_orc", "looks_like", "unreadable"]

PARQUET = b"PAR1"
AVRO = b"Obj\x01"
_ORC = b"ORC"
_TEXT = bytes(range(9))

_UNPACK = "unpack it first"
_DECOMPRESS = "decompress it first, or compress it with gzip, zstd, bzip2 or xz"
_UTF8 = "write it in UTF-8"
_PARQUET = "write it as Parquet"
_LEAVE_OUT = "leave it out (--exclude_pattern)"
_MAGIC = (
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", _LEAVE_OUT),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed with lz4", _DECOMPRESS),
    (b"\x02\x21\x4c\x18", "compressed with lz4, in its old form", _DECOMPRESS),
    (b"\x1f\x9d", "compressed with compress (.Z)", _DECOMPRESS),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with snappy", _DECOMPRESS),
    (b"LZIP\x01", "compressed with lzip", _DECOMPRESS),
    (b"]\x00\x00", "compressed with lzma, in its old form", _DECOMPRESS),
    (b"SEQ\x06", "a Hadoop sequence file", _PARQUET),
    (b"ARROW1\x00\x00", "an Arrow (Feather) file", _PARQUET),
    (b"PARE", "a Parquet file with an encrypted footer", "decrypt it first"),
    (b"SQLite format 3\x00", "a SQLite database", _LEAVE_OUT),
    (b"%PDF-", "a PDF", _LEAVE_OUT),
    (b"\x89PNG", "a picture", _LEAVE_OUT),
    (b"\xff\xd8\xff", "a picture", _LEAVE_OUT),
    (b"\x7fELF", "a program", _LEAVE_OUT),
    (b"\xff\xfe\x00\x00", "text in UTF-32", _UTF8),
    (b"\x00\x00\xfe\xff", "text in UTF-32", _UTF8),
)
_TAR_AT = 257
_SEPARATORS = ((b",", "CSV: --codec csv"), (b"\t", "tab-separated values: --codec tsv"))
_MORE_SEPARATORS = ((b";", "values between semicolons"), (b"|", "values between pipes"))
_KEY_VALUE = re.compile(rb'[\w.-]+=("[^"]*"|\S*)( |$)')
_PLAIN = ": --codec plain keeps each line as text"


def is_orc(head: bytes) -> bool:
    """Whether an object that begins with `head` is an ORC file; a line may begin with ORC too, but holds no controls."""
    return head.startswith(_ORC) and any(code in head for code in _TEXT)


def unreadable(head: bytes) -> str:
    """Says what an unreadable object is that begins with `head`, and the way out; "" where it is not known."""
    for magic, what, way_out in _MAGIC:
        if head.startswith(magic):
            return _told(what, way_out)
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return _told("a tar archive", _UNPACK)
    text = head[:64]
    if not is_utf16(head) and len(text) >= 4 and (not any(text[1::2]) or not any(text[::2])) and any(text):
        return _told("text in UTF-16 without a byte order mark", _UTF8)
    return ""


def _told(what: str, way_out: str) -> str:
    return f"the object is {what}, which is not read: {way_out}"


def looks_like(lines: Sequence[bytes]) -> str:
    """Says what undecodable lines look like, and which option reads them, or that nothing is known."""
    first = lines[0]
    told = hint(first) or hint(b"\n".join(lines[:3]))
    if told:
        return told.strip(" ()")
    if first.lstrip()[:1] in (b"{", b"["):
        return "looks like JSON that is spread over several lines: --format json"
    for separator, what in _SEPARATORS:
        if _columns(lines, separator):
            return f"looks like {what}"
    for separator, what in _MORE_SEPARATORS:
        if _columns(lines, separator):
            return f"looks like {what}{_PLAIN}"
    if _KEY_VALUE.match(first):
        return f"looks like pairs of key=value{_PLAIN}"
    return f"looks like plain text{_PLAIN}"


def _columns(lines: Sequence[bytes], separator: bytes) -> bool:
    """Whether nearly all lines have the same number of separators."""
    counts = Counter(line.count(separator) for line in lines)
    count, often = counts.most_common(1)[0]
    return count > 0 and often * 10 >= len(lines) * 8
