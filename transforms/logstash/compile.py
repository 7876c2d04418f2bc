"""`compile_filters` makes a chain of a configuration's text: parsed, its variables replaced, its options checked."""

import os
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from penstock.transforms._variables import UnknownVariable
from penstock.transforms.logstash._conditions import compile_condition
from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.chain import Branches, Chain, Node, Steps, clock
from penstock.transforms.logstash.fields.conditions import Condition
from penstock.transforms.logstash.filters import filter_class
from penstock.transforms.logstash.filters.refused import why_refused
from penstock.transforms.logstash.language._parser import parse, parse_condition
from penstock.transforms.logstash.language._substitution import substitute
from penstock.transforms.logstash.language._tree import Branch, Places, Plugin, Section, merged
from penstock.transforms.logstash.options import Context, Value

__all__ = ["Step", "compile_filters", "compile_steps", "find_faults"]

_Made = TypeVar("_Made")

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
    """Gives the chain of the filters in a configuration's text.

    Args:
        text: the configuration; its sections `filter { }` count, others are parsed only.
        ecs_compatibility: `v8` and `v1` name fields by the Elastic Common Schema, `disabled` as Logstash 7 did.
        env: the values of `${NAME}`; by default the environment's.
        support_escapes: whether escapes in texts are replaced.
        timezone: the zone of times that name none.
        now: where the clock stands, in ISO 8601; by default it goes.
        allow_code: whether `python { code }` may run: code of the configuration's author.

    Raises:
        ConfigError: the configuration cannot start; with line, column and what was expected.
    """
    context = _context(ecs_compatibility, timezone, now, allow_code)
    return Chain(_nodes_of_text(text, support_escapes, env, context), context)


def find_faults(
    text: str, sections: Sequence[Section], step: "Step", env: Mapping[str, str]
) -> tuple[list[ConfigError], list[str]]:
    """Compiles the filters of sections to their end.

    Args:
        text: the configuration.
        sections: what was parsed of it.
        step: how its filters are read; its text isn't.
        env: the values of variables.

    Returns:
        What is wrong with each filter and condition, and what the author should know although the chain starts.
    """
    context = _context(step.ecs_compatibility, step.timezone, None, step.allow_code)
    faults: list[ConfigError] = []
    compiler = _Compiler(Places(text), env, context, faults)
    for section in sections:
        if section.kind == "filter":
            compiler.body(section.body)
    return faults, context.warnings


class Step(msgspec.Struct, omit_defaults=True):
    """Filters as written, ready to be carried to another process and compiled there.

    Attributes:
        kind: `text` (a configuration), `filter` (one filter) or `when` (a branch).
        what: the configuration, the filter's name, or the condition.
        options: a filter's options.
        then: a branch's filters.
        otherwise: the filters of its else.
        ecs_compatibility: as in `compile_filters`, and so are the others.
    """

    kind: str
    what: str
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    then: list["Step"] = msgspec.field(default_factory=list)
    otherwise: list["Step"] = msgspec.field(default_factory=list)
    ecs_compatibility: str = "v8"
    env: dict[str, str] | None = None
    support_escapes: bool = False
    timezone: str = "UTC"
    allow_code: bool = False


def compile_steps(steps: Sequence[Step]) -> Chain:
    """Gives the chain of steps, one after the other. Raises `ConfigError`."""
    warnings: list[str] = []
    nodes = [node for step in steps for node in _nodes_of_step(step, warnings)]
    context = _context("v8", "UTC", None, allow_code=False)
    context.warnings += warnings
    return Chain(nodes, context)


