"""The console script: `penstock JOB [options]`; `python -m penstock.pipelines.<job>` is the same."""

import importlib
import sys
from collections.abc import Sequence

__all__ = ["JOBS", "main"]

JOBS = {
    "beats-to-kinesis": "Reads Beats connections, writes aggregated records to a Kinesis stream.",
    "kinesis-to-elasticsearch": "Reads a Kinesis stream from its checkpoints, bulk-writes to Elasticsearch.",
    "kinesis-to-s3": "Archives a Kinesis stream in S3: every record's bytes and position.",
    "replay-dead-letters": "Sends refused events again, to Elasticsearch or Kinesis.",
    "run-yaml": "Runs a pipeline of yours, written in Beam YAML with these connectors.",
    "s3-to-elasticsearch": "Backfills objects of S3, that archive among them, into Elasticsearch.",
}


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
    if name not in JOBS:
        sys.stderr.write(
            f"penstock: no job is called {name!r}; there are {', '.join(JOBS)} (see penstock --help)\n"
        )
        return 2
    module = importlib.import_module(f"penstock.pipelines.{name.replace('-', '_')}")
    return int(module.main(arguments))


def _usage() -> str:
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:{width}}  {text}" for name, text in JOBS.items())
    return f"usage: penstock JOB [options]\n\n{jobs}\n\npenstock JOB --help lists a job's options.\n"


if __name__ == "__main__":
    sys.exit(main())
