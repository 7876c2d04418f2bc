"""`planner` makes a plan of texts: every plugin with its options checked, every condition and filter compiled once.

It goes to the end whatever it meets, so that all problems are shown at once.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.io.beats import BeatsOptions
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.plan import Input, Output, Place, Plan, rivals
from penstock.pipelines.logstash.plugins.catalogue import declaration_of, why_missing
from penstock.pipelines.logstash.plugins.codecs import check_codec
from penstock.pipelines.logstash.plugins.declaration import Made, PluginDeclaration
from penstock.pipelines.logstash.plugins.steps import common_steps
from penstock.pipelines.logstash.plugins.values import CodecUse, Setting, Situation, Values, Written
from penstock.pipelines.logstash.reading._conditions import plugins_in, text_of
from penstock.pipelines.logstash.reading.overrides import Overrides
from penstock.pipelines.logstash.reading.sources import Source
from penstock.pipelines.logstash.report import Report
from penstock.transforms._variables import UnknownVariable, named_in
from penstock.transforms.logstash._conditions import compile_condition
from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.compile import Step, find_faults
from penstock.transforms.logstash.language._parser import parse_all
from penstock.transforms.logstash.language._substitution import substitute
from penstock.transforms.logstash.language._tree import Places, Plugin, Section, merged

__all__ = ["Part", "Planned", "make_plan"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One input or output of a plan, with what may be shown of it."""

    section: str
    declared: PluginDeclaration
    item: Any
    settings: Sequence[Setting]


@dataclasses.dataclass(frozen=True)
class Planned:
    """A plan, and its parts for whoever explains it."""

    plan: Plan
    parts: tuple[Part, ...]
    filters: tuple[tuple[str, Section], ...]


def make_plan(
    name: str,
    sources: Sequence[Source],
    options: LogstashOptions,
    env: Mapping[str, str] | None = None,
    *,
    beside_others: bool = False,
) -> Planned:
    """Makes the plan of a pipeline.

    Args:
        name: the pipeline's.
        sources: its texts, in their order.
        options: how they are read.
        env: the values of variables; by default the environment's.
        beside_others: whether an override that no plugin takes may be for another pipeline.

    Raises:
        ConfigRefused: with every problem.
    """
    return _Planner(name, sources, options, os.environ if env is None else env, beside_others).planned()


