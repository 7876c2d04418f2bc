"""`stream_names` gives the stream of an event: a literal name, an ARN, or a pattern whose fields the event fills."""

import re
from collections.abc import Sequence

from penstock.io.errors import OptionError
from penstock.transforms.batch import Event
from penstock.transforms.document import document_of
from penstock.transforms.fields import Path, get, parse_path

__all__ = ["StreamName"]

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_ARN = re.compile(r"arn:aws[\w-]*:kinesis:[\w-]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
_FIELD = re.compile(r"%\{([^{}]+)\}")


class StreamName:
    """What `--stream_name` says.

    Attributes:
        literal: the stream for all events, or None where each event names its own.

    Raises:
        OptionError: no stream can have such a name.
    """

    def __init__(self, text: str) -> None:
        pieces = _FIELD.split(text)
        self.literal = text if len(pieces) == 1 else None
        self._texts: list[str] = pieces[::2]
        self._paths: list[Path] = []
        if self.literal is not None:
            if not (_NAME.fullmatch(text) or _ARN.fullmatch(text)):
                message = (
                    f"--stream_name {text!r} is not a stream's name (1 to 128 letters, digits, '_', '.', '-'), its "
                    "ARN, or a pattern with %{field}."
                )
                raise OptionError(message)
            return
        for field in pieces[1::2]:
            try:
                self._paths.append(parse_path(field))
            except ValueError as error:
                message = f"--stream_name: {error}."
                raise OptionError(message) from error

    def of(self, events: Sequence[Event]) -> list[str | None]:
        """The stream of each event; None where the event doesn't name one."""
        return [self._fill(event) for event in events]

    def _fill(self, event: Event) -> str | None:
        try:
            document = document_of(event)
        except ValueError:
            return None
        parts = [self._texts[0]]
        for path, text in zip(self._paths, self._texts[1:], strict=True):
            value = get(document, path)
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                return None
            parts += (str(value), text)
        name = "".join(parts)
        return name if _NAME.fullmatch(name) else None
