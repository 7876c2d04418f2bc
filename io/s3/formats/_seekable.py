"""`Seekable` is a file of known size that a format's library can seek in; what its bytes are, a subclass knows."""

import io


class Seekable(io.RawIOBase):
    """A file to read from; a subclass reads at `_position`, and moves it on.

    Args:
        size: its bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position
