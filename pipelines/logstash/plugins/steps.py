"""`steps` makes the filters that an input brings along: its common options, and fields that Logstash adds by itself.

Those fields make every event be encoded anew, so they are added only when the configuration names them, or when
`--logstash_fields` asks. Without any of these an input has no filters, and its bytes pass as they came.
"""

from typing import Any

from penstock.pipelines.logstash.plugins.values import Values
from penstock.transforms.logstash.compile import Step

__all__ = ["common_steps", "filter_step", "ornaments", "when_step"]


def filter_step(name: str, **options: Any) -> Step:
    """One filter."""
    return Step("filter", name, options=options)


def when_step(condition: str, *then: Step) -> Step:
    """Filters under a condition."""
    return Step("when", condition, then=list(then))


def common_steps(values: Values) -> list[Step]:
    """What the options `add_field`, `tags` and `type` of every input do, after its codec."""
    steps = []
    if values["add_field"]:
        steps.append(filter_step("mutate", add_field=values["add_field"]))
    if values["tags"]:
        steps.append(filter_step("mutate", add_tag=[str(tag) for tag in values["tags"]]))
    if values["type"]:
        steps.append(when_step("![type]", filter_step("mutate", add_field={"type": values["type"]})))
    return steps


def ornaments(values: Values, *, original: bool) -> list[Step]:
    """`@version` and `[event][original]`, where they are asked for.

    Args:
        values: of the input.
        original: whether Logstash's codec there keeps the text in `[event][original]`.
    """
    steps = []
    situation = values.situation
    if situation.names("@version"):
        steps.append(when_step("![@version]", filter_step("mutate", add_field={"@version": "1"})))
    if original and situation.names("[event][original]", "event.original"):
        copy = filter_step("mutate", copy={"message": "[event][original]"})
        steps.append(when_step("[message] and ![event][original]", copy))
    return steps
