"""`report` collects what is wrong in configuration files, and shows each problem with its line and a mark under it.

A line is shown without secrets: what stands behind an option for passwords is hidden, and so is the user in a URL.
Values of variables are in no text: a problem that would tell one names the variable in its place.
"""

import re
from typing import NamedTuple

from penstock.io.errors import OptionError
from penstock.pipelines.logstash.plan import Place
from penstock.transforms.logstash.language._errors import ConfigError

__all__ = ["ConfigRefused", "Problem", "Report"]

MOST_SHOWN = 20
"""Problems that are shown; the others are counted."""
_WIDTH = 100
_SECRET = re.compile(
    r"""(?i)((?:password|passphrase|secret\w*|api_key|access_key|cloud_auth|token)["']?\s*=>\s*)("[^"]*"?|'[^']*'?|[^\s}]+)"""
)
_USER_INFO = re.compile(r"(?<=//)[^/@\s\"']+(?=@)")


class ConfigRefused(OptionError):
    """A configuration cannot start; its text holds every problem, each with its line."""


class Problem(NamedTuple):
    """One fault of a configuration. `place` is None where it has none: a flag, the whole."""

    place: Place | None
    message: str


class Report:
    """The problems and the notes of one configuration."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._texts: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def knows(self, file: str, text: str) -> None:
        """Keeps a file's text, so that its lines can be shown."""
        self._texts[file] = text

    def hide(self, variable: str, value: str) -> None:
        """Keeps a variable's value, so that no message tells it."""
        if value:
            self._values[value] = variable

    def problem(self, place: Place | None, message: str) -> None:
        """Adds a problem. The same one at the same place counts once."""
        found = Problem(place, self._without_values(message))
        if found not in self.problems:
            self.problems.append(found)

    def config_error(self, file: str, error: ConfigError) -> None:
        """Adds an error of the language or of a filter."""
        place = None if error.line is None else Place(file, error.line, error.column or 1)
        expected = f"; expected {_listed(error.expected)}" if error.expected else ""
        self.problem(place, error.message + expected)

    def note(self, text: str) -> None:
        """Adds a line that the start says; a second time it is not said again."""
        text = self._without_values(text)
        if text not in self.notes:
            self.notes.append(text)

    def require_none(self) -> None:
        """Raises `ConfigRefused` where there are problems."""
        if self.problems:
            raise ConfigRefused(self.text())

    def text(self) -> str:
        """Every problem, in the order of files and lines, each with its line and a mark."""
        order = {file: number for number, file in enumerate(self._texts)}
        found = sorted(
            self.problems,
            key=lambda each: (order.get(each.place.file, -1), *each.place[1:]) if each.place else (-2, 0, 0),
        )
        shown = [self._shown(each) for each in found[:MOST_SHOWN]]
        if len(found) > MOST_SHOWN:
            shown.append(f"... and {len(found) - MOST_SHOWN} more")
        return "\n".join(shown)

    def _shown(self, problem: Problem) -> str:
        if problem.place is None:
            return problem.message
        told = f"{problem.place}: {problem.message}"
        text = self._texts.get(problem.place.file)
        return (
            told
            if text is None or not problem.place.line
            else f"{told}\n{marked(text, problem.place.line, problem.place.column)}"
        )

    def _without_values(self, message: str) -> str:
        for value in sorted(self._values, key=len, reverse=True):
            message = message.replace(repr(value), f"${{{self._values[value]}}}")
            if len(value) > 2:
                message = message.replace(value, f"${{{self._values[value]}}}")
        return _SECRET.sub(lambda found: f"{found[1]}***", message)


def marked(text: str, line: int, column: int) -> str:
    """A line of a text, at most 100 characters of it, with a mark under a column."""
    lines = text.split("\n", line)
    whole = lines[line - 1].rstrip("\r") if line <= len(lines) else ""
    whole = _SECRET.sub(lambda found: found[1] + "*" * len(found[2]), whole[: column + 10 * _WIDTH])
    whole = _USER_INFO.sub(lambda found: "*" * len(found[0]), whole)
    start = max(0, column - 1 - _WIDTH // 2) if len(whole) > _WIDTH else 0
    part = whole[start : start + _WIDTH]
    shown = "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in part.replace("\t", " ")
    )
    head = f"  {line} | "
    return f"{head}{shown}\n{' ' * (len(head) + column - 1 - start)}^"


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
