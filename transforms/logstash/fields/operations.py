"""`operations` describes changes of fields as data, so that a kernel can run a whole chain of them in one call.

Problem. Twenty changes of fields cost an event 3 us in Python even as twenty lines of one function: each is two or three
look-ups in a dict, and the interpreter costs more than they do.

Plan. An operation has its whole work as a Python function (`step`), and beside it, where it is of a usual kind, what the
kernel (`_native_fields.c`) needs to do the usual case itself: a text, a plain field, objects on the way to it. The kernel
calls `step` for every other case, so Logstash's rules for odd values stand only there. Without the kernel the steps run.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from penstock.transforms.kernels import native
from penstock.transforms.logstash.values._references import Nested, Reference, Tags
from penstock.transforms.logstash.values._sprintf import Part, Template
from penstock.transforms.logstash.values.event import LogEvent

__all__ = [
    "Block",
    "Kind",
    "Operation",
    "Piece",
    "add",
    "change",
    "compile_pieces",
    "drop",
    "move",
    "put",
    "read",
    "read_path",
    "tag",
]

Step = Callable[[LogEvent], object]


class Kind(enum.IntEnum):
    """What the kernel does; the numbers are those in its source."""

    CALL = 0
    MOVE = 1
    DROP = 2
    PUT = 3
    UPDATE = 4
    ADD = 5
    TAG = 6
    INTEGER = 7
    FLOAT = 8
    COPY = 9
    CHANGE = 10


_Path = tuple[str, ...]
_Native = tuple[int, Step, _Path | None, _Path | None, Callable[[LogEvent, Any], object] | None, Any]


class Operation(NamedTuple):
    """One change of an event.

    Attributes:
        step: does it, in every case.
        kind: how the kernel does the usual case.
        field: the field that is read.
        target: the field that is set.
        value: the text that is set, or for `CHANGE` the function from a text to a text.
    """

    step: Step
    kind: Kind = Kind.CALL
    field: Reference | None = None
    target: Reference | None = None
    value: Template | Callable[[str], str] | None = None

    def native(self) -> _Native:
        """Gives what the kernel takes; an operation on a field with rules of its own is a call of `step`."""
        field, target = read_path(self.field), _plain_path(self.target)
        reads = self.kind not in (Kind.CALL, Kind.PUT)
        removes = self.kind in (Kind.MOVE, Kind.DROP, Kind.ADD)
        if (reads and field is None) or (removes and _plain_path(self.field) is None):
            return Kind.CALL, self.step, None, None, None, None
        put = None if self.target is None else self.target.set
        value = _parts(self.value) if isinstance(self.value, Template) else self.value
        return self.kind, self.step, field, target, put, value


class Piece(Protocol):
    """A block, or a branch around blocks (`conditions.Branch`)."""

    @property
    def whole(self) -> Step:
        """Does the work of the piece, in Python."""

    def native(self) -> tuple[Any, ...]:
        """Gives what the kernel takes."""


class Block(NamedTuple):
    """Operations in order, of which the first that fails ends the block.

    Attributes:
        operations: the operations.
        tag: the tag of an event at which one failed; with None the exception leaves the chain.
        whole: does the work of the block, in Python.
    """

    operations: Sequence[Operation]
    tag: str | None
    whole: Step

    def native(self) -> tuple[Any, ...]:
        """Gives what the kernel takes."""
        return self.tag, tuple(each.native() for each in self.operations)


def move(step: Step, field: Reference, target: Reference) -> Operation:
    """Moves a field."""
    return Operation(step, Kind.MOVE, field, target)


def drop(step: Step, field: Reference) -> Operation:
    """Removes a field."""
    return Operation(step, Kind.DROP, field)


def put(step: Step, field: Reference, value: Template, *, present: bool = False) -> Operation:
    """Sets a field to a text; with `present` only one that is there."""
    return Operation(step, Kind.UPDATE if present else Kind.PUT, field, field, value)


def add(step: Step, field: Reference, value: Template) -> Operation:
    """Sets a field that isn't there to a text; what happens to another one, `step` knows."""
    return Operation(step, Kind.ADD, field, field, value)


def tag(step: Step, field: Reference, value: Template) -> Operation:
    """Puts a tag at the end of `tags`."""
    return Operation(step, Kind.TAG, field, field, value)


def read(step: Step, kind: Kind, field: Reference, target: Reference | None = None) -> Operation:
    """Converts a field (`INTEGER`, `FLOAT`), or copies it (`COPY`)."""
    return Operation(step, kind, field, target or field)


def change(step: Step, field: Reference, function: Callable[[str], str]) -> Operation:
    """Sets a text to what a function makes of it."""
    return Operation(step, Kind.CHANGE, field, field, function)


def _plain_path(field: Reference | None) -> _Path | None:
    """Gives the keys of a field that has no rules of its own."""
    if type(field) is Reference or (type(field) is Nested and field.path[0] != "tags"):
        return field.path
    return None


def read_path(field: Reference | None) -> _Path | None:
    """Gives the keys of a field that is read like any other."""
    return field.path if type(field) is Tags or type(field) is Nested else _plain_path(field)


def _parts(template: Template) -> str | tuple[Any, ...]:
    if template.constant is not None:
        return template.constant
    return tuple(
        (read_path(part.field), part.render) if isinstance(part, Part) else part for part in template.parts
    )


_kernel = native.load(
    "penstock.transforms.logstash.fields._native_fields",
    lambda kernel: kernel.compile((), LogEvent)(LogEvent({})),
)


def compile_pieces(pieces: Sequence[Piece]) -> list[Step]:
    """Makes the functions that do the work of pieces that follow each other: one in all, or one per piece in Python."""
    if _kernel is None:
        return [piece.whole for piece in pieces]
    return [_kernel.compile(tuple(piece.native() for piece in pieces), LogEvent)]
