"""`PartitionKeys` gives each event its partition key.

- `event_partition_keys`: the value of the first of these fields that is present and not empty.
- `randomized_partition_key`: a random key. With aggregation, all events of one aggregated record share one
  fresh random key: the load spreads over the shards all the same, the record goes where any shard map
  says, and no event carries a key of its own (a key per event would cost 38 bytes and one MD5 each).
- a function of the event, in Python.
- else `-`, as users know it.

Only when a field is needed is an event parsed, and what was parsed is dropped at once.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from penstock.io.errors import OptionError
from penstock.transforms.batch import Event
from penstock.transforms.document import document_of
from penstock.transforms.fields import MISSING, Path, get, parse_path

__all__ = ["DEFAULT_KEY", "MAX_KEY", "PartitionKeys", "random_keys"]

DEFAULT_KEY = "-"
"""The key where nothing else gives one: all such events share a shard, in order."""

MAX_KEY = 256
"""Characters of a partition key (PutRecords); what is longer is cut."""


def random_keys() -> Iterator[str]:
    """Endless random keys of 32 hexadecimal digits."""
    while True:
        yield f"{random.getrandbits(128):032x}"


class PartitionKeys:
    """Chooses the partition keys of events.

    Args:
        fields: `event_partition_keys`, as `a.b` or `[a][b]`.
        randomized: whether keys are random.
        function: event -> key, instead of both; an empty key becomes `-`.
    """

    def __init__(
        self,
        fields: Sequence[str] = (),
        *,
        randomized: bool = False,
        function: Callable[[Event], str] | None = None,
    ) -> None:
        if (bool(fields) + randomized + (function is not None)) > 1:
            message = (
                "--event_partition_keys, --randomized_partition_key and a function for the partition key "
                "exclude each other: give one."
            )
            raise OptionError(message)
        self.randomized = randomized
        self._function = function
        self._paths: list[Path] = []
        for field in fields:
            try:
                self._paths.append(parse_path(field))
            except ValueError as error:
                message = f"--event_partition_keys: {error}."
                raise OptionError(message) from error

    def of(self, events: Sequence[Event]) -> list[str] | None:
        """One key per event; None when all share `-` or take random ones (`randomized`)."""
        if self._function is not None:
            function = self._function
            return [str(function(event))[:MAX_KEY] or DEFAULT_KEY for event in events]
        if not self._paths:
            return None
        return [self._usual(event) or self._from_fields(event) for event in events]

    def _usual(self, event: Event) -> str:
        """The first field where it is a string, as it nearly always is; empty for all else. Half the cost."""
        try:
            value: Any = orjson.loads(event.data) if event.document is None else event.document
            for name in self._paths[0]:
                value = value[name]
        except (KeyError, TypeError, ValueError):
            return ""
        return value[:MAX_KEY] if type(value) is str else ""

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
                return "true" if value else "false"
            return str(value)[:MAX_KEY]
        return DEFAULT_KEY
