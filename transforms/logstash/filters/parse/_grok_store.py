"""`_grok_store` puts what a grok match captured into the event: a new field is set, one that is there becomes an array.

Nearly every capture goes into a field that isn't there, below objects that are there or can be made. For these the
captures of an expression become one Python function: each object on the way is looked up once for an event, whatever
the number of fields below it. All else goes by references, which know the rules. The function's text holds nothing of
a configuration but keys as literals (`repr`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.logstash.event import MISSING, LogEvent
from penstock.transforms.logstash.language._references import Nested, Reference

Groups = tuple[Any, ...]
Store = Callable[[LogEvent, Groups], None]
Capture = tuple[int, Reference, bool, Callable[[str], Any] | None]
"""The place among the groups, the field, whether it is replaced, and what converts the text."""


def store_of(captures: Sequence[Capture], *, keep_empty: bool) -> Store:
    """What stores the groups of a match, in the order of `captures`."""
    return _Writer(keep_empty).function(captures)


class _Writer:
    """Writes the function. `o0`, `o1` ... are the objects on the way: None until looked up, False where none can be."""

    def __init__(self, keep_empty: bool) -> None:
        self._keep_empty = keep_empty
        self._values: dict[str, Any] = {"slowly": _store_slowly, "MISSING": MISSING}
        self._objects: dict[tuple[str, ...], str] = {}
        self._lines: list[str] = []

    def function(self, captures: Sequence[Capture]) -> Store:
        for number, (group, field, overwrite, convert) in enumerate(captures):
            self._capture(number, group, field, overwrite, convert)
        head = ["def store(event, groups):", " document = event.document", " stored = False"]
        forget = "".join(f"{name} = " for name in self._objects.values()) + "None"
        lines = [line.replace(_FORGET, forget) for line in self._lines]
        text = "\n".join(
            [*head, f" {forget}" if self._objects else "", *lines, " if stored: event.changed = True"]
        )
        exec(compile(text, "<captures of grok>", "exec"), self._values)  # noqa: S102
        found: Store = self._values["store"]
        return found

    def _capture(
        self, number: int, group: int, field: Reference, overwrite: bool, convert: Callable[[str], Any] | None
    ) -> None:
        self._values[f"field{number}"] = field
        slow = f"stored = event.changed = True; slowly(event, field{number}, value, {overwrite}); {_FORGET}"
        skips_empty = not self._keep_empty and convert is None
        self._lines.append(f" value = groups[{group}]")
        if not self._keep_empty:
            self._lines.append(" if value:" if skips_empty else " if value is not None:")
        else:
            self._lines.append(" if True:")
        if convert is not None:
            self._values[f"convert{number}"] = convert
            self._lines.append(f"  if value is not None: value = convert{number}(value)")
        if not _is_paved(field):
            self._lines.append(f"  {slow}")
            return
        parent = self._object(field.path[:-1], "  ")
        key = repr(field.path[-1])
        self._lines += [
            f"  if {parent} is not False and {key} not in {parent}:",
            f"   {parent}[{key}] = value",
            "   stored = True",
            "  else:",
            f"   {slow}",
        ]

    def _object(self, path: tuple[str, ...], indent: str) -> str:
        """The variable with the object at `path`; writes the lines that look it up."""
        if not path:
            return "document"
        name = self._objects.setdefault(path, f"o{len(self._objects)}")
        self._lines.append(f"{indent}if {name} is None:")
        outer = self._object(path[:-1], indent + " ")
        key = repr(path[-1])
        self._lines += [
            f"{indent} {name} = False if {outer} is False else {outer}.get({key}, MISSING)",
            f"{indent} if {name} is MISSING: {name} = {outer}[{key}] = {{}}",
            f"{indent} elif type({name}) is not dict: {name} = False",
        ]
        return name


_FORGET = "forget()"
"""Stands for what forgets the objects, as a field that is replaced may have been one."""

_SPECIAL = ("tags", "@timestamp", "@metadata")


def _is_paved(field: Reference) -> bool:
    """Whether plain objects lead to the field, and it takes any value."""
    if type(field) is Reference:
        return field.path[0] not in _SPECIAL
    numbers = any(key.lstrip("+-").isdigit() for key in field.path)
    return type(field) is Nested and field.path[0] not in _SPECIAL[:2] and not numbers


def _store_slowly(event: LogEvent, field: Reference, value: Any, overwrite: bool) -> None:
    held = field.get(event)
    if overwrite or held is MISSING or held is None:
        field.set(event, value)
    elif type(held) is list:
        field.set(event, [*held, value])
    elif type(held) is str:
        field.set(event, [held, value])
