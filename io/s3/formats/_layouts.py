"""`Layout` gives the rows of certain files another meaning: they hold events of another peer.

The formats know bytes, lines, columns and blocks. A package that writes files whose rows are events (the archive of a
stream) plugs in a `Layout`. It recognises its files by their metadata or by the beginning of their lines, and makes the
events.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._lines import Piece
from penstock.transforms.batch import Event

_OURS = "penstock."
_OUR_LINES = b'{"penstock_'


class Layout(Protocol):
    """Recognises certain files, and makes events of their rows. It must be picklable."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a Parquet or Avro file that hold the events."""

    @property
    def line_start(self) -> bytes:
        """The beginning of every line of a text file of this layout."""

    def is_in(self, names: Iterable[str], metadata: Mapping[str, str]) -> bool:
        """Whether a Parquet or Avro file with these columns and this metadata is of this layout."""

    def events_of_columns(self, columns: Sequence[Sequence[Any]]) -> list[Event]:
        """Makes the events of rows from the values of `columns`; times are whole milliseconds or datetimes."""

    def events_of_lines(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Makes the events of lines. A line of another form is a dead letter."""


def layout_of_table(
    layouts: Sequence[Layout], names: Sequence[str], metadata: Mapping[str, str]
) -> Layout | None:
    """Gives the layout of a Parquet or Avro file; None for rows that are documents.

    Raises:
        Damaged: it is a file of ours whose layout was not plugged in. Its rows would become documents without meaning.
    """
    for layout in layouts:
        if layout.is_in(names, metadata):
            return layout
    for mark in metadata:
        if mark.startswith(_OURS):
            raise _unknown(mark, metadata[mark])
    return None


def layout_of_lines(layouts: Sequence[Layout], head: bytes) -> Layout | None:
    """Gives the layout of text that begins with `head`; None for lines that are records.

    Raises as `layout_of_table` does.
    """
    for layout in layouts:
        if head.startswith(layout.line_start):
            return layout
    if head.startswith(_OUR_LINES):
        raise _unknown(head[2:].partition(b",")[0].decode(errors="replace"), "")
    return None


def _unknown(what: str, version: str) -> Damaged:
    message = (
        f"the file says that it holds {what[:60]} {version[:20]}, which this reader does not know. Plug in its layout "
        "(ReadFromS3(layouts=[penstock.io.archive.LAYOUT])), or use the version that wrote it or a later one"
    )
    return Damaged(message)
