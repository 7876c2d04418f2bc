"""`penstock run FILE.yaml` runs the jobs of a configuration file as one: a process each, one clean stop, one exit code.

All options are looked at before the first job starts. An endless job that fails stops the others, and its exit code is
ours: a service manager starts all again, but for 2, a wrong option. docs/configuration.md describes the file.
"""

import sys
from collections.abc import Sequence
from typing import TypeVar

from penstock.io.errors import OptionError
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.configuration.config_file import ConfigFile, jobs_in
from penstock.pipelines.console.logs import LogOptions, last_words, set_up_logging
from penstock.pipelines.jobs import find_job
from penstock.pipelines.run.job import BatchJob
from penstock.pipelines.status import StatusOptions
from penstock.pipelines.stopping.early_stop import STOPPED_EARLY, StoppedEarly, disarm, early_stop
from penstock.pipelines.workers.together import Member, run_together

__all__ = ["main"]

NAME = "run"
T = TypeVar("T")


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        asked = list(arguments) in (["-h"], ["--help"])
        if len(arguments) > 1:
            further = next((each for each in arguments if each.startswith("-")), arguments[1])
            told = f"unexpected {further!r}: it takes one file, and all options stand there (or in the environment)."
            last_words(NAME, told, 2, json=False)
            return 2
        usage = f"usage: penstock run FILE.yaml\n\n{__doc__.partition(chr(10) * 2)[2]}"
        (sys.stdout if asked else sys.stderr).write(usage)
        return 0 if asked else 2
    with early_stop():
        try:
            return _run(jobs_in(arguments[0]))
        except OptionError as error:
            last_words(NAME, str(error), 2, json=False)
            return 2
        except StoppedEarly:
            disarm()
            last_words(NAME, STOPPED_EARLY, 0, json=False)
            return 0


def _run(file: ConfigFile) -> int:
    if len(file.jobs) == 1:
        (only,) = file.jobs
        return find_job(only.job).main(file.arguments(only))
    lines = {each: find_job(each.job).parse(file.arguments(each)) for each in file.jobs}
    logs = [_found(line, LogOptions) for line in lines.values()]
    json = all(each.log_format == "json" for each in logs)
    members = [
        Member(
            each.name,
            [each.job, *file.arguments(each)],
            isinstance(find_job(each.job), BatchJob),
            _found(lines[each], StatusOptions),
        )
        for each in file.jobs
    ]
    slowest = max(
        getattr(each, "stop_timeout", 0.0) for line in lines.values() for each in line.options.values()
    )
    set_up_logging(LogOptions(log_format="json" if json else "text"))
    return run_together(NAME, members, json=json, stop_timeout=slowest)


def _found(line: CommandLine, kind: type[T]) -> T:
    return next(each for each in line.options.values() if isinstance(each, kind))
