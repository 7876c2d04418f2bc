"""The console script runs `penstock JOB [options]`, `penstock check JOB` and `penstock status`."""

import functools
import os
import sys
from collections.abc import Callable, Sequence

from penstock.pipelines.jobs import JOBS, find_job
from penstock.pipelines.run.early_stop import STOPPED_EARLY, StoppedEarly, disarm, early_stop

__all__ = ["main"]

INTERRUPTED = 130
"""Exit code after a Ctrl-C that came before anything ran, as shells have it (128 + SIGINT)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job that the first argument names and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_usage())
        return 0 if arguments else 2
    name = arguments.pop(0)
    if name == "--version":
        import penstock

        sys.stdout.write(f"penstock {penstock.__version__}\n")
        return 0
    try:
        code = _COMMANDS.get(name, functools.partial(_run, name))(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        # It came before the job had begun (importing Beam takes seconds), or while its peers were tried.
        sys.stderr.write("penstock: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has closed it (`| head`). The interpreter would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(name: str, arguments: list[str]) -> int:
    if name not in JOBS:
        return _no_such_job(name)
    with early_stop():
        try:
            return find_job(name).main(arguments)
        except StoppedEarly:
            disarm()
            from penstock.pipelines.console.logs import last_words, wants_json

            last_words(name, STOPPED_EARLY, 0, json=wants_json(arguments))
            return 0


def _check(arguments: list[str]) -> int:
    name = arguments.pop(0) if arguments else ""
    if name not in JOBS:
        if name in ("", "-h", "--help"):
            usage = (
                "usage: penstock check JOB [options of the job]\n       penstock check FILE.yaml\n\n"
                f"jobs: {', '.join(JOBS)}\n"
            )
            (sys.stdout if name else sys.stderr).write(usage)
            return 0 if name else 2
        if name.endswith((".yaml", ".yml")):
            from penstock.pipelines.configuration.run_command import check_file

            return check_file(name, arguments)
        return _no_such_job(name)
    from penstock.pipelines import check

    return check.main(find_job(name), arguments)


def _status(arguments: list[str]) -> int:
    from penstock.pipelines import flink_status

    return flink_status.main(arguments)


def _config(arguments: list[str]) -> int:
    from penstock.pipelines.configuration import config_command

    return config_command.main(arguments)


def _run_file(arguments: list[str]) -> int:
    from penstock.pipelines.configuration import run_command

    with early_stop():
        try:
            return run_command.main(arguments)
        except StoppedEarly:
            disarm()
            return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "check": _check,
    "config": _config,
    "run": _run_file,
    "status": _status,
}
"""Handles a first argument that is no job."""


def _no_such_job(name: str) -> int:
    sys.stderr.write(
        f"penstock: no job is called {name!r}; there are {', '.join(JOBS)} (see penstock --help)\n"
    )
    return 2


def _usage() -> str:
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:{width}}  {text}" for name, text in JOBS.items())
    return (
        "usage: penstock JOB [options]                  runs a job\n"
        "       penstock run FILE.yaml                  runs the jobs of a file\n"
        "       penstock check JOB [options]|FILE.yaml  tries everything that they will need\n"
        "       penstock config JOB [options]           prints a file with all options of a job\n"
        "       penstock status --flink ADDRESS [JOB]   shows what runs on a Flink cluster, and stops a job there\n\n"
        f"{jobs}\n\n"
        "penstock JOB --help shows the options that people need first, and where the others are.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
