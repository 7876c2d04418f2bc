"""`jobs` holds one module per job of the command line; it is imported only when that job is asked for.

So `penstock --help` needs neither Beam nor boto3.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.pipelines.run.job import Job

__all__ = ["JOBS", "find_job"]

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


def find_job(name: str) -> "Job":
    """Gives the job of that name, which must be one of `JOBS`."""
    job: Job = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").JOB
    return job
