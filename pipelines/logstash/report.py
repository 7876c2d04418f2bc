"""`report` collects what is wrong in configuration files, and shows each problem with its line and a mark under it.

A line is shown without secrets: what stands behind an option for passwords is hidden, and so is the user in a URL.
Values of variables are in no text: a problem that would tell one names the variable in its place.
"""

import re
from typing import NamedTuple

from penstock.io.errors import OptionError
from penstock.pipelines.logstash.plan import Place
from penstock.transforms.logstash._errors import ConfigError

__all__ = ["ConfigRefused", "Problem", "Report"]

MOST_SHOWN = 20
"""Problems that are shown; the others are counted."""
MOST_LINES = 10
"""Lines that are named of one kind of problem or note; the others are counted."""
OLDEST, NEWEST = 6, 9
"""The values of `--compat`."""
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


class _Reason(NamedTuple):
    """Why something is said at the start; `fate` is empty for a line that stands alone."""

    text: str
    fate: str = ""


class Report:
    """The problems and the notes of one configuration."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._notes: dict[_Reason, list[tuple[Place, str, str]]] = {}
        self._oldest = NEWEST
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
        self._notes.setdefault(_Reason(text), [])

    def ignored(self, place: Place, plugin: str, option: str, why: str) -> None:
        """Adds an option without effect. All that share a reason are one line."""
        self._notes.setdefault(_Reason(why, "ignored"), []).append((place, plugin, option))

    def old(self, place: Place, plugin: str, option: str, why: str, until: int) -> None:
        """Adds an option that only the Logstash `until` and older ones have. All of them are one line."""
        self._oldest = min(self._oldest, max(until, OLDEST))
        self._notes.setdefault(_Reason("", "old"), []).append((place, f"{plugin}: {why}", option))

    @property
    def notes(self) -> list[str]:
        """The lines that the start says, in the order in which their reasons came up."""
        return [self._without_values(self._line(reason, given)) for reason, given in self._notes.items()]

    def _line(self, reason: "_Reason", given: "list[tuple[Place, str, str]]") -> str:
        if not reason.fate:
            return reason.text
        groups: dict[str, list[str]] = {}
        for _, plugin, option in given:
            options = groups.setdefault(plugin, [])
            if option not in options:
                options.append(option)
        several = sum(map(len, groups.values())) > 1
        places = _places([place for place, _, _ in given])
        if reason.fate == "ignored":
            names = "; ".join(f"{plugin}: {', '.join(options)}" for plugin, options in groups.items())
            return f"{places}: {names} {'are' if several else 'is'} ignored: {reason.text}"
        told = []
        for group, options in groups.items():
            plugin, _, why = group.partition(": ")
            told.append(f"{plugin}: {', '.join(options)}{f' ({why})' if why else ''}")
        return (
            f"{places}: only older versions of Logstash have {'these' if several else 'this'} "
            f"(--compat {self._oldest} takes all of their defaults); taken: {'; '.join(told)}"
        )

    def require_none(self) -> None:
        """Raises `ConfigRefused` where there are problems."""
        if self.problems:
            raise ConfigRefused(self.text())

    def text(self) -> str:
        """Gives every problem, in the order of files and lines, each with its line and a mark.

        Problems of the same words are shown once, with the other places.
        """
        order = {file: number for number, file in enumerate(self._texts)}
        found = sorted(
            self.problems,
            key=lambda each: (order.get(each.place.file, -1), *each.place[1:]) if each.place else (-2, 0, 0),
        )
        groups: dict[str, list[Problem]] = {}
        for each in found:
            groups.setdefault(each.message, []).append(each)
        shown = [self._shown(first, others) for first, *others in list(groups.values())[:MOST_SHOWN]]
        if len(groups) > MOST_SHOWN:
            shown.append(f"... and {len(groups) - MOST_SHOWN} more")
        return "\n".join(shown)

    def _shown(self, problem: Problem, others: list[Problem]) -> str:
        if problem.place is None:
            return problem.message
        told = f"{problem.place}: {problem.message}"
        if others:
            places = [each.place for each in others if each.place]
            told += f" (also at {_places(places)})".replace(f"{problem.place.file}:", "line ", 1)
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
    """Gives a line of a text, at most 100 characters of it, with a mark under a column."""
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


def _places(places: list[Place]) -> str:
    """`a.conf:3,9, b.conf:2`: the lines of each file."""
    files: dict[str, set[int]] = {}
    for place in places:
        files.setdefault(place.file, set()).add(place.line)
    return ", ".join(f"{file}:{_lines(lines)}" if any(lines) else file for file, lines in files.items())


def _lines(lines: set[int]) -> str:
    more = len(lines) - MOST_LINES
    return ",".join(map(str, sorted(lines)[:MOST_LINES])) + (f" and {more} more" if more > 0 else "")


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
