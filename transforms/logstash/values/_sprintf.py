"""`_sprintf` compiles a template, `text %{field} %{+YYYY.MM.dd} %{{HH:mm}}`, into a function of an event.

- A field that is missing or null leaves its `%{field}` in the text. An opening without its brace is text.
- Arrays are joined with commas, objects written as JSON, numbers as Java writes them.
- A reference or a date's pattern that cannot be read fails when an event comes, not at the start.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.transforms.logstash.values._date_formats import BadPattern, Render, java_format, joda_format
from penstock.transforms.logstash.values._references import MISSING, Reference, reference_or_bad
from penstock.transforms.logstash.values._ruby import java_float, java_text, json_text, ruby_text
from penstock.transforms.logstash.values._times import Timestamp

if TYPE_CHECKING:
    from penstock.transforms.logstash.values.event import LogEvent

_Render = Callable[["LogEvent"], str]


class Part(NamedTuple):
    """A piece of a template that events fill.

    Attributes:
        render: the function that makes its text.
        field: the field that it is; None where it is none.
    """

    render: _Render
    field: Reference | None = None


class Template:
    """A compiled template.

    Attributes:
        constant: its text where no event changes it, else None.
        render: the function that makes the text of an event.
        parts: its pieces in order, texts and others.
    """

    __slots__ = ("constant", "parts", "render")

    def __init__(self, constant: str | None, render: _Render, parts: list[str | Part] | None = None) -> None:
        self.constant = constant
        self.render = render
        self.parts = parts or []


def compile_template(value: Any, now: Callable[[], str]) -> Template:
    """Compiles an option's value. A value that is no text is written as Ruby writes it.

    Args:
        value: the text.
        now: the clock, for `%{{TIME_NOW}}`.
    """
    if not isinstance(value, str):
        return _constant(ruby_text(value))
    parts = _parts(value, now)
    if all(isinstance(part, str) for part in parts):
        return _constant(value)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return Template(None, parts[0].render, parts)
    return Template(None, _joined([part if isinstance(part, str) else part.render for part in parts]), parts)


def _constant(text: str) -> Template:
    return Template(text, lambda event: text)


def _joined(parts: list[str | _Render]) -> _Render:
    if len(parts) == 2:
        first, second = parts
        if isinstance(first, str) and not isinstance(second, str):
            return lambda event: first + second(event)
        if isinstance(second, str) and not isinstance(first, str):
            return lambda event: first(event) + second

    def render(event: "LogEvent") -> str:
        return "".join([part if isinstance(part, str) else part(event) for part in parts])

    return render


def _parts(text: str, now: Callable[[], str]) -> list[str | Part]:
    parts: list[str | Part] = []
    at = 0
    while True:
        start = text.find("%{", at)
        end = text.find("}", start) if start >= 0 else -1
        if end < 0:
            break
        if start > at:
            parts.append(text[at:start])
        inside = text[start + 2 : end]
        if "+%s".startswith(inside):  # by an accident of Logstash's, %{} and %{+} are epoch seconds too
            parts.append(Part(_seconds))
        elif inside.startswith("{") and text[end + 1 : end + 2] == "}":
            end += 1
            parts.append(
                Part((lambda event: now()) if inside == "{TIME_NOW" else _date(java_format, inside[1:]))
            )
        elif inside.startswith("+"):
            parts.append(Part(_date(joda_format, inside[1:])))
        else:
            parts.append(_field(inside))
        at = end + 1
    if at < len(text):
        parts.append(text[at:])
    return parts


def _time(event: "LogEvent") -> Timestamp | None:
    value = event.document.get("@timestamp")
    return Timestamp(value) if isinstance(value, str) else None


def _seconds(event: "LogEvent") -> str:
    time = _time(event)
    return "" if time is None else str(time.seconds)


def _date(compiled: Callable[[str], Render], pattern: str) -> _Render:
    try:
        write = compiled(pattern)
    except BadPattern as error:
        problem = error

        def fail(event: "LogEvent") -> str:
            raise problem

        return fail

    def render(event: "LogEvent") -> str:
        time = _time(event)
        return "" if time is None else write(time)

    return render


def _field(name: str) -> Part:
    reference = reference_or_bad(name)
    get = reference.get
    unchanged = f"%{{{name}}}"
    if reference.path == ("@version",):
        # Every event of Logstash has one; ours may lack it.
        return Part(lambda event: _text_of(event.document.get("@version", "1"), unchanged))

    def render(event: "LogEvent") -> str:
        value = get(event)
        return value if type(value) is str else _text_of(value, unchanged)

    return Part(render, reference)


def _text_of(value: Any, unchanged: str) -> str:
    if value is MISSING or value is None:
        return unchanged
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return java_float(value)
    return _listed(value) if isinstance(value, list) else json_text(value)


def _listed(values: list[Any]) -> str:
    return ",".join(
        [
            "" if each is None else (_listed(each) if isinstance(each, list) else java_text(each))
            for each in values
        ]
    )
