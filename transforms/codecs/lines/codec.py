"""`Codec` cuts the text of a record into events; `Refused` is a part that it can't read."""

from typing import NamedTuple, Protocol

from penstock.transforms.batch import Event

__all__ = ["Codec", "Refused"]


class Refused(NamedTuple):
    """A part of a record that a codec can't read.

    Attributes:
        number: which part of the record, from 0.
        data: its bytes.
        error: the kind of failure.
        reason: what happened. Words, because the exception's traceback would keep the record, in a circle.
    """

    number: int
    data: bytes
    error: str
    reason: str

    @classmethod
    def by(cls, error: ValueError, number: int, data: bytes) -> "Refused":
        """Gives the part that `error` is about."""
        return cls(number, data, type(error).__name__, str(error))


class Codec(Protocol):
    """Cuts the text of a record into events."""

    def decode(self, text: bytes, place: Event) -> tuple[list[Event], list[Refused]]:
        """Gives the events of the record at `place`, and the parts that can't be read.

        An event's bytes are the JSON that is stored. Its id is the source's own name for it; None: the position decides.

        Raises:
            ValueError: the record as a whole can't be read.
        """
