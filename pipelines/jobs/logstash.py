"""`logstash` is the job of a `logstash.conf`: it reads the configuration, checks it, and runs it as one job.

A wrong configuration is told at once and whole, on stderr, with exit code 2. What only shows a pipeline (`--explain`,
`--to_command`, `--to_yaml`) asks no peer; `-t` tries all of them, and changes nothing.
"""

import dataclasses
import logging
import shlex
import sys
from collections.abc import Sequence

from penstock.io.errors import OptionError
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.console.logs import last_words, set_up_logging, wants_json
from penstock.pipelines.job_options import BatchJobOptions, JobOptions
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.plan import Plan
from penstock.pipelines.logstash.reading.flags import translated
from penstock.pipelines.logstash.reading.loading import Loaded, load
from penstock.pipelines.logstash.report import ConfigRefused
from penstock.pipelines.run.chain import Step, connect
from penstock.pipelines.run.job import Job
from penstock.pipelines.run.requirements import Requirements

__all__ = ["JOB"]

NAME = "logstash"
_LOGGER = logging.getLogger("penstock")
_PIPELINE = "%{pipeline}"
"""What the URL of a store for letters may hold for the pipeline's id."""


def _job_name(plan: Plan) -> str:
    return NAME if plan.name == "main" else f"{NAME}-{plan.name}".replace("/", "_")


def _settled(plan: Plan) -> Plan:
    """Gives the plan with daily indices where a default chose a data stream and the server has none. Asks the servers."""
    from penstock.io import elasticsearch

    outputs = []
    for each in plan.outputs:
        if each.fallback is not None and not elasticsearch.dialect_at(each.options).data_streams:
            _LOGGER.warning(
                "%s: the server has no data streams, so events go to daily indices, %s (give --compat 6, or index)",
                each.name,
                each.fallback.index,
            )
            each = dataclasses.replace(each, options=each.fallback)
        outputs.append(each)
    return dataclasses.replace(plan, outputs=tuple(outputs))


def _dead_letters(line: CommandLine, plan: Plan) -> str:
    return line.get(JobOptions).dead_letter_url(_job_name(plan)).replace(_PIPELINE, plan.name)


def _requirements(line: CommandLine) -> Requirements:
    from penstock.pipelines.logstash.needs import requirements_of
    from penstock.pipelines.run.runners import runs_elsewhere  # with Beam, which no --help needs

    options = line.get(LogstashOptions)
    plan = _only(load(options), options).plan
    return requirements_of(plan, _dead_letters(line, plan), elsewhere=runs_elsewhere(line.beam))


class _Logstash(Job):
    def arguments(self, argv: Sequence[str]) -> list[str]:
        """Takes Logstash's own flags too."""
        try:
            made = translated(argv)[0]
        except OptionError as error:
            last_words(NAME, str(error), 2, json=wants_json(argv))
            sys.exit(2)
        if "--version" in made:
            import penstock

            sys.stdout.write(f"penstock {penstock.__version__}\n")
            sys.exit(0)
        return made

    def run(self, line: CommandLine, argv: Sequence[str]) -> int:
        """Runs the pipeline, or shows it; returns the exit code (2 for a wrong configuration)."""
        options, job = line.get(LogstashOptions), line.get(JobOptions)
        try:
            found = load(options, translated(argv)[1])
            if options.explain or options.to_command:
                sys.stdout.write("\n".join(_form(line, each) for each in found))
                return 0
            if options.config_test_and_exit:
                return max(_test(line, each) for each in found)
            if len(found) > 1 and not (options.to_yaml or options.replay):
                return _run_together(line, found, argv)
            loaded = _only(found, options)
            if options.to_yaml:
                sys.stdout.write(_form(line, loaded))
                return 0
            if options.replay:
                return _replay(line, loaded)
            if _ends(loaded.plan) and job.processes > 1:
                message = "--workers: the input s3 is read by one process here; s3-to-elasticsearch reads with several."
                raise OptionError(message)
        except OptionError as error:
            return _refuse(error, json=job.log_format == "json")
        if _ends(loaded.plan):
            return _run_once(line, loaded, argv)
        return _run(line, loaded, argv)


