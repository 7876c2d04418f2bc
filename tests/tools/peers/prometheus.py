"""A real Prometheus that scrapes what it is told, and `promtool`, which checks rules (`local.servers.prometheus`)."""

import contextlib
import io
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from local.processes import LocalError, Process
from local.servers.elasticsearch_server import free_port
from local.servers.prometheus import Prometheus, find_prometheus
from local.terminal import Progress
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.emulators import unavailable

ALERTS = Path(__file__).parents[3] / "deploy" / "alerts.yaml"


def programs() -> Prometheus:
    """Both programs; the test is skipped where they can't be had, and fails where `CI` is set."""
    try:
        return find_prometheus(Progress(io.StringIO()))
    except LocalError as error:
        unavailable(str(error))


def promtool(*arguments: str | Path) -> str:
    """What promtool says when it is content; else the test fails, with all it says."""
    command = [programs().promtool, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    """The rules of `deploy/alerts.yaml`."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


class RunningPrometheus:
    """One that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """What it answers; the error in its words where it refuses."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def values(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression now, each with labels (`metric`) and `value`."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def alarms(self) -> dict[str, dict[str, Any]]:
        """The alarms that are pending or firing, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self.get("alerts")["alerts"]}


@contextlib.contextmanager
def running(folder: Path, targets: Sequence[str]) -> Iterator[RunningPrometheus]:
    """Scrapes those addresses each second, and keeps our rules."""
    server, port = programs().server, free_port()
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "penstock", "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
    process = Process(
        "Prometheus",
        [
            str(server), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "prometheus.log",
    )  # fmt: skip

    def ready() -> bool:
        process.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    try:
        wait_until(ready, "Prometheus is ready")
        yield RunningPrometheus(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
