"""`flink` asks a Flink cluster by its REST API what it really runs, which Beam's job server only passes on in part.

Source: https://nightlies.apache.org/flink/flink-docs-release-1.19/docs/ops/rest_api/
"""

import dataclasses
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from penstock.io.errors import PeerError, Unreachable
from penstock.pipelines.run.remote._causes import root_cause, with_advice

__all__ = ["ENDED", "FlinkCluster", "FlinkJob", "address_of"]

ENDED = ("FINISHED", "CANCELED", "FAILED", "SUSPENDED")
_TIMEOUT_S = 10.0
_MAX_REPLY = 4 << 20
_METRICS_A_CALL = 16
"""A name may have 200 characters, and Flink's server takes a line of 4096."""


def address_of(master: str) -> str:
    """Gives the REST address that `--flink_master` names; "" where Beam starts a Flink of its own."""
    master = master.strip().rstrip("/")
    if master.startswith("[") and not master.startswith("[::"):
        return ""
    return master if re.match(r"https?://", master) else f"http://{master}"


@dataclasses.dataclass(frozen=True)
class FlinkJob:
    """A job as the cluster shows it.

    Attributes:
        id: Flink's id of the job.
        name: the name by which it was submitted.
        state: `CREATED`, `RUNNING`, `RESTARTING`, `FAILED`, ...
        tasks: state of a task -> how many.
    """

    id: str
    name: str
    state: str
    tasks: dict[str, int]

    @property
    def runs(self) -> bool:
        """Whether the job and all of its tasks run (or have ended well)."""
        working = {each for each, count in self.tasks.items() if count}
        return self.state == "FINISHED" or (
            self.state == "RUNNING" and bool(working) and working <= {"RUNNING", "FINISHED"}
        )

    @property
    def waits_for_slots(self) -> bool:
        """Whether a task has no place to run."""
        return bool(self.tasks.get("SCHEDULED") or self.tasks.get("CREATED"))


class FlinkCluster:
    """A job manager.

    Args:
        url: its REST address, `http://HOST:PORT`.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def overview(self) -> dict[str, Any]:
        """Gives `slots-total`, `slots-available`, `taskmanagers`, `flink-version`, and further numbers."""
        found: dict[str, Any] = self._call("/overview")
        return found

    def jobs(self) -> list[FlinkJob]:
        """Gives all jobs that the cluster knows, the newest first."""
        found = sorted(self._call("/jobs/overview")["jobs"], key=lambda job: -int(job["start-time"]))
        return [FlinkJob(job["jid"], job["name"], job["state"], _counted(job["tasks"])) for job in found]

    def job(self, job_id: str) -> FlinkJob:
        """Gives one job."""
        found = self._call(f"/jobs/{job_id}")
        return FlinkJob(found["jid"], found["name"], found["state"], _counted(found["status-counts"]))

    def failures(self, job_id: str) -> list[tuple[int, str]]:
        """Gives when (ms since 1970) and why Flink has restarted the job, or given it up; the newest first."""
        found = self._call(f"/jobs/{job_id}/exceptions?maxExceptions=5")
        entries = found.get("exceptionHistory", {}).get("entries", [])
        return [
            (int(each["timestamp"]), with_advice(root_cause(str(each["stacktrace"])))) for each in entries
        ]

    def began_ms(self, job_id: str) -> int:
        """Since when (ms since 1970) the job is running, or since when it runs again."""
        return int(self._call(f"/jobs/{job_id}")["timestamps"]["RUNNING"])

    def checkpointed_ms(self, job_id: str) -> int:
        """When (ms since 1970) the last checkpoint was complete; 0: none is."""
        latest = self._call(f"/jobs/{job_id}/checkpoints")["latest"]["completed"] or {}
        return int(latest.get("latest_ack_timestamp", 0))

    def metrics(self, job_id: str, wanted: re.Pattern[str]) -> dict[str, tuple[float, float]]:
        """Sum and maximum over all subtasks, of each metric whose name (without its step) matches in full."""
        found: dict[str, tuple[float, float]] = {}
        for task in self._call(f"/jobs/{job_id}")["vertices"]:
            path = f"/jobs/{job_id}/vertices/{task['id']}/subtasks/metrics"
            ids = [str(each["id"]) for each in self._call(path)]
            ids = [each for each in ids if wanted.fullmatch(each.rpartition(".")[2])]
            for start in range(0, len(ids), _METRICS_A_CALL):
                some = urllib.parse.quote(",".join(ids[start : start + _METRICS_A_CALL]))
                for each in self._call(f"{path}?get={some}&agg=sum,max"):
                    name = str(each["id"]).rpartition(".")[2]
                    before, most = found.get(name, (0.0, 0.0))
                    found[name] = (before + each["sum"], max(most, each["max"]))
        return found

    def hands_on(self, job_id: str) -> bool:
        """Whether a step behind the source has handed something on, or the last step was given something."""
        *others, last = self._call(f"/jobs/{job_id}")["vertices"]
        behind = [each for each in others if not str(each["name"]).startswith("Source: ")]
        return bool(
            last["metrics"]["read-records"] or any(each["metrics"]["write-records"] for each in behind)
        )

    def cancel(self, job_id: str) -> None:
        """Ends a job at once."""
        self._call(f"/jobs/{job_id}", method="PATCH")

    def stop(self, job_id: str, folder: str | None = None) -> str:
        """Begins to stop a job with a savepoint. Returns the request's id, for `savepoint`."""
        body = {"drain": False, **({"targetDirectory": folder} if folder else {})}
        return str(self._call(f"/jobs/{job_id}/stop", body)["request-id"])

    def savepoint(self, job_id: str, request: str) -> str:
        """Gives the place of the savepoint; "" while it is being written. Raises `PeerError` when it failed."""
        reply = self._call(f"/jobs/{job_id}/savepoints/{request}")
        if reply["status"]["id"] != "COMPLETED":
            return ""
        operation = reply["operation"]
        if "location" not in operation:
            cause = root_cause(str(operation.get("failure-cause", {}).get("stack-trace", operation)))
            message = f"the savepoint of job {job_id} failed: {cause}"
            raise PeerError(message)
        return str(operation["location"])

    def _call(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  http or https, see `address_of`
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
                return json.loads(reply.read(_MAX_REPLY) or b"null")
        except urllib.error.HTTPError as error:
            text = " ".join(error.read(2000).decode(errors="replace").split())[:300]
            message = f"Flink at {self.url} answers {error.code} to {path.partition('?')[0]}: {text}"
            raise PeerError(message) from error
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", error)
            message = f"no answer from Flink's REST API at {self.url} ({why}). Check --flink_master and that it runs."
            raise Unreachable(message) from error


def _counted(tasks: dict[str, Any]) -> dict[str, int]:
    return {name.upper(): int(count) for name, count in tasks.items() if name != "total"}
