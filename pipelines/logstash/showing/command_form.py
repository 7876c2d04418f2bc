"""`command_form` writes a plan as a penstock command, where one job does the same."""

import json
import shlex
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.logstash.plan import Plan
from penstock.pipelines.logstash.reading.planner import Planned
from penstock.pipelines.logstash.showing.given import Given, given_options, variables_in

__all__ = ["written"]

_JOBS = {
    ("beats", "kinesis"): "beats-to-kinesis",
    ("kinesis", "elasticsearch"): "kinesis-to-elasticsearch",
    ("s3", "elasticsearch"): "s3-to-elasticsearch",
}


def written(planned: Planned, job: Any) -> str:
    """Writes the command, a line per option, with a comment for each secret.

    Args:
        planned: the plan and its parts.
        job: the job's own options.

    Raises:
        OptionError: no job does the same; the text says which part has none.
    """
    plan = planned.plan
    name, hindered = _job_of(plan)
    if hindered:
        message = f"--to_command: {hindered}. Keep the file, or give --to_yaml."
        raise OptionError(message)
    source, sink = plan.inputs[0], plan.outputs[0]
    settings = [setting for part in planned.parts for setting in part.settings]
    components = (source.options, source.decode, sink.options, source.aws or sink.identity, job)
    options = given_options(components, settings)
    comments = [
        f"# PENSTOCK_{each.flag.upper()}: the secret that the configuration holds; put it into the environment\n"
        for each in options
        if each.secret and not each.variable
    ]
    before = [
        f"PENSTOCK_{each.flag.upper()}={_shell(each)} \\\n"
        for each in options
        if each.secret and each.variable
    ]
    lines = [f"--{each.flag}={_shell(each)}" for each in options if not each.secret]
    return "".join([*comments, *before, " \\\n    ".join([f"penstock {name}", *lines]), "\n"])


def _job_of(plan: Plan) -> tuple[str, str]:
    """Gives the job that does the same as a plan, or else which part none has."""
    source, sink = plan.inputs[0].plugin, plan.outputs[0].plugin
    name = _JOBS.get((source, sink), "")
    return name, _hindered(plan) or ("" if name else f"no job reads {source} and writes {sink}")


def _hindered(plan: Plan) -> str:
    """Says which part of a plan no job has; "" where one has all."""
    if len(plan.inputs) > 1:
        return f"it has {len(plan.inputs)} inputs ({', '.join(each.name for each in plan.inputs)}), and a job has one"
    if len(plan.outputs) > 1:
        return f"it has {len(plan.outputs)} outputs ({', '.join(each.name for each in plan.outputs)}), and a job has one"
    if plan.filters:
        return "it has filters, and no job has any"
    if plan.inputs[0].after or (plan.inputs[0].properties and plan.inputs[0].plugin == "kinesis"):
        return f"the input {plan.inputs[0].name} adds fields, and no job does"
    if plan.inputs[0].aws and (own := plan.outputs[0].identity) and (own.access_key or own.profile):
        return f"the output {plan.outputs[0].name} has AWS credentials of its own, and a job has one account"
    if plan.outputs[0].condition is not None:
        return f"the output {plan.outputs[0].name} has a condition, and no job has any"
    return ""


def _shell(given: Given) -> str:
    """Gives a value as a shell's word; a variable stays one."""
    if given.variable:
        texts = given.value if isinstance(given.value, list) else [given.value]
        return f'"{",".join(map(_expanded, texts))}"'
    return shlex.quote(_word(given.value))


def _word(value: Any) -> str:
    """Gives a value as an option takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return ",".join(str(each).replace(",", "\\,") for each in value)
    return str(value)


def _expanded(text: Any) -> str:
    """Gives a text with variables within a shell's double quotes; `${NAME:default}` is `${NAME-default}` there."""
    found, place = [], 0
    for variable in variables_in(str(text)):
        found.append(_escaped(str(text)[place : variable.start()]))
        default = variable[2]
        found.append(f"${{{variable[1]}}}" if default is None else f"${{{variable[1]}-{_escaped(default)}}}")
        place = variable.end()
    return "".join([*found, _escaped(str(text)[place:])])


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in '"\\$`' else each for each in text)
