"""A chain's steps become one Python function: what an event passes is a few look-ups in a dict, not a call for each step.

Twenty closures cost an event 4 us where the same lines in one function cost 1.5: so filters write their usual case
(a plain field at the top, a constant) as lines, and call their own function for every other. The lines hold nothing of
a configuration but texts as literals (`repr`); everything else is a value bound to a name.

Within the function `event` is the event, `document` its document, `MISSING` stands for a field that isn't there.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from penstock.transforms.logstash.event import MISSING, LogEvent, deep_copy
from penstock.transforms.logstash.language._references import Reference
from penstock.transforms.logstash.language._sprintf import Template

__all__ = ["Source", "plain_key", "text_of"]

MAX_DEPTH = 15
"""Beyond this many levels a branch is a function of its own: Python's parser takes 100."""


class Source:
    """The lines of a function of an event, and the values that they name."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._values: dict[str, Any] = {"MISSING": MISSING, "deep_copy": deep_copy}
        self._names: dict[int, str] = {}
        self.depth = 1

    def bind(self, value: Any) -> str:
        """The name of a value in the function."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = f"v{len(self._values)}"
            self._values[name] = value
        return name

    def line(self, *lines: str) -> None:
        """Adds lines at the present depth."""
        self._lines += [f"{' ' * self.depth}{line}" for line in lines]

    @contextlib.contextmanager
    def deeper(self) -> Iterator[None]:
        """Lines within are a level deeper."""
        self.depth += 1
        yield
        self.depth -= 1

    def function(self) -> Callable[[LogEvent], None]:
        """The function of the lines."""
        body = "\n".join(self._lines)
        text = f"def step(event):\n document = event.document\n{body}\n"
        exec(compile(text, "<chain of filters>", "exec"), self._values)  # noqa: S102
        found: Callable[[LogEvent], None] = self._values["step"]
        return found


def plain_key(reference: Reference) -> str | None:
    """The key of a field at the document's top that has no rules of its own, as a literal; else None."""
    return repr(reference.path[0]) if type(reference) is Reference else None


def text_of(template: Template, source: Source) -> str:
    """An expression for a template's text."""
    if template.constant is not None:
        return repr(template.constant)
    if template.parts is None:
        return f"{source.bind(template.render)}(event)"
    texts = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(repr(part))
        elif part.key is None:
            texts.append(f"{source.bind(part.render)}(event)")
        else:
            texts.append(
                f"(text if type(text := document.get({part.key!r})) is str else {source.bind(part.render)}(event))"
            )
    return " + ".join(texts)
