"""The filter `uuid` gives events a random identifier."""

import uuid

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Uuid"]


class Uuid(Filter):
    """Gives an event a random identifier (version 4); a replay gives it another."""

    name = "uuid"
    options = (
        Option("target", "string", required=True, doc="the field that takes it"),
        Option("overwrite", "boolean", False, doc="whether a value that is there is replaced"),
    )

    def compile(self) -> Work:  # noqa: D102
        target = self.reference(self["target"])
        overwrite = self["overwrite"]

        def work(event: LogEvent) -> bool:
            if overwrite or (held := target.get(event)) is MISSING or held is None:
                target.set(event, str(uuid.uuid4()))
            return True

        return work
