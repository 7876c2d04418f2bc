"""`_hints` names the format of bytes that a codec could not read, and the option that reads them. Pure.

It never decides anything. A letter's reason ends with it, for the person who reads the dead letters.
"""

import re
from collections.abc import Callable

from penstock.transforms.codecs._inflate import CannotInflate, inflate

__all__ = ["hint"]

_VPC = re.compile(rb"\d+ (\d{12}|unknown) eni-[0-9a-f]+ ")
_ALB = re.compile(rb"(http|https|h2|grpcs|ws|wss) \d{4}-\d\d-\d\dT[^ ]+ app/")
_NLB = re.compile(rb"tls \d\.\d \d{4}-\d\d-\d\dT[^ ]+ net/")
_ELB = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z [^ ]+ [0-9.:-]+ [0-9.:-]+ ")
_S3_ACCESS = re.compile(rb"[0-9a-f]{64} [^ ]+ \[\d\d/[A-Z][a-z]{2}/\d{4}:")
_GLUE = re.compile(rb"\x03[\x00\x05]", re.DOTALL)
_CONFLUENT = re.compile(rb"\x00\x00[\x00-\x0f].{2}", re.DOTALL)

_LOOKS: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (
        lambda data: b'"logEvents"' in data and b'"messageType"' in data,
        "CloudWatch Logs: --codec cloudwatch_logs",
    ),
    (lambda data: data.startswith(b"version ") or _VPC.match(data), "a VPC flow log: --codec vpcflow"),
    (_ALB.match, "an access log of an Application Load Balancer: --codec alb"),
    (_NLB.match, "an access log of a Network Load Balancer: --codec nlb"),
    (_ELB.match, "an access log of a Classic Load Balancer: --codec elb"),
    (_S3_ACCESS.match, "an access log of S3: --codec s3access"),
    (
        lambda data: data.startswith(b"#Version:") and b"#Fields:" in data,
        "a log of CloudFront: --codec cloudfront",
    ),
    (
        lambda data: data.startswith((b"\xff\xfe", b"\xfe\xff")),
        "UTF-16: --codec json reads it where it begins with its byte order mark and holds JSON",
    ),
    (
        lambda data: _GLUE.match(data) and len(data) > 18,
        "a record framed for the Glue schema registry, which is not read: decode it before, or write JSON",
    ),
    (
        lambda data: _CONFLUENT.match(data) and len(data) > 5,
        "a record framed for Confluent's schema registry, which is not read: decode it before, or write JSON",
    ),
    (lambda data: data.startswith(b"Obj\x01"), "an Avro file inside a record, which is not read"),
    (lambda data: data.startswith(b"PAR1"), "a Parquet file inside a record, which is not read"),
    (
        lambda data: data.startswith(b"ORC") and b"\0" in data[:64],
        "an ORC file inside a record, which is not read",
    ),
    (lambda data: data[257:262] == b"ustar", "a tar archive, which is not read: unpack it"),
    (lambda data: data.startswith(b"PK\x03\x04"), "a zip archive, which is not read: unpack it"),
    (lambda data: data.lstrip()[:1] == b"<", "XML, which is not read: --codec plain keeps it as text"),
)
_HEAD = 64 << 10
_MOST, _RATIO = 16 << 20, 200


def hint(data: bytes, codec: str = "") -> str:
    """Gives ` (looks like ...)` for bytes of a known format, unless `codec` is the one that reads it; else an empty text."""
    try:
        head = inflate(data, _MOST, _RATIO)[:_HEAD]
    except CannotInflate:
        head = data[:_HEAD]  # the letter says already what is wrong with it
    for looks, what in _LOOKS:
        if looks(head):
            return "" if codec and what.endswith(f": --codec {codec}") else f" (looks like {what})"
    return ""
