"""The console script: `penstock JOB [options]` (`python -m penstock JOB` is the same), `penstock check JOB`."""

import importlib
import os
import sys
from collections.abc import Iterable, Sequence

__all__ = ["JOBS", "main"]

JOBS = {
    "beats-to-kinesis": "Reads Beats connections, writes aggregated records to a Kinesis stream.",
    "kinesis-to-elasticsearch": "Reads a Kinesis stream from its checkpoints, bulk-writes to Elasticsearch.",
    "kinesis-to-s3": "Archives a Kinesis stream in S3: every record's bytes and position.",
    "replay-dead-letters": "Sends refused events again, to Elasticsearch or Kinesis.",
    "run-yaml": "Runs a pipeline of yours, written in Beam YAML with these connectors.",
    "s3-to-elasticsearch": "Backfills objects of S3, that archive among them, into Elasticsearch.",
}


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
        from importlib.metadata import version

        sys.stdout.write(f"penstock {version('penstock')}\n")
        return 0
    try:
        code = _check(arguments) if name == "check" else _run(name, arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        # Before the job had begun (importing Beam takes seconds) or while it was being checked.
        sys.stderr.write("penstock: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough (`| head`); the interpreter would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(name: str, arguments: list[str]) -> int:
    if name not in JOBS:
        return _no_such_job(name, JOBS)
    module = importlib.import_module(f"penstock.pipelines.jobs.{name.replace('-', '_')}")
    return int(module.main(arguments))


def _check(arguments: list[str]) -> int:
    name = arguments.pop(0) if arguments else ""
    checkable = [job for job in JOBS if job != "run-yaml"]
    if name not in checkable:
        if name in ("", "-h", "--help"):
            usage = f"usage: penstock check JOB [options of the job]\n\njobs: {', '.join(checkable)}\n"
            (sys.stdout if name else sys.stderr).write(usage)
            return 0 if name else 2
        if name in JOBS:
            sys.stderr.write(
                f"penstock check: {name} can't be checked as a whole: its file may hold any step. Check the jobs that "
                "have these steps, with the same options.\n"
            )
            return 2
        return _no_such_job(name, checkable)
    from penstock.pipelines import check

    return check.main(name, arguments)


def _no_such_job(name: str, jobs: Iterable[str]) -> int:
    sys.stderr.write(
        f"penstock: no job is called {name!r}; there are {', '.join(jobs)} (see penstock --help)\n"
    )
    return 2


def _usage() -> str:
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:{width}}  {text}" for name, text in JOBS.items())
    return (
        f"usage: penstock JOB [options]\n       penstock check JOB [options]\n\n{jobs}\n\n"
        "penstock JOB --help lists a job's options; penstock check JOB tries beforehand what it will need.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
