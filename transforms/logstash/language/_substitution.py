"""`_substitution` replaces variables, `${NAME}` and `${NAME:default}`, by the environment's values, once at the start.

- Logstash looks twice: first for texts that are only a variable, then within texts. Only a value from the second look
  loses the quotes around it, and becomes an array when it looks like one.
- Keys of hashes and names stay as they are. In conditions only a text that is nothing but a variable is one.
- Logstash's keystore is not read: put secrets into the environment.

Escapes in texts are replaced only with `config.support_escapes`, when the text is parsed, before its variables.
"""

import re
from collections.abc import Mapping
from typing import Any

from penstock.transforms._variables import VARIABLE, expanded, looked_up
from penstock.transforms.logstash.language._tree import Plugin, Setting

_ESCAPE = re.compile(r"\\(.)")
_MEANING = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def unescape(text: str) -> str:
    """`text` with its escapes replaced; a backslash before any other character stays."""
    return _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[0]), text) if "\\" in text else text


def whole_variable(text: str, env: Mapping[str, str]) -> str:
    """Replaces a text that is nothing but a variable; any other stays as it is. Raises `UnknownVariable`."""
    found = VARIABLE.fullmatch(text)
    return text if found is None else looked_up(found, env)


def substitute(value: Any, env: Mapping[str, str]) -> Any:
    """Replaces the variables of a plugin's option. Raises `UnknownVariable`."""
    if isinstance(value, str):
        return _refined(value, env) if "$" in value else value
    if isinstance(value, list):
        return [substitute(each, env) for each in value]
    if isinstance(value, dict):
        return {key: substitute(each, env) for key, each in value.items()}
    if isinstance(value, Plugin):
        settings = [Setting(each.name, substitute(each.value, env), each.at) for each in value.settings]
        return Plugin(value.name, settings, value.at)
    return value


def _refined(text: str, env: Mapping[str, str]) -> Any:
    text = whole_variable(text, env)
    made = expanded(text, env)
    if VARIABLE.search(text) is None:
        return made
    bare = _unquoted(made)
    if len(bare) > 1 and bare[0] == "[" and bare[-1] == "]":
        return [_unquoted(each.strip()) for each in _ruby_split(bare[1:-1])]
    return bare


def _unquoted(text: str) -> str:
    for quote in ("'", '"'):
        if text.startswith(quote) and text.endswith(quote):
            text = text[1:-1]
    return text


def _ruby_split(text: str) -> list[str]:
    parts = text.split(",")
    while parts and not parts[-1]:
        parts.pop()
    return parts