def _nodes_of_step(step: Step, warnings: list[str]) -> list[Node]:
    context = _context(step.ecs_compatibility, step.timezone, None, step.allow_code)
    context.warnings = warnings
    if step.kind == "text":
        return _nodes_of_text(step.what, step.support_escapes, step.env, context)
    if step.kind == "filter":
        return [_filter_node(step.what, step.options, context)]
    condition = compile_condition(parse_condition(step.what), Places(step.what), {}, context.warn)
    arms: list[tuple[Condition | None, list[Node]]] = [
        (condition, [node for each in step.then for node in _nodes_of_step(each, warnings)]),
        (None, [node for each in step.otherwise for node in _nodes_of_step(each, warnings)]),
    ]
    return [Branches(arms)]


def _nodes_of_text(
    text: str, support_escapes: bool, env: Mapping[str, str] | None, context: Context
) -> list[Node]:
    sections = parse(text, support_escapes=support_escapes)
    compiler = _Compiler(Places(text), os.environ if env is None else env, context)
    return [node for each in sections if each.kind == "filter" for node in compiler.body(each.body)]


def _context(ecs_compatibility: str, timezone: str, now: str | None, allow_code: bool) -> Context:
    """Gives what holds for a whole chain. Raises `ConfigError`."""
    if ecs_compatibility not in ECS:
        message = f"ecs_compatibility {ecs_compatibility!r} is none of {', '.join(ECS)}"
        raise ConfigError(message)
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        message = f"timezone {timezone!r} is no zone of the IANA database, such as Europe/Berlin"
        raise ConfigError(message) from None
    return Context(ecs_compatibility != "disabled", timezone, zone, clock(now), allow_code)


def _filter_node(
    name: str, options: Mapping[str, Any], context: Context, where: tuple[int, int] | None = None
) -> Node:
    """Gives one filter as a node of a chain. Raises `ConfigError`."""
    kind = filter_class(name)
    if kind is None:
        raise ConfigError(why_refused(name), *(where or (None, None)))
    return Steps(kind(options, context, where))


class _Compiler:
    """Makes nodes of what was parsed. With `faults`, an error goes there, and what it concerns is left out."""

    def __init__(
        self,
        places: Places,
        env: Mapping[str, str],
        context: Context,
        faults: list[ConfigError] | None = None,
    ) -> None:
        self._places = places
        self._env = env
        self._context = context
        self._faults = faults

    def body(self, items: Sequence[Branch | Plugin]) -> list[Node]:
        """Gives the nodes of a section or of a branch, in order."""
        nodes: list[Node] = []
        for item in items:
            if isinstance(item, Plugin):
                nodes += self._kept(lambda item=item: self._filter(item))  # type: ignore[misc]
            elif _has_plugin(item):
                nodes.append(self._branch(item))
        return nodes

    def _kept(self, make: Callable[[], _Made]) -> list[_Made]:
        try:
            return [make()]
        except ConfigError as error:
            if self._faults is None:
                raise
            self._faults += [error, *error.others]
            return []

    def _branch(self, branch: Branch) -> Node:
        arms: list[tuple[Condition | None, list[Node]]] = []
        for condition, items in branch.arms:
            made = [] if condition is None else self._kept(lambda tree=condition: self._condition(tree))  # type: ignore[misc]
            arms.append((made[0] if made else None, self.body(items)))
        return Branches(arms)

    def _condition(self, tree: Any) -> Condition:
        return compile_condition(tree, self._places, self._env, self._context.warn)

    def _filter(self, plugin: Plugin) -> Node:
        options = {}
        unset: list[ConfigError] = []
        for name, setting in merged(plugin.settings, self._places).items():
            where = self._places.of(setting.at)
            try:
                value = substitute(setting.value, self._env)
            except UnknownVariable as error:
                message = f"{plugin.name}: {name}: {error}"
                unset.append(ConfigError(message, *where))
                continue
            _refuse_number_keys(value, plugin.name, name, where)
            options[name] = Value(value, where)
        if unset:
            raise ConfigError.of(unset)
        return _filter_node(plugin.name, options, self._context, self._places.of(plugin.at))


def _has_plugin(branch: Branch) -> bool:
    """Says whether any plugin stands in a branch; Logstash leaves out a branch without one, its condition too."""
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
