"""The console script runs `penstock JOB [options]`, `penstock check JOB` and `penstock status`."""

import importlib
import os
import sys
from collections.abc import Sequence

from penstock.io.garbage_collector import collect_seldom
from penstock.pipelines.jobs import JOBS, find_job, no_such_job
from penstock.pipelines.stopping.early_stop import STOPPED_EARLY, StoppedEarly, disarm, early_stop

__all__ = ["main"]

INTERRUPTED = 130
"""Exit code after a Ctrl-C that came before anything ran, as shells have it (128 + SIGINT)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job that the first argument names and returns its exit code."""
    collect_seldom()  # all that is imported from here on stays
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_usage())
        return 0 if arguments else 2
    name = arguments.pop(0)
    if name in ("-V", "--version"):
        import penstock

        sys.stdout.write(f"penstock {penstock.__version__}\n")
        return 0
    try:
        code = _command(name, arguments) if name in _COMMANDS else _run(name, arguments)
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
        return no_such_job(name)
    with early_stop():
        try:
            return find_job(name).main(arguments)
        except StoppedEarly:
            disarm()
            from penstock.pipelines.console.logs import last_words, wants_json

            last_words(name, STOPPED_EARLY, 0, json=wants_json(arguments))
            return 0


_COMMANDS = {
    "check": "penstock.pipelines.commands.check_command",
    "completion": "penstock.pipelines.commands.completion",
    "config": "penstock.pipelines.commands.config_command",
    "run": "penstock.pipelines.commands.run_command",
    "status": "penstock.pipelines.commands.flink_status",
}
"""A first argument that is no job -> the module whose `main` takes the others."""


def _command(name: str, arguments: list[str]) -> int:
    return int(importlib.import_module(_COMMANDS[name]).main(arguments))


def _usage() -> str:
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:{width}}  {text}" for name, text in JOBS.items())
    return (
        "usage: penstock JOB [options]                  runs a job\n"
        "       penstock run FILE.yaml                  runs the jobs of a file\n"
        "       penstock check JOB [options]|FILE.yaml  tries everything that they will need\n"
        "       penstock config JOB [options]           prints a file with all options of a job\n"
        "       penstock completion bash|zsh|fish       prints the script for a shell\n"
        "       penstock status --flink ADDRESS [JOB]   shows what runs on a Flink cluster, and stops a job there\n\n"
        f"{jobs}\n\n"
        "penstock JOB --help shows the options that people need first, and where the others are.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
