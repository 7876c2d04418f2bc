"""A template of dissect (`%{a} %{+b/2} %{?c->}`) as what its matcher needs: delimiters, and what is stored where."""

import re
from typing import NamedTuple

_FIELD = re.compile(r"(.*?)%\{(.*?)\}", re.DOTALL)
_SUFFIX = re.compile(r"(?:(->)(?:/(\d{1,2}))?|/(\d{1,2})(->)?)\Z")
_PADDED = re.compile(r"->\Z")


class BadTemplate(ValueError):
    """A template that cannot mean anything."""


class Field(NamedTuple):
    """One field of a template.

    Attributes:
        kind: `plain`, `skip`, `append` or `indirect`.
        name: the field, or for `indirect` the field that holds the name.
        before: the delimiter in front of it.
        after: the delimiter behind it; empty for the rest of the text.
        padded: whether the delimiter behind it may repeat.
        order: among those that append.
    """

    kind: str
    name: str
    before: str
    after: str
    padded: bool
    order: int


def parse_template(template: str) -> list[Field]:
    """The fields of a template.

    Raises:
        BadTemplate: a field that names nothing, or with two kinds at once.
    """
    found = list(_FIELD.finditer(template))
    fields = []
    for index, part in enumerate(found):
        last = index + 1 == len(found)
        after = template[part.end() :] if last else found[index + 1][1]
        if last and "}" in after:
            after = ""  # Logstash does not see such a delimiter
        fields.append(_field(part[2], part[1], after))
    return fields


def _field(text: str, before: str, after: str) -> Field:
    prefix = text[:1]
    if prefix not in ("+", "&", "?"):
        name = _PADDED.sub("", text)
        return Field("plain" if name else "skip", name, before, after, name != text, 0)
    padded, order = False, 0
    name = text[1:]
    if prefix == "+":
        if suffix := _SUFFIX.search(name):
            padded = bool(suffix[1] or suffix[4])
            order = int(suffix[2] or suffix[3] or 0)
            name = name[: suffix.start()]
    else:
        name = _PADDED.sub("", name)
        padded = name != text[1:]
    if prefix == "?":
        return Field("skip", name, before, after, padded, 0)
    if not name or name[0] in "+&":
        message = f"%{{{text}}} names no field"
        raise BadTemplate(message)
    return Field("append" if prefix == "+" else "indirect", name, before, after, padded, order)


Cut = tuple[str, int, bool]
"""A delimiter, its length, and whether it may repeat."""


def cuts_of(fields: list[Field]) -> list[Cut] | None:
    """The delimiters behind the fields but the last, or None where nothing tells two fields apart."""
    cuts = [(field.after, len(field.after), field.padded) for field in fields]
    if any(not delimiter for delimiter, _, _ in cuts[:-1]):
        return None
    return cuts if cuts[-1][0] else cuts[:-1]


def find_values(text: str, fields: list[Field], cuts: list[Cut] | None) -> list[str] | None:
    """The text of each field, or None where a delimiter is missing."""
    first = fields[0].before
    if cuts is None or not text.startswith(first):
        return None
    place = len(first)
    values: list[str] = []
    keep = values.append
    find = text.find
    for delimiter, length, padded in cuts:
        found = find(delimiter, place)
        if found < 0:
            return None
        keep(text[place:found])
        if found == 0:
            continue  # Logstash stays where it is
        place = found + length
        if padded:
            while text.startswith(delimiter, place):
                place += length
    if len(cuts) < len(fields):
        keep(text[place:])
    return values
