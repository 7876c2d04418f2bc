"""`ObjectStream` gives an object's bytes, and goes on where a broken connection stopped them.

After a broken connection, a 5xx or a throttle, the read is tried again from the next byte, with the same ETag. So an object
that was overwritten meanwhile is never read half old, half new.
"""

import logging
import threading
from typing import Any, Protocol

import botocore.exceptions
import urllib3.exceptions

from penstock.io.backoff import delays
from penstock.io.errors import (
    AccessDenied,
    NotFound,
    PeerError,
    PenstockError,
    Unreachable,
    without_traceback,
)
from penstock.io.s3.origin import S3Object

__all__ = ["ObjectStream", "Store"]

_LOGGER = logging.getLogger(__name__)
_TRIES = 8
_BROKEN = (
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.IncompleteReadError,
    botocore.exceptions.ResponseStreamingError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
)


class Store(Protocol):
    """Gives an object's bytes."""

    @property
    def stopping(self) -> threading.Event:
        """An event that is set when the job stops."""

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        """Gives the body from `start` to before `end`, and its version id."""


class ObjectStream:
    """Reads an object's bytes in order, and goes on where it stopped when the connection breaks.

    Args:
        store: where the object is.
        found: the object.
        start: the first byte.
        end: behind the last one; None for the object's end.

    Attributes:
        position: the next byte.
        version: the object's version id, once something was read.
    """

    def __init__(self, store: Store, found: S3Object, start: int = 0, end: int | None = None) -> None:
        self._store = store
        self._object = found
        self._end = found.size if end is None else min(end, found.size)
        self._body: Any = None
        self.position = start
        self.version = found.version

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Gives up to `size` bytes; none at the end.

        Raises:
            ObjectFailure: the object is gone, or was overwritten.
            PenstockError: access denied, or S3 can't be reached.
        """
        if self.position >= self._end or not size:
            return b""
        waits = delays(0.2, 10.0)
        for attempt in range(_TRIES):
            try:
                if self._body is None:
                    end = None if self._end == self._object.size else self._end
                    self._body, version = self._store.get(self._object, self.position, end)
                    self.version = version or self.version
                data: bytes = self._body.read(min(size, self._end - self.position))
                if data:
                    self.position += len(data)
                    return data
                failure: Exception = ConnectionError("the reply ended before the object did")
            except _BROKEN as error:
                failure = without_traceback(error)
            except (Unreachable, PeerError) as error:
                if isinstance(error, (AccessDenied, NotFound)):
                    raise
                failure = without_traceback(error)
            self.close()
            _LOGGER.debug("reading %s again from byte %d (%s)", self._object.url, self.position, failure)
            if attempt < _TRIES - 1 and self._store.stopping.wait(next(waits)):
                break
        if isinstance(failure, PenstockError):
            raise without_traceback(failure)
        message = f"cannot read {self._object.url} beyond byte {self.position}: {type(failure).__name__}. Check the network."
        raise Unreachable(message)

    def close(self) -> None:
        """Closes the connection. A later read opens another one."""
        if self._body is not None:
            self._body.close()
            self._body = None
