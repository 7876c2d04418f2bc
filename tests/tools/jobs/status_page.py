"""The status page of a job that runs, as a program reads it."""

import json
import re
import urllib.error
import urllib.request
from typing import Any

from local.demo.jobs import Job
from tests.tools.machine.waiting import TIMEOUT_S, wait_until


def page_of(job: Job) -> str:
    """Where a job says that its status page is."""
    found = wait_until(lambda: re.search(r"status page: (\S+)", job.log.read_text()), "the status page")
    return str(found[1])


def text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
        return str(reply.read().decode())


def status(page: str, job: str = "") -> Any:
    return json.loads(text(f"{page}status.json?job={job}"))


def ready(page: str) -> int:
    """The HTTP status that tells whether the job is ready."""
    try:
        with urllib.request.urlopen(f"{page}readyz", timeout=TIMEOUT_S) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
