"""`penstock config JOB [options]` prints a configuration file for that job: each option, its default, what it does.

Options that are given stand in it as they are, so a command line becomes a file. --schema prints the JSON Schema
instead; without JOB it is that of a file with any jobs.
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.pipelines.beam_arguments import with_underscores
from penstock.pipelines.command_line import job_parser
from penstock.pipelines.configuration.declared import Declared, declared_in, in_groups
from penstock.pipelines.configuration.schema import file_schema, job_schema
from penstock.pipelines.configuration.template import template
from penstock.pipelines.jobs import JOBS, find_job
from penstock.transforms.options import did_you_mean

if TYPE_CHECKING:
    from penstock.pipelines.run.job import Job

__all__ = ["main"]

_SCHEMA = "--schema"
_HELP = {"-h", "--help"}


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    given = list(arguments)
    if not given or not _HELP.isdisjoint(given):
        (sys.stdout if given else sys.stderr).write(
            f"usage: penstock config JOB [options of the job]\n       penstock config [JOB] --schema\n\n"
            f"{__doc__.partition(chr(10) * 2)[2]}\njobs: {', '.join(JOBS)}\n"
        )
        return 0 if given else 2
    schema = _SCHEMA in given
    given = [each for each in given if each != _SCHEMA]
    if not given:
        return _print_schema(file_schema({job: _options(find_job(job), []) for job in JOBS}))
    name = given.pop(0)
    if name not in JOBS:
        sys.stderr.write(f"penstock config: no job is called {name!r}{did_you_mean(name, JOBS)}\n")
        return 2
    job = find_job(name)
    arguments = with_underscores(job.arguments(given))
    if schema:
        return _print_schema(job_schema(name, _options(job, arguments)))
    return _print_template(job, arguments)


def _options(job: "Job", arguments: Sequence[str]) -> list[Declared]:
    return list(in_groups(job.option_classes(arguments)).values())


def _print_schema(schema: dict[str, object]) -> int:
    sys.stdout.write(json.dumps(schema, indent=2) + "\n")
    return 0


def _print_template(job: "Job", arguments: Sequence[str]) -> int:
    declared = declared_in(job.option_classes(arguments))
    parser = job_parser(f"penstock config {job.name}", declared)
    namespace, rest = parser.parse_known_args(list(arguments))
    if rest:
        known = [each.flag for each in declared.values()]
        parser.error(
            f"unknown option {rest[0]}{did_you_mean(rest[0], known) or '; put options of Beam into the file'}"
        )
    given = {name: value for name, value in vars(namespace).items() if value is not None}
    for option in declared.values():
        if option.secret and option.name in given:
            parser.error(
                f"{option.flag} is a secret, which a file doesn't hold; give {option.flag}_file PATH"
            )
    sys.stdout.write(template(job.name, _options(job, arguments), given))
    return 0
