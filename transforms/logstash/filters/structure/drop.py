"""The filter `drop` throws events away: all of them, or a share."""

import random

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Drop"]


class Drop(Filter):
    """Throws events away; put it under a condition. Common options are never applied."""

    name = "drop"
    options = (Option("percentage", "number", 100, doc="how many of a hundred events, by chance"),)

    def compile(self) -> Work:  # noqa: D102
        share = self["percentage"]

        def work(event: LogEvent) -> bool:
            if share >= 100 or random.random() * 100 < share:
                event.cancelled = True
            return False

        return work
