"""`logstash` is the job that `penstock.pipelines.logstash` makes of a `logstash.conf`."""

from penstock.pipelines.logstash.command import JOB

__all__ = ["JOB"]
