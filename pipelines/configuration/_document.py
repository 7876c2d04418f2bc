"""`_document` reads YAML so that every part knows its line and every value keeps the text that was typed.

A value's type is that of its option, not what YAML would make of the text: `no` is a good name of a country's index,
and 0777 no number of another base. So nodes are taken as they are composed, and never turned into Python values.
Anchors, aliases and `<<` work.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from penstock.io.errors import OptionError

_PLAIN = "tag:yaml.org,2002:"


def compose(text: str, name: str) -> Any:
    """Gives the document's root node; None for an empty document. Raises `OptionError` with file and line."""
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        message = f"{name}:{line}: no YAML: {_one_line(error.problem or error.context)}"
        raise OptionError(message) from error
    except (yaml.YAMLError, RecursionError) as error:
        message = f"{name}: no YAML: {_one_line(str(error))}"
        raise OptionError(message) from error


def _one_line(text: str | None) -> str:
    found = " ".join((text or "it can't be read").split())[:200]
    if "'\\t'" in found:
        return f"{found}; indent by spaces"
    quoted = "cannot start any token" in found
    return f"{found}; put quotes around the value" if quoted else found


def line_of(node: Any) -> int:
    """Gives the line in the file, from 1."""
    return int(node.start_mark.line) + 1


def is_empty(node: Any) -> bool:
    """Whether nothing is given: an empty value, null or ~."""
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == f"{_PLAIN}null")


def is_mapping(node: Any) -> bool:
    """Whether it has names and values."""
    return isinstance(node, yaml.MappingNode)


def is_true_or_false(node: Any) -> bool:
    """Whether YAML takes the value for true or false."""
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{_PLAIN}bool"


def entries(node: Any, name: str, what: str) -> Iterator[tuple[str, int, Any]]:
    """Gives the key, its line and the value of each entry of a mapping.

    Raises:
        OptionError: it is something else, or a key comes twice.
    """
    if is_empty(node):
        return
    if not isinstance(node, yaml.MappingNode):
        message = f"{name}:{line_of(node)}: {what} must be a mapping (NAME: VALUE, indented)."
        raise OptionError(message)
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag != f"{_PLAIN}merge":
            if not isinstance(key, yaml.ScalarNode):
                message = f"{name}:{line_of(key)}: a name in {what} must be a text."
                raise OptionError(message)
            if key.value in seen:
                message = (
                    f"{name}:{line_of(key)}: {key.value} is there twice (first in line {seen[key.value]})."
                )
                raise OptionError(message)
            seen[key.value] = line_of(key)
    if len(seen) < len(node.value):
        _merge(node, name)
    last = {key.value: (key, value) for key, value in node.value}  # what is merged comes first, and gives way
    for key, value in last.values():
        yield str(key.value), line_of(key), value


def _merge(node: Any, name: str) -> None:
    try:
        yaml.SafeLoader("").flatten_mapping(node)
    except yaml.YAMLError as error:
        message = f"{name}:{line_of(node)}: << takes a mapping, or a list of them."
        raise OptionError(message) from error


def value_of(node: Any, place: str) -> Any:
    """Gives a text, a list of texts, or a dictionary of them. Raises `OptionError` for deeper values and for tags."""
    if isinstance(node, yaml.SequenceNode):
        return [_text(each, place) for each in node.value]
    if isinstance(node, yaml.MappingNode):
        return {_text(key, place): _text(value, place) for key, value in node.value}
    return _text(node, place)


def _text(node: Any, place: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        message = (
            f"{place}: a value is a text, a number, true or false, a list of those, or NAME: VALUE pairs."
        )
        raise OptionError(message)
    if not node.tag.startswith(_PLAIN):
        message = f"{place}: tags ({node.tag}) are not known here."
        raise OptionError(message)
    return "" if is_empty(node) else str(node.value)