class _Planner:
    def __init__(
        self,
        name: str,
        sources: Sequence[Source],
        options: LogstashOptions,
        env: Mapping[str, str],
        beside_others: bool,
    ) -> None:
        self._name = name
        self._sources = sources
        self._options = options
        self._env = env
        self._beside_others = beside_others
        self._report = Report()
        self._overrides = Overrides(options.set, self._report)
        self._names: set[str] = set()
        self._parts: list[Part] = []
        self._shared: dict[str, Any] = {}
        whole = "\n".join(source.text for source in sources)
        self._situation = Situation(
            int(options.compat), options.ecs != "disabled", options.logstash_fields, whole
        )

    def planned(self) -> Planned:
        steps: list[Step] = []
        filters: list[tuple[str, Section]] = []
        broken = False
        for source in self._sources:
            self._report.knows(source.name, source.text)
            for variable, value in named_in(source.text, self._env).items():
                self._report.hide(variable, value)
            sections, errors = parse_all(source.text, support_escapes=self._options.config_support_escapes)
            broken |= bool(errors)
            for error in errors:
                self._report.config_error(source.name, error)
            for section in sections:
                if section.kind == "filter":
                    filters.append((source.name, section))
                else:
                    self._section(source, section)
            steps += self._filters(source, sections)
        if not broken:
            self._require("input")
            self._require("output")
            for unused in self._overrides.unused:
                if self._beside_others:
                    self._report.note(unused)
                else:
                    self._report.problem(None, unused)
        for each, problem in rivals(
            [part.item for part in self._parts if part.section == "input" and part.item]
        ):
            self._report.problem(each.place, problem)
        self._report.require_none()
        inputs = tuple(part.item for part in self._parts if part.section == "input")
        outputs = tuple(part.item for part in self._parts if part.section == "output")
        inputs = _with_shared_bounds(inputs, self._shared)
        self._differences(outputs)
        plan = Plan(
            name=self._name,
            inputs=inputs,
            filters=tuple(steps),
            outputs=outputs,
            notes=tuple(self._report.notes),
        )
        return Planned(plan, tuple(self._parts), tuple(filters))

    def _require(self, section: str) -> None:
        if not any(part.section == section for part in self._parts) and not self._report.problems:
            where = ", ".join(source.name for source in self._sources[:3])
            self._report.problem(
                None,
                f"{where}: there is no {section} {{ }} with a plugin in it; give all files of the pipeline",
            )

    def _differences(self, outputs: Iterable[Output]) -> None:
        """Notes in one line what differs from Logstash on purpose."""
        told = ["refused events become dead letters"]
        if any(each.plugin == "elasticsearch" for each in outputs):
            told.insert(0, "ids are made from events, so that none is stored twice")
        if not self._options.logstash_fields:
            told.append("@version, [event][original] and codecs' tags only where the file names them")
        self._report.note(f"other than in Logstash, on purpose: {'; '.join(told)} (docs/logstash.md)")

    # Filters

    def _filters(self, source: Source, sections: Sequence[Section]) -> list[Step]:
        """Gives the file's filters as a step, its other sections blanked out: they may hold secrets."""
        if not any(section.kind == "filter" and section.body for section in sections):
            return []
        text = source.text
        starts = [*(section.at for section in sections), len(text)]
        kept = [
            text[start:end] if section.kind == "filter" else re.sub(r"[^\n]", " ", text[start:end])
            for section, start, end in zip(sections, starts, starts[1:], strict=False)
        ]
        head = re.sub(r"[^\n]", " ", text[: starts[0]])
        step = Step(
            "text",
            head + "".join(kept),
            ecs_compatibility=self._options.ecs,
            support_escapes=self._options.config_support_escapes,
            timezone=self._options.timezone,
            allow_code=self._options.allow_code,
        )
        try:
            faults, warnings = find_faults(text, list(sections), step, self._env)
        except ConfigError as error:
            self._report.problem(None, error.message)
            return []
        for fault in faults:
            self._report.config_error(source.name, fault)
        for warning in warnings:
            self._report.note(f"{source.name}: {warning}")
        # The step's name is made of its text: a change of an input or an output must not change it.
        alone = "\n".join([text[start:end].strip() for section, start, end in zip(sections, starts, starts[1:], strict=False)
                           if section.kind == "filter"])  # fmt: skip
        return [msgspec.structs.replace(step, what=alone, env=named_in(alone, self._env))]

    # Inputs and outputs

    def _section(self, source: Source, section: Section) -> None:
        places = Places(source.text)
        for plugin, condition in plugins_in(section.body):
            place = Place(source.name, *places.of(plugin.at))
            if section.kind == "input" and condition is not None:
                self._report.problem(
                    place, f"{plugin.name}: an input stands under no condition: there is no event to ask yet"
                )
                continue
            declared = declaration_of(section.kind, plugin.name)
            if declared is None:
                self._report.problem(place, why_missing(section.kind, plugin.name))
                continue
            self._plugin(source, declared, plugin, place, condition, places)

    def _plugin(
        self,
        source: Source,
        declared: PluginDeclaration,
        plugin: Plugin,
        place: Place,
        condition: Any,
        places: Places,
    ) -> None:
        written = self._written(source, plugin, places)
        name = self._named(declared, written, place)
        extra = self._overrides.apply(declared, name, written)
        problems = len(self._report.problems)
        values = Values(declared, written, place, self._report, self._situation, extra)
        values.codec = self._codec(source, declared, written, place, places)
        made = declared.make(values)
        values.require_extra_used()
        if len(self._report.problems) > problems:
            # What was made isn't whole; the place is kept, so that nobody misses an input.
            self._parts.append(Part(declared.section, declared, None, ()))
            return
        for flag, value in made.for_reads.items():
            self._shared[flag] = max(value, self._shared.get(flag, value))
        item: Any
        if declared.section == "input":
            item = self._input(declared, name, place, made, values)
        else:
            item = self._output(declared, name, place, made, condition, places, source)
        self._parts.append(Part(declared.section, declared, item, tuple(values.settings)))

    def _input(
        self, declared: PluginDeclaration, name: str, place: Place, made: Made, values: Values
    ) -> Input:
        return Input(
            plugin=declared.plugin or declared.name,
            name=name,
            options=made.options,
            place=place,
            aws=made.aws,
            decode=made.decode,
            after=(*made.after, *common_steps(values)),
            properties=made.properties,
        )

    def _output(
        self,
        declared: PluginDeclaration,
        name: str,
        place: Place,
        made: Made,
        condition: Any,
        places: Places,
        source: Source,
    ) -> Output:
        text = "" if condition is None else text_of(condition)
        env = named_in(text, self._env)
        if condition is not None:
            try:
                compile_condition(
                    condition, places, self._env, lambda told: self._report.note(f"{source.name}: {told}")
                )
            except ConfigError as error:
                self._report.config_error(source.name, error)
        return Output(
            plugin=declared.plugin or declared.name,
            name=name,
            options=made.options,
            place=place,
            aws=made.aws,
            condition=condition,
            condition_text=text,
            places=None if condition is None else places,
            env=env,
            fallback=made.fallback,
        )

    def _named(self, declared: PluginDeclaration, written: Mapping[str, Written], place: Place) -> str:
        """Gives a name that no other plugin has: the id, else the plugin and its line."""
        given = written.get("id")
        if given is not None and isinstance(given.value, str):
            if given.value in self._names:
                self._report.problem(given.place, f"{declared.name}: two plugins have the id {given.value!r}")
            name = given.value
        else:
            plain = f"{declared.name}:{place.line}"
            candidates = (
                plain,
                f"{declared.name}:{os.path.basename(place.file)}:{place.line}",
                *(f"{plain}.{number}" for number in range(2, 1000)),
            )
            name = next(each for each in candidates if each not in self._names)
        self._names.add(name)
        return name

    def _written(self, source: Source, plugin: Plugin, places: Places) -> dict[str, Written]:
        """Gives a plugin's options with variables replaced; a codec's stay for later."""
        try:
            settings = merged(plugin.settings, places)
        except ConfigError as error:
            self._report.config_error(source.name, error)
            return {}
        found: dict[str, Written] = {}
        for name, setting in settings.items():
            place = Place(source.name, *places.of(setting.at))
            if isinstance(setting.value, Plugin):
                found[name] = Written(setting.value, setting.value.name, place)
                continue
            try:
                value = substitute(setting.value, self._env)
            except UnknownVariable as error:
                self._report.problem(place, f"{plugin.name}: {name}: {error}")
                found[name] = Written(None, setting.value, place)
                continue
            if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
                self._report.problem(place, f"{plugin.name}: {name}: numbers as names stand in quotes")
                continue
            found[name] = Written(value, setting.value, place)
        return found

    def _codec(
        self,
        source: Source,
        declared: PluginDeclaration,
        written: Mapping[str, Written],
        place: Place,
        places: Places,
    ) -> CodecUse | None:
        given = written.get("codec")
        if not declared.codecs:
            if given is not None and not (isinstance(given.value, str) and given.value == "plain"):
                self._report.ignored(given.place, declared.name, "codec", "documents are JSON")
            return None
        options: dict[str, Written] = {}
        name: Any = declared.codecs[0]
        if given is not None:
            name, place = given.value, given.place
            if isinstance(name, Plugin):
                options, name = self._written(source, name, places), name.name
            if not isinstance(name, str):
                self._report.problem(place, f"{declared.name}: takes one codec")
                return None
        return check_codec(
            name, options, place, declared.name, declared.codecs, self._report, self._situation
        )


def _with_shared_bounds(inputs: tuple[Input, ...], shared: Mapping[str, Any]) -> tuple[Input, ...]:
    """Gives the inputs with the bounds that an output sets for the whole way."""
    made = []
    for each in inputs:
        if isinstance(each.options, BeatsOptions):
            usual = {field.name: field.default for field in dataclasses.fields(BeatsOptions)}
            changes = {
                name: value for name, value in shared.items() if getattr(each.options, name) == usual[name]
            }
            each = dataclasses.replace(each, options=dataclasses.replace(each.options, **changes))
        made.append(each)
    return tuple(made)
