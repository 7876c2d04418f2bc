"""`_grok_store` puts what a grok match captured into the event: a new field is set, one that is there becomes an array.

Nearly every capture goes into a field that isn't there, below objects that are there or can be made. For these the
captures of an expression become one Python function. Where an event holds nothing at the top that a capture names, whole
objects are made at once. Else each object on the way is looked up once for an event, whatever the number of fields below
it. All else goes by references, which know the rules. The function's text holds nothing of a configuration but keys as
literals (`repr`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.logstash.fields.source import MAX_DEPTH
from penstock.transforms.logstash.filters.patterns._expand import to_integer
from penstock.transforms.logstash.values._references import Nested, Reference
from penstock.transforms.logstash.values.event import MISSING, LogEvent

Groups = tuple[Any, ...]
Store = Callable[[LogEvent, Groups], None]
Capture = tuple[int, Reference, bool, Callable[[str], Any] | None]
"""The place among the groups, the field, whether it is replaced, and what converts the text."""


def store_of(captures: Sequence[Capture], *, keep_empty: bool) -> Store:
    """Makes the function that stores the groups of a match, in the order of `captures`."""
    return _Writer(keep_empty).function(captures)


_Tree = dict[str, Any]
"""Captures by the keys of their fields: an expression for the value and one for whether it is stored, or another tree."""


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
        tree = self._tree(captures)
        if tree:
            head.append(f" if {' and '.join(f'{key!r} not in document' for key in tree)}:")
            self._lines = []
            self._fresh(tree, "document", "  ", 0)
            head += ["  size = len(document)", *self._lines]
            head += ["  if len(document) != size: event.changed = True", "  return"]
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

    def _tree(self, captures: Sequence[Capture]) -> _Tree | None:
        """Gives the captures as a tree; None where one is not plain, or two of them meet."""
        tree: _Tree = {}
        for number, (group, field, _, convert) in enumerate(captures):
            if not _is_paved(field):
                return None
            node = tree
            for key in field.path[:-1]:
                node = node.setdefault(key, {})
                if type(node) is not dict:
                    return None
            if field.path[-1] in node:
                return None
            value = f"groups[{group}]"
            stored = value if convert is None else f"{value} is not None"
            if convert is not None:
                made = f"convert{number}(value)"
                if convert is to_integer:  # one call less for nearly all of them
                    made = f"int(value) if value.isdecimal() and value.isascii() and len(value) < 4300 else {made}"
                value = f"(None if (value := {value}) is None else {made})"
            node[field.path[-1]] = (value, "True" if self._keep_empty else stored)
        return tree

    def _fresh(self, tree: _Tree, into: str, indent: str, depth: int) -> None:
        """Writes the lines that store a tree in a new object, or in a document that holds none of its keys."""
        for key, node in tree.items():
            conditions, literal = _conditions(node), _literal(node)
            self._lines.append(f"{indent}if {' and '.join(conditions)}: {into}[{key!r}] = {literal}")
            if type(node) is dict and len(conditions) > 1:
                self._lines += [f"{indent}else:", f"{indent} n{depth} = {{}}"]
                self._fresh(node, f"n{depth}", indent + " ", depth + 1)
                self._lines.append(f"{indent} if n{depth}: {into}[{key!r}] = n{depth}")

    def _object(self, path: tuple[str, ...], indent: str) -> str:
        """Gives the variable with the object at `path`; writes the lines that look it up."""
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


def _conditions(node: Any) -> list[str]:
    """When all captures of a tree are stored."""
    if type(node) is tuple:
        return [node[1]]
    return [condition for inner in node.values() for condition in _conditions(inner)]


def _literal(node: Any) -> str:
    """Gives a tree of which everything is stored, as an expression."""
    if type(node) is tuple:
        return str(node[0])
    return f"{{{', '.join(f'{key!r}: {_literal(inner)}' for key, inner in node.items())}}}"


_FORGET = "forget()"
"""Stands for what forgets the objects, as a field that is replaced may have been one."""

_SPECIAL = ("tags", "@timestamp", "@metadata")


def _is_paved(field: Reference) -> bool:
    """Says whether plain objects lead to the field, not too many of them, and it takes any value."""
    if len(field.path) > MAX_DEPTH:
        return False
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
