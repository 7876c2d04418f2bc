"""Writes the lists of `docs/logstash.md` from the plugins' declarations: `.venv/bin/python -P docs/make_logstash.py`.

A test compares the page with what this makes.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from penstock.pipelines.logstash.plugins.catalogue import PLUGINS, REFUSED_PLUGINS, declaration_of
from penstock.pipelines.logstash.plugins.codecs import CODECS, REFUSED_CODECS
from penstock.pipelines.logstash.plugins.declaration import MAPPED, PluginDeclaration, PluginOption
from penstock.pipelines.logstash.reading.flags import IGNORED, REFUSED, TAKEN

PAGE = Path(__file__).with_name("logstash.md")
BEGINS, ENDS = "<!-- made by docs/make_logstash.py: {} -->\n", "<!-- end -->\n"


def page(text: str) -> str:
    """The page with its lists as the declarations have them now."""
    for name, made in (("plugins", _plugins()), ("missing", _missing()), ("flags", _flags())):
        before, _, rest = text.partition(BEGINS.format(name))
        text = before + BEGINS.format(name) + made + ENDS + rest.partition(ENDS)[2]
    return text


def _plugins() -> str:
    found = [declaration_of(section, name) for section, names in PLUGINS.items() for name in names]
    made = "".join(_plugin(each) for each in found if each is not None and each.name != "elastic_agent")
    codecs = "".join(f"- `{name}`: {_codec(options)}\n" for name, options in CODECS.items())
    return f"{made}### Codecs\n\n{codecs}\n"


def _plugin(declared: PluginDeclaration) -> str:
    name = f"`{declared.name}`" + (" and `elastic_agent`" if declared.name == "beats" else "")
    codecs = (
        f" Codecs: {', '.join(f'`{each}`' for each in declared.codecs)}; the first is the default."
        if declared.codecs
        else ""
    )
    head = f"### {declared.section.capitalize()} {name}\n\n{declared.about}{codecs}\n\n"
    rows = "".join(_rows(declared.options))
    return f"{head}| option | becomes | |\n|---|---|---|\n{rows}\n" if rows else head


def _rows(options: Iterable[PluginOption]) -> Iterable[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for option in options:
        name = f"`{option.name}`"
        if option.fate == MAPPED:
            becomes = "mapped"
            if option.to:
                becomes = "=" if option.to == option.name else f"`--{option.to}`"
            notes = [option.note] if option.note else []
            if option.default not in (None, ""):
                notes.append(f"default {_default(option.default)}")
            if option.required:
                notes.append("required")
            if option.until:
                notes.append(f"until Logstash {option.until}")
            if notes or becomes.startswith("`"):
                yield f"| {name} | {becomes} | {_cell('; '.join(notes))} |\n"
            else:
                groups.setdefault((becomes, ""), []).append(name)
        else:
            until = f"; until Logstash {option.until}" if option.until else ""
            groups.setdefault((option.fate, option.note + until), []).append(name)
    for (fate, note), names in sorted(groups.items(), key=lambda each: each[0][0] != "="):
        yield f"| {', '.join(names)} | {f'**{fate}**' if note else fate} | {_cell(note)} |\n"


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"`{value!s}`" if value != "\n" else "a line feed"


def _codec(options: Iterable[PluginOption]) -> str:
    told = []
    for option in options:
        if option.name in ("ecs_compatibility", "enable_metric", "id"):
            continue
        note = f" ({option.note})" if option.note else ""
        told.append(
            f"`{option.name}`{note}" if option.fate == MAPPED else f"`{option.name}` {option.fate}{note}"
        )
    return _cell(", ".join(told))


def _missing() -> str:
    made = []
    for title, names in (
        ("Inputs", REFUSED_PLUGINS["input"]),
        ("Outputs", REFUSED_PLUGINS["output"]),
        ("Codecs", REFUSED_CODECS),
    ):
        groups: dict[str, list[str]] = {}
        for name, instead in names.items():
            groups.setdefault(instead, []).append(f"`{name}`")
        rows = "".join(f"| {', '.join(each)} | {_cell(instead)} |\n" for instead, each in groups.items())
        made.append(f"| {title} | instead |\n|---|---|\n{rows}\n")
    return "".join(made)


def _flags() -> str:
    taken = "".join(f"| `{name}` | `{ours}` |\n" for name, ours in TAKEN.items() if name != "--set")
    groups: dict[tuple[str, str], list[str]] = {}
    for name, (why, _) in IGNORED.items():
        groups.setdefault(("ignored", why), []).append(f"`{name}`")
    for name, why in REFUSED.items():
        groups.setdefault(("refused", why), []).append(f"`{name}`")
    rest = "".join(
        f"| {', '.join(names)} | **{fate}**: {_cell(why)} |\n" for (fate, why), names in groups.items()
    )
    return f"| Logstash | here |\n|---|---|\n{taken}{rest}\n"


def _cell(text: str) -> str:
    text = text.replace("|", r"\|")
    return re.sub(r"(?<![\w`])(--\w[\w.]*|%\{[^}]*\})(?!`)", r"`\1`", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
