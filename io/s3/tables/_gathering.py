"""`Gathering` joins small messages of rows: an Avro block may hold a hundred, and each message costs both sides. Pure."""

from collections.abc import Callable

from penstock.io.s3.formats._rows import Columns, Rows

__all__ = ["Gathering"]

_ROWS = 2000
_BYTES = 1 << 20


class Gathering:
    """Holds rows until they are worth a message.

    Args:
        send: sends a message.
    """

    def __init__(self, send: Callable[[Rows | Columns], None]) -> None:
        self._send = send
        self._held: Rows | None = None
        self._bytes = 0

    def add(self, message: Rows | Columns) -> None:
        """Sends a message, now or with those behind it."""
        if not isinstance(message, Rows) or message.letters or not isinstance(message.texts, list):
            self.flush()
            self._send(message)
            return
        if self._held is None:
            self._held, self._bytes = message, 0
        else:
            _join(self._held, message)
        self._bytes += sum(map(len, message.texts))
        if len(self._held.texts) >= _ROWS or self._bytes >= _BYTES:
            self.flush()

    def flush(self) -> None:
        """Sends what is held."""
        held, self._held = self._held, None
        if held is not None:
            self._send(held)


def _join(rows: Rows, more: Rows) -> None:
    if rows.numbers is None:
        rows.numbers = list(range(rows.first, rows.first + len(rows.texts)))
    rows.numbers += range(more.first, more.first + len(more.texts)) if more.numbers is None else more.numbers
    rows.texts += more.texts
    if rows.ids is not None and more.ids is not None:
        rows.ids += more.ids
    if rows.times is not None and more.times is not None:
        rows.times += more.times
