"""A reader of KPL's aggregated records that shares no code with penstock, for tests of the writer."""

import hashlib


class UserRecord(tuple[str, str | None, bytes]):
    """(partition key, explicit hash key, data)."""

    @property
    def hash_key(self) -> int:
        key, explicit, _ = self
        return int(explicit) if explicit is not None else int(hashlib.md5(key.encode()).hexdigest(), 16)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            number, at = _varint(data, at)
            found.append((tag >> 3, number))
        else:
            assert tag & 7 == 2, tag
            length, at = _varint(data, at)
            assert at + length <= len(data)
            found.append((tag >> 3, data[at : at + length]))
            at += length
    return found


def user_records(data: bytes, partition_key: str, explicit: str | None = None) -> list[UserRecord]:
    """The user records of one Kinesis record, aggregated or plain; fails on a wrong checksum."""
    if not data.startswith(b"\xf3\x89\x9a\xc2"):
        return [UserRecord((partition_key, explicit, data))]
    message = data[4:-16]
    assert hashlib.md5(message).digest() == data[-16:]
    keys: list[str] = []
    hashes: list[str] = []
    found = []
    for number, value in _fields(message):
        if number == 3:
            assert isinstance(value, bytes)
            record = dict(_fields(value))
            at = record.get(2)
            found.append(UserRecord((keys[record[1]], None if at is None else hashes[at], record[3])))
        else:
            assert isinstance(value, bytes)
            (keys if number == 1 else hashes).append(value.decode())
    return found
