"""A writer of small databases in MaxMind's format (https://maxmind.github.io/MaxMind-DB/)."""

import ipaddress
import struct


class Short(int):
    """A number of 16 bits, where the format wants one."""


class Long(int):
    """A number of 32 bits."""


def field(value):
    """A value in MaxMind's format (https://maxmind.github.io/MaxMind-DB/)."""
    kinds = {str: 2, float: 3, Short: 5, Long: 6, int: 9, dict: 7, list: 11}
    kind = kinds[type(value)]
    if kind == 2:
        data = value.encode()
    elif kind == 3:
        data = struct.pack(">d", value)
    elif kind in (5, 6, 9):
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    elif kind == 7:
        data = b"".join(field(key) + field(inner) for key, inner in value.items())
    else:
        data = b"".join(map(field, value))
    size = len(value) if kind in (7, 11) else len(data)
    assert size < 285
    control = size if size < 29 else 29
    head = bytes([kind << 5 | control]) if kind < 8 else bytes([control, kind - 7])
    return head + (bytes([size - 29]) if size >= 29 else b"") + data


def database(path, kind, networks):
    """Writes a database of IPv4 networks of one database type."""
    data, places = b"", {}
    tree = [[None, None]]
    for network, record in networks.items():
        places[network] = len(data)
        data += field(record)
        net = ipaddress.ip_network(network)
        at = 0
        for depth in range(net.prefixlen):
            bit = int(net.network_address) >> (31 - depth) & 1
            if depth == net.prefixlen - 1:
                tree[at][bit] = network
            else:
                if tree[at][bit] is None:
                    tree.append([None, None])
                    tree[at][bit] = len(tree) - 1
                at = tree[at][bit]
    count = len(tree)

    def record_of(item):
        if item is None:
            return count
        return item if isinstance(item, int) else count + 16 + places[item]

    nodes = b"".join(record_of(item).to_bytes(4, "big") for node in tree for item in node)
    metadata = {
        "binary_format_major_version": Short(2), "binary_format_minor_version": Short(0), "build_epoch": 1,
        "database_type": kind, "description": {"en": "a test"}, "ip_version": Short(4), "languages": ["en"],
        "node_count": Long(count), "record_size": Short(32),
    }  # fmt: skip
    path.write_bytes(nodes + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + field(metadata))
    return path
