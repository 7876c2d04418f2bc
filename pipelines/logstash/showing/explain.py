"""`explain` writes a plan as lines: each step, its options, and where each value came from."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.pipelines.logstash.reading._conditions import text_of
from penstock.pipelines.logstash.reading.planner import Part, Planned
from penstock.transforms.logstash.language._tree import Branch, Places, Plugin

__all__ = ["explained", "shown"]

_USER_INFO = re.compile(r"(?<=//)[^/@\s\"']+(?=@)|^[^/@\s:]+:[^/@\s]+(?=@)")
_WIDTH = 44


def explained(planned: Planned, texts: dict[str, str], dead_letters: str) -> str:
    """Writes the graph, one line per step and per option.

    Args:
        planned: the plan and its parts.
        texts: the files' texts by their names, for the lines of filters.
        dead_letters: the URL of the store for refused events.
    """
    lines = [f"pipeline {planned.plan.name}"]
    for part in planned.parts:
        if part.section == "input":
            lines += _part(part)
    for file, section in planned.filters:
        places = Places(texts[file])
        lines += [
            f"{'  ' * depth}{text:{max(2, _WIDTH - 2 * depth)}} {file}:{places.of(at)[0]}"
            for depth, text, at in _filters(section.body, 0)
        ]
    for part in planned.parts:
        if part.section == "output":
            lines += _part(part)
    lines += [
        f"dead letters {dead_letters}",
        "acknowledge: when all outputs have the event, or the letter is kept",
    ]
    lines += [f"note: {note}" for note in planned.plan.notes]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> Iterator[str]:
    item = part.item
    condition = getattr(item, "condition_text", "")
    place = f"{item.place.file}:{item.place.line}"
    yield f"{part.section} {part.declared.name} ({item.name}) at {place}{f' if {condition}' if condition else ''}"
    usual = []
    for setting in part.settings:
        if setting.source == "default":
            usual.append(f"{setting.name}={shown(setting.value)}")
        else:
            told = f"{setting.name} = {shown(setting.value)}"
            yield f"    {told:{_WIDTH}} {setting.source}"
    if usual:
        yield f"    defaults: {', '.join(usual)}"


def _filters(body: Sequence[Any], depth: int) -> Iterator[tuple[int, str, int]]:
    for item in body:
        if isinstance(item, Plugin):
            yield depth, f"filter {item.name}", item.at
        elif isinstance(item, Branch):
            for number, (condition, items) in enumerate(item.arms):
                word = (
                    "else" if condition is None else f"{'else if' if number else 'if'} {text_of(condition)}"
                )
                yield depth, word, item.at if condition is None else condition.at
                yield from _filters(items, depth + 1)


def shown(value: Any) -> str:
    """Writes a value as a configuration does, without the user in a URL."""
    if isinstance(value, str):
        text = _USER_INFO.sub("***", value)
        plain = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
        return plain if len(plain) < 200 else f"{plain[:200]}..."
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} => {shown(each)}' for key, each in value.items())}}}"
    return str(value)
