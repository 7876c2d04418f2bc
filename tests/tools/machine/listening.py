"""`listening` asks the kernel for the addresses at which a process and its children listen."""

import contextlib
import ipaddress
import os
import re
from pathlib import Path

LISTEN = "0A"


def process_tree(pid: int) -> set[int]:
    """The process and all below it."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found |= process_tree(int(child))
    return found


def listening(pid: int, *, below: bool = True) -> set[tuple[str, int]]:
    """Address and port of every TCP socket on which the process or, unless told otherwise, one below it listens."""
    inodes = set()
    for each in process_tree(pid) if below else {pid}:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{each}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
                    if found:
                        inodes.add(found[1])
    places = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and fields[9] in inodes:
                address, port = fields[1].split(":")
                places.add((_address(address), int(port, 16)))
    return places


def _address(text: str) -> str:
    """The kernel writes an address in words of 32 bits, each with its bytes as the machine has them."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return str(getattr(address, "ipv4_mapped", None) or address)
