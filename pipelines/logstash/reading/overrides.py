"""`overrides` applies `--set SECTION.PLUGIN.OPTION=VALUE`: a plugin by its name or its id, an option of Logstash or ours."""

from collections.abc import Sequence
from typing import Any

from penstock.pipelines.logstash.plan import Place
from penstock.pipelines.logstash.plugins.declaration import PluginDeclaration
from penstock.pipelines.logstash.plugins.values import Written
from penstock.pipelines.logstash.report import Report
from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.language._parser import parse
from penstock.transforms.options import did_you_mean

__all__ = ["Overrides"]

_SECTIONS = ("input", "output")


class Overrides:
    """The overrides of one command line.

    Args:
        given: `SECTION.PLUGIN.OPTION=VALUE`, each.
        report: takes what is wrong with them.
    """

    def __init__(self, given: Sequence[str], report: Report) -> None:
        self._report = report
        self._left: dict[int, str] = {}
        self._names: list[str] = []
        self._given: list[tuple[str, str, str, str]] = []
        for number, each in enumerate(given):
            path, _, value = each.partition("=")
            section, _, rest = path.partition(".")
            plugin, _, option = rest.rpartition(".")
            if section not in _SECTIONS:
                report.problem(
                    None,
                    f"--set {path}: begins with {' or '.join(_SECTIONS)}; filters are changed in their file",
                )
                continue
            self._left[number] = path
            self._given.append((section, plugin, option, value))

    def apply(
        self, declared: PluginDeclaration, name: str, written: dict[str, Written]
    ) -> dict[str, Written]:
        """Puts the values for a plugin into `written`; gives those of options that only ours have."""
        self._names += [f"{declared.section}.{each}" for each in dict.fromkeys((name, declared.name))]
        known = {option.name for option in declared.all_options}
        extra: dict[str, Written] = {}
        for number, (section, plugin, option, text) in enumerate(self._given):
            if section != declared.section or plugin not in (declared.name, name):
                continue
            self._left.pop(number, None)
            place = Place(f"--set {section}.{plugin}.{option}", 0, 0)
            into = written if option in known else extra
            into[option] = Written(_value(text), _value(text), place)
        return extra

    @property
    def unused(self) -> list[str]:
        """What no plugin took."""
        return [
            f"--set {path}: the pipeline has no such plugin{did_you_mean(path.rpartition('.')[0], self._names)}"
            for path in self._left.values()
        ]


def _value(text: str) -> Any:
    """Gives a value as a configuration would hold it; what isn't one is a text."""
    try:
        (section,) = parse(f"input {{ x {{ y => {text} }} }}")
        (plugin,) = section.body
        (setting,) = plugin.settings
        return setting.value
    except (ConfigError, ValueError):
        return text
