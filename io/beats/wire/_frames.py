"""`_frames` holds the codes, sizes and layouts of Lumberjack on the wire, and nothing else.

A frame is a version byte (`1` or `2`), a type byte, and a body; integers are unsigned, big-endian.

    W  window size      u32 events until an acknowledgement is due
    J  JSON event       u32 sequence number, u32 length, that many bytes              (version 2)
    D  data event       u32 sequence number, u32 pairs, each u32 length + key, u32 length + value  (version 1)
    C  compressed       u32 length, that many bytes of zlib holding further frames
    A  acknowledgement  u32 sequence number; 0 is a keep-alive                        (server to client)

Source: https://github.com/elastic/logstash-forwarder/blob/master/PROTOCOL.md (version 1),
https://github.com/elastic/go-lumber/blob/main/protocol/v2/protocol.go (version 2).
"""

import struct

__all__ = [
    "ACK",
    "ACK_SIZE",
    "COMPRESSED",
    "DATA",
    "DATA_HEADER",
    "FRAME_HEADER",
    "JSON",
    "JSON_CODE",
    "JSON_HEADER",
    "LENGTH",
    "VERSIONS",
    "WINDOW",
    "ack_frame",
]

VERSIONS = (0x31, 0x32)
"""The version bytes, `1` and `2`, as integers."""

WINDOW, JSON, DATA, COMPRESSED, ACK = b"W"[0], b"J"[0], b"D"[0], b"C"[0], b"A"[0]

FRAME_HEADER = struct.Struct(">BBI")
"""Version, type, and the one integer that every frame begins with: window size, length, or sequence number."""

JSON_HEADER = struct.Struct(">HII")
"""Version and type as one integer, sequence number, length of the payload that follows."""

DATA_HEADER = struct.Struct(">HII")
"""Version and type as one integer, sequence number, number of pairs that follow."""

LENGTH = struct.Struct(">I")
"""A length, inside a data frame."""

JSON_CODE = 0x324A
"""`2J` as the integer that `JSON_HEADER` gives. A JSON event costs this one comparison."""

ACK_SIZE = 6
"""Bytes of an acknowledgement."""


def ack_frame(version: int, sequence: int) -> bytes:
    """Gives the six bytes that acknowledge `sequence` (0: keep-alive) in the client's own version, 0x31 or 0x32."""
    return FRAME_HEADER.pack(version, ACK, sequence)
