"""`_proxy_protocol` reads the PROXY header, version 1 and 2, which names the client of a load balancer. Pure.

A balancer can be told to put one header in front of everything else on a connection, TLS included. We believe
it only when `--proxy_protocol` asks for it. Otherwise any client could claim any address.

Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, sections 2.1 (version 1: one line of at most
107 bytes) and 2.2 (version 2: a signature, then binary).
"""

import ipaddress
import struct
from typing import NamedTuple, NoReturn

from penstock.io.errors import ProtocolError

__all__ = ["MAX_HEADER_BYTES", "Header", "parse"]

_V1 = b"PROXY "
_V1_BYTES = 107
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEADER = struct.Struct(">12sBBH")
_V2_ADDRESSES = {0x11: struct.Struct(">4s4sHH"), 0x21: struct.Struct(">16s16sHH")}  # TCP over IPv4, IPv6

MAX_HEADER_BYTES = 4096
"""Addresses take 36 bytes; what may follow (ALPN, certificates' names, checksums) is skipped, and bounded."""


class Header(NamedTuple):
    """A whole header.

    Attributes:
        length: its number of bytes; what follows belongs to the client.
        client: the client's address and port; None where the balancer speaks for itself or doesn't know.
    """

    length: int
    client: tuple[str, int] | None


def parse(data: bytes) -> Header | None:
    """Gives the header that `data` begins with, or None when more bytes are needed.

    Raises:
        ProtocolError: `data` begins with no such header.
    """
    if data.startswith(_V1) or _V1.startswith(data):
        return _parse_v1(data)
    if data.startswith(_V2) or _V2.startswith(data):
        return _parse_v2(data)
    return _refuse("there is none")


def _parse_v1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _V1_BYTES)
    if end < 0:
        if len(data) >= _V1_BYTES:
            _refuse("its line is longer than 107 bytes")
        return None
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header(end + 2, None)
    try:
        _, family, source, destination, port, _ = words
        version = {b"TCP4": 4, b"TCP6": 6}[family]
        address = ipaddress.ip_address(source.decode("ascii"))
        if address.version != version or ipaddress.ip_address(destination.decode("ascii")).version != version:
            _refuse("its addresses are not of its family")
        number = int(port)
    except (ValueError, KeyError) as error:
        _refuse("its line can't be read", error)
    if not 0 <= number <= 65535:
        _refuse("its port is none")
    return Header(end + 2, (str(address), number))


def _parse_v2(data: bytes) -> Header | None:
    if len(data) < _V2_HEADER.size:
        return None
    _, command, family, length = _V2_HEADER.unpack_from(data)
    if command not in (0x20, 0x21):
        _refuse(f"its version and command are 0x{command:02x}")
    total = _V2_HEADER.size + length
    if total > MAX_HEADER_BYTES:
        _refuse(f"it announces {total} bytes, limit is {MAX_HEADER_BYTES}")
    if len(data) < total:
        return None
    if command == 0x20 or family not in _V2_ADDRESSES:  # LOCAL (a health check), or a family without ports
        return Header(total, None)
    layout = _V2_ADDRESSES[family]
    if length < layout.size:
        _refuse("its addresses are cut off")
    source, _, port, _ = layout.unpack_from(data, _V2_HEADER.size)
    return Header(total, (str(ipaddress.ip_address(source)), port))


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    message = (
        f"--proxy_protocol expects a PROXY header in front of everything, but {why}. "
        "Let the load balancer send one, or leave --proxy_protocol out."
    )
    raise ProtocolError(message) from cause
