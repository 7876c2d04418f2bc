"""`names` lists the jobs and where each is declared. It imports none of them."""

import sys

from penstock.transforms.options import did_you_mean

__all__ = ["JOBS", "module_of", "no_such_job"]

JOBS = {
    "beats-to-kinesis": "Reads Beats connections, writes aggregated records to a Kinesis stream.",
    "kinesis-to-elasticsearch": "Reads a Kinesis stream from its checkpoints, bulk-writes to Elasticsearch.",
    "kinesis-to-s3": "Archives a Kinesis stream in S3: every record's bytes and position.",
    "logstash": "Runs the pipeline of a logstash.conf, as it is.",
    "replay-dead-letters": "Sends refused events again, to Elasticsearch or Kinesis.",
    "run-yaml": "Runs your own pipeline, written in Beam YAML with these connectors.",
    "s3-to-elasticsearch": "Backfills objects of S3, that archive among them, into Elasticsearch.",
}
"""Name of a job -> its line in `penstock --help`."""


def module_of(name: str) -> str:
    """Gives the module that declares a job of `JOBS` as `JOB`."""
    return f"penstock.pipelines.jobs.{name.replace('-', '_')}"


def no_such_job(name: str) -> int:
    """Says that no job has this name. Returns the exit code."""
    hint = (
        did_you_mean(name, [*JOBS, "check", "completion", "config", "run", "status"])
        or f"; there are {', '.join(JOBS)}"
    )
    sys.stderr.write(f"penstock: no job is called {name!r}{hint} (see penstock --help)\n")
    return 2
