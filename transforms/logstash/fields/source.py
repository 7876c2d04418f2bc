"""`source` turns a chain's steps into one Python function, so that an event costs few calls.

Conditions, and grok, write their usual case (a plain field) as lines, and call their own function for every other. What
changes fields is a block of operations (`fields/operations.py`), and a branch around blocks only is a piece like them;
pieces that follow each other are one call. Of a configuration the lines hold only texts as literals (`repr`); everything
else is a value bound to a name.

Within the function `event` is the event, `document` its document, `MISSING` stands for a field that isn't there.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from penstock.transforms.logstash.fields.operations import Piece, compile_pieces
from penstock.transforms.logstash.values._references import Nested, Reference, Tags
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["MAX_DEPTH", "Source", "value_of"]

MAX_DEPTH = 15
"""Beyond this many levels a branch is a function of its own: Python's parser takes 100."""


class Source:
    """The lines of a function of an event, and the values that they name."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[Piece] = []
        self._values: dict[str, Any] = {"MISSING": MISSING}
        self._names: dict[int, str] = {}
        self.depth = 1

    def bind(self, value: Any) -> str:
        """Gives the name of a value in the function."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = f"v{len(self._values)}"
            self._values[name] = value
        return name

    def line(self, *lines: str) -> None:
        """Adds lines at the present depth."""
        self._end_pieces()
        self._lines += [f"{' ' * self.depth}{line}" for line in lines]

    def piece(self, piece: Piece) -> None:
        """Adds the work of a block, or of a branch around blocks, at the present depth."""
        self._pieces.append(piece)

    def _end_pieces(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces:
            self.line(*(f"{self.bind(function)}(event)" for function in compile_pieces(pieces)))

    @contextlib.contextmanager
    def deeper(self) -> Iterator[None]:
        """Lines within are a level deeper."""
        self._end_pieces()
        self.depth += 1
        yield
        self._end_pieces()
        self.depth -= 1

    def function(self) -> Callable[[LogEvent], Any]:
        """Gives the function of the lines; where there are none but the call of one function, that one."""
        if not self._lines and len(made := compile_pieces(self._pieces)) == 1:
            return made[0]
        self._end_pieces()
        body = "\n".join(self._lines)
        text = f"def step(event):\n document = event.document\n{body}\n"
        exec(compile(text, "<chain of filters>", "exec"), self._values)  # noqa: S102
        found: Callable[[LogEvent], Any] = self._values["step"]
        return found


def _read_key(reference: Reference) -> str | None:
    """Gives the key of a field at the document's top that is read like any other, as a literal; else None."""
    return repr(reference.path[0]) if type(reference) is Reference or type(reference) is Tags else None


def _parent_of(field: Nested) -> str:
    """Gives an expression that is true where all of a field's parents are objects.

    `parent` is then the last of them; else it is the first that is none.
    """
    first, *others = field.path[:-1]
    found = f"type(parent := document.get({first!r})) is dict"
    return " and ".join([found, *(f"type(parent := parent.get({key!r})) is dict" for key in others)])


def value_of(field: Reference, source: Source) -> str:
    """Gives an expression for a field's value, or `MISSING`."""
    key = _read_key(field)
    if key is not None:
        return f"document.get({key}, MISSING)"
    get = f"{source.bind(field.get)}(event)"
    if type(field) is not Nested:
        return get
    last = repr(field.path[-1])
    return f"(parent.get({last}, MISSING) if {_parent_of(field)} else {get} if type(parent) is list else MISSING)"
