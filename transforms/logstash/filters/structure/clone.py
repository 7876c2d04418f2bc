"""The filter `clone` makes copies of an event, beside the original."""

from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Clone"]


class Clone(Filter):
    """Makes copies of an event, each with a name as its tag (without ECS: as its `type`); common options are theirs."""

    name = "clone"
    options = (Option("clones", "array", required=True, doc="a name for each copy"), ECS)
    makes_events = True

    def compile(self) -> Work:  # noqa: D102
        names = [str(name) for name in self["clones"]]
        ecs = self.ecs
        matched = self.matched

        def work(event: LogEvent) -> list[LogEvent]:
            found = [event]
            for name in names:
                copy = event.clone(name)
                if ecs:
                    copy.tag(name)
                else:
                    copy.document["type"] = name
                matched(copy)
                found.append(copy)
            return found

        return work
