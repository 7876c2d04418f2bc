"""`PartitionKeys` and `StreamName` decide where an event goes: its partition key, and its stream.

The partition key is one of these:
- `event_partition_keys`: the value of the first of these fields that is present and not empty, a prefix in front of it.
- `randomized_partition_key`: a random key. With aggregation, all events of one aggregated record share one
  fresh random key. So the load spreads over the shards, the record goes where any shard map
  says, and no event carries a key of its own (which would cost 38 bytes and one MD5 per event).
- a function of the event, in Python.
- else `-`.

An event is parsed only when a field is needed, and the parsed document is dropped at once.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from penstock.io.errors import OptionError
from penstock.transforms.batch import Event
from penstock.transforms.document import document_of
from penstock.transforms.fields import MISSING, Path, get, parse_path
from penstock.transforms.reference import Reference, compile_reference

__all__ = ["DEFAULT_KEY", "MAX_KEY", "PartitionKeys", "StreamName", "random_keys"]

DEFAULT_KEY = "-"
"""The key of events that get no other. All such events share a shard, in order."""

MAX_KEY = 256
"""The most UTF-16 units of a partition key, as PutRecords counts them. A longer key is cut."""

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_ARN = re.compile(r"arn:aws[\w-]*:kinesis:[\w-]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
# The same for a pattern, in which \0 stands for each %{...}.
_NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.\0-]{1,128}")
_ARN_PATTERN = re.compile(
    r"arn:aws[\w-]*:kinesis:[\w\0-]+:(?:\d{12}|\d*\0[\d\0]*):stream/[a-zA-Z0-9_.\0-]{1,128}"
)
_REFERENCE = re.compile(r"%\{[^{}]*\}")


def random_keys() -> Iterator[str]:
    """Gives endless random keys of 32 hexadecimal digits."""
    while True:
        yield f"{random.getrandbits(128):032x}"


def _cut(key: str) -> str:
    """Cuts the key to `MAX_KEY` UTF-16 units, without half a character at its end."""
    if len(key) <= MAX_KEY // 2 or (len(key) <= MAX_KEY and key.isascii()):
        return key
    return key.encode("utf-16-le", "surrogatepass")[: 2 * MAX_KEY].decode("utf-16-le", "ignore")


class PartitionKeys:
    """Chooses the partition keys of events.

    Args:
        fields: `event_partition_keys`, as `a.b` or `[a][b]`.
        randomized: whether keys are random.
        function: gives the key of an event, in the place of both; an empty key becomes `-`.
        prefix: stands in front of a field's value.
    """

    def __init__(
        self,
        fields: Sequence[str] = (),
        *,
        randomized: bool = False,
        function: Callable[[Event], str] | None = None,
        prefix: str = "",
    ) -> None:
        if (bool(fields) + randomized + (function is not None)) > 1:
            message = (
                "--event_partition_keys, --randomized_partition_key and a function for the partition key "
                "exclude each other: give one."
            )
            raise OptionError(message)
        self.fields = tuple(fields)
        self.randomized = randomized
        self._function = function
        self._prefix = prefix
        self._paths: list[Path] = []
        for field in fields:
            try:
                self._paths.append(parse_path(field))
            except ValueError as error:
                message = f"--event_partition_keys: {error}."
                raise OptionError(message) from error

    def of(self, events: Sequence[Event]) -> list[str] | None:
        """Gives one key per event; None when all share `-` or take random ones (`randomized`)."""
        if self._function is not None:
            function = self._function
            return [_cut(str(function(event))) or DEFAULT_KEY for event in events]
        if not self._paths:
            return None
        return [self._usual(event) or self._from_fields(event) for event in events]

    def _usual(self, event: Event) -> str:
        """Gives the first field where it is a string, as it nearly always is; else "". It costs half of the general way."""
        try:
            value: Any = orjson.loads(event.data) if event.document is None else event.document
            for name in self._paths[0]:
                value = value[name]
        except (KeyError, TypeError, ValueError):
            return ""
        return _cut(self._prefix + value) if type(value) is str and value else ""

    def _from_fields(self, event: Event) -> str:
        try:
            document = document_of(event)
        except ValueError:
            return DEFAULT_KEY
        for path in self._paths:
            value = get(document, path)
            if value is MISSING or value is None or value == "" or isinstance(value, (dict, list)):
                continue
            if isinstance(value, bool):
                value = "true" if value else "false"
            return _cut(f"{self._prefix}{value}")
        return DEFAULT_KEY


class StreamName:
    """The value of `--stream_name`: a name, an ARN, or a pattern of either that each event fills in.

    Attributes:
        literal: the stream for all events, or None where each event names its own.

    Raises:
        OptionError: no stream can have such a name, whatever the events hold.
    """

    def __init__(self, text: str) -> None:
        try:
            self._reference: Reference = compile_reference(text)
        except ValueError as error:
            message = f"--stream_name: {error}."
            raise OptionError(message) from error
        self.literal = text if self._reference.constant is not None else None
        pattern = _REFERENCE.sub("\0", text)
        if not (_NAME_PATTERN.fullmatch(pattern) or _ARN_PATTERN.fullmatch(pattern)):
            message = (
                f"--stream_name {text!r} is not a stream's name (1 to 128 letters, digits, '_', '.', '-'), its ARN "
                "(arn:aws:kinesis:REGION:ACCOUNT:stream/NAME), or a pattern of either with %{field}."
            )
            raise OptionError(message)
        self._form = _ARN if text.startswith("arn:") else _NAME

    def of(self, events: Sequence[Event]) -> list[str | None]:
        """Gives the stream of each event; None where the event doesn't name one."""
        return [self._fill(event) for event in events]

    def _fill(self, event: Event) -> str | None:
        try:
            name = self._reference(event)
        except ValueError:
            return None
        return name if self._form.fullmatch(name) else None