def _only(found: Sequence[Loaded], options: LogstashOptions) -> Loaded:
    """Gives the pipeline of what is asked of one alone. Raises `OptionError` where there are several."""
    if len(found) == 1:
        return found[0]
    folder = options.path_settings
    each_line = "".join(
        f"\n  --path.settings {shlex.quote(folder)} --pipeline.id {shlex.quote(each.plan.name)}"
        for each in found
    )
    message = f"{folder} has {len(found)} pipelines, and this is asked of one:{each_line}"
    raise OptionError(message)


def _refuse(error: OptionError, *, json: bool) -> int:
    if json or not isinstance(error, ConfigRefused):
        last_words(NAME, str(error), 2, json=json)
    else:
        problems = str(error)
        sys.stderr.write(f"penstock {NAME}: the configuration can't start:\n{problems}\n")
    return 2


def _form(line: CommandLine, loaded: Loaded) -> str:
    from penstock.pipelines.logstash.showing import command_form, explain, yaml_form

    options, url = line.get(LogstashOptions), _dead_letters(line, loaded.plan)
    if options.to_command:
        return command_form.written(loaded.planned, line.get(JobOptions))
    if options.to_yaml:
        return yaml_form.written(loaded.planned, url)
    told = explain.explained(loaded.planned, {each.name: each.text for each in loaded.sources}, url)
    return told + "".join(f"note: {note}\n" for note in loaded.notes)


def _test(line: CommandLine, loaded: Loaded) -> int:
    from penstock.pipelines import check
    from penstock.pipelines.logstash import graph
    from penstock.pipelines.logstash.needs import requirements_of
    from penstock.pipelines.run.runners import runs_elsewhere

    set_up_logging(line.get(JobOptions))
    url = _dead_letters(line, loaded.plan)
    graph.build(loaded.plan, url)
    for note in (f"pipeline {loaded.plan.name}", *loaded.notes, *loaded.plan.notes):
        sys.stdout.write(f"note: {note}\n")
    needed = requirements_of(loaded.plan, url, elsewhere=runs_elsewhere(line.beam))
    return check.print_all(NAME, needed)


def _replay(line: CommandLine, loaded: Loaded) -> int:
    from penstock.io.dead_letters import require_store_url
    from penstock.pipelines.logstash.graph_replay import run_replay

    options, job = line.get(LogstashOptions), line.get(JobOptions)
    require_store_url(options.replay)
    set_up_logging(job)
    name = f"{_job_name(loaded.plan)}-replay"
    again = job.dead_letter_url(name).replace(_PIPELINE, loaded.plan.name)

    def ready() -> Plan:
        plan = _settled(loaded.plan)
        _try_and_prepare(dataclasses.replace(plan, inputs=()), again, elsewhere=False)
        return plan

    return run_replay(name, ready, options.replay, again)


def _ends(plan: Plan) -> bool:
    return plan.inputs[0].plugin == "s3"


def _run_together(line: CommandLine, found: Sequence[Loaded], argv: Sequence[str]) -> int:
    """Runs each pipeline in a process of its own. Raises `OptionError`."""
    from penstock.pipelines.workers.together import Member, run_together

    job = line.get(JobOptions)
    if job.dead_letters and _PIPELINE not in job.dead_letters:
        message = (
            f"--dead_letters {job.dead_letters}: each pipeline needs a store of its own, so that --replay finds its "
            f"letters: write {_PIPELINE} into it, or leave it out (then it is dead_letters/{NAME}-{_PIPELINE}.jsonl)."
        )
        raise OptionError(message)
    members = []
    for each in found:
        more = ["--pipeline.id", each.plan.name]
        members.append(Member(each.plan.name, [NAME, *argv, *more], _ends(each.plan), job))
    set_up_logging(job)
    slowest = max(job.stop_timeout, *(_stop_timeout(each.plan) for each in found))
    return run_together(NAME, members, json=job.log_format == "json", stop_timeout=slowest)


