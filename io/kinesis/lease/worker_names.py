"""`name_worker` names a worker in the lease table, so that `is_gone` can tell whether that worker still runs.

Problem. After a crash the successor must not wait until the dead worker's leases have gone stale (10 s), but
must never take them from one that lives.

Plan. A worker's name is `host:pid:start:kernel:number`: its process and the tick at which that started, and a
hash of the machine's boot id and the process-id namespace. A successor with the same hash sees the same process
table: if no process with that id and start runs there, the owner is gone for good. Anything else (another host,
KCL's own names, a system without /proc) proves nothing, and its leases are watched until they go stale.
"""

import hashlib
import itertools
import os
import socket
from pathlib import Path

__all__ = ["is_gone", "name_worker"]

_NUMBERS = itertools.count(1)


def _kernel() -> str:
    """Names the process table that this process is in; empty where there is no telling."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(f"{boot_id}/{namespace}".encode()).hexdigest()[:16]


def _started(pid: int) -> str | None:
    """The tick since boot at which a process started; None when no such process runs (a zombie doesn't)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything; the fields behind it can't.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def name_worker() -> str:
    """A name that no other worker has, or ever had."""
    host = socket.gethostname().replace(":", "-")
    pid = os.getpid()
    return f"{host}:{pid}:{_started(pid) or os.urandom(4).hex()}:{_kernel()}:{next(_NUMBERS)}"


def is_gone(owner: str) -> bool:
    """Whether it is certain that the worker of that name no longer runs."""
    parts = owner.split(":")
    if len(parts) != 5 or not parts[1].isdigit() or not parts[3] or parts[3] != _kernel():
        return False
    return _started(int(parts[1])) != parts[2]
