"""`process_cost` measures what this process costs: CPU time and memory."""

import os
import resource

__all__ = ["process_numbers"]


def process_numbers() -> dict[str, float]:
    """Gives CPU seconds (`cpu_s`) and resident memory (`resident_bytes`; its peak where the present value isn't known)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        resident = used.ru_maxrss * 1024
    return {"cpu_s": used.ru_utime + used.ru_stime, "resident_bytes": float(resident)}
