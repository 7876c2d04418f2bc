"""`_conditions` makes one condition of all branches around an output, and writes conditions as text."""

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.transforms.logstash.language._tree import (
    Branch,
    Call,
    Comparison,
    Constant,
    Field,
    Joined,
    Negation,
    Pattern,
    Plugin,
)

__all__ = ["plugins_in", "text_of"]


def plugins_in(body: Sequence[Any], around: tuple[Any, ...] = ()) -> Iterator[tuple[Plugin, Any]]:
    """Gives each plugin of a section, with the condition under which an event reaches it; None for every event."""
    for item in body:
        if isinstance(item, Branch):
            before: list[Any] = []
            for condition, items in item.arms:
                own = () if condition is None else (condition,)
                yield from plugins_in(items, (*around, *map(_negated, before), *own))
                before += own
        else:
            yield item, _all_of(around)


def _negated(condition: Any) -> Negation:
    return Negation(Joined([condition], [], condition.at), condition.at)


def _all_of(conditions: tuple[Any, ...]) -> Any:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    closed = [each if isinstance(each, Negation) else Joined([each], [], each.at) for each in conditions]
    return Joined(closed, ["and"] * (len(closed) - 1), conditions[0].at)


def text_of(tree: Any) -> str:
    """Writes a condition as it stands behind `if`."""
    if isinstance(tree, Joined):
        if not tree.operators:
            return f"({text_of(tree.operands[0])})"
        parts = [text_of(tree.operands[0])]
        for operator, operand in zip(tree.operators, tree.operands[1:], strict=True):
            parts += [operator, text_of(operand)]
        return " ".join(parts)
    if isinstance(tree, Negation):
        return f"!{text_of(tree.inner)}"
    if isinstance(tree, Comparison):
        return f"{text_of(tree.left)} {tree.operator} {text_of(tree.right)}"
    if isinstance(tree, Pattern):
        return f"/{tree.text}/"
    if isinstance(tree, Call):
        return f"{tree.name}()"
    if isinstance(tree, Field):
        return tree.text
    return _constant(tree.value) if isinstance(tree, Constant) else ""


def _constant(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_constant, value))}]"
    if isinstance(value, str):
        quote = "'" if '"' in value.replace('\\"', "") or ('\\"' in value and "'" not in value) else '"'
        return f"{quote}{value}{quote}"
    return str(value)
