"""`_errors` holds two kinds of errors: a configuration cannot start, or a field of an event cannot be reached."""

from collections.abc import Sequence


class ConfigError(ValueError):
    """A configuration is refused; the text says where, what was found, and what was expected.

    Attributes:
        message: what is wrong, without the place.
        line: the line, from 1; None where there is no text (options given in Python).
        column: the column, from 1, in characters.
        expected: what the syntax allows there; empty for other errors.
        others: what is wrong beside it, in the same plugin.
    """

    others: "tuple[ConfigError, ...]" = ()

    def __init__(
        self,
        message: str,
        line: int | None = None,
        column: int | None = None,
        expected: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, line, column, expected)
        self.message = message
        self.line = line
        self.column = column
        self.expected = expected

    @classmethod
    def of(cls, found: "Sequence[ConfigError]") -> "ConfigError":
        """Gives the first of several, which carries the others."""
        first = found[0]
        first.others = tuple(found[1:])
        return first

    def __str__(self) -> str:
        text = (
            self.message if self.line is None else f"line {self.line}, column {self.column}: {self.message}"
        )
        return f"{text}; expected {_listed(self.expected)}" if self.expected else text


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


class FieldError(ValueError):
    """A field cannot be named or set as asked: it costs the event what the filter at work says, never the batch."""


class InvalidReference(FieldError):
    """A text that is no reference to a field: `a[b]`, `[a]b`, `[]`."""


class CannotSet(FieldError):
    """A field that cannot take this value: below a text, or `tags` and `@timestamp` of another type."""


class ConditionError(ValueError):
    """A condition that an event does not let us decide: `[x] > 5` without `x`. Logstash cancels such an event."""
