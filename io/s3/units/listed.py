"""`Listed` keeps the objects of a listing on disk, and gives them largest first; memory stays flat for millions.

Problem. The largest objects should be read first, so that none is read alone when all others are done. But sorting needs
the whole listing.

Plan. There is a file for each power of two of size. Within a file the order is that of the listing.
"""

import pickle
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO

from penstock.io.s3.origin import S3Object
from penstock.io.s3.units.manifest import Finished

__all__ = ["PACKED", "Listed"]

PACKED = 1000
"""How many objects are written, and handed on, together."""
_SAMPLES = 64
_KINDS = 10
_LENGTH = struct.Struct("<I")


class Listed:
    """Keeps objects on disk, and counts them while they come.

    Args:
        objects: the listing, which is read to its end.
        finished: what earlier runs finished; such objects are left out.

    Attributes:
        done_before: how many were left out.
        count: how many there are.
        bytes: the sum of their sizes.
        first: the first ones, in the order of the listing.
        samples: some that are not empty, spread evenly over the listing.
        kinds: the first that is not empty of each end of a name (`.json`, `.gz`), of the first ten.
    """

    def __init__(self, objects: Iterable[S3Object] = (), finished: Finished | None = None) -> None:
        self.count = self.bytes = self.done_before = 0
        self.first: list[S3Object] = []
        self.samples: list[S3Object] = []
        self.kinds: dict[str, S3Object] = {}
        self._files: dict[int, IO[bytes]] = {}
        self._held: dict[int, list[S3Object]] = {}
        step = filled = 1
        for found in objects:
            if finished is not None and finished.whole(found):
                self.done_before += 1
                continue
            self.count += 1
            self.bytes += found.size
            if len(self.first) < PACKED:
                self.first.append(found)
            if found.size:
                if len(self.kinds) < _KINDS:
                    self.kinds.setdefault(PurePosixPath(found.key).suffix, found)
                if not filled % step:
                    self.samples.append(found)
                filled += 1
                if len(self.samples) >= 2 * _SAMPLES:
                    self.samples = self.samples[::2]
                    step *= 2
            held = self._held.setdefault(found.size.bit_length(), [])
            held.append(found)
            if len(held) >= PACKED:
                self._write(found.size.bit_length())

    def _write(self, order: int) -> None:
        file = self._files.get(order)
        if file is None:
            file = self._files[order] = tempfile.TemporaryFile(prefix="penstock-listed-")  # noqa: SIM115  close
        packed = zlib.compress(pickle.dumps(self._held.pop(order)), 1)
        file.write(_LENGTH.pack(len(packed)) + packed)

    def packs(self) -> Iterator[list[S3Object]]:
        """Gives the objects in lists, largest first."""
        for order in sorted({*self._files, *self._held}, reverse=True):
            file = self._files.get(order)
            if file is not None:
                file.seek(0)
                while head := file.read(_LENGTH.size):
                    yield pickle.loads(zlib.decompress(file.read(_LENGTH.unpack(head)[0])))  # noqa: S301  ours
            if order in self._held:
                yield self._held[order]

    def __iter__(self) -> Iterator[S3Object]:
        for pack in self.packs():
            yield from pack

    def close(self) -> None:
        """Closes the files."""
        for file in self._files.values():
            file.close()
