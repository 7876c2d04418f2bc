"""`jobs` holds one module per job of the command line; it is imported only when that job is asked for.

So `penstock --help` needs neither Beam nor boto3.
"""

from typing import TYPE_CHECKING

from penstock.pipelines.job_names import JOBS, declared_job, no_such_job

if TYPE_CHECKING:
    from penstock.pipelines.run.job import Job

__all__ = ["JOBS", "find_job", "no_such_job"]


def find_job(name: str) -> "Job":
    """Gives the job of that name, which must be one of `JOBS`."""
    job: Job = declared_job(name)
    return job
