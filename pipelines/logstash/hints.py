"""`hints` says what an option of Logstash is called here, for a person who moves a configuration over by hand.

The names, old ones too, are those that `penstock logstash` declares for each plugin.
"""

import functools
from collections.abc import Callable, Sequence

from penstock.pipelines.logstash.plugins.catalogue import declaration_of
from penstock.pipelines.logstash.plugins.declaration import IGNORED, REFUSED

__all__ = ["logstash_hint"]


def logstash_hint(*replaced: tuple[str, str]) -> Callable[[str], str]:
    """Gives the `hint` of a job that replaces these plugins of Logstash, each a section and a name."""
    return functools.partial(_hint, replaced)


def _hint(replaced: Sequence[tuple[str, str]], name: str) -> str:
    """Gives the end of a message about an option that the job doesn't know; empty where Logstash doesn't know it either."""
    for section, plugin in replaced:
        declaration = declaration_of(section, plugin)
        for option in declaration.options if declaration is not None else ():
            if option.name != name or option.to == name:
                continue
            whose = f"; it is of Logstash's {section} {plugin}"
            if option.fate == IGNORED:
                return f"{whose}, and needs nothing here: {option.note}"
            if option.fate == REFUSED:
                return f"{whose}, and can't be had here: {option.note}"
            if option.to:
                return f"{whose}, and called --{option.to} here"
            return f"{whose}: {option.note}" if option.note else ""
    return ""
