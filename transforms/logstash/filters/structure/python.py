"""The filter `python` runs code of the configuration's author on each event; Logstash has `ruby` for that.

The code is compiled once. It sees `event`, with `get`, `set`, `remove`, `tag` and `cancel`; names that `init` defines
stay from event to event. It may do everything that this process may, so it runs only with `--allow_code`.
"""

import ast
import textwrap
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Python"]


class Python(Filter):
    """Runs Python on each event; only with `--allow_code`, as it may do whatever the job may."""

    name = "python"
    options = (
        Option(
            "code",
            "string",
            required=True,
            doc="the code; it sees event, with get, set, remove, tag and cancel",
        ),
        Option("init", "string", doc="code that runs once: imports, functions, constants"),
        Option("tag_on_exception", "string", "_pythonexception", doc="the tag of an event whose code raises"),
    )

    def compile(self) -> Work:  # noqa: D102
        if not self.context.allow_code:
            message = "runs code of the configuration's author; --allow_code lets it (allow_code in Python and YAML)"
            raise self.refuse(message, "code")
        names: dict[str, Any] = {"__name__": "python_filter"}
        if self["init"] is not None:
            try:
                exec(compile(_dedented(self["init"]), "init", "exec"), names)  # noqa: S102
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                raise self.refuse(message, "init") from None
        body = textwrap.indent(_dedented(self["code"]), "    ", lambda line: True)
        try:
            exec(compile(f"def run(event):\n    pass\n{body}\n", "code", "exec"), names)  # noqa: S102
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            place = f"line {line - 2} of the code: " if line else ""
            message = f"{place}{getattr(error, 'msg', error)}"
            raise self.refuse(message, "code") from None
        run = names["run"]
        tag = str(self["tag_on_exception"])

        def work(event: LogEvent) -> bool:
            try:
                run(event)
            except Exception:
                event.tag(tag)
                return False
            return True

        return work


def _dedented(code: Any) -> str:
    """Code without the indentation that it has in the configuration; its first line may stand behind the quote."""
    first, newline, rest = str(code).partition("\n")
    if not first.strip():
        return textwrap.dedent(rest)
    written = f"{first.strip()}{newline}{rest}"
    try:
        ast.parse(written)
    except SyntaxError:
        return f"{first.strip()}{newline}{textwrap.dedent(rest)}"
    return written
