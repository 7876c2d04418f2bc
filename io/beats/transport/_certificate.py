"""`_certificate` reads the dates between which the certificates of a PEM file are valid. Pure.

Python's ssl tells nothing of a certificate that it hasn't verified, so this reads the two dates out of the DER
itself: Certificate > tbsCertificate > [version], serialNumber, signature, issuer, validity (RFC 5280, 4.1).
"""

import base64
import binascii
import datetime
import re

__all__ = ["validity"]

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def validity(pem: bytes) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """Gives the first and the last moment of each certificate, in the file's order.

    Raises:
        ValueError: one of them is damaged.
    """
    try:
        return [_validity(base64.b64decode(found, validate=False)) for found in _PEM.findall(pem)]
    except (binascii.Error, IndexError) as error:
        message = "a damaged certificate"
        raise ValueError(message) from error


def _validity(der: bytes) -> tuple[datetime.datetime, datetime.datetime]:
    certificate = _take(der, 0, _SEQUENCE)[0]
    body = _take(certificate, 0, _SEQUENCE)[0]
    at = 0
    if body[0] == _VERSION:
        _, at = _take(body, at)
    for _ in ("serialNumber", "signature", "issuer"):
        _, at = _take(body, at)
    dates, _ = _take(body, at, _SEQUENCE)
    first, at = _moment(dates, 0)
    last, _ = _moment(dates, at)
    return first, last


def _take(data: bytes, at: int, tag: int | None = None) -> tuple[bytes, int]:
    """Gives the contents of the element at `at`, and where the next one begins."""
    if tag is not None and data[at] != tag:
        message = "not a certificate"
        raise ValueError(message)
    length, at = data[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length, at = int.from_bytes(data[at : at + octets], "big"), at + octets
    if at + length > len(data):
        message = "a certificate that is cut off"
        raise ValueError(message)
    return data[at : at + length], at + length


def _moment(data: bytes, at: int) -> tuple[datetime.datetime, int]:
    tag = data[at]
    text, after = _take(data, at)
    digits = text.decode("ascii", errors="replace").rstrip("Z")
    if tag == _UTC_TIME:
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif tag != _GENERALIZED_TIME:
        message = "a certificate without dates"
        raise ValueError(message)
    return datetime.datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC), after
