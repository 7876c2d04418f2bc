"""`RowMaker` writes rows of a typed file as JSON objects, the way Elasticsearch expects their values.

Times become ISO 8601 in UTC, dates `YYYY-MM-DD`, decimals text (a float would lose digits), bytes text where they are
UTF-8 and base64 where they aren't, NaN and infinity null, maps objects.

Rows travel as `Rows` (or, of a file with a layout, as `Columns`) from the process that reads the file to the one that
wants events: plain values only, and no id that `piece_of` finds as cheaply. Until they travel, bytes may be an array of
Arrow's; `listed` makes a list of it.
"""

import base64
import datetime
import decimal
import itertools
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import orjson
import pyarrow as pa

from penstock.io.s3.formats._arrow_values import python_values
from penstock.io.s3.formats._json_columns import json_rows
from penstock.io.s3.formats._lines import Piece
from penstock.io.s3.origin import S3Record
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.identity import (
    document_id,
    hash_of,
    hashed_position_id,
    hashed_position_ids,
    is_from_beat,
)
from penstock.transforms.time import timestamps

__all__ = [
    "ERRORS",
    "TIME",
    "Choose",
    "Columns",
    "RowMaker",
    "Rows",
    "is_simple",
    "listed",
    "piece_of",
    "row_to_json",
    "rows_of_batch",
    "words_of",
]

TIME = "@timestamp"
ERRORS = (pa.ArrowException, OSError, ValueError, EOFError)
"""The exceptions that Arrow raises over a file's bytes."""
_METADATA = "@metadata"
_BEAT_FIELDS = frozenset({_METADATA, "agent", "beat"})

_simply = msgspec.json.Encoder().encode
_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


Choose = Callable[[Sequence[str], dict[str, str]], Sequence[str] | None]
"""From a file's columns and metadata: the columns whose values are wanted; None where its rows are documents."""

Refused = tuple[int, str, str]
"""What can't be read: the row's number, the kind of failure and the reason."""


class Rows(msgspec.Struct, array_like=True, tag="rows", gc=False):
    """Holds rows as documents.

    Attributes:
        texts: the documents.
        first: the number of the first.
        numbers: of each, where they don't follow one another.
        ids: of each, where a row's values may give it one.
        times: of each, where there is such a column.
        letters: what could not be read.
    """

    texts: list[bytes] = []
    first: int = 0
    numbers: list[int] | None = None
    ids: list[str | None] | None = None
    times: list[str | None] | None = None
    letters: list[Refused] = []


class Columns(msgspec.Struct, array_like=True, tag="columns", gc=False):
    """Holds rows as values of the chosen columns: for each column its values, and how often each follows itself."""

    runs: list[tuple[list[Any], list[int] | None]]

    def values(self) -> list[list[Any]]:
        """Gives the values of each column, one per row."""
        repeat = itertools.repeat
        return [
            values if counts is None else list(itertools.chain.from_iterable(map(repeat, values, counts)))
            for values, counts in self.runs
        ]


def listed(message: Rows | Columns) -> Rows | Columns:
    """Gives the same rows without arrays of Arrow's."""
    if isinstance(message, Columns):
        return Columns([(_list(values), counts) for values, counts in message.runs])
    message.texts = _list(message.texts)
    return message