def _run_once(line: CommandLine, loaded: Loaded, argv: Sequence[str]) -> int:
    """Runs a pipeline whose input reads what is there, and ends."""
    from penstock.pipelines.logstash.graph_objects import ObjectsOnce
    from penstock.pipelines.run.batch import run_batch

    job, name, url = line.get(JobOptions), _job_name(loaded.plan), _dead_letters(line, loaded.plan)
    values = vars(job)
    options = BatchJobOptions(
        **{
            each.name: values[each.name]
            for each in dataclasses.fields(BatchJobOptions)
            if each.name in values
        }
    )

    batch = ObjectsOnce(loaded.plan, options, url, lambda: _ready(line, loaded))
    return run_batch(name, batch, line.beam, argv, stop_timeout=_stop_timeout(loaded.plan))


def _run(line: CommandLine, loaded: Loaded, argv: Sequence[str]) -> int:
    job, name, timeout = line.get(JobOptions), _job_name(loaded.plan), _stop_timeout(loaded.plan)
    if job.starts_workers:
        from penstock.pipelines.workers.supervisor import run_workers  # likewise

        return run_workers(name, NAME, job, argv, stop_timeout=timeout)
    from penstock.pipelines.logstash import graph
    from penstock.pipelines.run.streaming import run_streaming

    steps: list[Step] = []
    plan, url = loaded.plan, _dead_letters(line, loaded.plan)

    def settle() -> None:
        nonlocal plan
        graph.build(plan, url)  # contradictory options are refused before any peer is asked
        plan = _settled(plan)
        steps.extend(graph.build(plan, url))

    return run_streaming(
        name,
        job,
        line.beam,
        (settle,),
        lambda pipeline: connect(pipeline, steps),
        once=(lambda: _prepare(line, loaded, plan),),
        stop_timeout=timeout,
    )


def _ready(line: CommandLine, loaded: Loaded) -> Plan:
    """Says what differs, tries and prepares the peers, and gives the plan as they want it. Raises `PenstockError`."""
    from penstock.pipelines.logstash import graph

    graph.build(loaded.plan, _dead_letters(line, loaded.plan))  # as in `_run`
    plan = _settled(loaded.plan)
    _prepare(line, loaded, plan)
    return plan


def _prepare(line: CommandLine, loaded: Loaded, plan: Plan) -> None:
    """Says what differs, and tries and prepares the peers. Raises `PenstockError`."""
    from penstock.pipelines.run.runners import runs_elsewhere

    for note in (*loaded.notes, *loaded.plan.notes):
        _LOGGER.info("%s", note)
    url = _dead_letters(line, loaded.plan)
    _try_and_prepare(plan, url, elsewhere=runs_elsewhere(line.beam))


def _try_and_prepare(plan: Plan, dead_letters: str, *, elsewhere: bool) -> None:
    from penstock.io.preflight.trials import require_quick
    from penstock.pipelines.logstash.needs import prepare, requirements_of

    require_quick(requirements_of(plan, dead_letters, elsewhere=elsewhere).trials)
    prepare(plan)


def _stop_timeout(plan: Plan) -> float:
    """Gives the seconds that the slowest of a plan's parts needs for a stop."""
    options = [*(each.options for each in plan.inputs), *(each.options for each in plan.outputs)]
    return max(getattr(each, "stop_timeout", 0.0) for each in options)


JOB = _Logstash(
    name=NAME,
    description=(
        "Runs the pipeline of a logstash.conf: its inputs, filters and outputs, with their conditions. Logstash's own\n"
        "flags (-f, -e, -t, --path.settings, ...) are taken too."
    ),
    epilog="docs/logstash.md lists each plugin and option, and what differs on purpose.",
    first=(
        "path_config",
        "config_string",
        "path_settings",
        "config_test_and_exit",
        "explain",
        "compat",
        "set",
        "to_command",
        "dead_letters",
        "status_port",
    ),
    option_classes=lambda argv: (LogstashOptions, JobOptions),
    requirements=_requirements,
)
