"""`_variables` replaces `${NAME}` and `${NAME:default}` by the environment's values.

Logstash's configurations and ours have the same variables. There is no escape: a text can't hold a literal `${NAME}`.
"""

import re
from collections.abc import Mapping

VARIABLE = re.compile(r"\$\{([a-zA-Z_.][a-zA-Z0-9_.]*)(?::([^}]*))?\}")
"""A variable: its name, and its default or None."""


class UnknownVariable(ValueError):
    """A variable has neither value nor default."""


def looked_up(found: "re.Match[str]", env: Mapping[str, str]) -> str:
    """Gives the value of a variable, or its default. Raises `UnknownVariable`."""
    name, default = found.groups()
    value: str | None = env.get(name, default)
    if value is None:
        message = (
            f"${{{name}}}: the environment has no variable {name}; set it, or give a default: ${{{name}:...}} "
            "(a keystore isn't read)"
        )
        raise UnknownVariable(message)
    return value


def expanded(text: str, env: Mapping[str, str]) -> str:
    """`text` with each variable in it replaced. Raises `UnknownVariable`."""
    return VARIABLE.sub(lambda found: looked_up(found, env), text) if "${" in text else text


def is_variable(text: str) -> bool:
    """Whether the text is nothing but a variable, without a default."""
    found = VARIABLE.fullmatch(text)
    return found is not None and not found[2]


def named_in(text: str, env: Mapping[str, str]) -> dict[str, str]:
    """The variables that the text names, of those that there are: other machines need no more, and may not have them."""
    names = (found[1] for found in VARIABLE.finditer(text))
    return {name: env[name] for name in names if name in env}
