"""`Claims` holds units of work that several processes of this machine share: each takes the next free one.

The file holds the place of the next unit, then the units, each behind its length. A process that takes one holds the
file's lock (flock) meanwhile. So a unit goes to one process, a process that dies holds nobody up, and memory doesn't grow
with the number of units. Units of a dead process are not given to another: the job fails, and its next run reads them.
"""

import fcntl
import os
import pickle
import struct
from collections.abc import Iterable
from pathlib import Path

from penstock.io.s3.origin import WorkUnit

__all__ = ["Claims"]

_PLACE = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")


class Claims:
    """Takes units from a file that `write` made. For one thread of a process at a time.

    Args:
        path: the file; open until `close`.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR)

    @staticmethod
    def write(path: Path, units: Iterable[WorkUnit]) -> int:
        """Makes the file, readable by its owner only. Returns how many units it holds."""
        count = 0
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_PLACE.pack(_PLACE.size))
            for unit in units:
                pickled = pickle.dumps(unit)
                file.write(_LENGTH.pack(len(pickled)) + pickled)
                count += 1
        return count

    def take(self) -> WorkUnit | None:
        """Takes the next unit, which belongs to the caller from now on; None when there is none left."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            (place,) = _PLACE.unpack(os.pread(self._file, _PLACE.size, 0))
            head = os.pread(self._file, _LENGTH.size, place)
            if not head:
                return None
            (length,) = _LENGTH.unpack(head)
            os.pwrite(self._file, _PLACE.pack(place + _LENGTH.size + length), 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        unit: WorkUnit = pickle.loads(os.pread(self._file, length, place + _LENGTH.size))  # noqa: S301  ours
        return unit

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)