def _list(values: Any) -> list[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else values  # type: ignore[no-any-return]


def piece_of(rows: Rows, origin: S3Record, position: str) -> Piece:
    """Makes events of rows.

    Args:
        rows: the rows.
        origin: the origin of the events.
        position: the origin's, hashed (`hash_of`).
    """
    numbers = range(rows.first, rows.first + len(rows.texts)) if rows.numbers is None else rows.numbers
    ids = hashed_position_ids(position, numbers) if rows.ids is None else rows.ids
    events = [
        Event(text, origin, number, 0, given)
        for text, number, given in zip(rows.texts, numbers, ids, strict=True)
    ]
    if rows.times is not None:
        for event, time in zip(events, rows.times, strict=True):
            event.timestamp = time
    letters = [
        DeadLetter(Event(b"", origin, number), kind, reason, "s3") for number, kind, reason in rows.letters
    ]
    return events, letters


class _Position(msgspec.Struct, gc=False, frozen=True):
    """Stands for an origin of which only its position is known."""

    text: bytes
    arrived_ms: int = 0

    def position(self) -> bytes:
        return self.text

    def describe(self) -> dict[str, str | int]:
        return {}


class RowMaker:
    """Makes documents of rows, with their ids and times, so that no decoder parses them again.

    Args:
        position: the position of their origin.
        names: the columns.
        simple: whether they hold nothing but text, whole numbers of 64 bits, floats, booleans and nulls: then
            msgspec writes them, at a third of the cost (0.35 us per row of six columns against 1.0).
    """

    def __init__(self, position: bytes, names: Iterable[str], *, simple: bool = False) -> None:
        self._origin = _Position(position)
        self._prefix = hash_of(position)
        names = set(names)
        # What a Beat says of itself stands in objects.
        self._may_be_from_beat = not simple and not names.isdisjoint(_BEAT_FIELDS)
        self._may_give_id = _METADATA in names
        self._has_time = TIME in names
        self._encode: Callable[[dict[str, Any]], bytes] = _simply if simple else row_to_json

    def rows(
        self, rows: Iterable[dict[str, Any]], numbers: Sequence[int], refused: Iterable[Refused] = ()
    ) -> Rows:
        """Gives the rows of these numbers, those `refused` before, and a refusal for each that has no JSON form."""
        texts: list[bytes] = []
        kept: list[int] = []
        ids: list[str | None] | None = [] if self._may_be_from_beat else None
        times: list[str | None] | None = [] if self._has_time else None
        letters = list(refused)
        encode = self._encode
        if ids is None and times is None and not letters:
            rows = list(rows)
            try:
                return Rows(list(map(encode, rows)), numbers[0] if numbers else 0)
            except (TypeError, ValueError, OverflowError):  # one of them; which, the rest finds
                pass
        for number, row in zip(numbers, rows, strict=True):
            try:
                text = encode(row)
                given = None if ids is None else self._id(row, number)
                time = None if times is None else _time(row)
            except (TypeError, ValueError, OverflowError) as error:
                letters.append((number, "UnreadableValue", f"the row has no form in JSON: {error}"[:300]))
                continue
            texts.append(text)
            kept.append(number)
            if ids is not None:
                ids.append(given)
            if times is not None:
                times.append(time)
        if not letters:
            return Rows(texts, numbers[0] if numbers else 0, None, ids, times)
        return Rows(texts, 0, kept, ids, times, sorted(letters))

    @property
    def takes_json(self) -> bool:
        """Whether `rows_of_json` knows the ids of these rows without their values."""
        return not self._may_be_from_beat

    def rows_of_json(self, texts: Any, first: int, times: Sequence[Any] | None) -> Rows:
        """Gives rows that are JSON already.

        Args:
            texts: the rows, an array of Arrow's.
            first: the number of the first.
            times: the values of `@timestamp`, where there is such a column.
        """
        known = None if times is None else [timestamps.of_value(time) for time in times]
        return Rows(texts, first, None, None, known)

    def _id(self, row: dict[str, Any], number: int) -> str | None:
        event = Event(b"", self._origin, number)
        if self._may_give_id or is_from_beat(row):
            return document_id(event, row)
        return hashed_position_id(self._prefix, event)


def _time(row: dict[str, Any]) -> str | None:
    time = row.get(TIME)
    if isinstance(time, datetime.datetime):
        time = timestamps.to_text(time if time.tzinfo else time.replace(tzinfo=datetime.UTC))
    return timestamps.of_value(time)


def row_to_json(row: dict[str, Any]) -> bytes:
    """Gives the row's bytes as an event.

    Raises:
        TypeError: a value has no JSON form (orjson.JSONEncodeError).
    """
    # A copy: what orjson gives keeps the kilobyte that it was written into.
    return b"%b" % orjson.dumps(row, default=_other, option=_OPTIONS)


def _other(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return base64.b64encode(data).decode()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, int):
        return str(value)  # beyond 64 bits
    if isinstance(value, (set, tuple)):
        return list(value)
    raise TypeError(type(value).__name__)


def rows_of_batch(batch: Any, maker: RowMaker, first: int) -> Rows:
    """Gives the rows of a batch, numbered from `first`, and a refusal for each row that has no right form."""
    if maker.takes_json and (texts := json_rows(batch)) is not None:
        times = python_values(batch.column(TIME)) if TIME in batch.schema.names else None
        return maker.rows_of_json(texts, first, times)
    names = batch.schema.names
    try:
        columns = [python_values(column) for column in batch.columns]
    except ERRORS:
        return _row_by_row(batch, maker, first)
    rows = zip(*columns, strict=True) if names else [()] * batch.num_rows
    documents = (dict(zip(names, values)) for values in rows)  # noqa: B905  equally many
    return maker.rows(documents, range(first, first + batch.num_rows))


def _row_by_row(batch: Any, maker: RowMaker, first: int) -> Rows:
    """Finds the rows because of which the batch could not be read."""
    refused: list[Refused] = []
    numbers: list[int] = []
    documents: list[dict[str, Any]] = []
    for row in range(batch.num_rows):
        document = {}
        try:
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                (document[name],) = python_values(column.slice(row, 1))
        except ERRORS as error:
            reason = f"row {first + row}, column {name[:100]}: {words_of(error)}"
            refused.append((first + row, "UnreadableValue", reason[:300]))
        else:
            numbers.append(first + row)
            documents.append(document)
    return maker.rows(documents, numbers, refused)


def words_of(error: Exception) -> str:
    """Gives the text of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def is_simple(kind: Any) -> bool:
    """Whether a column of this type of Arrow holds nothing but what `RowMaker` calls simple."""
    types = pa.types
    return any(
        check(kind)
        for check in (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean,
                      types.is_null, types.is_timestamp)
    )  # fmt: skip
