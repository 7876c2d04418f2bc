"""`run-yaml` runs a pipeline that is written in Beam YAML, in the way of the other jobs, and knows our transforms.

Beam's own command (`python -m apache_beam.yaml.main`) runs such a file too, once it includes the provider file. This
job adds a clean stop on SIGTERM and Ctrl-C, `--stop_when_idle`, one line for a failure, and the runner we chose.
"""

import dataclasses
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.io.errors import OptionError, PenstockError
from penstock.io.options import option
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.run.job import Job

__all__ = ["JOB"]

NAME = "run-yaml"
_MISSING = "Beam's YAML needs more packages: pip install 'penstock-beam[yaml]'."


@dataclasses.dataclass(frozen=True)
class YamlOptions:
    """Which pipeline in YAML is run."""

    yaml_pipeline_file: str = option("", help="The file that holds the pipeline.")
    jinja_variables: dict[str, str] = option({}, help="Values for {{ NAME }} in the file.")
    provider_file: bool = option(False, help="Print the provider file for Beam's own YAML command, and end.")

    def __post_init__(self) -> None:
        if self.provider_file:
            return
        if not self.yaml_pipeline_file:
            message = "--yaml_pipeline_file is required: the file that holds the pipeline."
            raise OptionError(message)
        if not os.path.isfile(self.yaml_pipeline_file):  # a path that can't be one is none either
            message = f"--yaml_pipeline_file {self.yaml_pipeline_file:.200}: there is no such file."
            raise OptionError(message)


def _load(path: Path, variables: dict[str, str]) -> dict[str, Any]:
    """Reads the file, and keeps the lines of its parts for Beam's messages."""
    try:
        from apache_beam.yaml import yaml_transform
    except ImportError as error:
        raise OptionError(_MISSING) from error
    import jinja2
    import yaml

    try:
        text = yaml_transform.expand_jinja(path.read_text(), variables, [str(path.parent)])
        spec = yaml.load(text, Loader=yaml_transform.SafeLineLoader)  # noqa: S506  a subclass of the safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, jinja2.TemplateError) as error:
        message = f"{path} cannot be read: {' '.join(str(error).split())[:300]}"
        raise OptionError(message) from error
    if not isinstance(spec, dict) or "pipeline" not in spec:
        message = f"{path} holds no `pipeline`. See docs/pipelines.md for one."
        raise OptionError(message)
    return spec


def _arguments(spec: Mapping[str, Any]) -> list[str]:
    """Gives the file's `options` as a command line. The real one comes later, so its options win."""
    options = {name: value for name, value in (spec.get("options") or {}).items() if name[:2] != "__"}
    arguments = []
    for name, value in options.items():
        if value is True:
            arguments.append(f"--{name}")
        elif value is not False:
            arguments += [f"--{name}={each}" for each in (value if isinstance(value, list) else [value])]
    return arguments


def _build(pipeline: Any, spec: dict[str, Any], options: YamlOptions) -> None:
    from apache_beam.yaml import yaml_provider, yaml_transform

    from penstock.pipelines.beam_yaml import TRANSFORMS

    logging.getLogger().addFilter(_is_about_the_pipeline)
    try:
        yaml_transform.expand_pipeline(
            pipeline,
            spec,
            providers=[yaml_provider.InlineProvider(TRANSFORMS)],
            pipeline_path=options.yaml_pipeline_file,
        )
    except Exception as error:
        if isinstance(error, PenstockError):
            raise
        # Beam says where, and the first line of its text says what. A whole schema may follow.
        text = str(error).strip().partition("\n")[0]
        message = f"{options.yaml_pipeline_file}: {text[:500]}"
        raise OptionError(message) from error


def _is_about_the_pipeline(record: logging.LogRecord) -> bool:
    """Whether a message is about the pipeline, not about the machine learning packages that Beam always looks for."""
    return not record.getMessage().startswith("Could not load ML transform module")


class _RunYaml(Job):
    def run(self, line: CommandLine, argv: Sequence[str]) -> int:
        """Runs the pipeline; returns its exit code (0 clean stop or end, 1 failure, 2 wrong options or a wrong file)."""
        options, job = line.get(YamlOptions), line.get(JobOptions)
        if job.dead_letters:
            sys.stderr.write(
                f"penstock {NAME}: --dead_letters: put penstock.WriteDeadLetters into the pipeline.\n"
            )
            return 2
        if options.provider_file:
            from penstock.pipelines.beam_yaml import provider_file

            sys.stdout.write(provider_file())
            return 0
        try:
            spec = _load(Path(options.yaml_pipeline_file), options.jinja_variables)
        except PenstockError as error:
            sys.stderr.write(f"penstock {NAME}: {error}\n")
            return error.exit_code
        if job.starts_workers:
            from penstock.pipelines.workers.supervisor import run_workers  # likewise

            return run_workers(NAME, NAME, job, argv)
        from penstock.pipelines.run.streaming import run_streaming  # with Beam, which no --help needs

        return run_streaming(
            NAME, job, [*_arguments(spec), *line.beam], (), lambda pipeline: _build(pipeline, spec, options)
        )


JOB = _RunYaml(
    name=NAME,
    description=(
        "Runs a pipeline that is written in Beam YAML, with every step of penstock known as penstock.NAME. Secrets come\n"
        "from the environment, never from the file. --provider_file prints what Beam's own YAML command needs instead."
    ),
    first=(
        "yaml_pipeline_file",
        "jinja_variables",
        "provider_file",
        "stop_when_idle",
        "status_port",
        "log_level",
    ),
    option_classes=lambda argv: (YamlOptions, JobOptions),
    requirements=None,
)
