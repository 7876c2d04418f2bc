"""`yaml_form` writes a plan as Beam YAML for `penstock run-yaml`, where its steps have a form there."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.logstash.plan import Input, Plan
from penstock.pipelines.logstash.reading.planner import Planned
from penstock.pipelines.logstash.showing.given import Given, given_options, variables_in
from penstock.transforms.logstash import filter_transforms
from penstock.transforms.logstash.compile import Step

__all__ = ["written"]

_READS = {"beats": "ReadFromBeats", "kinesis": "ReadFromKinesis"}
_WRITES = {"kinesis": "WriteToKinesis", "elasticsearch": "WriteToElasticsearch"}


def written(planned: Planned, dead_letters: str) -> str:
    """Writes the pipeline.

    Args:
        planned: the plan and its parts.
        dead_letters: the URL of the store for refused events.

    Raises:
        OptionError: a part has no form in YAML; the text names it.
    """
    plan = planned.plan
    hindered = _hindered(plan)
    if hindered:
        message = f"--to_yaml: {hindered}. Keep the file."
        raise OptionError(message)
    form = _Form(planned)
    body = "".join(form.steps(dead_letters))
    head = [f"# Pipeline {plan.name}, made of a logstash.conf. Run it with\n#\n"]
    values = ",".join(f'{name}="${name}"' for name in sorted(form.variables))
    head.append("#   penstock run-yaml --yaml_pipeline_file FILE")
    head.append(f" --jinja_variables {values}\n" if values else "\n")
    head += [f"#\n# Put into the environment: {', '.join(sorted(form.secrets))}\n"] if form.secrets else []
    return "".join([*head, "pipeline:\n  type: chain\n  transforms:\n", body])


def _hindered(plan: Plan) -> str:
    """Says which part of a plan has no form in YAML; "" where all have."""
    for source in plan.inputs:
        if source.plugin not in _READS:
            return f"the input {source.name} has no form in YAML"
        if source.properties:
            return f"the input {source.name} adds properties of its records, which have no form in YAML"
        if source.after and len(plan.inputs) > 1:
            return (
                f"the input {source.name} has filters of its own (type, tags, add_field) beside other inputs"
            )
    if len({repr(source.decode) for source in plan.inputs}) > 1:
        return "the inputs have different codecs"
    if len(plan.outputs) > 1:
        return f"it has {len(plan.outputs)} outputs ({', '.join(each.name for each in plan.outputs)})"
    (sink,) = plan.outputs
    if sink.plugin not in _WRITES:
        return f"the output {sink.name} has no form in YAML"
    return f"the output {sink.name} has a condition" if sink.condition is not None else ""


class _Form:
    def __init__(self, planned: Planned) -> None:
        self._planned = planned
        self._settings = [setting for part in planned.parts for setting in part.settings]
        self.variables: set[str] = set()
        self.secrets: set[str] = set()

    def steps(self, dead_letters: str) -> Iterator[str]:
        """Gives each step's text."""
        plan = self._planned.plan
        (sink,) = plan.outputs
        if len(plan.inputs) == 1:
            (source,) = plan.inputs
            yield _step(_READS[source.plugin], self._read(source))
        else:
            reads = [{"type": _READS[each.plugin], "config": self._read(each)} for each in plan.inputs]
            yield _step("ReadFromAll", {"reads": reads})
        decode = plan.inputs[0].decode
        if sink.plugin == "elasticsearch" or decode is not None or plan.filters or plan.inputs[0].after:
            yield _step("DecodeObjects", self._config([decode]) if decode is not None else {"codec": "json"})
        for step in plan.inputs[0].after:
            yield _step(*_filter(step))
        for step in plan.filters:
            config: dict[str, Any] = {"text": step.what, "ecs_compatibility": step.ecs_compatibility}
            if step.support_escapes:
                config["support_escapes"] = True
            if step.timezone != "UTC":
                config["timezone"] = step.timezone
            yield _step("logstash.Filters", config)
        yield _step(_WRITES[sink.plugin], self._config([sink.options, sink.identity]))
        yield _step("WriteDeadLetters", {"dead_letters": dead_letters})
        yield _step("Acknowledge", {})

    def _read(self, source: Input) -> dict[str, Any]:
        return self._config([source.options, source.aws])

    def _config(self, components: Sequence[Any]) -> dict[str, Any]:
        made = {}
        for each in given_options(components, self._settings):
            if each.secret:
                self.secrets.add(f"PENSTOCK_{each.flag.upper()}")
            else:
                made[each.flag] = self._value(each) if each.variable else each.value
        return made

    def _value(self, given: Given) -> Any:
        """Gives a value with variables, as Jinja has them."""
        if isinstance(given.value, list):
            return [self._jinja(str(each)) for each in given.value]
        return self._jinja(str(given.value))

    def _jinja(self, text: str) -> "_Template":
        made, place = [], 0
        for variable in variables_in(text):
            name = variable[1].replace(".", "_")
            default = variable[2]
            made.append(text[place : variable.start()])
            if default is None:
                self.variables.add(name)
            made.append(f"{{{{ {name}{'' if default is None else f' | default({default!r})'} }}}}")
            place = variable.end()
        return _Template("".join([*made, text[place:]]))


class _Template(str):
    """A text whose braces Jinja reads."""


def _filter(step: Step) -> tuple[str, dict[str, Any]]:
    if step.kind == "when":
        then = [{"type": name, "config": config} for name, config in map(_filter, step.then)]
        return "logstash.When", {"condition": step.what, "then": then}
    kinds = {getattr(filter_transforms, each).name: each for each in filter_transforms.__all__}
    return f"logstash.{kinds[step.what]}", dict(step.options)


def _step(name: str, config: dict[str, Any]) -> str:
    lines = [f"    - type: penstock.{name}\n"]
    if config:
        lines.append("      config:\n")
    for key, value in config.items():
        if isinstance(value, str) and "\n" in value and not isinstance(value, _Template):
            text = "\n".join(line.rstrip() for line in value.splitlines() if line.strip())
            body = "".join(f"          {line}\n" for line in text.splitlines())
            lines.append(f"        {key}: |\n{_raw(body)}")
        else:
            lines.append(f"        {key}: {_json(value)}\n")
    return "".join(lines)


def _json(value: Any) -> str:
    """Gives a value as YAML's flow style, which JSON is."""
    text = json.dumps(value, ensure_ascii=False)
    return text if _has_template(value) else _raw(text)


def _raw(text: str) -> str:
    """Gives a text that Jinja leaves as it is."""
    marks = ("{{", "{%", "{#")
    return f"{{% raw %}}{text}{{% endraw %}}" if any(mark in text for mark in marks) else text


def _has_template(value: Any) -> bool:
    return isinstance(value, _Template) or (isinstance(value, list) and any(map(_has_template, value)))
