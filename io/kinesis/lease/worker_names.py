"""`name_worker` names a worker in the lease table, so that `is_gone` can tell whether that worker still runs.

Problem. After a crash, the next worker must not wait until the dead worker's leases are stale (10 s). But it
must never take leases from a worker that lives.

Plan. A worker's name is `host:pid:start:kernel:number`: its process and the tick at which that started, and a
hash of the machine's boot id and the process-id namespace. A worker with the same hash sees the same process
table: if no process with that id and start runs there, the owner is gone for good. Anything else (another host,
KCL's own names, a system without /proc) proves nothing: such leases are watched until they are stale.
"""

import hashlib
import itertools
import os
import socket
from pathlib import Path

__all__ = ["is_gone", "name_worker"]

_NUMBERS = itertools.count(1)


def _kernel() -> str:
    """Gives a name of the process table that this process is in; empty where that is not known."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(f"{boot_id}/{namespace}".encode()).hexdigest()[:16]


def _started(pid: int) -> str | None:
    """Gives the tick since boot at which a process started; None when no such process runs (a zombie doesn't run)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything. The fields behind it hold numbers.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def name_worker() -> str:
    """Gives a name that no other worker has, or ever had."""
    host = socket.gethostname().replace(":", "-")
    pid = os.getpid()
    return f"{host}:{pid}:{_started(pid) or os.urandom(4).hex()}:{_kernel()}:{next(_NUMBERS)}"


def is_gone(owner: str) -> bool:
    """Whether it is certain that the worker of that name no longer runs."""
    parts = owner.split(":")
    if len(parts) != 5 or not parts[1].isdigit() or not parts[3] or parts[3] != _kernel():
        return False
    return _started(int(parts[1])) != parts[2]
