"""`load` reads and plans what a command line names: one pipeline, or those of `pipelines.yml`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.plan import Plan
from penstock.pipelines.logstash.reading.planner import Planned, make_plan
from penstock.pipelines.logstash.reading.sources import Pipeline, Source, pipelines_of, settings_of
from penstock.pipelines.logstash.report import ConfigRefused

__all__ = ["Loaded", "load"]

_ECS = "pipeline.ecs_compatibility"
_KNOWN = ("pipeline.id", "path.config", "config.string", "config.support_escapes", _ECS)
"""The settings of `logstash.yml` and `pipelines.yml` that have an effect."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One pipeline, read and planned.

    Attributes:
        planned: its plan.
        sources: the texts that it was made of.
        notes: what the start says about the command line.
    """

    planned: Planned
    sources: list[Source]
    notes: list[str]

    @property
    def plan(self) -> Plan:
        """What the configuration became."""
        return self.planned.plan


def load(options: LogstashOptions, notes: Sequence[str] = ()) -> list[Loaded]:
    """Reads and plans every pipeline that the options name, at least one.

    Raises:
        OptionError: with every problem of all of them.
    """
    settings = settings_of(options.path_settings) if options.path_settings else {}
    if options.path_config or options.config_string:
        name = options.pipeline_id or str(settings.get("pipeline.id", "main"))
        found, several = [Pipeline(name, options.path_config, options.config_string)], False
    else:
        found, several = _of_settings(options, settings)
    loaded: list[Loaded] = []
    problems: list[tuple[str, OptionError]] = []
    for each in found:
        try:
            sources = each.sources()
            its_own = _with(options, settings | dict(each.settings))
            planned = make_plan(each.name, sources, its_own, beside_others=several)
            loaded.append(
                Loaded(planned, sources, [*notes, *_without_effect(settings | dict(each.settings))])
            )
        except OptionError as error:
            problems.append((each.name, error))
    if problems and len(found) == 1:
        raise problems[0][1]
    problems += [(each.plan.name, _no_stdin()) for each in loaded if len(found) > 1 and _reads_stdin(each)]
    if len(loaded) == len(found) > 1:
        unused = set.intersection(*(set(each.plan.notes) for each in loaded))
        problems += [("all", OptionError(note)) for note in sorted(unused) if note.startswith("--set ")]
    if problems:
        raise ConfigRefused("\n".join(f"pipeline {name}:\n{error}" for name, error in problems))
    return loaded


def _reads_stdin(loaded: Loaded) -> bool:
    return any(each.plugin == "stdin" for each in loaded.plan.inputs)


def _no_stdin() -> OptionError:
    return OptionError("the input stdin is for a pipeline that runs alone: give --pipeline.id.")


def _with(options: LogstashOptions, settings: dict[str, Any]) -> LogstashOptions:
    """Gives the options as settings change them."""
    changes: dict[str, Any] = {}
    if settings.get(_ECS) and not options.pipeline_ecs_compatibility:
        changes["pipeline_ecs_compatibility"] = str(settings[_ECS])
    if settings.get("config.support_escapes") in (True, "true"):
        changes["config_support_escapes"] = True
    return dataclasses.replace(options, **changes)


def _without_effect(settings: Mapping[str, Any]) -> list[str]:
    """Names in one line the settings that do nothing here."""
    names = [name for name in settings if name not in _KNOWN]
    return [f"settings without effect here: {', '.join(names)} (docs/logstash.md)"] if names else []


def _of_settings(options: LogstashOptions, settings: dict[str, Any]) -> tuple[list[Pipeline], bool]:
    """Gives the pipelines of a folder of settings, or the one that was asked for, and whether the folder has several."""
    folder = options.path_settings
    found = pipelines_of(folder)
    if not found and (settings.get("path.config") or settings.get("config.string")):
        name = str(settings.get("pipeline.id", "main"))
        found = [
            Pipeline(name, str(settings.get("path.config") or ""), str(settings.get("config.string") or ""))
        ]
    if options.pipeline_id:
        chosen = [each for each in found if each.name == options.pipeline_id]
        if not chosen:
            names = ", ".join(each.name for each in found) or "none"
            message = (
                f"--pipeline.id {options.pipeline_id}: {folder} has no such pipeline; there are: {names}."
            )
            raise OptionError(message)
        return chosen, len(found) > 1
    if not found:
        message = f"--path.settings {folder}: it has neither pipelines.yml nor a path.config in logstash.yml; give -f FILE."
        raise OptionError(message)
    return found, len(found) > 1
