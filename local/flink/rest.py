"""`rest` makes the few calls of Flink's REST API that tests and `run_local.sh flink` need. Standard library only.

Source: https://nightlies.apache.org/flink/flink-docs-release-1.19/docs/ops/rest_api/
"""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from local.processes import LocalError

__all__ = ["FlinkRest"]

SAVEPOINT_TIMEOUT_S = 90.0
_METRICS_A_CALL = 16  # a name may have 200 characters, and Flink's server takes a line of 4096
_ENDED = ("FINISHED", "CANCELED", "FAILED", "SUSPENDED")


class FlinkRest:
    """A job manager's REST address.

    Args:
        url: `http://HOST:PORT`.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
        """The reply as JSON; raises `LocalError` with Flink's words, `OSError` when nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            message = f"Flink at {self.url}{path} says {error.code}: {error.read()[:300]!r}"
            raise LocalError(message) from error

    def overview(self) -> dict[str, Any]:
        """Slots, task managers and jobs in numbers."""
        reply: dict[str, Any] = self.call("/overview")
        return reply

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, each with `jid`, `name`, `state` and `start-time`, the newest first."""
        found = self.call("/jobs/overview")["jobs"]
        return sorted(found, key=lambda job: -int(job["start-time"]))

    def state(self, job: str) -> str:
        """`RUNNING`, `RESTARTING`, `CANCELED`, ..."""
        return str(self.call(f"/jobs/{job}")["state"])

    def cancel(self, job: str) -> None:
        """Ends a job at once; returns when it is over."""
        self.call(f"/jobs/{job}", method="PATCH")
        self._wait_ended(job)

    def stop_with_savepoint(self, job: str, folder: str | None = None) -> str:
        """Stops a job and returns where its savepoint lies. Raises `LocalError` when it fails."""
        body = {"drain": False, **({"targetDirectory": folder} if folder else {})}
        trigger = self.call(f"/jobs/{job}/stop", body)["request-id"]
        deadline = time.monotonic() + SAVEPOINT_TIMEOUT_S
        while True:
            reply = self.call(f"/jobs/{job}/savepoints/{trigger}")
            if reply["status"]["id"] == "COMPLETED":
                break
            if time.monotonic() > deadline:
                message = f"job {job} has no savepoint within {SAVEPOINT_TIMEOUT_S:g} s."
                raise LocalError(message)
            time.sleep(0.1)
        operation = reply["operation"]
        if "location" not in operation:
            message = f"the savepoint of job {job} failed: {str(operation)[:1000]}"
            raise LocalError(message)
        self._wait_ended(job)
        return str(operation["location"])

    def _wait_ended(self, job: str) -> None:
        deadline = time.monotonic() + SAVEPOINT_TIMEOUT_S
        while self.state(job) not in _ENDED:
            if time.monotonic() > deadline:
                message = f"job {job} is still {self.state(job)} after {SAVEPOINT_TIMEOUT_S:g} s."
                raise LocalError(message)
            time.sleep(0.1)

    def tasks(self, job: str) -> list[dict[str, Any]]:
        """The job's tasks, each with `id`, `name`, `parallelism` and `status`."""
        found: list[dict[str, Any]] = self.call(f"/jobs/{job}")["vertices"]
        return found

    def running(self, job: str) -> bool:
        """Whether the job and all its tasks run."""
        return self.state(job) == "RUNNING" and all(
            task["status"] in ("RUNNING", "FINISHED") for task in self.tasks(job)
        )

    def checkpoints(self, job: str) -> int:
        """How many checkpoints are complete."""
        return int(self.call(f"/jobs/{job}/checkpoints")["counts"]["completed"])

    def failures(self, job: str) -> list[dict[str, Any]]:
        """What Flink has started the job again for, or given it up: the last 16, the newest first."""
        found: list[dict[str, Any]] = self.call(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return found

    def metrics(self, job: str) -> dict[str, str]:
        """Every metric of every task and subtask, named `SUBTASK.METRIC`, with its value."""
        found: dict[str, str] = {}
        for task in self.tasks(job):
            path = f"/jobs/{job}/vertices/{task['id']}/metrics"
            names = [each["id"] for each in self.call(path)]
            for start in range(0, len(names), _METRICS_A_CALL):
                some = ",".join(names[start : start + _METRICS_A_CALL])
                found |= {each["id"]: each["value"] for each in self.call(f"{path}?get={some}")}
        return found
