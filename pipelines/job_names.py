"""`job_names` lists the jobs and finds where each is declared. It imports a job only when that one is asked for."""

import importlib
import sys
from typing import Any

from penstock.transforms.options import did_you_mean

__all__ = ["JOBS", "declared_job", "hint_about", "no_such_job"]

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


def declared_job(name: str) -> Any:
    """Gives the declaration of a job of `JOBS`, a `penstock.pipelines.run.job.Job`: its module has it as `JOB`."""
    return importlib.import_module(f"penstock.pipelines.jobs.{name.replace('-', '_')}").JOB


def hint_about(job: str, option: str) -> str:
    """Gives the end of a message about an option that the job doesn't know; empty where nothing helps."""
    return str(declared_job(job).hint(option)) if job in JOBS else ""


def no_such_job(name: str) -> int:
    """Says that no job has this name. Returns the exit code."""
    hint = (
        did_you_mean(name, [*JOBS, "check", "completion", "config", "run", "status"])
        or f"; there are {', '.join(JOBS)}"
    )
    sys.stderr.write(f"penstock: no job is called {name!r}{hint} (see penstock --help)\n")
    return 2
