"""`penstock check JOB [options]` and `penstock check FILE.yaml` try what a job, or each job of a file, will need."""

import sys
from collections.abc import Sequence

from penstock.io.errors import OptionError
from penstock.pipelines import check
from penstock.pipelines.configuration.config_file import jobs_in
from penstock.pipelines.console.logs import last_words
from penstock.pipelines.jobs import JOBS, find_job, no_such_job

__all__ = ["main"]

_USAGE = "usage: penstock check JOB [options of the job]\n       penstock check FILE.yaml\n\n"


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code; of several jobs the highest."""
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if name in ("", "-h", "--help"):
        (sys.stdout if name else sys.stderr).write(f"{_USAGE}jobs: {', '.join(JOBS)}\n")
        return 0 if name else 2
    if name in JOBS:
        return check.main(find_job(name), rest)
    if not name.endswith((".yaml", ".yml")):
        return no_such_job(name)
    try:
        file = jobs_in(name)
    except OptionError as error:
        last_words("check", str(error), 2, json=False)
        return 2
    return max(check.main(find_job(each.job), [*file.arguments(each), *rest]) for each in file.jobs)
