"""`UnitReader` reads one unit of work: it finds out what the bytes are, and makes events of them.

Strategy. The first bytes decide, never the name: compression first, then the form. An object that is damaged, gone or
overwritten costs only itself: the events before the fault are delivered, and one dead letter tells the rest.

| the object | the result |
|---|---|
| an empty object | no event; finished |
| compressed data or an array cut short, or corrupt | the events before it, then a dead letter `DamagedObject` |
| Parquet, Avro or ORC cut short, or corrupt | whole batches or blocks before it, then a dead letter `DamagedObject` |
| deleted, overwritten, archived meanwhile | a dead letter `ObjectDeleted`, `ObjectChanged`, `ObjectArchived`; not finished |
| a zip or tar archive, UTF-32, ... | a dead letter `UnsupportedFormat` that says what it is; finished |
| lines of which not one of the first 100 can be decoded | a dead letter `UndecodableLines`; not finished |
| anything else that a library raises over the bytes | a dead letter `UnreadableObject`; not finished |
| a value without a right form in JSON | a dead letter `UnreadableValue` for its row |
| a line that is no record | its own dead letter, from the decoder |
| access denied, no such bucket | the job ends with one clear error |
"""

import itertools
import logging
from collections.abc import Callable, Generator, Iterator, Sequence

from penstock.io.errors import PenstockError
from penstock.io.s3.formats._compression import BLOCK, Damaged, Unsupported, blocks, detect, is_utf16, text_of
from penstock.io.s3.formats._json_array import RECORDS, read_array
from penstock.io.s3.formats._layouts import Layout, layout_of_lines, layout_of_table
from penstock.io.s3.formats._lines import Long, Piece, join_lines, read_lines, read_part
from penstock.io.s3.formats._recognise import AVRO, PARQUET, is_orc, looks_like, unreadable
from penstock.io.s3.formats._rows import Columns, piece_of
from penstock.io.s3.objects import ObjectFailure
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import MIN_SPLIT_BYTES, S3Object, S3Record, WorkUnit
from penstock.io.s3.streams import ObjectStream, Store
from penstock.io.s3.tables.process import Stopped
from penstock.io.s3.tables.reading import TableReader
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.codecs.decoder import Decoder, multiline_of
from penstock.transforms.codecs.long_records import LongRecord, long_records_of
from penstock.transforms.identity import hash_of

__all__ = ["UnitReader", "plan"]

_LOGGER = logging.getLogger(__name__)
_HEAD = 64 << 10
_LOOK_FOR_RECORDS = 4 << 10
_LINE_START = 64
_BOM = b"\xef\xbb\xbf"
_JSON = ("json", "json_array", "json_records")
_FIRST_LINES = 100
_UNDECODABLE = "UndecodableLines"
_FEW_LINES = 10
"""An object with fewer lines has a letter for each line that can't be decoded; letters can be replayed."""


