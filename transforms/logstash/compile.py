"""`compile_filters` makes a chain of a configuration's text: parsed, its variables replaced, its options checked."""

import os
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.transforms.logstash.chain import Branches, Chain, Node, Steps, clock
from penstock.transforms.logstash.filters import filter_class
from penstock.transforms.logstash.filters.refused import why_refused
from penstock.transforms.logstash.language._conditions import compile_condition
from penstock.transforms.logstash.language._errors import ConfigError
from penstock.transforms.logstash.language._parser import parse
from penstock.transforms.logstash.language._substitution import UnknownVariable, substitute
from penstock.transforms.logstash.language._tree import Branch, Places, Plugin, merged
from penstock.transforms.logstash.options import Context, Value

__all__ = ["compile_filters", "context_of", "filter_node"]

ECS = ("disabled", "v1", "v8")


def compile_filters(
    text: str,
    ecs_compatibility: str = "v8",
    env: Mapping[str, str] | None = None,
    support_escapes: bool = False,
    timezone: str = "UTC",
    now: str | None = None,
    allow_code: bool = False,
) -> Chain:
    """The chain of the filters in a configuration's text.

    Args:
        text: the configuration; its sections `filter { }` count, others are parsed only.
        ecs_compatibility: `v8` and `v1` name fields by the Elastic Common Schema, `disabled` as Logstash 7 did.
        env: the values of `${NAME}`; by default the environment's.
        support_escapes: whether escapes in texts are replaced.
        timezone: the zone of times that name none.
        now: where the clock stands, in ISO 8601; by default it goes.
        allow_code: whether `python { code }` may run: code of whoever wrote the configuration.

    Raises:
        ConfigError: the configuration cannot start; with line, column and what was expected.
    """
    context = context_of(ecs_compatibility, timezone, now, allow_code)
    sections = parse(text, support_escapes=support_escapes)
    compiler = _Compiler(Places(text), os.environ if env is None else env, context)
    return Chain(
        [node for each in sections if each.kind == "filter" for node in compiler.body(each.body)], context
    )


def context_of(ecs_compatibility: str, timezone: str, now: str | None, allow_code: bool) -> Context:
    """What holds for a whole chain. Raises `ConfigError`."""
    if ecs_compatibility not in ECS:
        message = f"ecs_compatibility {ecs_compatibility!r} is none of {', '.join(ECS)}"
        raise ConfigError(message)
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        message = f"timezone {timezone!r} is no zone of the IANA database, such as Europe/Berlin"
        raise ConfigError(message) from None
    return Context(ecs_compatibility != "disabled", timezone, zone, clock(now), allow_code)


def filter_node(
    name: str, options: Mapping[str, Any], context: Context, where: tuple[int, int] | None = None
) -> Node:
    """One filter as a node of a chain. Raises `ConfigError`."""
    kind = filter_class(name)
    if kind is None:
        raise ConfigError(why_refused(name, options), *(where or (None, None)))
    return Steps(kind(options, context, where))


class _Compiler:
    def __init__(self, places: Places, env: Mapping[str, str], context: Context) -> None:
        self._places = places
        self._env = env
        self._context = context

    def body(self, items: Sequence[Branch | Plugin]) -> list[Node]:
        """The nodes of a section or of a branch, in order."""
        return [
            self._branch(item) if isinstance(item, Branch) else self._filter(item)
            for item in items
            if isinstance(item, Plugin) or _has_plugin(item)
        ]

    def _branch(self, branch: Branch) -> Node:
        arms = [
            (
                None
                if condition is None
                else compile_condition(condition, self._places, self._env, self._context.warn),
                self.body(items),
            )
            for condition, items in branch.arms
        ]
        return Branches(arms)

    def _filter(self, plugin: Plugin) -> Node:
        options = {}
        for name, setting in merged(plugin.settings, self._places).items():
            where = self._places.of(setting.at)
            try:
                value = substitute(setting.value, self._env)
            except UnknownVariable as error:
                message = f"{plugin.name}: {name}: {error}"
                raise ConfigError(message, *where) from None
            _refuse_number_keys(value, plugin.name, name, where)
            options[name] = Value(value, where)
        return filter_node(plugin.name, options, self._context, self._places.of(plugin.at))


def _has_plugin(branch: Branch) -> bool:
    """Whether any plugin stands in a branch; Logstash leaves out a branch without one, its condition too."""
    return any(isinstance(item, Plugin) or _has_plugin(item) for _, items in branch.arms for item in items)


def _refuse_number_keys(value: Any, plugin: str, option: str, where: tuple[int, int]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                message = f"{plugin}: {option}: the key {key} must stand in quotes"
                raise ConfigError(message, *where)
            _refuse_number_keys(inner, plugin, option, where)
    elif isinstance(value, list):
        for inner in value:
            _refuse_number_keys(inner, plugin, option, where)