def plan(found: S3Object, options: S3ReadOptions, store: Store) -> list[WorkUnit]:
    """Gives the parts in which an object is read: one, unless it is large and its format allows more.

    An object that can't be looked at now is one part; reading it says why.
    """
    if found.size <= options.split_bytes:
        return [WorkUnit(found)]
    try:
        stream = ObjectStream(store, found, 0, _HEAD)
        head = _fill(stream, _HEAD)
        stream.close()
        form = _form(head, options.format)
        if form == "parquet":
            groups = TableReader(store, found).row_groups(options.split_bytes)
            return [WorkUnit(found, n, len(groups), *group, form) for n, group in enumerate(groups)]
    except PenstockError:
        raise
    except Exception:  # among them ObjectFailure and Damaged
        return [WorkUnit(found)]
    if form not in ("lines", "avro") or (form == "lines" and _is_wrapped(head)):
        return [WorkUnit(found)]
    count = -(-found.size // options.split_bytes)
    edges = [found.size * number // count for number in range(count)]
    return [
        WorkUnit(found, n, count, start, end, form)
        for n, (start, end) in enumerate(itertools.zip_longest(edges, edges[1:]))
    ]


class UnitReader:
    """Gives one unit of work in pieces (events, and letters for what can't be read).

    Args:
        unit: the unit to read.
        options: how it is read.
        store: the object's store.
        layouts: layouts of files whose rows are events of another peer.
        decoder: makes the decoder of lines. An object of another format is then one letter, not one per line.

    Attributes:
        finished: after the last piece, whether the unit need never be read again.
    """

    def __init__(
        self,
        unit: WorkUnit,
        options: S3ReadOptions,
        store: Store,
        layouts: Sequence[Layout] = (),
        decoder: Callable[[], Decoder] | None = None,
    ) -> None:
        self.unit = unit
        self.finished = False
        self._options = options
        self._store = store
        self._layouts = layouts
        self._decoder = decoder
        self._stream: ObjectStream | None = None
        self._table: TableReader | None = None
        self._origin = self._record("line", unit.object.version)
        self._next = 0
        self._form = "the object"

    @property
    def bytes_read(self) -> int:
        """About how many bytes of the unit are read."""
        if self.finished and self._stream is None:
            return self.unit.size
        position = self._stream.position if self._stream else self._table.position if self._table else 0
        return max(0, position - (self.unit.start if self.unit.of > 1 else 0))

    def _record(self, counts: str, version: str | None) -> S3Record:
        found = self.unit.object
        return S3Record(found.bucket, found.key, found.etag, found.modified_ms, counts, version)

    def pieces(self) -> Generator[Piece, None, None]:
        """Gives all pieces, in order.

        Raises:
            PenstockError: an error concerns more than this object.
        """
        try:
            for piece in self._read():
                if piece[0]:
                    self._next = piece[0][-1].index + 1
                yield piece
            self.finished = True
        except Damaged as error:
            self.finished = True
            yield [], [self._letter(error.kind, str(error))]
        except ObjectFailure as failure:
            yield [], [self._letter(failure.kind, failure.reason)]
        except Stopped:
            return
        except PenstockError:
            raise
        except Exception as error:  # any error of a library over these bytes costs only this object
            _LOGGER.debug("reading %s failed", self.unit.object.url, exc_info=True)
            words = " ".join(str(error).split())
            reason = f"{self._form} cannot be read: {type(error).__name__}: {words}"
            yield [], [self._letter("UnreadableObject", reason[:300])]
        finally:
            if self._stream is not None:
                self._stream.close()

    def _letter(self, kind: str, reason: str) -> DeadLetter:
        return DeadLetter(Event(b"", self._origin, self._next), kind, reason, "s3")

    def _read(self) -> Iterator[Piece]:
        unit, options, found = self.unit, self._options, self.unit.object
        if found.failure is not None:
            raise ObjectFailure(*found.failure)
        if unit.format == "lines" and unit.of > 1:
            yield from self._read_part()
            return
        stream = self._stream = ObjectStream(self._store, found)
        head = _fill(stream, _HEAD)
        if what := unreadable(head):
            raise Unsupported(what)
        form = self._readable(unit.format or _form(head, options.format))
        self._form = f"the object, read as {form},"
        self._origin = self._record("line", stream.version)
        if form in ("parquet", "orc", "avro"):
            stream.close()
            self._stream = None
            self._origin = self._record("block row" if form == "avro" else "row", stream.version)
            yield from self._read_table(form)
        else:
            compression = detect(head)
            content = blocks(stream, head, compression)
            if form == "lines" and not _is_wrapped(head) and found.size >= MIN_SPLIT_BYTES:
                self._origin = self._record("byte", stream.version)
                pieces = read_part(content, 0, None, self._origin, options.max_line_bytes, self._long(head))
                yield from self._archived(head, pieces)
            else:
                yield from self._read_text(content, form)

    def _read_text(self, content: Iterator[bytes], form: str) -> Iterator[Piece]:
        """Reads decompressed text. Only now its form can be seen, unless it was given."""
        limit = self._options.max_line_bytes
        content = text_of(content, self.unit.object.size)
        first = next(content, b"")
        content = itertools.chain([first], content)
        if first.startswith((PARQUET, AVRO)) or is_orc(first):
            message = "a Parquet, Avro or ORC file that was compressed again: decompress it first"
            raise Unsupported(message)
        if what := unreadable(first):
            raise Unsupported(what)
        if self._options.format == "auto":
            form = self._readable(_text_form(first))
        if form == "lines":
            yield from self._archived(first, read_lines(content, self._origin, limit, self._long(first)))
            return
        if form == "json":
            yield from self._read_values(first, content)
            return
        self._origin = self._record("element", self._origin.version)
        yield from read_array(content, self._origin, limit, records=form == "json_records")

    def _read_part(self) -> Iterator[Piece]:
        unit = self.unit
        begin = max(0, unit.start - 1)
        head_stream = ObjectStream(self._store, unit.object, 0, _LINE_START)
        head = head_stream.read(_LINE_START)
        head_stream.close()
        stream = self._stream = ObjectStream(self._store, unit.object, begin)
        self._origin = self._record("byte", head_stream.version)
        content = iter(lambda: stream.read(BLOCK), b"")
        limit = self._options.max_line_bytes
        pieces = read_part(content, unit.start, unit.end, self._origin, limit, self._long(head))
        yield from self._archived(head, pieces)

    def _readable(self, form: str) -> str:
        """Gives the form by which the codec can read the object. Without JSON a bracket is text (`[2026-11-22 ...`)."""
        if form not in _JSON or self._options.format in _JSON[1:]:
            return form
        if self._decoder is None or long_records_of(self._decoder()) is not None:
            return form
        if self._options.format == "json":
            message = "--format json is for codecs that read JSON"
            raise Unsupported(message)
        return "lines"

    def _read_values(self, first: bytes, content: Iterator[bytes]) -> Iterator[Piece]:
        """Reads all of the object as one record: JSON values in any row, over any lines."""
        self._origin = origin = self._record("object", self._origin.version)
        make = (None if self._decoder is None else long_records_of(self._decoder())) or LongRecord
        record = make(origin, 0, self._options.max_line_bytes)
        next(content)
        yield record.feed(first.removeprefix(_BOM))
        for block in content:
            yield record.feed(block)
        yield record.finish()

    def _long(self, head: bytes) -> Long | None:
        """Gives what decodes lines that are too long to hold, where the codec can and they are records."""
        if self._decoder is None or layout_of_lines(self._layouts, head) is not None:
            return None
        return long_records_of(self._decoder())

    def _archived(self, head: bytes, pieces: Iterator[Piece]) -> Iterator[Piece]:
        layout = layout_of_lines(self._layouts, head)
        return self._decodable(pieces) if layout is None else layout.events_of_lines(pieces)

    def _decodable(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Gives the pieces; none where not one of the first lines can be decoded, because that is another format."""
        if self._decoder is None:
            yield from pieces
            return
        decoder = self._decoder()
        if (rule := multiline_of(decoder)) is not None:
            pieces = join_lines(pieces, rule)
        held: list[Piece] = []
        tried: list[bytes] = []
        for piece in pieces:
            held.append(piece)
            for line in piece[0][: _FIRST_LINES - len(tried)]:
                tried.append(line.data)
                if not decoder.decode([Event(line.data, line.origin, line.index)])[1]:
                    yield from held
                    yield from pieces
                    return
            if len(tried) >= _FIRST_LINES:
                break
        if len(tried) < _FEW_LINES and not _is_json_over_lines(tried, decoder):  # each is a letter of its own
            yield from held
            return
        reason = (
            f"none of the first {len(tried)} lines can be decoded, so nothing is read: it {looks_like(tried)}"
        )
        raise ObjectFailure(_UNDECODABLE, reason)

    def _read_table(self, form: str) -> Iterator[Piece]:
        unit, origin = self.unit, self._origin
        layout: Layout | None = None

        def choose(names: Sequence[str], marks: dict[str, str]) -> Sequence[str] | None:
            nonlocal layout
            layout = layout_of_table(self._layouts, names, marks)
            return None if layout is None else layout.columns

        position = origin.position()
        hashed = hash_of(position)
        table = self._table = TableReader(self._store, unit.object)
        end = unit.end if unit.of > 1 else None
        for rows in table.rows(form, unit.start, end, self._options.columns, position, choose):
            if not isinstance(rows, Columns):
                yield piece_of(rows, origin, hashed)
            elif layout is not None:
                yield layout.events_of_columns(rows.values()), []


def _form(head: bytes, wanted: str) -> str:
    """Gives the form that content begins with: `parquet`, `avro`, `orc`, or a text form. Compression may still hide it."""
    if wanted != "auto":
        return wanted
    if head.startswith(PARQUET):
        return "parquet"
    if head.startswith(AVRO):
        return "avro"
    if is_orc(head):
        return "orc"
    return "lines" if _is_wrapped(head) else _text_form(head)


def _is_wrapped(head: bytes) -> bool:
    """Whether the object's bytes are not those of its text, so that it can't be read from the middle."""
    return detect(head) != "none" or is_utf16(head)


def _is_json_over_lines(lines: Sequence[bytes], decoder: Decoder) -> bool:
    """Whether lines that can't be decoded one by one can be decoded together."""
    if len(lines) < 2 or long_records_of(decoder) is None:
        return False
    record = LongRecord(S3Record("", "", "", 0, "object"), 0, sum(map(len, lines)) + len(lines))
    found = [record.feed(b"\n".join(lines)), record.finish()]
    values = [event for events, _ in found for event in events]
    return bool(values) and not (found[0][1] or found[1][1] or decoder.decode(values)[1])


def _text_form(head: bytes) -> str:
    """Gives the form of text. A first line of nothing but a brace is no record, so JSON goes on over the lines behind it."""
    text = head[:_LOOK_FOR_RECORDS].removeprefix(_BOM).lstrip()
    if text.startswith(b"["):
        return "json_array"
    if text.startswith(b"{") and RECORDS.match(text[1:].lstrip()):
        return "json_records"
    return "json" if text.partition(b"\n")[0].rstrip() == b"{" else "lines"


def _fill(stream: ObjectStream, size: int) -> bytes:
    """Reads the first `size` bytes, or all there are."""
    head = b""
    while len(head) < size and (more := stream.read(size - len(head))):
        head += more
    return head
